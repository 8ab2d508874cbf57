//! What is at a path, in every spelling that somebody may send.

use super::*;

const TAG: &str = "AAAAAAAAAAAAAAAAAAAAA_";

fn table() -> Table {
    Table {
        mount: "/conference".into(),
        session_paths: true,
        check_page: false,
        login: false,
        metrics: false,
        whole: Whole::default(),
    }
}

fn exposing_all() -> Table {
    Table {
        login: true,
        metrics: true,
        whole: Whole {
            nats: true,
            livekit: true,
            etherpad: true,
        },
        ..table()
    }
}

const ENTER: Action = Action::Session(Step::Enter);
const LEAVE: Action = Action::Session(Step::Leave);
const TO_SLASH: Action = Action::Leads(Leads::ToSlash);
const SERVER: Action = Action::Forward(To::Server);
const TOKEN: Action = Action::Issue(Issues::Token);

const fn auth(endpoint: Endpoint) -> Action {
    Action::Issue(Issues::Auth(endpoint))
}

const fn bbb(call: BbbCall) -> Action {
    Action::Issue(Issues::Bbb(call))
}

/// A path, and what is expected for it: the row's name, the action, and the segment that the pattern does not fix.
type Expected<'a> = (&'a str, &'a str, Action, &'a str);

fn check(table: &Table, rows: &[Expected<'_>]) {
    for (path, name, action, variable) in rows {
        let found = table.find(path);
        assert_eq!(
            (found.row.name, found.row.action, found.variable),
            (*name, *action, *variable),
            "{path}"
        );
    }
}

fn nowhere(path: &str) -> Expected<'_> {
    (path, "none", Action::Nowhere, "")
}

#[test]
fn the_client_and_its_sessions() {
    let page = format!("/conference/s/{TAG}/");
    let index = format!("/conference/s/{TAG}/index.html");
    let slashless = format!("/conference/s/{TAG}");
    let asset = format!("/conference/s/{TAG}/assets/config.js");
    let logout = format!("/conference/s/{TAG}/logout");
    let joining = format!("/conference/s/{TAG}/joining");
    check(
        &table(),
        &[
            ("/", "root", Action::Leads(Leads::ToMount), ""),
            ("/conference", "slash", TO_SLASH, ""),
            ("/conference/", "page", ENTER, ""),
            ("/conference/index.html", "page", ENTER, ""),
            (&page, "page", ENTER, TAG),
            (&index, "page", ENTER, TAG),
            (&slashless, "slash", TO_SLASH, TAG),
            nowhere(&asset),
            (&logout, "logout", LEAVE, TAG),
            (&joining, "joining", Action::Waiting, TAG),
            ("/conference/joining", "asset", Action::File, ""),
            ("/conference/logout", "logout", LEAVE, ""),
            ("/conference/switch", "asset", Action::File, ""),
            nowhere("/conference/s/short/"),
            nowhere("/conference/s/"),
            nowhere("/conference/s"),
            ("/conference/assets/config.js", "asset", Action::File, ""),
            (
                "/conference/r/AAAAAAAAAAAAAAAAAAAAAA/assets/config.js",
                "asset",
                Action::File,
                "",
            ),
            nowhere("/r/AAAAAAAAAAAAAAAAAAAAAA/assets/config.js"),
            ("/assets/lti/js/v1.js", "asset", Action::File, ""),
            ("/favicon.ico", "asset", Action::Favicon, ""),
            (
                "/conference/design/check",
                "design_check",
                Action::DesignCheck,
                "",
            ),
            ("/conference/design/check/", "asset", Action::File, ""),
            ("/conference/check", "asset", Action::File, ""),
            nowhere("/design/check"),
            nowhere("/conferences/"),
            nowhere("/Conference/"),
            nowhere("*"),
            nowhere(""),
        ],
    );
    let with_check_page = Table {
        check_page: true,
        ..table()
    };
    check(
        &with_check_page,
        &[
            ("/conference/check", "check_page", Action::CheckPage, ""),
            ("/conference/check/", "asset", Action::File, ""),
            nowhere("/check"),
        ],
    );
    let one_path = Table {
        session_paths: false,
        ..table()
    };
    check(
        &one_path,
        &[
            ("/conference/switch", "switch", Action::Session(Step::Switch), ""),
            ("/conference/joining", "joining", Action::Waiting, ""),
            (&page, "asset", Action::File, ""),
        ],
    );
}

#[test]
fn a_clients_file_is_found_below_the_mount_and_beside_it() {
    for mount in ["/conference", "", "/a/b"] {
        let table = Table {
            mount: mount.into(),
            ..table()
        };
        let below = format!("{mount}/assets/config.js");
        assert_eq!(table.find(&below).file(), "assets/config.js");
        assert_eq!(table.find("/assets/lti/js/v1.js").file(), "assets/lti/js/v1.js");
    }
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
            ("/", "page", ENTER, ""),
            (&page, "page", ENTER, TAG),
            ("/assets/config.js", "asset", Action::File, ""),
            ("/api/verifyToken", "api", SERVER, ""),
            ("/key/bigbluebutton/api/join", "bbb", bbb(BbbCall::Join), "key"),
            ("/ws", "nats", Action::Forward(To::Nats), ""),
            ("/x.js", "asset", Action::File, ""),
            ("/favicon.ico", "asset", Action::Favicon, ""),
            ("/design/check", "design_check", Action::DesignCheck, ""),
        ],
    );
}

/// docs/plugnmeet.md section 0.1: `/AUTH/Room/getjointoken/` reaches the same handler.
#[test]
fn whatever_the_server_takes_for_an_endpoint_is_that_endpoint() {
    let past_rooms = Endpoint::List(Listed::PastRooms);
    check(
        &table(),
        &[
            ("/auth/room/getJoinToken", "issue", TOKEN, ""),
            ("/AUTH/Room/getjointoken/", "issue", TOKEN, ""),
            ("/auth/room/getJoin%54oken", "auth", auth(Endpoint::Other), ""),
            ("/auth/room/getJoinToken/x", "auth", auth(Endpoint::Other), ""),
            ("/auth", "auth", auth(Endpoint::Other), ""),
            ("/auth/room", "auth", auth(Endpoint::Other), ""),
            ("/auth/room/getClientFiles", "auth", auth(Endpoint::Other), ""),
            ("/auth/recording/fetch2", "auth", auth(Endpoint::Other), ""),
            ("/auth/getclientfiles", "auth", auth(Endpoint::WebApp), ""),
            ("/auth/Room/FETCHpastrooms", "auth", auth(past_rooms), ""),
            (
                "/Auth/room/UploadWhiteboardFile",
                "auth",
                auth(Endpoint::Upload),
                "",
            ),
            (
                "/auth/recorder/notify/",
                "auth",
                auth(Endpoint::RecorderNotify),
                "",
            ),
            ("/API/verifyToken", "api", SERVER, ""),
            ("/api/fileUpload", "api", SERVER, ""),
            nowhere("/apix"),
            ("/lti/v1", "lti", SERVER, ""),
            (
                "/LTI/V1/api/Room/join/",
                "lti_join",
                Action::Issue(Issues::LtiJoin),
                "",
            ),
            ("/lti/v1/api/room/join/x", "lti_api", SERVER, ""),
            ("/lti/v1/api/room/isActive", "lti_api", SERVER, ""),
            (
                "/api/breakoutroom/JOIN/",
                "breakout_join",
                Action::Issue(Issues::BreakoutJoin),
                "",
            ),
            (
                "/API/removeparticipant/",
                "remove_participant",
                Action::Issue(Issues::RemoveParticipant),
                "",
            ),
            ("/Download/Recording/x.y.z/", "download", SERVER, "x.y.z"),
            ("/download/recording/x/y", "server", SERVER, ""),
            ("/download/uploadedFile/x", "server", SERVER, ""),
            ("/api/breakoutRoom/joi%6e", "api", SERVER, ""),
            ("/api/breakoutRoom/listRooms", "api", SERVER, ""),
            nowhere("/lti/v1x"),
            nowhere("/lti"),
            ("/key/BigBlueButton/api", "bbb", bbb(BbbCall::Bare), "key"),
            ("/key/BigBlueButton/API/", "bbb", bbb(BbbCall::Bare), "key"),
            (
                "/key/bigbluebutton/api/Create",
                "bbb",
                bbb(BbbCall::Create),
                "key",
            ),
            ("/key/bigbluebutton/api/end", "bbb", bbb(BbbCall::Other), "key"),
            ("/api/bigbluebutton/api/join", "bbb", bbb(BbbCall::Join), "api"),
            // What follows the last slash is signed, and here that is nothing.
            ("/api/bigbluebutton/api/join/", "bbb", bbb(BbbCall::Other), "api"),
            (
                "/Conference/bigbluebutton/api/join",
                "bbb",
                bbb(BbbCall::Join),
                "Conference",
            ),
            ("/auth/bigbluebutton/api/join", "auth", auth(Endpoint::Other), ""),
            nowhere("/key/bigbluebutton/apix"),
            nowhere("/bigbluebutton/api/join"),
            nowhere("/key/%62igbluebutton/api"),
            ("/conference/bigbluebutton/api/join", "asset", Action::File, ""),
            ("/webhook/", "webhook", SERVER, ""),
            nowhere("/webhook/x"),
            ("/HealthCheck", "server", SERVER, ""),
            ("/healthcheck/x/Y/", "server", SERVER, ""),
            nowhere("/healthCheckx"),
            nowhere("/favicon.ico/"),
            ("/conference/favicon.ico", "asset", Action::File, ""),
        ],
    );
}

#[test]
fn prefixes_are_whole_segments_and_are_taken_off_but_for_whip() {
    let nats = Action::Forward(To::Nats);
    let livekit = Action::Forward(To::Livekit);
    let etherpad = Action::Forward(To::Etherpad);
    let ingress = Action::Forward(To::Ingress);
    for mount in ["/conference", ""] {
        let table = Table {
            mount: mount.into(),
            ..table()
        };
        for (path, action, seen) in [
            ("/ws", nats, "/"),
            ("/ws/", nats, "/"),
            ("/livekit/rtc", livekit, "/rtc"),
            ("/livekit/rtc/v1", livekit, "/rtc/v1"),
            ("/livekit/rtc/v1/validate", livekit, "/rtc/v1/validate"),
            ("/livekit/validate", livekit, "/validate"),
            (
                "/livekit/twirp/x.RoomService/List",
                livekit,
                "/twirp/x.RoomService/List",
            ),
            ("/livekit/agent", livekit, "/agent"),
            ("/livekit/settings/regions", livekit, "/settings/regions"),
            ("/etherpad", etherpad, "/"),
            ("/etherpad/", etherpad, "/"),
            ("/etherpad/socket.io/", etherpad, "/socket.io/"),
            ("/etherpad/p/admin", etherpad, "/p/admin"),
            ("/etherpad/administration", etherpad, "/administration"),
            ("/whip", ingress, "/"),
            ("/whip/x", ingress, "/x"),
        ] {
            let found = table.find(path);
            assert_eq!(
                (found.row.action, found.without_prefix()),
                (action, seen),
                "{path}"
            );
        }
    }
    for path in ["/wsx", "/livekits", "/whips", "/WS", "/LiveKit/rtc"] {
        check(&table(), &[nowhere(path)]);
    }
}

#[test]
fn beside_what_meetings_need_upstreams_are_nowhere_unless_exposed() {
    let at_root = Table {
        mount: String::new(),
        ..table()
    };
    for (path, to, seen, guard) in [
        ("/ws/x", To::Nats, "/x", Guard::Open),
        ("/ws/varz", To::Nats, "/varz", Guard::Open),
        ("/livekit", To::Livekit, "/", Guard::Open),
        ("/livekit/", To::Livekit, "/", Guard::Open),
        ("/livekit/debug/pprof/", To::Livekit, "/debug/pprof/", Guard::Open),
        ("/livekit/metrics", To::Livekit, "/metrics", Guard::Open),
        ("/livekit/rtcx", To::Livekit, "/rtcx", Guard::Open),
        ("/livekit/RTC", To::Livekit, "/RTC", Guard::Open),
        ("/livekit/Twirp/x", To::Livekit, "/Twirp/x", Guard::Internal),
        ("/livekit/%74wirp/x", To::Livekit, "/%74wirp/x", Guard::Internal),
        ("/livekit/x/rtc", To::Livekit, "/x/rtc", Guard::Open),
        ("/etherpad/admin", To::Etherpad, "/admin", Guard::Open),
        (
            "/etherpad/Admin/plugins",
            To::Etherpad,
            "/Admin/plugins",
            Guard::Open,
        ),
        ("/etherpad/%61dm%49n/", To::Etherpad, "/%61dm%49n/", Guard::Open),
        ("/etherpad/%2561dmin", To::Etherpad, "/%2561dmin", Guard::Open),
        ("/etherpad/admin-auth/", To::Etherpad, "/admin-auth/", Guard::Open),
    ] {
        check(&table(), &[nowhere(path)]);
        check(&at_root, &[nowhere(path)]);
        let all = exposing_all();
        let found = all.find(path);
        assert_eq!(
            (found.row.action, found.without_prefix(), found.row.guard),
            (Action::Forward(to), seen, guard),
            "{path}"
        );
    }
}

#[test]
fn what_only_plugnmeets_own_parts_call_is_guarded_in_every_spelling() {
    for path in [
        "/webhook",
        "/Webhook/",
        "/auth/recorder/notify",
        "/AUTH/Recorder/Notify/",
        "/livekit/twirp",
        "/livekit/twirp/x",
    ] {
        assert_eq!(table().find(path).row.guard, Guard::Internal, "{path}");
    }
}

#[test]
fn a_path_of_the_servers_below_the_mount_is_told_from_the_clients() {
    for meant in [
        "/auth/room/getJoinToken",
        "/Auth",
        "/api/verifyToken",
        "/lti/v1/api/room/join",
        "/key/bigbluebutton/api/join",
        "/download/recording/x",
        "/webhook",
        "/webhook/x",
    ] {
        let path = format!("/conference{meant}");
        let table = table();
        let found = table.find(&path);
        assert_eq!(
            (found.row.action, found.rest),
            (Action::Misplaced, meant),
            "{path}"
        );
    }
    check(
        &exposing_all(),
        &[
            ("/conference/lti/v2", "asset", Action::File, ""),
            ("/conference/authx", "asset", Action::File, ""),
            ("/conference/metrics", "asset", Action::File, ""),
            ("/conference/ws", "asset", Action::File, ""),
            nowhere("/conference/s/auth/"),
            nowhere("/Conference/auth/room/create"),
        ],
    );
}

#[test]
fn login_and_metrics_are_nowhere_unless_exposed() {
    for (path, content) in [
        ("/login.html", Content::Login),
        ("/LOGIN", Content::Login),
        ("/LOGINx/y", Content::Login),
        ("/Metrics/", Content::Plain),
        ("/metrics", Content::Plain),
    ] {
        check(&table(), &[nowhere(path)]);
        check(&exposing_all(), &[(path, "server", SERVER, "")]);
        assert_eq!(exposing_all().find(path).row.content, content, "{path}");
    }
}

#[test]
fn knows_a_download_and_an_exposed_login_page_by_any_spelling() {
    for (path, exposed, hidden) in [
        ("/download/recording/x.y.z", Content::Download, Content::Download),
        (
            "/DownLoad/uploadedFile/a%2Fb",
            Content::Download,
            Content::Download,
        ),
        ("/downloads", Content::Plain, Content::Plain),
        ("/login.html", Content::Login, Content::Plain),
        ("/conference/login.html", Content::Login, Content::Plain),
        ("/conference/%6cogin.html", Content::Login, Content::Plain),
        ("/conference/", Content::Plain, Content::Plain),
        ("/é", Content::Plain, Content::Plain),
    ] {
        assert_eq!(exposing_all().find(path).row.content, exposed, "{path}");
        assert_eq!(table().find(path).row.content, hidden, "{path}");
    }
}

#[test]
fn one_path_alone_may_have_an_encoded_slash() {
    for (path, may) in [
        ("/download/uploadedFile/a%2Fb", true),
        ("/Download/UPLOADEDfile/a%2Fb", true),
        ("/download/recording/a%2Fb", false),
        ("/download/uploadedFiles/a%2Fb", false),
        ("/x/download/uploadedFile/a%2Fb", false),
        ("/whip/a%2Fb", false),
    ] {
        assert_eq!(takes_encoded_slash(path), may, "{path}");
    }
}

#[test]
fn a_first_segment_that_leads_elsewhere_is_taken() {
    for first in [
        "api",
        "assets",
        "auth",
        "download",
        "etherpad",
        "favicon.ico",
        "healthcheck",
        "livekit",
        "lti",
        "metrics",
        "webhook",
        "whip",
        "ws",
        "WS",
        "login",
        "Login.html",
    ] {
        assert!(is_taken(first, None), "{first}");
    }
    assert!(is_taken("key", Some("BigBlueButton")));
    for (first, second) in [
        ("conference", None),
        ("conference", Some("api")),
        ("bigbluebutton", None),
        ("wsx", None),
    ] {
        assert!(!is_taken(first, second), "{first}");
    }
}

/// Every row has a path at which it is found, in one configuration or another; each of the rows' other properties is held
/// where it is used (`crate::route`).
#[test]
fn every_row_is_found() {
    let mut seen = 0;
    for (path, row) in examples("/conference") {
        let found = configurations().any(|table| *table.find(&path).row == *row);
        assert!(found, "{path}: {row:?}");
        seen += 1;
    }
    assert!(seen > 70, "{seen}");
}
