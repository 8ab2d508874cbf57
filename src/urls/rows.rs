//! The rows of the URL space, in the order in which they count.
//!
//! What is on no row is nowhere. `Rest` at a branch's end says what is known of everything else below its first segment.
//!
//! Source: docs/plugnmeet.md sections 5, 8 and 9.

use super::{
    auth::AUTH,
    pattern::{
        Compared::{AsServer, AsSigned, Exactly},
        Segment::{self, Any, Begins, Decoded, OneOf, Rest, Secret, SecretRest, Tag, Word},
    },
    row::{
        Action, BbbCall, Branch, Content, Exposed, First, Form, Issues, Leads, Row, Step, Takes, To, Watch,
        When,
    },
};

/// The upstreams' paths, and the client's own beside its mount, wherever that is.
pub(super) const BRANCHES: &[Branch] = &[
    NATS,
    LIVEKIT,
    ETHERPAD,
    INGRESS,
    AUTH,
    // Before `/api`, as the server has it: an API key may be any word.
    BBB,
    WEBHOOK,
    API,
    LTI,
    DOWNLOAD,
    HEALTH_CHECK,
    METRICS,
    LOGIN,
    FAVICON,
    ASSETS,
];

const NATS: Branch = Branch::new(
    First::Word("ws"),
    Exactly,
    &[
        Row::new("nats", &[], Action::Forward(To::Nats)),
        Row::new("nats", &[Word("")], Action::Forward(To::Nats)),
        Row::new("nats", &[Rest], Action::Forward(To::Nats)).exposed(Exposed::Nats),
        Row::nowhere(&[Rest]),
    ],
);

const fn livekit(pattern: &'static [Segment]) -> Row {
    Row::new("livekit", pattern, Action::Forward(To::Livekit)).watch(Watch::Prefix("/livekit"))
}

/// Beside what meetings ask for are LiveKit's metrics, profiles and debug pages. Its own API is guarded in any spelling that
/// LiveKit would take for it.
const LIVEKIT: Branch = Branch::new(
    First::Word("livekit"),
    Exactly,
    &[
        livekit(&[OneOf(&["rtc", "validate", "agent", "settings"]), Rest]),
        livekit(&[Word("twirp"), Rest]).internal(),
        livekit(&[Decoded(&["twirp"]), Rest])
            .internal()
            .exposed(Exposed::Livekit),
        livekit(&[Rest]).exposed(Exposed::Livekit),
        Row::nowhere(&[Rest]),
    ],
);

const fn etherpad(pattern: &'static [Segment]) -> Row {
    Row::new("etherpad", pattern, Action::Forward(To::Etherpad)).watch(Watch::Prefix("/etherpad"))
}

/// Etherpad's pages for its operator, and where they log in. It decodes a path before it looks at it.
const ETHERPAD_ADMIN: &[Segment] = &[Decoded(&["admin", "admin-auth"]), Rest];

const ETHERPAD: Branch = Branch::new(
    First::Word("etherpad"),
    Exactly,
    &[
        etherpad(ETHERPAD_ADMIN).exposed(Exposed::EtherpadAdmin),
        Row::nowhere(ETHERPAD_ADMIN),
        etherpad(&[Rest]),
    ],
);

/// A stream key, and the resource that the ingress has made of it.
const INGRESS: Branch = Branch::new(
    First::Word("whip"),
    Exactly,
    &[Row::new("ingress", &[SecretRest], Action::Forward(To::Ingress))],
);

const fn bbb(pattern: &'static [Segment], call: BbbCall) -> Row {
    Row::new("bbb", pattern, Action::Issue(Issues::Bbb(call)))
        .errors(Form::Bbb)
        .watch(Watch::Link)
}

const BBB: Branch = Branch::api(
    First::KeyOf("bigbluebutton"),
    AsSigned,
    &[
        bbb(&[Word("api")], BbbCall::Bare),
        bbb(&[Word("api"), Word("")], BbbCall::Bare),
        bbb(&[Word("api"), Word("join")], BbbCall::Join).watch(Watch::LinksInXml),
        bbb(&[Word("api"), Word("create")], BbbCall::Create),
        bbb(&[Word("api"), Word("getRecordings")], BbbCall::Other).watch(Watch::LinksInXml),
        bbb(&[Word("api"), Rest], BbbCall::Other),
    ],
);

/// LiveKit reports to the server.
const WEBHOOK: Branch = Branch::api(
    First::Word("webhook"),
    AsServer,
    &[
        Row::new("webhook", &[], Action::Forward(To::Server)).internal(),
        Row::nowhere(&[Rest]),
    ],
);

const fn api(name: &'static str, pattern: &'static [Segment], action: Action) -> Row {
    Row::new(name, pattern, action)
        .errors(Form::Api)
        .watch(Watch::NewerToken)
}

const API: Branch = Branch::api(
    First::Word("api"),
    AsServer,
    &[
        api(
            "breakout_join",
            &[Word("breakoutRoom"), Word("join")],
            Action::Issue(Issues::BreakoutJoin),
        )
        .takes(Takes::Join),
        api(
            "remove_participant",
            &[Word("removeParticipant")],
            Action::Issue(Issues::RemoveParticipant),
        )
        .takes(Takes::Join),
        api("api", &[Word("fileUpload"), Rest], Action::Forward(To::Server))
            .takes(Takes::JoinInForm)
            .errors(Form::Upload)
            .watch(Watch::Upload),
        api("api", &[Word("verifyToken")], Action::Forward(To::Server))
            .takes(Takes::JoinInForm)
            .joins(),
        api("api", &[Rest], Action::Forward(To::Server)).takes(Takes::JoinInForm),
    ],
);

/// Learning platforms: their page, and what it asks for.
const LTI: Branch = Branch::api(
    First::Word("lti"),
    AsServer,
    &[
        Row::new(
            "lti_join",
            &[Word("v1"), Word("api"), Word("room"), Word("join")],
            Action::Issue(Issues::LtiJoin),
        )
        .takes(Takes::Lti)
        .errors(Form::ServersJson),
        Row::new(
            "lti_api",
            &[Word("v1"), Word("api"), Rest],
            Action::Forward(To::Server),
        )
        .takes(Takes::LtiInForm)
        .errors(Form::ServersJson),
        Row::new("lti", &[Word("v1"), Rest], Action::Forward(To::Server)).watch(Watch::Link),
    ],
);

const fn download(name: &'static str, pattern: &'static [Segment]) -> Row {
    Row::new(name, pattern, Action::Forward(To::Server)).content(Content::Download)
}

/// What a token in the path is for.
const BY_TOKEN: Segment = OneOf(&["recording", "analytics", "artifact"]);

/// The room's session id is all that guards an uploaded file (docs/plugnmeet.md section 5). What is in no known place may be
/// a key too.
const DOWNLOAD: Branch = Branch::api(
    First::Word("download"),
    AsServer,
    &[
        download("download", &[BY_TOKEN, Secret]).takes(Takes::Download),
        download("server", &[BY_TOKEN, SecretRest]),
        download("server", &[Word("uploadedFile"), SecretRest]).encoded_slash(),
        download("server", &[SecretRest]),
    ],
);

const HEALTH_CHECK: Branch = Branch::api(
    First::Word("healthCheck"),
    AsServer,
    &[Row::new("server", &[Rest], Action::Forward(To::Server))],
);

const METRICS: Branch = Branch::new(
    First::Word("metrics"),
    AsServer,
    &[Row::new("server", &[], Action::Forward(To::Server)).exposed(Exposed::Metrics)],
);

/// The server's own route is `/login*`.
const LOGIN: Branch = Branch::new(
    First::Begins("login"),
    AsServer,
    &[Row::new("server", &[Rest], Action::Forward(To::Server))
        .exposed(Exposed::Login)
        .content(Content::Login)],
);

const FAVICON: Branch = Branch::new(
    First::Word("favicon.ico"),
    Exactly,
    &[Row::new("asset", &[], Action::Favicon)],
);

const ASSETS: Branch = Branch::new(
    First::Word("assets"),
    Exactly,
    &[Row::new("asset", &[Rest], Action::File)],
);

/// `/`, if the client is not mounted there.
pub(super) const ROOT: Row =
    Row::new("root", &[Word("")], Action::Leads(Leads::ToMount)).errors(Form::People);

const fn client(name: &'static str, pattern: &'static [Segment], action: Action) -> Row {
    Row::new(name, pattern, action).errors(Form::People)
}

const fn page(pattern: &'static [Segment]) -> Row {
    client("page", pattern, Action::Session(Step::Enter)).watch(Watch::Page)
}

const LEAVE: Action = Action::Session(Step::Leave);
const TO_SLASH: Action = Action::Leads(Leads::ToSlash);

/// Below the mount, compared exactly.
pub(super) const BELOW_MOUNT: &[Row] = &[
    client("slash", &[], TO_SLASH),
    page(&[Word("")]),
    page(&[Word("index.html")]),
    client("logout", &[Word("logout")], LEAVE).errors(Form::OwnForm),
    client("switch", &[Word("switch")], Action::Session(Step::Switch))
        .when(When::OnePath)
        .errors(Form::OwnForm),
    client("asset", &[Word("switch")], Action::File).errors(Form::OwnForm),
    // The client has no such file, nor one beside it.
    client(
        "design_check",
        &[Word("design"), Word("check")],
        Action::DesignCheck,
    )
    .errors(Form::Json),
    client("slash", &[Word("s"), Tag], TO_SLASH).when(When::SessionPaths),
    page(&[Word("s"), Tag, Word("")]).when(When::SessionPaths),
    page(&[Word("s"), Tag, Word("index.html")]).when(When::SessionPaths),
    client("logout", &[Word("s"), Tag, Word("logout")], LEAVE)
        .when(When::SessionPaths)
        .errors(Form::OwnForm),
    client("none", &[Word("s"), Any, Word("logout")], Action::Nowhere)
        .when(When::SessionPaths)
        .errors(Form::OwnForm),
    client("none", &[Word("s"), Rest], Action::Nowhere).when(When::SessionPaths),
    // The login page as a file of the client's.
    client("asset", &[Begins("login"), Rest], Action::File)
        .exposed(Exposed::Login)
        .content(Content::Login),
    client("asset", &[Rest], Action::File),
];

/// An API below the mount.
pub(super) const MISPLACED: Row = Row::new("misplaced", &[Rest], Action::Misplaced).errors(Form::Misplaced);

/// BBB's API below the mount.
pub(super) const MISPLACED_BBB: Row = Row::new("misplaced", &[Rest], Action::Misplaced).errors(Form::Bbb);

/// The mount, but in other letters: nothing is there, and people may have typed it.
pub(super) const MISSPELT: Row = Row::nowhere(&[Rest]).errors(Form::People);

/// On no row.
pub(super) const NOWHERE: Row = Row::nowhere(&[Rest]);
