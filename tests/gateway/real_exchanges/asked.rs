//! Where a gateway answers otherwise than the server behind it: each difference with the rule that asks for it.
//! Whatever is in no row has to come back as the server said it.

use serde_json::Value;

use super::{
    compare::{differences, same_claims},
    exchange::{Exchange, Recorded},
    play::{Request, claims},
    support::{client::Answer, plugnmeet::wire, upstream::Seen},
};

/// What comes back in place of the server's answer.
enum Expected {
    /// Just that answer, and the server is not asked.
    SameFromHere,
    /// That answer with other words in `msg`.
    OtherWords,
    /// An error of the gateway's own; the server is not asked.
    Ours(u16, Form),
    /// On to this path.
    Redirect(&'static str),
    /// A file of the gateway's own copy of the client.
    ClientFile(&'static str),
    /// Into the session of the answer's token, with this design in the address.
    Session(Option<&'static str>),
}

/// The form of an error.
enum Form {
    /// The server's JSON.
    Json,
    /// `CommonResponse`, fields 1 and 2 alone.
    Protobuf,
    /// BBB's XML, and this for its key.
    Bbb(&'static str),
    /// JSON or a page: the request says neither.
    Any,
}

struct Row {
    names: &'static [&'static str],
    /// The rule that asks for it.
    asked: &'static str,
    expected: Expected,
}

const ROWS: &[Row] = &[
    Row {
        names: &["auth: OPTIONS, preflight", "api: OPTIONS"],
        asked: "Preflights are answered here and never forwarded.",
        expected: Expected::SameFromHere,
    },
    Row {
        names: &[
            "join token: user id twice in two spellings",
            "join token: same key twice",
            "join token: protobuf",
        ],
        asked: "JSON as the server's protojson reads it (docs/plugnmeet.md section 2: the decoder's texts are not to be imitated)",
        expected: Expected::OtherWords,
    },
    Row {
        names: &["download: GET /download/uploadedFile/..%2f..%2fetc%2fpasswd"],
        asked: "Refused with 400: dot segments in any spelling",
        expected: Expected::Ours(400, Form::Any),
    },
    Row {
        names: &[
            "lti api: /room/isActive, a participant's join token",
            "lti api: /room/join, a participant's join token",
            "lti api: /recording/fetch, a participant's join token",
            "lti api: /recording/download, a participant's join token",
            "lti api: /recording/delete, a participant's join token",
            "lti api: recordings with a download token",
        ],
        asked: "`/lti/v1/api/*` takes LTI tokens alone; a token of another kind is 401 in the caller's form",
        expected: Expected::Ours(401, Form::Json),
    },
    Row {
        // A body without a user is another user's as well.
        names: &[
            "api: /api/breakoutRoom/join, participant, empty",
            "api: /api/breakoutRoom/join, admin, empty",
        ],
        asked: "a breakout room's token is asked for by its own user",
        expected: Expected::Ours(403, Form::Protobuf),
    },
    Row {
        names: &["api: verifyToken with a download token"],
        asked: "`/api/*` no LTI and no download tokens; a token of another kind is 401 in the caller's form",
        expected: Expected::Ours(401, Form::Protobuf),
    },
    Row {
        names: &["download: GET /download/recording/{{jwt}}"],
        asked: "`/download/…/{token}` those for downloads alone; a token of another kind is 401 in the caller's form",
        expected: Expected::Ours(401, Form::Any),
    },
    Row {
        names: &["root", "root: HEAD"],
        asked: "bare `/` goes to `/conference/`",
        expected: Expected::Redirect("/conference/"),
    },
    Row {
        names: &["login", "login.html", "metrics, off"],
        asked: "404 unless named in `upstreams.expose`",
        expected: Expected::Ours(404, Form::Any),
    },
    Row {
        names: &["no such path"],
        asked: "What is on no route is 404 here and never reaches an upstream.",
        expected: Expected::Ours(404, Form::Any),
    },
    Row {
        names: &["no such path: POST"],
        asked: "wherever a request is plainly an API's (POST, …): the server's JSON",
        expected: Expected::Ours(404, Form::Json),
    },
    Row {
        names: &["DELETE"],
        asked: "`/` is the gateway's own, and is read: RFC 9110 section 15.5.6",
        expected: Expected::Ours(405, Form::Any),
    },
    Row {
        names: &["assets: none", "assets: folder"],
        asked: "A missing asset is a 404, never `index.html`. No listing.",
        expected: Expected::Ours(404, Form::Any),
    },
    Row {
        names: &["assets: config.js"],
        asked: "`assets/config.js` is rendered from the gateway's own configuration",
        expected: Expected::ClientFile("text/javascript; charset=utf-8"),
    },
    Row {
        names: &["favicon"],
        asked: "`/conference/assets/…` and other files: client files; the icon is served from there too",
        expected: Expected::ClientFile("image/x-icon"),
    },
    Row {
        names: &["bbb: create, sha256", "bbb: create, wrong checksum"],
        asked: "BBB gets its own `FAILED` XML with 200, as for every refusal of BBB calls",
        expected: Expected::Ours(200, Form::Bbb("checksumError")),
    },
    Row {
        names: &["bbb: create, other key"],
        asked: "BBB gets its own `FAILED` XML with 200, as for every refusal of BBB calls",
        expected: Expected::Ours(200, Form::Bbb("apiKeyError")),
    },
    Row {
        // It is no preflight, as it names no origin; a refusal like any other.
        names: &["bbb: OPTIONS"],
        asked: "BBB gets its own `FAILED` XML with 200, as for every refusal of BBB calls",
        expected: Expected::SameFromHere,
    },
    Row {
        names: &[
            "bbb: join, moderator, into a room",
            "bbb: join, name with plus, umlaut, emoji",
            "bbb: join, wrong password, room there",
        ],
        asked: "Redirects that plugnmeet-server makes itself are finished here in one hop: token into the cookie",
        expected: Expected::Session(None),
    },
    Row {
        names: &["bbb: join, moderator, with a design"],
        asked: "`custom_design` (raw JSON from BBB) re-encoded, the path under the mount",
        expected: Expected::Session(Some(
            r#"{"custom_css_url":"https://conf.example.org/assets/a.css"}"#,
        )),
    },
];

/// Fields that the gateway may add to any answer, and why.
const ADDED: &[(&str, &str)] = &[
    ("strict-transport-security", "the connection is the gateway's"),
    ("cache-control", "an error of the gateway's own is kept by nobody"),
    (
        "x-content-type-options",
        "a file that people uploaded is not taken for a page",
    ),
    (
        "content-security-policy",
        "nor does such a file run a script if it is one",
    ),
];

/// Each row is of exchanges that are there, and none has two.
pub fn assert_rows_are_of(all: &[Exchange]) {
    let names: Vec<&str> = ROWS.iter().flat_map(|row| row.names).copied().collect();
    for name in &names {
        assert!(all.iter().any(|exchange| exchange.name == *name), "{name}");
    }
    for name in &names {
        assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{name}");
    }
    assert!(ROWS.iter().all(|row| !row.asked.is_empty()));
}

/// What is not as it should be.
pub fn complaints(
    exchange: &Exchange,
    request: &Request,
    answer: &Answer,
    seen: &[Seen],
    now: i64,
) -> Vec<String> {
    let recorded = &exchange.answer;
    let row = ROWS.iter().find(|row| row.names.contains(&&*exchange.name));
    let mut found = match row.map(|row| &row.expected) {
        None => differences(recorded, &plain(recorded, answer), &exchange.method, now),
        Some(Expected::SameFromHere) => {
            let mut found = differences(recorded, &plain(recorded, answer), &exchange.method, now);
            found.extend(not_asked(seen));
            found
        }
        Some(Expected::OtherWords) => {
            let mut found = differences(
                recorded,
                &with_recorded_words(recorded, plain(recorded, answer)),
                &exchange.method,
                now,
            );
            found.extend(not_asked(seen));
            found
        }
        Some(Expected::Ours(status, form)) => {
            let mut found = not_status(answer, *status);
            found.extend(not_asked(seen));
            found.extend(not_in_form(answer, form));
            found
        }
        Some(Expected::Redirect(to)) => {
            let mut found = not_asked(seen);
            if !(300..400).contains(&answer.status) || answer.header("location") != Some(to) {
                found.push(format!("{answer:?} leads elsewhere"));
            }
            found
        }
        Some(Expected::ClientFile(media_type)) => {
            let mut found = not_status(answer, 200);
            found.extend(not_asked(seen));
            if answer.header("content-type") != Some(media_type) {
                found.push(format!("{:?}", answer.header("content-type")));
            }
            found
        }
        Some(Expected::Session(design)) => not_in_session(recorded, answer, *design, now),
    };
    found.extend(changed_on_the_way(request, seen));
    if let Some(row) = row.filter(|_| !found.is_empty()) {
        found.push(format!("({})", row.asked));
    }
    found
}

/// Without what the gateway may add.
fn plain(recorded: &Recorded, answer: &Answer) -> Answer {
    let mut headers = answer.headers.clone();
    for (name, _) in ADDED {
        if !recorded
            .headers
            .iter()
            .any(|(known, _)| known.eq_ignore_ascii_case(name))
        {
            headers.remove(*name);
        }
    }
    Answer {
        status: answer.status,
        headers,
        body: answer.body.clone(),
    }
}

/// With `msg` as it was recorded.
fn with_recorded_words(recorded: &Recorded, mut answer: Answer) -> Answer {
    let words = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap_or_default();
    if let super::exchange::Body::Bytes(expected) = &recorded.body {
        let mut body = words(&answer.body);
        if body["msg"].is_string() {
            body["msg"] = words(expected)["msg"].clone();
            answer.body = body.to_string().into();
            answer.headers.insert("content-length", answer.body.len().into());
        }
    }
    answer
}

fn not_status(answer: &Answer, status: u16) -> Vec<String> {
    let differs = answer.status != status;
    differs
        .then(|| format!("status {} and not {status}", answer.status))
        .into_iter()
        .collect()
}

fn not_asked(seen: &[Seen]) -> Vec<String> {
    seen.iter()
        .map(|seen| format!("the server was asked for {} {}", seen.method, seen.target))
        .collect()
}

fn not_in_form(answer: &Answer, form: &Form) -> Option<String> {
    let media_type = answer.header("content-type").unwrap_or_default();
    let fits = match form {
        Form::Json => is_json_error(answer),
        Form::Protobuf => {
            let fields = wire::fields(&answer.body).unwrap_or_default();
            media_type == "application/protobuf"
                && !wire::text(&fields, 2).is_empty()
                && fields.iter().all(|(number, _)| *number <= 2)
                && wire::number(&fields, 1) == 0
        }
        Form::Bbb(key) => {
            let text = String::from_utf8_lossy(&answer.body);
            media_type.contains("xml")
                && text.starts_with("<response><returncode>FAILED</returncode>")
                && text.contains(&format!("<messageKey>{key}</messageKey>"))
        }
        Form::Any => is_json_error(answer) || media_type.starts_with("text/html"),
    };
    (!fits).then(|| format!("not in the form that is asked for: {answer:?}"))
}

fn is_json_error(answer: &Answer) -> bool {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    answer.header("content-type") == Some("application/json")
        && body["status"] == false
        && body["msg"].as_str().is_some_and(|message| !message.is_empty())
}

/// The page of a session, with the token in its cookie and nowhere else.
fn not_in_session(recorded: &Recorded, answer: &Answer, design: Option<&str>, now: i64) -> Vec<String> {
    let mut found = not_status(answer, 303);
    let location = answer.header("location").unwrap_or_default();
    let (path, query) = location.split_once('?').unwrap_or((location, ""));
    let is_session = path
        .strip_prefix("/conference/s/")
        .and_then(|rest| rest.strip_suffix('/'))
        .is_some_and(|tag| tag.len() == 22);
    let wanted = design.map(|design| ("custom_design".into(), design.to_owned().into()));
    if !is_session || !form_urlencoded::parse(query.as_bytes()).eq(wanted) {
        found.push(format!("to {location}"));
    }
    let cookie = answer.set_cookie("pnm_access_token").unwrap_or_default();
    let mut attributes = cookie.split("; ");
    let token = attributes
        .next()
        .and_then(|pair| pair.strip_prefix("pnm_access_token="));
    match token {
        Some(token) if same_claims(&recorded.tokens[0], &claims(token), now) => {}
        _ => found.push(format!("the cookie {cookie:?}")),
    }
    if !attributes.any(|attribute| attribute == format!("Path={path}")) {
        found.push(format!("the cookie's path: {cookie:?}"));
    }
    found
}

/// What is forwarded is forwarded in the bytes in which it came, once.
fn changed_on_the_way(request: &Request, seen: &[Seen]) -> Vec<String> {
    let mut found = Vec::new();
    let forwarded: Vec<&Seen> = seen.iter().filter(|seen| seen.target == request.target).collect();
    if forwarded.len() > 1 {
        found.push("the server was asked twice".to_owned());
    }
    for seen in forwarded {
        if seen.method != request.method || *seen.body != *request.body {
            found.push(format!("the server saw {} {:?}", seen.method, seen.body));
        }
        for (name, value) in &request.headers {
            if seen.first(name) != Some(value) {
                found.push(format!("the server saw {name} {:?}", seen.first(name)));
            }
        }
    }
    found
}
