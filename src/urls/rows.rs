//! The rows of the URL space, in the order in which they count.
//!
//! A path that matches no row is not served (`NOWHERE`). A row with `Rest` at the end of a branch is for all other
//! paths below the branch's first segment.
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

/// The branches that are matched before the mount: those of upstreams, and the web client's paths that do not depend on
/// the mount.
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

/// LiveKit also has metrics, profiles and debug pages, which no meeting needs. Its own API is guarded in every spelling
/// that LiveKit would accept.
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

/// Etherpad's admin pages and their login. `Decoded`, because Etherpad decodes a path before it compares it.
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

/// The ingress takes streams here. The path holds a stream key and the resource that the ingress made for it: both are
/// secret.
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

/// LiveKit reports events to the server here.
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

/// The page for learning platforms, and the API that this page calls.
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

/// The kinds of downloads whose path holds a token.
const BY_TOKEN: Segment = OneOf(&["recording", "analytics", "artifact"]);

/// Downloads. The room's session id is all that guards an uploaded file (docs/plugnmeet.md section 5), and a segment at
/// an unknown place may be such an id too.
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

/// The server's login page. The server's own route is `/login*`.
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

/// The path `/`, where the client is mounted elsewhere.
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

/// The rows below the mount, all compared byte for byte.
pub(super) const BELOW_MOUNT: &[Row] = &[
    client("slash", &[], TO_SLASH),
    page(&[Word("")]),
    page(&[Word("index.html")]),
    client("logout", &[Word("logout")], LEAVE).errors(Form::OwnForm),
    client("switch", &[Word("switch")], Action::Session(Step::Switch))
        .when(When::OnePath)
        .errors(Form::OwnForm),
    client("asset", &[Word("switch")], Action::File).errors(Form::OwnForm),
    // The client has no such file, nor one beside it; nor the next one.
    client("check_page", &[Word("check")], Action::CheckPage).when(When::CheckPage),
    client(
        "design_check",
        &[Word("design"), Word("check")],
        Action::DesignCheck,
    )
    .errors(Form::Json),
    // Nor this one.
    client("joining", &[Word("joining")], Action::Waiting)
        .when(When::OnePath)
        .errors(Form::Json),
    client("joining", &[Word("s"), Tag, Word("joining")], Action::Waiting)
        .when(When::SessionPaths)
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

/// A path of an API below the mount, where the API is not.
pub(super) const MISPLACED: Row = Row::new("misplaced", &[Rest], Action::Misplaced).errors(Form::Misplaced);

/// A path of BBB's API below the mount, where the API is not.
pub(super) const MISPLACED_BBB: Row = Row::new("misplaced", &[Rest], Action::Misplaced).errors(Form::Bbb);

/// The mount in other upper or lower case: nothing is served there, but a person may have typed it, so the error is for
/// people.
pub(super) const MISSPELT: Row = Row::nowhere(&[Rest]).errors(Form::People);

/// The row of every path that no other row matches.
pub(super) const NOWHERE: Row = Row::nowhere(&[Rest]);
