//! The steps of the request path, each with what is usual and with what somebody might send to make it slow.
//!
//! Two benches take them from here: `request_path` tells the time of each, `instructions` counts what the processor does,
//! which does not change with whatever else the machine is at.
//!
//! Not here: sockets, TLS and whole requests (`benches/peers`).

use std::{
    hint::black_box,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use hyper::{
    HeaderMap, Method, Request, StatusCode, Version,
    header::{self, HeaderName, HeaderValue},
};
use plugnmeet_gateway::{
    addr::ClientAddr,
    clock::Clock,
    context::{Arrival, Peer, RequestContext},
    design::{DesignRules, DesignSettings, OnInvalid},
    drain::Drain,
    joining::{Joining, JoiningSettings, Joins},
    limits::{Limits, LimitsSettings, RateSettings, Rates, StoreSettings},
    observe::{AccessLog, AccessRecord, Flusher, Metrics, Records},
    proxy::to_upstream,
    reply::Format,
    request_id::RequestIds,
    route::{CanonicalTarget, Hosts, Table, Whole},
    secret::Secret,
    token::{Claims, RequestKey, TokenKeys, Unverified},
    webapp::{WebApp, WebAppSettings},
};
use serde_json::{Map, json};

/// What a step is called, and the step, ready to be taken any number of times.
pub type Step = (String, Box<dyn FnMut()>);

/// One part of the request path: what the names of its steps begin with, and what makes them ready.
pub type Part = (&'static str, fn() -> Vec<Step>);

/// The parts, in the order in which a request takes them.
pub const PARTS: [Part; 10] = [
    ("target", targets),
    ("route", routes),
    ("file", files),
    ("token", tokens),
    ("hmac", signatures),
    ("design", designs),
    ("limit", limits),
    ("joining", joins),
    ("headers", headers),
    ("record", records),
];

/// The steps of the parts with such names.
pub fn of(is_wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = Step> {
    let wanted = PARTS.into_iter().filter(move |(part, _)| is_wanted(part));
    wanted.flat_map(|(_, steps)| steps())
}

fn step<T>(name: &str, mut once: impl FnMut() -> T + 'static) -> Step {
    let take = move || {
        black_box(once());
    };
    (name.to_owned(), Box::new(take))
}

const SECRET: &str = "a secret of a benchmark, of more than 32 bytes";

/// Canonical target.
fn targets() -> Vec<Step> {
    let of = |name, path: String| {
        let hosts = Hosts::new("conf.example.org", &[], true);
        let request = Request::get(path)
            .header(header::HOST, "conf.example.org")
            .body(())
            .unwrap();
        step(name, move || CanonicalTarget::of(&request, &hosts).is_ok())
    };
    vec![
        of(
            "target/usual",
            "/conference/assets/js/main-module.Bq7xK2_a.js".into(),
        ),
        of(
            "target/encoded",
            "/download/uploadedFile/room%2Fan%20image%C3%A9.png".into(),
        ),
        // Encoded as often as is looked for, and as long as a head may be.
        of(
            "target/hostile: encoded again and again",
            format!("/{}", "%252525252e".repeat(2900)),
        ),
        of("target/hostile: segments", "/a".repeat(16_000)),
    ]
}

/// Route.
fn routes() -> Vec<Step> {
    let of = |name, path: String| {
        let table = Table {
            mount: "/conference".into(),
            session_paths: true,
            check_page: false,
            login: false,
            metrics: false,
            whole: Whole::default(),
        };
        step(name, move || black_box(table.find(&path)).row.name)
    };
    vec![
        of("route/getJoinToken", "/auth/room/getJoinToken".into()),
        of(
            "route/file",
            "/conference/assets/js/main-module.Bq7xK2_a.js".into(),
        ),
        of("route/hostile: segments", "/a".repeat(16_000)),
        of(
            "route/hostile: slashes at the end",
            format!("/auth/room/getJoinToken{}", "/".repeat(32_000)),
        ),
    ]
}

/// Static look-up.
fn files() -> Vec<Step> {
    let folder = tempfile::tempdir().unwrap();
    let scripts = folder.path().join("assets/js");
    std::fs::create_dir_all(&scripts).unwrap();
    std::fs::write(
        folder.path().join("index.html"),
        "<!doctype html><html><head></head></html>",
    )
    .unwrap();
    for at in 0..300 {
        std::fs::write(
            scripts.join(format!("chunk-{at}.Bq7xK2_a.js")),
            "let it = 'be';".repeat(1000),
        )
        .unwrap();
    }
    let mut settings = WebAppSettings::new(
        "https://conf.example.org".into(),
        "/conference".into(),
        Map::new(),
    )
    .unwrap();
    settings.path = Some(folder.path().to_owned());
    let files = Arc::new(WebApp::load(settings).unwrap());
    let of = |name, path: String, fields: &[(HeaderName, String)]| {
        let (files, fields) = (Arc::clone(&files), fields_of(fields));
        step(name, move || files.asset(&path, &Method::GET, &fields).is_ok())
    };
    let script = || "assets/js/chunk-150.Bq7xK2_a.js".to_owned();
    vec![
        of(
            "file/usual",
            script(),
            &[(header::ACCEPT_ENCODING, "gzip, deflate, br, zstd".into())],
        ),
        of(
            "file/not modified",
            script(),
            &[(header::IF_NONE_MATCH, "\"of another version\"".into())],
        ),
        of("file/hostile: encoded, and not there", "%61".repeat(10_000), &[]),
        of(
            "file/hostile: long lists",
            script(),
            &[
                (header::ACCEPT_ENCODING, "br;q=0.001,".repeat(1400)),
                (header::IF_NONE_MATCH, "\"a\",".repeat(4000)),
            ],
        ),
    ]
}

/// Token check, and signing.
fn tokens() -> Vec<Step> {
    let now = 1_795_405_644;
    let keys = Arc::new(TokenKeys::new("plugnmeet".into(), &Secret::new(SECRET.into())).unwrap());
    let claims = Claims {
        client_type: 0,
        exp: now + 600,
        is_admin: false,
        is_hidden: false,
        iss: "plugnmeet".into(),
        name: "Ann".into(),
        nbf: now,
        room_id: "room01".into(),
        sub: "ann".into(),
        user_id: "ann".into(),
    };
    let good = keys.sign(&claims).unwrap().expose().clone();
    let unsigned = good.rsplit_once('.').unwrap().0;
    let forged = format!("{unsigned}.{}", "A".repeat(43));
    let of = |name, token: String| {
        let keys = Arc::clone(&keys);
        step(name, move || keys.verify(Unverified(&token), now).is_ok())
    };
    let signer = Arc::clone(&keys);
    vec![
        of("token/usual", good.clone()),
        of("token/hostile: forged", forged),
        of(
            "token/hostile: long",
            format!("{}.{}.{}", "e".repeat(1000), "e".repeat(1000), "e".repeat(1000)),
        ),
        of("token/hostile: too long", "e".repeat(30_000)),
        step("token/sign", move || signer.sign(&claims).is_ok()),
    ]
}

/// HMAC.
fn signatures() -> Vec<Step> {
    let of = |name, body: Vec<u8>, signature: Option<&str>| {
        let key = RequestKey::new(&Secret::new(SECRET.into()));
        let signature = signature.map_or_else(|| key.signature(&body), str::to_owned);
        step(name, move || key.is_signature(&body, signature.as_bytes()))
    };
    let usual = br#"{"room_id":"room01","user_info":{"name":"Ann","user_id":"ann"}}"#;
    vec![
        of("hmac/usual", usual.to_vec(), None),
        of(
            "hmac/hostile: all the body there may be",
            vec![b' '; 64 << 10],
            Some("0"),
        ),
    ]
}

/// Design check.
fn designs() -> Vec<Step> {
    let of = |name, design: String| {
        let origin = "https://conf.example.org".parse().unwrap();
        let settings = DesignSettings::new(OnInvalid::Reject, &[], &["*".into()], &origin).unwrap();
        let rules = DesignRules::new(settings);
        step(name, move || rules.check(&design))
    };
    let usual = json!({
        "primary_color": "#00a1f2", "secondary_color": "#24aef7", "background_color": "rgb(12 19 26)",
        "custom_logo": "https://cdn.example.org/logo.png",
    });
    let fields: Vec<String> = (0..300).map(|at| format!(r#""k{at}":"","#)).collect();
    vec![
        of("design/usual", usual.to_string()),
        of("design/hostile: nested", "[".repeat(4096)),
        of(
            "design/hostile: many keys",
            format!("{{{}\"a\":1}}", fields.concat()),
        ),
        of(
            "design/hostile: a colour without end",
            json!({"primary_color": "color-mix(".repeat(380)}).to_string(),
        ),
        of("design/hostile: too long", "{".repeat(30_000)),
    ]
}

/// Somebody's WebSocket comes while few do, and is in.
fn joins() -> Vec<Step> {
    let settings = |joins| JoiningSettings {
        joins,
        admission: Duration::from_secs(300),
    };
    [("idle door", Joins::Auto), ("no places", Joins::Unpaced)]
        .map(|(name, joins)| {
            let joining = Joining::new(settings(joins), &Metrics::default(), &Drain::default());
            step(&format!("joining/{name}"), move || {
                let mut arrival = pin!(joining.arrive(Duration::ZERO));
                let polled = arrival.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                polled.is_ready()
            })
        })
        .into()
}

/// Limit.
fn limits() -> Vec<Step> {
    let of = |name, rate: &str, user_of: fn(u64) -> String| {
        let rate = RateSettings::parse(rate).unwrap();
        let settings = LimitsSettings {
            rates: Rates {
                user: rate,
                room: RateSettings::parse("1000000/s").unwrap(),
                caller: RateSettings::parse("1000000/s").unwrap(),
            },
            failures: rate,
            renewal: rate,
            design: rate,
            check_page: rate,
            store: StoreSettings::Memory,
        };
        let limits = at_once(Limits::start(&settings, &[], &Arc::default(), &Clock::system()));
        let mut turn = 0;
        step(name, move || {
            turn += 1;
            at_once(limits.issue("plugnmeet", "room01", &user_of(turn))).is_ok()
        })
    };
    vec![
        of("limit/usual", "1000000/s", |_| "ann".into()),
        of("limit/hostile: over it", "1/h", |_| "ann".into()),
        of("limit/hostile: always another user", "10/min", |turn| {
            turn.to_string()
        }),
    ]
}

/// Header rewriting; each turn works on a copy, which is a step of its own to compare with.
fn headers() -> Vec<Step> {
    let context = RequestContext {
        arrival: Arrival {
            id: RequestIds::default().next(),
            peer: Peer {
                client: ClientAddr(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))),
                local: SocketAddr::from(([192, 0, 2, 1], 443)),
                via_proxy: false,
            },
            error_form: Format::Page { json: true },
        },
        our_name: "conf.example.org".into(),
        authority: HeaderValue::from_static("conf.example.org"),
        forwarded_host: None,
    };
    let of = |name, fields: HeaderMap| {
        let context = context.clone();
        step(name, move || {
            let mut fields = fields.clone();
            let forwarded = to_upstream(&mut fields, &context, false);
            (fields, forwarded)
        })
    };
    let usual = fields_of(&[
        (header::HOST, "conf.example.org".into()),
        (
            header::USER_AGENT,
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0".into(),
        ),
        (header::ACCEPT, "*/*".into()),
        (header::ACCEPT_LANGUAGE, "en-GB,en;q=0.5".into()),
        (header::ACCEPT_ENCODING, "gzip, deflate, br, zstd".into()),
        (header::CONTENT_TYPE, "application/protobuf".into()),
        (header::CONTENT_LENGTH, "128".into()),
        (header::AUTHORIZATION, "e".repeat(300)),
        (header::ORIGIN, "https://conf.example.org".into()),
        (header::COOKIE, format!("pnm_access_token={}", "e".repeat(300))),
        (header::CONNECTION, "keep-alive".into()),
    ]);
    let mut claims = HeaderMap::new();
    for at in 0..90 {
        let name = HeaderName::try_from(format!("x-forwarded-{at}")).unwrap();
        claims.insert(name, HeaderValue::from_static("192.0.2.1"));
    }
    let listed: Vec<String> = (0..4000).map(|at| format!("x{at},")).collect();
    let copied = usual.clone();
    vec![
        step("headers/the copy alone", move || copied.clone()),
        of("headers/usual", usual),
        of("headers/hostile: claims", claims),
        of(
            "headers/hostile: a long Connection",
            fields_of(&[(header::CONNECTION, listed.concat())]),
        ),
    ]
}

/// Access record, from the first line of a request to the log's buffer.
fn records() -> Vec<Step> {
    let of = |name, path: String| {
        let (buffer, flusher) = Flusher::start(io::sink(), |_| {}).unwrap();
        let records = Records {
            json: Some(buffer),
            access: true,
        };
        let log = Arc::new(AccessLog::new(records, Arc::default(), Clock::system()));
        let (ids, client) = (
            RequestIds::default(),
            ClientAddr(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))),
        );
        step(name, move || {
            let _open = &flusher;
            let mut record =
                AccessRecord::begin(ids.next(), client, &Method::POST, &path, Version::HTTP_2, &log);
            record.routed("api");
            record.answered(StatusCode::OK);
            record.sent(250);
            record.completed();
        })
    };
    vec![
        of("record/usual", "/api/verifyToken".into()),
        of("record/hostile: segments", "/a".repeat(16_000)),
        of("record/hostile: quotes", "/\"".repeat(16_000)),
    ]
}

fn fields_of(fields: &[(HeaderName, String)]) -> HeaderMap {
    let pair = |(name, value): &(HeaderName, String)| (name.clone(), HeaderValue::try_from(value).unwrap());
    fields.iter().map(pair).collect()
}

/// What waits for nobody is done when it is asked.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("limits in memory wait for nobody"),
    }
}
