//! A client of the real one's shape, 97 files of 25 MB, loaded by a real browser: cold, and then warm.
//!
//! Names and sizes are those of the client 2.4 (`tests/vectors/client-files.txt`), contents are made up: text that
//! compresses as scripts do, and noise for what is compressed already.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, prelude::BASE64_STANDARD};
use plugnmeet_gateway::{clock::Clock, secret::Secret, token::TokenKeys};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{
    API_KEY, SECRET,
    binary::{Serving, anywhere},
    browser::Browser,
    client::Client,
    sign,
};

const FILES: &str = include_str!("../vectors/client-files.txt");
const MAIN: &str = "assets/js/main-module.Cq0qsXkl.js";
const LARGEST: &str = "assets/chunks/vendor.CB7Ld50-.js";

/// What the page of the client names, in its order.
const CHUNKS: [&str; 7] = [
    "assets/chunks/rolldown-runtime.C0FnF6B9.js",
    "assets/chunks/excalidraw.C4sMGcNa.js",
    "assets/chunks/react.DMJtl11g.js",
    "assets/chunks/pnm.ECIXHfnB.js",
    "assets/chunks/react-libs.CTYFrsXO.js",
    "assets/chunks/mermaid.DEhjOtXn.js",
    LARGEST,
];
const STYLES: [&str; 2] = ["assets/css/vendor.CZnR2ujB.css", "assets/css/main.CwAhzGqq.css"];

/// Loads every file and says what it got of each.
const LOADER: &str = r"
const seen = {};
for (const name of NAMES) {
  const answer = await fetch(name);
  const hash = await crypto.subtle.digest('SHA-256', await answer.arrayBuffer());
  seen[name] = answer.status + ' ' + Array.from(new Uint8Array(hash), (b) => b.toString(16).padStart(2, '0')).join('');
}
window.seen = seen;
document.title = 'ready';
";

/// Every file of the client but two, which are served otherwise than they lie there.
fn files() -> impl Iterator<Item = (&'static str, usize)> {
    FILES.lines().filter_map(|line| {
        let (size, name) = line.split_once(" ./").unwrap();
        let own = ["index.html", "login.html", "assets/config.js"].contains(&name);
        (!own).then(|| (name, size.parse().unwrap()))
    })
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

/// Comments, which are good in scripts and in style sheets: words of which some are frequent and most are not.
fn text(numbers: &mut Numbers, len: usize) -> String {
    let words: Vec<String> = (0..4000)
        .map(|n| format!("{:x}", (n * n * 2_654_435_761_usize) >> 7 & 0xff_ffff))
        .collect();
    let mut text = String::with_capacity(len + 200);
    while text.len() < len {
        text.push_str("/* ");
        for _ in 0..12 {
            let most = 1 << (2 + numbers.below(10));
            text.push_str(&words[numbers.below(most)]);
            text.push(' ');
        }
        text.push_str("*/\n");
    }
    text.truncate(len.saturating_sub(3));
    // The last comment may have been cut.
    let end = text.rfind("*/").map_or(0, |end| end + 2);
    text.truncate(end);
    text.push_str(&" ".repeat(len - end));
    text
}

fn translation(numbers: &mut Numbers, len: usize) -> String {
    let json = json!({ "text": text(numbers, len * 9 / 10).replace('\n', " ") }).to_string();
    let blanks = " ".repeat(len - json.len());
    json + &blanks
}

fn noise(numbers: &mut Numbers, len: usize) -> Vec<u8> {
    (0..len)
        .map(|_| u8::try_from(numbers.below(256)).unwrap())
        .collect()
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Makes the client; the hash of each file that the browser loads.
fn make(folder: &Path) -> BTreeMap<&'static str, String> {
    let mut numbers = Numbers(7);
    let names: Vec<&str> = files().map(|(name, _)| name).collect();
    let mut hashes = BTreeMap::new();
    for (name, size) in files() {
        let content = match name.rsplit_once('.').unwrap().1 {
            "js" if name == MAIN => {
                let imports = CHUNKS.map(|chunk| format!("import '../../{chunk}';\n")).concat();
                let script = imports + &LOADER.replace("NAMES", &json!(names).to_string());
                let rest = size - script.len();
                (script + &text(&mut numbers, rest)).into()
            }
            "js" | "css" | "html" => text(&mut numbers, size).into(),
            "json" => translation(&mut numbers, size).into(),
            "wasm" | "tflite" => [
                text(&mut numbers, size / 2).into(),
                noise(&mut numbers, size - size / 2),
            ]
            .concat(),
            _ => noise(&mut numbers, size),
        };
        hashes.insert(name, hash(&content));
        write(folder, name, content);
    }
    let chunks = CHUNKS
        .map(|name| format!("<link rel=\"modulepreload\" crossorigin href=\"./{name}\">\n"))
        .concat();
    let styles = STYLES
        .map(|name| format!("<link rel=\"stylesheet\" crossorigin href=\"./{name}\">\n"))
        .concat();
    let page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"UTF-8\" />\n\
         <link rel=\"icon\" href=\"./assets/imgs/favicon.ico\" />\n<script src=\"./assets/config.js\"></script>\n\
         <script type=\"module\" crossorigin src=\"./{MAIN}\"></script>\n{chunks}{styles}</head>\n\
         <body><div id=\"root\"></div></body></html>\n"
    );
    write(folder, "index.html", page);
    hashes
}

fn hash(content: &[u8]) -> String {
    let hash = digest(&SHA256, content);
    let digits: Vec<_> = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

fn is_hashed(name: &str) -> bool {
    ["assets/js/", "assets/chunks/", "assets/css/", "assets/worker/"]
        .iter()
        .any(|folder| name.starts_with(folder))
}

/// A browser keeps nothing that came under a certificate which it merely puts up with.
pub(super) fn vouched_for(certificate: &Path) -> String {
    let der = CertificateDer::from_pem_file(certificate).unwrap();
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
    let key = BASE64_STANDARD.encode(digest(&SHA256, parsed.public_key().raw));
    format!("--ignore-certificate-errors-spki-list={key}")
}

fn token() -> String {
    let keys = TokenKeys::new(API_KEY.into(), &Secret::new(SECRET.into())).unwrap();
    sign(&keys, &Clock::system(), |_| {})
}

/// The requests in the log, as path, status and bytes of the body.
pub(super) fn requests(log: &str) -> Vec<(String, u64, u64)> {
    log.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|line| {
            Some((
                line["path"].as_str()?.to_owned(),
                line["status"].as_u64()?,
                line["bytes"].as_u64()?,
            ))
        })
        .collect()
}

#[tokio::test]
async fn a_browser_loads_the_client_once_and_then_only_what_may_have_changed() {
    let directory = tempfile::tempdir().unwrap();
    let hashes = make(&directory.path().join("client"));
    let variables = [
        &anywhere()[..],
        &[("CLIENT__PATH", "client"), ("PLUGNMEET__SECRET", SECRET)],
    ]
    .concat();
    let mut serving = Serving::start(directory.path(), &[], &variables).await;
    let certificate = directory.path().join("certs/development.pem");
    let origin = format!("https://localhost:{}", serving.https.port());
    let found = format!("--host-resolver-rules=MAP localhost {}", serving.https.ip());

    // Nobody waits for the second minute, in which the smallest forms are made: one that is quick to make is there soon.
    let asking = Client::trusting(&certificate, serving.https);
    let until = Instant::now() + Duration::from_secs(600);
    for (name, _) in files().filter(|(name, _)| is_hashed(name)) {
        let is_coded = async || {
            let (path, accepts) = (format!("/conference/{name}"), "gzip, deflate, br, zstd");
            let fields = [("Accept-Encoding", accepts)];
            let answer = asking.request("HEAD", &path, &fields, b"").await;
            answer.header("content-encoding").is_some()
        };
        while !is_coded().await {
            assert!(Instant::now() < until, "{name}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    serving.signal("HUP").await;
    serving.says("The client is the same as before").await;
    let before = serving.said.len();

    let ready = "document.title === 'ready'";
    let link = format!("{origin}/conference/?access_token={}", token());
    let mut browser = Browser::with(&[&vouched_for(&certificate), &found], &json!({}));
    let steps = json!([
        {"tab": 1, "goto": link, "until": ready},
        {"tab": 1, "run": "window.seen"},
        {"tab": 1, "reload": true, "until": ready},
        {"tab": 1, "run": "window.seen"},
    ]);
    let snapshots = browser.steps(steps).await;
    browser.close().await;
    for nth in [0, 2] {
        let console = &snapshots[nth].0["console"];
        assert_eq!(*console, json!([]), "a hint that nothing used, or worse");
    }
    // The browser has every file as it lies on disk, whatever it came in.
    for nth in [1, 3] {
        let seen = snapshots[nth].value().as_object().unwrap();
        assert_eq!(seen.len(), hashes.len());
        for (name, hash) in &hashes {
            assert_eq!(seen[*name], format!("200 {hash}"), "{name}");
        }
    }

    serving.signal("TERM").await;
    let (status, said) = serving.end().await;
    assert_eq!(status, Some(0));
    let mut sent: HashMap<String, Vec<(u64, u64)>> = HashMap::new();
    for (path, status, bytes) in requests(&said[before..]) {
        sent.entry(path).or_default().push((status, bytes));
    }
    for (name, size) in files() {
        let sent = &sent[&format!("/conference/{name}")];
        if is_hashed(name) {
            assert_eq!(sent.len(), 1, "{name} was asked for again: {sent:?}");
            assert!(
                sent[0].1 < size as u64 * 2 / 3,
                "{name} was not compressed: {sent:?}"
            );
        } else {
            // Asked about by each load, and answered by a word, unless a better form had been made meanwhile.
            let again = |(status, bytes): &(u64, u64)| *status == 304 || *bytes < sent[0].1;
            assert!(sent.len() > 1 && sent[1..].iter().all(again), "{name}: {sent:?}");
        }
    }
}
