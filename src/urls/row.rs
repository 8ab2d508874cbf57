//! The types of which a row of the URL space is made. A row names what is done at a path.
//!
//! Not here: the rows themselves (`rows`), how they match a path (`pattern`), how a request is answered
//! (`crate::route`).

use super::{
    endpoint::Endpoint,
    pattern::{Compared, Segment},
};

/// All that the gateway knows about the paths that match one pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The name of the row in access records and metrics.
    pub name: &'static str,
    /// The segments behind the branch's first segment, or below the mount. Logs hide the secret ones.
    pub pattern: &'static [Segment],
    /// What the gateway does with a request for such a path.
    pub action: Action,
    /// The configurations in which this row exists.
    pub when: When,
    /// Which clients may send requests here.
    pub guard: Guard,
    /// The kind of token that a request here may carry, if it carries one.
    pub takes: Takes,
    /// The form in which errors are answered here.
    pub errors: Form,
    /// What the gateway looks for in the answer.
    pub watch: Watch,
    /// The kind of content in the answer, which decides about protective header fields.
    pub content: Content,
    /// Do participants enter a meeting here? Then a request may have to wait for a place.
    pub joins: bool,
    /// May the path contain an encoded slash? One real client sends such a path (docs/plugnmeet.md section 5).
    pub encoded_slash: bool,
}

/// Rows whose paths begin with the same segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The first segment; if it is an API key, also the word behind the key.
    pub first: First,
    /// How this segment and the rows' segments are compared.
    pub compared: Compared,
    /// Is this an API that callers may look for below the mount by mistake?
    pub is_api: bool,
    /// The rows, in the order in which they are tried: the first match wins.
    pub rows: &'static [Row],
    /// Has one of the rows a secret segment?
    pub has_secrets: bool,
}

/// The first segment of a branch's paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// Exactly this word, compared as the branch says.
    Word(&'static str),
    /// A segment that begins with this word.
    Begins(&'static str),
    /// An API key, followed by this word. The key may be any word but the mount's, and logs hide it.
    KeyOf(&'static str),
}

/// What the gateway does at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// No page is at this path: a link with a token is handed off, every other request is redirected.
    Leads(Leads),
    /// A step in a session's life.
    Session(Step),
    /// A file of the web client is served.
    File,
    /// `/favicon.ico`, for which browsers ask on their own.
    Favicon,
    /// Somebody's page asks how many are let in before them.
    Waiting,
    /// The page that says whether a browser can get in.
    CheckPage,
    /// The design check: an integrator asks whether a design would be accepted.
    DesignCheck,
    /// A request that issues a token or is about one, and the API under `/auth`.
    Issue(Issues),
    /// The request is forwarded to an upstream, without anything else.
    Forward(To),
    /// The request looks for an API below the mount; the error says where the API is.
    Misplaced,
    /// Nothing is served at this path.
    Nowhere,
}

/// Where a request without a token is redirected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leads {
    /// To the web client's mount.
    ToMount,
    /// To the same path with a slash at its end.
    ToSlash,
}

/// A step in a session's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The client's page: a link with a token is handed off, and a running session goes on.
    Enter,
    Leave,
    /// The page that asks whether the link's session may replace the running one. It exists only where all sessions
    /// share one path.
    Switch,
}

/// A request that issues a token, or that must be judged by the rules for tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issues {
    /// `getJoinToken`: a token is asked for.
    Token,
    /// Any other endpoint under `/auth`.
    Auth(Endpoint),
    Bbb(BbbCall),
    /// A learning platform's page asks for a join token.
    LtiJoin,
    /// A participant asks for a token for a breakout room.
    BreakoutJoin,
    /// An admin removes a participant from the room.
    RemoveParticipant,
}

/// A call of BBB's API, classed by what the gateway checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BbbCall {
    /// The API's own path without a method: the server answers with its version, whatever the request says.
    Bare,
    /// `create`, which may carry a list of slides in its body.
    Create,
    /// `join`, which issues a token.
    Join,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    Server,
    Livekit,
    Nats,
    Etherpad,
    Ingress,
}

/// The configurations in which a row exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Always,
    /// Configurations whose `upstreams.expose` names this.
    Exposed(Exposed),
    /// Configurations in which each session has a path of its own.
    SessionPaths,
    /// Configurations in which all sessions share one path.
    OnePath,
    /// Configurations with a check page.
    CheckPage,
}

/// What is hidden by default, and is served if `upstreams.expose` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposed {
    /// The server's login page, which asks for the API secret.
    Login,
    Metrics,
    /// What NATS serves beside its WebSocket.
    Nats,
    /// What LiveKit serves beside what meetings need.
    Livekit,
    /// Etherpad's admin pages.
    EtherpadAdmin,
}

/// Which clients may send requests to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    Open,
    /// Clients in `trust.internal`; every client if `trust.internal` names none.
    Internal,
}

/// The kind of token that a request may carry. A request without a token passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Tokens are not looked at.
    Any,
    Join,
    /// A join token, also in a form field, as the server looks there too.
    JoinInForm,
    /// A token for a learning platform's page.
    Lti,
    /// A token for a learning platform's page, also in a form field, as the server looks there too.
    LtiInForm,
    /// A token for a download, in the path.
    Download,
}

/// How the form of an error answer is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The server's JSON, or protobuf if the request was protobuf.
    Auth,
    /// As `Auth`, with a status at which the client does not hang.
    Api,
    /// As `Api`, with a status that the uploader takes for final.
    Upload,
    Bbb,
    /// The server's JSON for every caller.
    ServersJson,
    /// The gateway's JSON for every caller.
    Json,
    /// A page; JSON for callers that prefer it, and the server's JSON for requests that look like an API call.
    People,
    /// A page, or JSON for callers that prefer it. Forms on the gateway's own pages are sent here, so a form is no API
    /// call.
    OwnForm,
    /// A page for callers that accept pages, the server's JSON for all others. BBB's API has a row of its own (`Bbb`).
    Misplaced,
    /// The gateway's JSON; a page for callers that name pages in `Accept`, and the server's JSON for requests that look
    /// like an API call.
    Machines,
}

/// What the gateway looks for in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    Nothing,
    /// The client's page, which gets the client's content security policy.
    Page,
    /// A redirect to a link of this gateway that carries a token.
    Link,
    /// As `Link`, and links of this gateway in BBB's XML.
    LinksInXml,
    /// The sign that the server accepted a token newer than the one in the cookie.
    NewerToken,
    /// As `NewerToken`, and statuses at which the uploader would try again.
    Upload,
    /// The upstream's own paths in the answer, which get this prefix.
    Prefix(&'static str),
}

/// The kind of content that an answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Content that needs no guard.
    Plain,
    /// Content that somebody uploaded or recorded.
    Download,
    /// The server's login page.
    Login,
}

impl Action {
    /// Does an upstream answer here? Each of them allows scripts of any origin.
    pub fn is_an_upstreams(self) -> bool {
        match self {
            Self::Issue(_) | Self::Forward(_) => true,
            Self::Leads(_)
            | Self::Session(_)
            | Self::File
            | Self::Favicon
            | Self::CheckPage
            | Self::DesignCheck
            | Self::Waiting
            | Self::Misplaced
            | Self::Nowhere => false,
        }
    }

    /// Does a link with a token lead into a session here?
    pub fn takes_links(self) -> bool {
        match self {
            Self::Leads(_) | Self::Session(Step::Enter) => true,
            Self::Session(Step::Leave | Step::Switch)
            | Self::File
            | Self::Favicon
            | Self::CheckPage
            | Self::DesignCheck
            | Self::Waiting
            | Self::Issue(_)
            | Self::Forward(_)
            | Self::Misplaced
            | Self::Nowhere => false,
        }
    }
}

impl Row {
    pub(super) const fn new(name: &'static str, pattern: &'static [Segment], action: Action) -> Self {
        Self {
            name,
            pattern,
            action,
            when: When::Always,
            guard: Guard::Open,
            takes: Takes::Any,
            errors: Form::Machines,
            watch: Watch::Nothing,
            content: Content::Plain,
            joins: false,
            encoded_slash: false,
        }
    }

    pub(super) const fn nowhere(pattern: &'static [Segment]) -> Self {
        Self::new("none", pattern, Action::Nowhere)
    }

    pub(super) const fn when(self, when: When) -> Self {
        Self { when, ..self }
    }

    pub(super) const fn exposed(self, exposed: Exposed) -> Self {
        self.when(When::Exposed(exposed))
    }

    pub(super) const fn internal(self) -> Self {
        Self {
            guard: Guard::Internal,
            ..self
        }
    }

    pub(super) const fn takes(self, takes: Takes) -> Self {
        Self { takes, ..self }
    }

    pub(super) const fn errors(self, errors: Form) -> Self {
        Self { errors, ..self }
    }

    pub(super) const fn watch(self, watch: Watch) -> Self {
        Self { watch, ..self }
    }

    pub(super) const fn content(self, content: Content) -> Self {
        Self { content, ..self }
    }

    pub(super) const fn joins(self) -> Self {
        Self { joins: true, ..self }
    }

    pub(super) const fn encoded_slash(self) -> Self {
        Self {
            encoded_slash: true,
            ..self
        }
    }

    pub(super) const fn has_secrets(&self) -> bool {
        let mut left = self.pattern;
        while let Some((segment, others)) = left.split_first() {
            if matches!(segment, Segment::Secret | Segment::SecretRest) {
                return true;
            }
            left = others;
        }
        false
    }
}

impl Branch {
    /// Is the first segment an API key?
    pub(super) fn has_key(&self) -> bool {
        matches!(self.first, First::KeyOf(_))
    }

    pub(super) const fn new(first: First, compared: Compared, rows: &'static [Row]) -> Self {
        let mut has_secrets = matches!(first, First::KeyOf(_));
        let mut left = rows;
        while let Some((row, others)) = left.split_first() {
            has_secrets |= row.has_secrets();
            left = others;
        }
        Self {
            first,
            compared,
            is_api: false,
            rows,
            has_secrets,
        }
    }

    pub(super) const fn api(first: First, compared: Compared, rows: &'static [Row]) -> Self {
        Self {
            is_api: true,
            ..Self::new(first, compared, rows)
        }
    }
}
