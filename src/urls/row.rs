//! What is known of a path: a row of the URL space. It names what is done there and says nothing of how.

use super::{
    endpoint::Endpoint,
    pattern::{Compared, Segment},
};

/// All that is known of the paths of one pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// In access records and metrics.
    pub name: &'static str,
    /// The segments behind the branch's first, or below the mount; secret ones are hidden in the log.
    pub pattern: &'static [Segment],
    /// What is done.
    pub action: Action,
    /// Which configuration has this row.
    pub when: When,
    /// Who may come here.
    pub guard: Guard,
    /// For what the token has to be, where one comes along.
    pub takes: Takes,
    /// In which form an error is told.
    pub errors: Form,
    /// What is looked at in the answer.
    pub watch: Watch,
    /// What the answer's fields have to keep in.
    pub content: Content,
    /// Does a participant come in here, who may have to wait?
    pub joins: bool,
    /// May its path have an encoded slash? One real client sends such a path (docs/plugnmeet.md section 5).
    pub encoded_slash: bool,
}

/// Rows that begin with the same segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch {
    /// That segment; with an API key the next one too.
    pub first: First,
    /// How it and its rows are compared.
    pub compared: Compared,
    /// Is it an API that callers may look for below the mount?
    pub is_api: bool,
    /// In the order in which they count.
    pub rows: &'static [Row],
    /// Has any of them a secret segment?
    pub has_secrets: bool,
}

/// The first segment of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// This word.
    Word(&'static str),
    /// What begins with this word.
    Begins(&'static str),
    /// An API key, which may be any word but the mount's, with this word behind it. The key is hidden in the log.
    KeyOf(&'static str),
}

/// What is done at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A link with a token is handed off; anybody else is sent on.
    Leads(Leads),
    /// A step of a session.
    Session(Step),
    /// A file of the client's.
    File,
    /// `/favicon.ico`, which browsers ask for by themselves.
    Favicon,
    /// An integrator has a design checked.
    DesignCheck,
    /// Tokens, and the API under `/auth`.
    Issue(Issues),
    /// To an upstream, and nothing else.
    Forward(To),
    /// The API is looked for below the mount: says where it is.
    Misplaced,
    /// Nothing is here.
    Nowhere,
}

/// Where people without a token are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leads {
    /// To the mount.
    ToMount,
    /// To the same path with a slash behind it.
    ToSlash,
}

/// A step of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The client's page: a link is handed off, a session goes on.
    Enter,
    /// A session ends.
    Leave,
    /// Where one path is for all sessions: may this one take the other's place?
    Switch,
}

/// What has to do with tokens that are issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issues {
    /// `getJoinToken`.
    Token,
    /// Another endpoint under `/auth`.
    Auth(Endpoint),
    /// A call of BBB's API.
    Bbb(BbbCall),
    /// A learning platform's page asks for a token.
    LtiJoin,
    /// A participant asks for a token for a breakout room.
    BreakoutJoin,
    /// An admin takes somebody out of the room.
    RemoveParticipant,
}

/// A call of BBB's API, by what is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BbbCall {
    /// Nothing but the API itself: the server answers with its version, whatever else is in the request.
    Bare,
    /// May come with a list of slides.
    Create,
    /// Issues a token.
    Join,
    /// Any other.
    Other,
}

/// An upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the upstreams' own")]
pub enum To {
    Server,
    Livekit,
    Nats,
    Etherpad,
    Ingress,
}

/// Which configuration has a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Every one.
    Always,
    /// One with `upstreams.expose` of this.
    Exposed(Exposed),
    /// One in which sessions have paths of their own.
    SessionPaths,
    /// One in which all sessions share a path.
    OnePath,
}

/// What is hidden unless `upstreams.expose` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposed {
    /// The server's login page, which asks for the API secret.
    Login,
    /// The server's metrics.
    Metrics,
    /// What NATS has beside its WebSocket.
    Nats,
    /// What LiveKit has beside what meetings ask for.
    Livekit,
    /// Etherpad's pages for its operator.
    EtherpadAdmin,
}

/// Who may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Everybody.
    Open,
    /// Those of `trust.internal`, if it names any.
    Internal,
}

/// What a token has to be for, where one comes along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing is looked at.
    Any,
    /// To be in a room.
    Join,
    /// To be in a room; the server looks in a form as well.
    JoinInForm,
    /// For a learning platform's page.
    Lti,
    /// For a learning platform's page; the server looks in a form as well.
    LtiInForm,
    /// For a download, in the path.
    Download,
}

/// In which form errors are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The server's JSON, or protobuf if that was sent.
    Auth,
    /// As `Auth`, with a status that the client does not hang at.
    Api,
    /// As `Api`, with a status that the uploader takes for final.
    Upload,
    /// BBB's XML.
    Bbb,
    /// The server's JSON, whoever asks.
    ServersJson,
    /// JSON, whoever asks.
    Json,
    /// A page, unless JSON is asked for, or an API called.
    People,
    /// A page of ours sends a form here: a page, unless JSON is asked for.
    OwnForm,
    /// A page for whoever names pages, the server's JSON for all others; BBB's callers excepted.
    Misplaced,
    /// JSON, unless pages are named.
    Machines,
}

/// What is looked at in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// Nothing.
    Nothing,
    /// Whether it is the client's page, which has a policy.
    Page,
    /// A redirect to a link of ours.
    Link,
    /// A redirect to a link of ours, or links in BBB's XML.
    LinksInXml,
    /// Whether the server took a token that is newer than the cookie's.
    NewerToken,
    /// As `NewerToken`; and a status that the uploader would try again.
    Upload,
    /// What names the upstream's own paths.
    Prefix(&'static str),
}

/// What an answer shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing to guard against.
    Plain,
    /// What was uploaded or recorded.
    Download,
    /// The server's login page.
    Login,
}

impl Action {
    /// Is it plugnmeet-server's, which lets scripts of any origin ask?
    pub fn is_servers(self) -> bool {
        match self {
            Self::Issue(_) | Self::Forward(To::Server) => true,
            Self::Leads(_)
            | Self::Session(_)
            | Self::File
            | Self::Favicon
            | Self::DesignCheck
            | Self::Forward(To::Livekit | To::Nats | To::Etherpad | To::Ingress)
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
            | Self::DesignCheck
            | Self::Issue(_)
            | Self::Forward(_)
            | Self::Misplaced
            | Self::Nowhere => false,
        }
    }
}

/// How the rows are written down.
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
