//! Where each path leads: the whole URL space in one place.
//!
//! Paths of plugnmeet-server are compared as its router compares them, without regard to case or to a trailing slash,
//! and undecoded: whatever it would take for a guarded endpoint is that endpoint here too (docs/plugnmeet.md
//! section 0.1). Our own and the other upstreams' paths are compared exactly. Prefixes match whole segments.
//!
//! A new route goes into `Route`, `Table::find` and the `match` of `super::Router::act`; the compiler asks for the rest.
//!
//! Source: docs/plugnmeet.md section 8.

use super::behind::{Behind, Whole, below};
use crate::{
    issue::{BbbPath, Endpoint},
    token::TokenKeys,
};

/// Below the mount.
pub(super) const DESIGN_CHECK: &str = "/design/check";

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// `/`, if the client is not mounted there: leads to the mount.
    Root,
    /// The mount without its slash.
    MountWithoutSlash,
    /// Where the client's page is: the mount, or a session's own path.
    Page {
        /// The session's tag, from its path.
        tag: Option<&'a str>,
    },
    /// A session's path without its slash.
    PageWithoutSlash,
    /// The end of a session, below its page, or below the mount for whoever comes from there.
    Logout {
        /// The session's tag, from its path.
        tag: Option<&'a str>,
    },
    /// Where one path is for all sessions: may this one take the other's place?
    Switch,
    /// A client file; its path below the client's folder.
    Asset(&'a str),
    /// `/favicon.ico`, which browsers ask for by themselves.
    Favicon,
    /// An integrator has a design checked.
    DesignCheck,
    /// `getJoinToken`.
    Issue,
    /// Another endpoint under `/auth`.
    Auth(Endpoint),
    /// BBB's API.
    Bbb,
    /// A learning platform's page asks for a token.
    LtiJoin,
    /// A participant asks for a token for a breakout room.
    BreakoutJoin,
    /// LiveKit reports to the server.
    Webhook,
    /// What the client asks of the server.
    Api,
    /// An admin takes somebody out of the room.
    RemoveParticipant,
    /// A learning platform's page.
    Lti,
    /// What that page asks of the server.
    LtiApi,
    /// A file that a token in the path is for.
    Download {
        /// The token, as it came.
        token: &'a str,
    },
    /// Anything else that is the server's.
    Server,
    /// A path of the server's below the mount: who calls it has the client's address for the API's.
    Misplaced {
        /// The path that was meant.
        meant: &'a str,
    },
    /// `/ws`; what upstream sees of the path.
    Nats(&'a str),
    /// `/livekit`; what upstream sees of the path.
    Livekit(&'a str),
    /// `/etherpad`; what upstream sees of the path.
    Etherpad(&'a str),
    /// `/whip`; what upstream sees of the path.
    Ingress(&'a str),
    /// On no route.
    Nowhere,
}

impl Route<'_> {
    /// The route's name in the access log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::MountWithoutSlash | Self::PageWithoutSlash => "slash",
            Self::Page { .. } => "page",
            Self::Logout { .. } => "logout",
            Self::Switch => "switch",
            Self::Asset(_) | Self::Favicon => "asset",
            Self::DesignCheck => "design_check",
            Self::Issue => "issue",
            Self::Auth(_) => "auth",
            Self::Bbb => "bbb",
            Self::LtiJoin => "lti_join",
            Self::BreakoutJoin => "breakout_join",
            Self::Webhook => "webhook",
            Self::Api => "api",
            Self::RemoveParticipant => "remove_participant",
            Self::Lti => "lti",
            Self::LtiApi => "lti_api",
            Self::Download { .. } => "download",
            Self::Server => "server",
            Self::Misplaced { .. } => "misplaced",
            Self::Nats(_) => "nats",
            Self::Livekit(_) => "livekit",
            Self::Etherpad(_) => "etherpad",
            Self::Ingress(_) => "ingress",
            Self::Nowhere => "none",
        }
    }

    /// Is it plugnmeet-server's, which lets scripts of any origin ask?
    pub(super) fn is_api(self) -> bool {
        matches!(
            self,
            Self::Issue
                | Self::Auth(_)
                | Self::Bbb
                | Self::LtiJoin
                | Self::BreakoutJoin
                | Self::RemoveParticipant
                | Self::Webhook
                | Self::Api
                | Self::Lti
                | Self::LtiApi
                | Self::Download { .. }
                | Self::Server
        )
    }
}

/// The URL space, as far as the configuration changes it.
#[derive(Clone, Debug)]
pub struct Table {
    /// `/conference`, or nothing for the root.
    pub mount: String,
    /// Do sessions have paths of their own?
    pub session_paths: bool,
    /// Is `/login…` served?
    pub login: bool,
    /// Is the server's `/metrics` served?
    pub metrics: bool,
    /// Of which upstreams is everything served, not only what meetings need?
    pub whole: Whole,
}

impl Table {
    /// What this canonical path is.
    pub fn find<'a>(&self, path: &'a str) -> Route<'a> {
        let behind = self.whole.find(path).map(|found| match found {
            Behind::Nats(path) => Route::Nats(path),
            Behind::Livekit(path) => Route::Livekit(path),
            Behind::Etherpad(path) => Route::Etherpad(path),
            Behind::Ingress(path) => Route::Ingress(path),
            // Not the client's, wherever it is mounted.
            Behind::Hidden => Route::Nowhere,
        });
        behind
            .or_else(|| self.server(path))
            .unwrap_or_else(|| self.client(path))
    }

    fn server<'a>(&self, path: &'a str) -> Option<Route<'a>> {
        let mut segments = path.trim_start_matches('/').trim_end_matches('/').split('/');
        let lower: [Option<&str>; 6] = std::array::from_fn(|_| segments.next());
        let is = |at: usize, name: &str| {
            lower
                .get(at)
                .copied()
                .flatten()
                .is_some_and(|s| s.eq_ignore_ascii_case(name))
        };
        let ends_at = |at: usize| lower.get(at).copied().flatten().is_none();
        if is(0, "auth") {
            let [_, group, name, ..] = lower;
            return Some(if is(1, "room") && is(2, "getJoinToken") && ends_at(3) {
                Route::Issue
            } else if ends_at(3) {
                Route::Auth(Endpoint::of(group.unwrap_or_default(), name.unwrap_or_default()))
            } else {
                Route::Auth(Endpoint::Other)
            });
        }
        if is(0, "webhook") && ends_at(1) {
            return Some(Route::Webhook);
        }
        // Before `/api`, as the server has it: an API key may be any word.
        if BbbPath::of(path).is_some() && below(path, &self.mount).is_none_or(|_| self.mount.is_empty()) {
            return Some(Route::Bbb);
        }
        if is(0, "api") && is(1, "breakoutRoom") && is(2, "join") && ends_at(3) {
            return Some(Route::BreakoutJoin);
        }
        if is(0, "api") && is(1, "removeParticipant") && ends_at(2) {
            return Some(Route::RemoveParticipant);
        }
        if is(0, "lti") && is(1, "v1") && is(2, "api") {
            let join = is(3, "room") && is(4, "join") && ends_at(5);
            return Some(if join { Route::LtiJoin } else { Route::LtiApi });
        }
        if is(0, "download")
            && ["recording", "analytics", "artifact"]
                .iter()
                .any(|kind| is(1, kind))
            && let Some(Some(token)) = lower.get(2)
            && ends_at(3)
        {
            return Some(Route::Download { token });
        }
        if is(0, "api") {
            return Some(Route::Api);
        }
        if is(0, "lti") && is(1, "v1") {
            return Some(Route::Lti);
        }
        let login = self.login
            && path
                .get(..6)
                .is_some_and(|start| start.eq_ignore_ascii_case("/login"));
        let is_server = is(0, "download")
            || is(0, "healthCheck")
            || (self.metrics && is(0, "metrics") && ends_at(1))
            || login;
        is_server.then_some(Route::Server)
    }

    fn client<'a>(&self, path: &'a str) -> Route<'a> {
        if path == "/" && !self.mount.is_empty() {
            return Route::Root;
        }
        if path == "/favicon.ico" {
            return Route::Favicon;
        }
        if below(path, "/assets").is_some() {
            return Route::Asset(path.trim_start_matches('/'));
        }
        if let Some(meant) = misplaced(path, &self.mount) {
            return Route::Misplaced { meant };
        }
        match below(path, &self.mount) {
            None => Route::Nowhere,
            Some("") => Route::MountWithoutSlash,
            Some("/" | "/index.html") => Route::Page { tag: None },
            Some("/logout") => Route::Logout { tag: None },
            Some("/switch") if !self.session_paths => Route::Switch,
            // The client has no such file, nor one beside it.
            Some(DESIGN_CHECK) => Route::DesignCheck,
            Some(rest) => self
                .session(rest)
                .unwrap_or(Route::Asset(rest.trim_start_matches('/'))),
        }
    }

    fn session<'a>(&self, below_mount: &'a str) -> Option<Route<'a>> {
        let rest = below(below_mount, "/s").filter(|_| self.session_paths)?;
        let rest = rest.strip_prefix('/').unwrap_or(rest);
        let (tag, page) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        Some(match page {
            _ if !TokenKeys::looks_like_tag(tag) => Route::Nowhere,
            "" => Route::PageWithoutSlash,
            "/" | "/index.html" => Route::Page { tag: Some(tag) },
            "/logout" => Route::Logout { tag: Some(tag) },
            _ => Route::Nowhere,
        })
    }
}

/// Where pages of ours send their forms.
pub(super) fn has_own_form(path: &str, mount: &str) -> bool {
    below(path, mount).is_some_and(|rest| rest == "/switch" || rest.ends_with("/logout"))
}

/// The path that was meant, where a path of the server's stands below the mount. The client has no such files.
pub(super) fn misplaced<'a>(path: &'a str, mount: &str) -> Option<&'a str> {
    let meant = below(path, mount).filter(|_| !mount.is_empty())?;
    let mut segments = meant.split('/').skip(1);
    let mut next_is = |names: &[&str]| {
        let next = segments.next().unwrap_or_default();
        names.iter().any(|name| next.eq_ignore_ascii_case(name))
    };
    let is_servers = if meant
        .get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("/lti"))
    {
        next_is(&["lti"]) && next_is(&["v1"])
    } else {
        next_is(&["auth", "api", "download", "webhook", "healthCheck"])
    };
    (is_servers || BbbPath::of(meant).is_some()).then_some(meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "AAAAAAAAAAAAAAAAAAAAA_";

    fn table() -> Table {
        Table {
            mount: "/conference".into(),
            session_paths: true,
            login: false,
            metrics: false,
            whole: Whole::default(),
        }
    }

    fn check(table: &Table, rows: &[(&str, Route<'_>)]) {
        for (path, route) in rows {
            assert_eq!(table.find(path), *route, "{path}");
        }
    }

    #[test]
    fn the_client_and_its_sessions() {
        let page = format!("/conference/s/{TAG}/");
        let index = format!("/conference/s/{TAG}/index.html");
        let slashless = format!("/conference/s/{TAG}");
        let asset = format!("/conference/s/{TAG}/assets/config.js");
        let logout = format!("/conference/s/{TAG}/logout");
        check(
            &table(),
            &[
                ("/", Route::Root),
                ("/conference", Route::MountWithoutSlash),
                ("/conference/", Route::Page { tag: None }),
                ("/conference/index.html", Route::Page { tag: None }),
                (&page, Route::Page { tag: Some(TAG) }),
                (&index, Route::Page { tag: Some(TAG) }),
                (&slashless, Route::PageWithoutSlash),
                (&asset, Route::Nowhere),
                (&logout, Route::Logout { tag: Some(TAG) }),
                ("/conference/logout", Route::Logout { tag: None }),
                ("/conference/switch", Route::Asset("switch")),
                ("/conference/s/short/", Route::Nowhere),
                ("/conference/s/", Route::Nowhere),
                ("/conference/s", Route::Nowhere),
                ("/conference/assets/config.js", Route::Asset("assets/config.js")),
                ("/assets/lti/js/v1.js", Route::Asset("assets/lti/js/v1.js")),
                ("/favicon.ico", Route::Favicon),
                ("/conference/design/check", Route::DesignCheck),
                ("/conference/design/check/", Route::Asset("design/check/")),
                ("/design/check", Route::Nowhere),
                ("/conferences/", Route::Nowhere),
                ("/Conference/", Route::Nowhere),
            ],
        );
    }

    #[test]
    fn at_the_root_the_client_leaves_the_upstreams_their_paths() {
        let page = format!("/s/{TAG}/");
        check(
            &Table {
                mount: String::new(),
                ..table()
            },
            &[
                ("/", Route::Page { tag: None }),
                (&page, Route::Page { tag: Some(TAG) }),
                ("/assets/config.js", Route::Asset("assets/config.js")),
                ("/api/verifyToken", Route::Api),
                ("/key/bigbluebutton/api/join", Route::Bbb),
                ("/ws", Route::Nats("/")),
                ("/x.js", Route::Asset("x.js")),
                ("/favicon.ico", Route::Favicon),
                ("/design/check", Route::DesignCheck),
            ],
        );
    }

    /// docs/plugnmeet.md section 0.1: `/AUTH/Room/getjointoken/` reaches the same handler.
    #[test]
    fn whatever_the_server_takes_for_an_endpoint_is_that_endpoint() {
        check(
            &table(),
            &[
                ("/auth/room/getJoinToken", Route::Issue),
                ("/AUTH/Room/getjointoken/", Route::Issue),
                ("/auth/room/getJoin%54oken", Route::Auth(Endpoint::Other)),
                ("/auth/room/getJoinToken/x", Route::Auth(Endpoint::Other)),
                ("/auth", Route::Auth(Endpoint::Other)),
                ("/Auth/room/UploadWhiteboardFile", Route::Auth(Endpoint::Upload)),
                ("/auth/recorder/notify/", Route::Auth(Endpoint::RecorderNotify)),
                ("/API/verifyToken", Route::Api),
                ("/apix", Route::Nowhere),
                ("/lti/v1", Route::Lti),
                ("/LTI/V1/api/Room/join/", Route::LtiJoin),
                ("/lti/v1/api/room/join/x", Route::LtiApi),
                ("/lti/v1/api/room/isActive", Route::LtiApi),
                ("/api/breakoutroom/JOIN/", Route::BreakoutJoin),
                ("/API/removeparticipant/", Route::RemoveParticipant),
                ("/Download/Recording/x.y.z/", Route::Download { token: "x.y.z" }),
                ("/download/recording/x/y", Route::Server),
                ("/download/uploadedFile/x", Route::Server),
                ("/api/breakoutRoom/joi%6e", Route::Api),
                ("/api/breakoutRoom/listRooms", Route::Api),
                ("/lti/v1x", Route::Nowhere),
                ("/lti", Route::Nowhere),
                ("/key/BigBlueButton/api", Route::Bbb),
                ("/api/bigbluebutton/api/join/", Route::Bbb),
                ("/key/bigbluebutton/apix", Route::Nowhere),
                (
                    "/conference/bigbluebutton/api/join",
                    Route::Asset("bigbluebutton/api/join"),
                ),
                ("/webhook/", Route::Webhook),
                ("/webhook/x", Route::Nowhere),
                ("/HealthCheck", Route::Server),
                ("/healthcheck/x/Y/", Route::Server),
                ("/healthCheckx", Route::Nowhere),
                ("/favicon.ico/", Route::Nowhere),
                ("/conference/favicon.ico", Route::Asset("favicon.ico")),
            ],
        );
    }

    #[test]
    fn each_prefix_is_an_upstreams_and_what_it_hides_is_nobody_elses() {
        for mount in ["/conference", ""] {
            let table = Table {
                mount: mount.into(),
                ..table()
            };
            check(
                &table,
                &[
                    ("/ws", Route::Nats("/")),
                    ("/livekit/rtc", Route::Livekit("/rtc")),
                    ("/etherpad/p/x", Route::Etherpad("/p/x")),
                    ("/whip/x", Route::Ingress("/whip/x")),
                    ("/livekit/debug/pprof/", Route::Nowhere),
                ],
            );
        }
    }

    #[test]
    fn a_path_of_the_servers_below_the_mount_is_told_from_the_clients() {
        let misplaced = |meant| Route::Misplaced { meant };
        check(
            &table(),
            &[
                (
                    "/conference/auth/room/getJoinToken",
                    misplaced("/auth/room/getJoinToken"),
                ),
                ("/conference/Auth", misplaced("/Auth")),
                ("/conference/api/verifyToken", misplaced("/api/verifyToken")),
                (
                    "/conference/lti/v1/api/room/join",
                    misplaced("/lti/v1/api/room/join"),
                ),
                ("/conference/lti/v2", Route::Asset("lti/v2")),
                (
                    "/conference/key/bigbluebutton/api/join",
                    misplaced("/key/bigbluebutton/api/join"),
                ),
                (
                    "/conference/download/recording/x",
                    misplaced("/download/recording/x"),
                ),
                ("/conference/webhook", misplaced("/webhook")),
                ("/conference/authx", Route::Asset("authx")),
                ("/conference/s/auth/", Route::Nowhere),
                ("/Conference/auth/room/create", Route::Nowhere),
            ],
        );
    }

    #[test]
    fn login_and_metrics_are_nowhere_unless_exposed() {
        let hidden = [
            ("/login.html", Route::Nowhere),
            ("/LOGIN", Route::Nowhere),
            ("/metrics", Route::Nowhere),
        ];
        check(&table(), &hidden);
        let shown = [
            ("/login.html", Route::Server),
            ("/LOGINx/y", Route::Server),
            ("/Metrics/", Route::Server),
        ];
        check(
            &Table {
                login: true,
                metrics: true,
                ..table()
            },
            &shown,
        );
    }
}
