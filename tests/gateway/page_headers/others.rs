//! Headers of the gateway's own pages, of files, of what the server sends, and of frames that stay blank.

use super::{CSP, beside_own_files, client, page_of, sources};
use crate::support::{
    self, Gateway,
    binary::{Serving, anywhere},
    client::{Client, plain_get},
    folder_of,
    upstream::{Upstream, text_body},
};

#[tokio::test]
async fn pages_of_ours_run_nothing_and_are_embedded_by_nobody() {
    let gateway = Gateway::embedded().await;
    for target in ["/conference/", "/conference/?access_token=x", "/nowhere"] {
        let answer = gateway.get(target, &[("Accept", "text/html")]).await;
        let policy = answer.header(CSP).unwrap();
        assert_eq!(sources(policy, "default-src"), ["'none'"], "{target}");
        assert_eq!(sources(policy, "form-action"), ["'none'"]);
        assert_eq!(sources(policy, "frame-ancestors"), ["'none'"]);
        assert!(!policy.contains("script-src"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    }
}

/// docs/plugnmeet.md section 8, CORS: plugins load the client's scripts, fonts and workers into pages of their own
/// origin.
#[tokio::test]
async fn files_can_be_used_from_other_origins_and_so_can_their_errors() {
    let client = client();
    let path = client.path().display();
    let gateway = Gateway::with(&format!("[client]\npath = '{path}'\n")).await;
    let origin = ("Origin", "https://lms.example.org");
    for (method, target, fields, status) in [
        ("GET", "/conference/assets/js/main-module.Cq0qsXkl.js", None, 200),
        ("GET", "/conference/assets/fonts/inter.woff2", None, 200),
        ("GET", "/assets/worker/pdf.Cq0qsXkl.js", None, 200),
        ("GET", "/assets/config.js", None, 200),
        ("HEAD", "/conference/assets/config.js", None, 200),
        (
            "GET",
            "/assets/fonts/inter.woff2",
            Some(("Range", "bytes=1-2")),
            206,
        ),
        (
            "GET",
            "/assets/fonts/inter.woff2",
            Some(("Range", "bytes=9-")),
            416,
        ),
        (
            "GET",
            "/assets/fonts/inter.woff2",
            Some(("If-Match", "\"x\"")),
            412,
        ),
        ("GET", "/assets/fonts/gone.woff2", None, 404),
        (
            "GET",
            "/conference/assets/locales/en-US/translation.json",
            None,
            404,
        ),
        ("GET", "/assets/gone.html", Some(("Accept", "text/html")), 404),
        ("POST", "/assets/config.js", None, 405),
        (
            "OPTIONS",
            "/assets/fonts/inter.woff2",
            Some(("Access-Control-Request-Method", "GET")),
            204,
        ),
    ] {
        let fields: Vec<_> = [origin].into_iter().chain(fields).collect();
        let answer = gateway.client().request(method, target, &fields, b"").await;
        assert_eq!(answer.status, status, "{method} {target}");
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("*"),
            "{target}"
        );
        assert_eq!(
            answer.header("cross-origin-resource-policy"),
            Some("cross-origin"),
            "{target}"
        );
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        if method == "OPTIONS" {
            assert_eq!(answer.header("access-control-allow-methods"), Some("GET, HEAD"));
            assert_eq!(answer.header("access-control-allow-headers"), Some("*"));
        }
    }
}

/// What people upload lies at the same origin; the client's files are where the page says, by any name of ours.
#[tokio::test]
async fn scripts_come_from_the_clients_files_alone() {
    let client = client();
    let gateway = Gateway::with(&format!(
        "public_origin = 'https://conf.example.org'\nhosts = ['meet.example.org']\n[client]\npath = '{}'\n",
        client.path().display()
    ))
    .await;
    let session = format!("pnm_access_token={}", gateway.token("room01", "ann"));
    let path = format!("/conference/s/{}/", gateway.keys.tag("room01", "ann"));
    let public = "https://conf.example.org/conference/assets/ https://conf.example.org/conference/r/ \
                  https://conf.example.org/assets/";
    for (host, more) in [
        ("conf.example.org", ""),
        (
            "meet.example.org:8443",
            " https://meet.example.org:8443/conference/assets/ https://meet.example.org:8443/conference/r/ \
             https://meet.example.org:8443/assets/",
        ),
    ] {
        let answer = gateway.get(&path, &[("Cookie", &session), ("Host", host)]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let policy = answer.header(CSP).unwrap();
        for (directive, rest) in [
            ("script-src", "'wasm-unsafe-eval'"),
            ("style-src", "'unsafe-inline'"),
        ] {
            let found = sources(policy, directive).join(" ");
            assert!(found.starts_with(&format!("{public}{more} {rest}")), "{found}");
            assert!(!found.contains("'self'"), "{found}");
        }
        assert_eq!(sources(policy, "form-action"), ["'self'"]);
    }
}

#[tokio::test]
async fn what_the_operator_names_is_not_blocked_by_the_policy() {
    let client = client();
    let gateway = Gateway::with(&format!(
        "[designs.dark]\ncustom_css_url = 'https://css.example.org/dark.css'\n\
         custom_logo = 'https://img.example.org:8443/logo.png'\n\
         [headers.csp_sources]\nscript-src = []\nconnect-src = []\nfont-src = []\nmedia-src = []\n\
         [client]\npath = '{}'\n\
         [client.config]\nstaticAssetsPath = 'https://cdn.example.net/pnm/assets'\n\
         designCustomization = '{{\"custom_css_url\": \"https://own.example.org/a.css\"}}'\n",
        client.path().display()
    ))
    .await;
    let answer = page_of(&gateway).await;
    let policy = answer.header(CSP).unwrap();
    for (directive, expected) in [
        ("script-src", "'wasm-unsafe-eval' https://cdn.example.net data:"),
        ("worker-src", "'self' blob: https://cdn.example.net"),
        (
            "style-src",
            "'unsafe-inline' https://css.example.org https://own.example.org",
        ),
        (
            "img-src",
            "'self' data: blob: https: https://img.example.org:8443 https://css.example.org https://own.example.org \
             https://cdn.example.net",
        ),
        (
            "font-src",
            "'self' data: https://css.example.org https://own.example.org https://cdn.example.net",
        ),
        ("media-src", "'self' blob: https: https://cdn.example.net"),
        ("connect-src", "'self' ws: wss: https://cdn.example.net"),
    ] {
        assert_eq!(beside_own_files(policy, directive), expected, "{directive}");
    }
    let config = gateway.get("/conference/assets/config.js", &[]).await.text();
    assert!(
        config.contains(r#""staticAssetsPath":"https://cdn.example.net/pnm/assets""#),
        "{config}"
    );
    assert!(
        config.contains(&format!(r#""serverUrl":"{}""#, gateway.origin())),
        "{config}"
    );
}

async fn serving(headers: &'static [(&'static str, &'static str)]) -> Upstream {
    Upstream::handling(move |_| async move {
        let mut response = hyper::Response::new(text_body("%PDF-1.7"));
        for (name, value) in headers {
            response.headers_mut().append(*name, value.parse().unwrap());
        }
        response
    })
    .await
}

/// docs/plugnmeet.md section 8: the server says `attachment` of every download, but nobody has to believe it. Chromium
/// shows a PDF in a sandbox too.
#[tokio::test]
async fn a_download_is_no_page_of_ours() {
    const PAGE: (&str, &str) = ("content-type", "text/html; charset=utf-8");
    for headers in [
        &[PAGE][..],
        &[PAGE, ("content-disposition", "attachment; filename=a.html")],
        &[
            ("content-type", "application/pdf"),
            ("content-disposition", "attachment"),
        ],
        &[
            ("content-type", "image/svg+xml"),
            ("x-content-type-options", "none"),
        ],
    ] {
        let server = serving(headers).await;
        let gateway = Gateway::with(&format!("upstreams.server = ['{}']", server.url())).await;
        for path in ["/download/uploadedFile/room%2Fa.html", "/Download/uploadedFile/b"] {
            let answer = gateway.get(path, &[]).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            assert_eq!(answer.header(CSP), Some("sandbox"), "{headers:?}");
        }
        let elsewhere = gateway.get("/healthCheck", &[]).await;
        assert_eq!((elsewhere.status, elsewhere.header(CSP)), (200, None));
    }
}

/// It asks for the API secret (docs/plugnmeet.md section 8).
#[tokio::test]
async fn an_exposed_login_page_is_framed_by_nobody_and_sends_nothing_elsewhere() {
    let server = serving(&[
        ("content-type", "text/html"),
        ("cache-control", "public, max-age=60"),
    ])
    .await;
    let client = folder_of(&[("index.html", "<head></head>"), ("login.html", "<form>")]);
    let exposed = Gateway::with(&format!(
        "session.frame_ancestors = ['https://lms.example.org']\n\
         upstreams.server = ['{}']\nupstreams.expose = ['login']\n[client]\npath = '{}'\n",
        server.url(),
        client.path().display()
    ))
    .await;
    for path in [
        "/login.html",
        "/LOGIN",
        "/conference/login.html",
        "/conference/l%6fgin.html",
    ] {
        let answer = exposed.get(path, &[]).await;
        assert_eq!(answer.status, 200, "{path}");
        for (name, value) in [
            (
                CSP,
                "connect-src 'self'; form-action 'self'; frame-ancestors 'none'",
            ),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
    }
    let hidden = Gateway::with(&format!("upstreams.server = ['{}']", server.url())).await;
    assert_eq!(hidden.get("/login.html", &[]).await.status, 404);
}

#[tokio::test]
async fn no_browser_guesses_what_an_error_of_ours_is() {
    let gateway = Gateway::with(&format!(
        "upstreams.server = ['http://{}']",
        support::addr::free()
    ))
    .await;
    let protobuf = ("Content-Type", "application/protobuf");
    for (method, target, field) in [
        ("GET", "/nowhere", ("Accept", "text/html")),
        ("GET", "/nowhere", ("Accept", "application/json")),
        ("GET", "/conference//x", ("Accept", "text/html")),
        ("GET", "/download/recording/x", ("Accept", "*/*")),
        ("POST", "/auth/room/getJoinToken", ("Accept", "*/*")),
        ("POST", "/auth/room/getJoinToken", protobuf),
        ("POST", "/api/verifyToken", protobuf),
        ("POST", "/api/verifyToken", ("Accept", "*/*")),
        ("POST", "/api/fileUpload", ("Accept", "*/*")),
        ("GET", "/plugnmeet/bigbluebutton/api/join", ("Accept", "*/*")),
        ("GET", "/conference/assets/gone.js", ("Accept", "*/*")),
    ] {
        let answer = gateway.client().request(method, target, &[field], b"").await;
        assert!(
            answer.status >= 400 || target.contains("bigbluebutton"),
            "{method} {target} {answer:?}"
        );
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{method} {target}"
        );
    }
}

/// The person sees a blank frame, and no browser tells anybody why.
#[tokio::test]
async fn a_frame_that_stays_blank_is_told_of_once_with_the_line_to_write() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Serving::start(folder.path(), &[], &anywhere()).await;
    let client = Client::trusting(&folder.path().join("certs/development.pem"), gateway.https);
    let framed = |dest: &'static str, referer: &'static str| {
        [
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Dest", dest),
            ("Sec-Fetch-Site", "cross-site"),
            ("Referer", referer),
        ]
    };
    for (dest, referer) in [
        ("iframe", "https://lms.example.org/course?id=7"),
        ("frame", "https://lms.example.org/"),
        ("document", "https://elsewhere.example.org/"),
    ] {
        client
            .request("GET", "/conference/", &framed(dest, referer), b"")
            .await;
    }
    gateway.signal("TERM").await;
    let (_, said) = gateway.end().await;
    let told: Vec<serde_json::Value> = said
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|line| line.get("line").is_some())
        .collect();
    assert_eq!(told.len(), 1, "{said}");
    assert_eq!(
        [
            &told[0]["level"],
            &told[0]["site"],
            &told[0]["section"],
            &told[0]["line"]
        ],
        [
            "WARN",
            "https://lms.example.org",
            "session",
            r#"frame_ancestors = ["https://lms.example.org"]"#
        ]
    );
}

#[tokio::test]
async fn blank_frames_are_counted_where_nobody_may_frame() {
    let fields = [
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "object"),
        ("Sec-Fetch-Site", "cross-site"),
    ];
    for (toml, count) in [
        ("", 2),
        ("session.frame_ancestors = ['https://lms.example.org']", 0),
    ] {
        let gateway = Gateway::with(toml).await;
        let token = gateway.token("room01", "ann");
        gateway.get("/conference/", &fields).await;
        gateway
            .get(&format!("/conference/?access_token={token}"), &fields)
            .await;
        let metrics = plain_get(gateway.admin, "/metrics").await.text();
        let counted = format!("plugnmeet_gateway_frames_refused_total {count}\n");
        assert!(metrics.contains(&counted), "{metrics}");
    }
}
