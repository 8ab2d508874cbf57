//! A browser's later visits: the page is asked about, and nothing else; and what was compiled is not compiled again.

use std::collections::BTreeMap;

use plugnmeet_gateway::{clock::Clock, secret::Secret, token::TokenKeys};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    client_load::{requests, vouched_for},
    support::{
        API_KEY, SECRET,
        binary::{Serving, anywhere},
        browser::{Browser, Snapshot},
        folder_of, sign,
    },
};

/// Loads what the real client loads, in its ways: translations, first for the language with its region; a worker that
/// imports another script, and WebAssembly, as for virtual backgrounds; a logo; and, as the bundler's own script does, the
/// style sheet of a chunk, unless the page has it.
const MAIN: &str = r"
import '../chunks/vendor.CB7Ld50-.js';
const at = window.plugNmeetConfig.staticAssetsPath;
const seen = {};
const translation = async (language) => (await fetch(`${at}/locales/${language}/translation.json`)).status;
seen.translations = [await translation('en-US'), await translation('en')];
seen.worker = await new Promise((done) => {
  const worker = new Worker(`${at}/backgrounds/assets/worker.js`);
  worker.onmessage = ({ data }) => done(data);
  worker.onerror = () => done('failed');
});
const compiled = await WebAssembly.instantiateStreaming(fetch(`${at}/backgrounds/assets/a.wasm`));
seen.wasm = String(compiled.module);
const logo = new Image();
logo.src = `${at}/imgs/logo.svg`;
await logo.decode();
seen.logo = logo.naturalWidth;
const sheet = new URL('../css/vendor.CZnR2ujB.css', import.meta.url).href;
if (![...document.getElementsByTagName('link')].some((link) => link.href === sheet && link.rel === 'stylesheet')) {
  document.head.append(Object.assign(document.createElement('link'), { rel: 'stylesheet', href: sheet }));
}
await Promise.allSettled([document.fonts.load('16px app'), document.fonts.load('16px vendor')]);
seen.colour = getComputedStyle(document.body).color;
window.seen = seen;
document.title = 'ready';
";

const PAGE: &str = r#"<!doctype html>
<html lang="en">
  <head>
    <link rel="icon" type="image/svg+xml" href="./assets/imgs/favicon.svg" />
    <script src="./assets/config.js"></script>
    <script type="module" crossorigin src="./assets/js/main-module.Cq0qsXkl.js"></script>
    <link rel="modulepreload" crossorigin href="./assets/chunks/vendor.CB7Ld50-.js">
    <link rel="stylesheet" crossorigin href="./assets/css/vendor.CZnR2ujB.css">
    <link rel="stylesheet" crossorigin href="./assets/css/main.CwAhzGqq.css">
  </head>
  <body><div id="plugNmeet-app"></div></body>
</html>
"#;

fn client() -> TempDir {
    let picture = r#"<svg xmlns="http://www.w3.org/2000/svg" width="2" height="2"/>"#;
    let style = "@font-face { font-family: app; src: url(../fonts/app.woff2) } body { color: rgb(1, 2, 3); \
                 background: url(../imgs/back.svg) }";
    folder_of(&[
        ("index.html", PAGE),
        ("assets/js/main-module.Cq0qsXkl.js", MAIN),
        ("assets/chunks/vendor.CB7Ld50-.js", "export {};"),
        (
            "assets/css/vendor.CZnR2ujB.css",
            "@font-face { font-family: vendor; src: url(../fonts/vendor.woff2) } body { color: rgb(9, 9, 9) }",
        ),
        ("assets/css/main.CwAhzGqq.css", style),
        ("assets/fonts/app.woff2", "no font, but asked for"),
        ("assets/fonts/vendor.woff2", "nor this one"),
        ("assets/imgs/favicon.svg", picture),
        ("assets/imgs/back.svg", picture),
        ("assets/imgs/logo.svg", picture),
        ("assets/locales/en/translation.json", "{}"),
        (
            "assets/backgrounds/assets/worker.js",
            "importScripts('./imported.js'); postMessage(self.imported);",
        ),
        (
            "assets/backgrounds/assets/imported.js",
            "self.imported = 'imported';",
        ),
        ("assets/backgrounds/assets/a.wasm", "\0asm\u{1}\0\0\0"),
    ])
}

/// A browser that trusts the gateway's certificate, and so keeps what it gets.
struct Visitor {
    serving: Serving,
    browser: Browser,
    origin: String,
    /// The link that leads to the session, and the session's path.
    link: String,
    session: String,
    _directory: TempDir,
}

impl Visitor {
    async fn of(client: &TempDir) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = client.path().display().to_string();
        let variables = [
            &anywhere()[..],
            &[("CLIENT__PATH", path.as_str()), ("PLUGNMEET__SECRET", SECRET)],
        ]
        .concat();
        let serving = Serving::start(directory.path(), &[], &variables).await;
        let keys = TokenKeys::new(API_KEY.into(), &Secret::new(SECRET.into())).unwrap();
        let session = format!("/conference/s/{}/", keys.tag("room01", "ann"));
        let origin = format!("https://localhost:{}", serving.https.port());
        let token = sign(&keys, &Clock::system(), |_| {});
        let browser = Browser::with(
            &[
                &vouched_for(&directory.path().join("certs/development.pem")),
                &format!("--host-resolver-rules=MAP localhost {}", serving.https.ip()),
            ],
            &json!({}),
        );
        Self {
            link: format!("{origin}/conference/?access_token={token}"),
            serving,
            browser,
            origin,
            session,
            _directory: directory,
        }
    }
}

const READY: &str = "document.title === 'ready'";

#[tokio::test]
async fn the_second_visit_is_one_request() {
    let client = client();
    let Visitor {
        mut serving,
        mut browser,
        origin,
        link,
        session,
        _directory,
    } = Visitor::of(&client).await;
    let mut visits = Vec::new();
    // In tabs of their own: a reload would be another thing to browsers.
    for (tab, address) in [(1, link), (2, format!("{origin}{session}"))] {
        let steps = json!([
            {"tab": tab, "goto": address, "until": READY},
            {"tab": tab, "run": "window.seen"},
        ]);
        let snapshots = browser.steps(steps).await;
        assert_works(&snapshots);
        serving.signal("HUP").await;
        serving.says("The client is the same as before").await;
        visits.push(requests(&std::mem::take(&mut serving.said)));
    }
    browser.close().await;

    let mut first = BTreeMap::new();
    for (path, status, _) in &visits[0] {
        *first.entry(by_name(path)).or_insert(0) += 1;
        let expected = match by_name(path) {
            "/conference/" => 303,
            "assets/locales/en-US/translation.json" => 404,
            _ => 200,
        };
        assert_eq!(*status, expected, "{path}");
    }
    // All that there is, and nothing by two addresses.
    assert!(first.values().all(|times| *times == 1), "{first:?}");
    for name in names(&client) {
        // Chromium without a window draws no icon.
        let is_asked_for = first.contains_key(name.as_str()) || name.ends_with("favicon.svg");
        assert!(is_asked_for, "{name}: {first:?}");
    }
    let second: Vec<_> = visits[1]
        .iter()
        .map(|(path, status, _)| (path.as_str(), *status))
        .collect();
    assert_eq!(second, [(session.as_str(), 304)]);
}

/// Chromium compiles at the first visit, leaves the code in its cache at the second, and from then on takes it from there
/// if the modules were announced as scripts.
#[tokio::test]
async fn modules_are_not_compiled_at_each_visit() {
    let module = |name: &str| -> String {
        let functions = (0..3000).map(|n| format!("const {name}{n} = (a) => a * {n}; {name}{n}(1);\n"));
        functions.collect()
    };
    let (main, vendor) = (module("main"), module("vendor"));
    let client = folder_of(&[
        ("index.html", PAGE),
        (
            "assets/js/main-module.Cq0qsXkl.js",
            &format!("import '../chunks/vendor.CB7Ld50-.js';\n{main}document.title = 'ready';"),
        ),
        (
            "assets/chunks/vendor.CB7Ld50-.js",
            &format!("{vendor}export {{}};"),
        ),
        ("assets/css/vendor.CZnR2ujB.css", ""),
        ("assets/css/main.CwAhzGqq.css", ""),
    ]);
    let mut visitor = Visitor::of(&client).await;
    let modules = |code: bool| {
        let address = |name| format!("{}/conference/{name}", visitor.origin);
        json!({
            address("assets/js/main-module.Cq0qsXkl.js"): code,
            address("assets/chunks/vendor.CB7Ld50-.js"): code,
        })
    };
    let (compiled, taken) = (modules(false), modules(true));
    let address = format!("{}{}", visitor.origin, visitor.session);
    let mut tab = 0;
    let mut visit = async |address: &str| {
        tab += 1;
        let step = json!({"tab": tab, "goto": address, "until": READY, "compiled": true});
        let snapshot = visitor.browser.step(step).await;
        let said: Vec<_> = snapshot
            .console()
            .iter()
            .filter(|line| line.to_string().contains("preload"))
            .collect();
        assert!(said.is_empty(), "{said:?}");
        snapshot.value().clone()
    };
    assert_eq!(visit(&visitor.link).await, compiled);
    // How soon after a visit the code is in the cache is up to the browser.
    let mut last = Value::Null;
    for _ in 0..6 {
        last = visit(&address).await;
        if last == taken {
            break;
        }
    }
    visitor.browser.close().await;
    assert_eq!(last, taken);
}

/// The client has all that it needs, and the browser has nothing to say but that a translation is missing and fonts are none.
#[track_caller]
fn assert_works(visit: &[Snapshot]) {
    assert_eq!(
        *visit[1].value(),
        json!({
            "translations": [404, 200],
            "worker": "imported",
            "wasm": "[object WebAssembly.Module]",
            "logo": 2,
            "colour": "rgb(1, 2, 3)",
        })
    );
    let known = |line: &&Value| {
        let line = line.as_str().unwrap();
        line.contains("status of 404") || line.contains("font") || line.contains("OTS parsing error")
    };
    let others: Vec<_> = visit[0].console().iter().filter(|line| !known(line)).collect();
    assert!(others.is_empty(), "{others:?}");
}

/// A file's name in the build, whichever way its path is; another path as it is.
fn by_name(path: &str) -> &str {
    let below = path.strip_prefix("/conference/").unwrap_or(path);
    let by_release = below.strip_prefix("r/").and_then(|rest| rest.split_once('/'));
    let name = by_release.map_or(below, |(_, name)| name);
    if name.starts_with("assets/") { name } else { path }
}

/// The names of all files but the page.
fn names(client: &TempDir) -> Vec<String> {
    let mut names = Vec::new();
    let mut folders = vec![client.path().join("assets")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                names.push(path.strip_prefix(client.path()).unwrap().display().to_string());
            }
        }
    }
    names
}
