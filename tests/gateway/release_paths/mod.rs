//! Addresses that name the release: what the page names, what is there and for how long it may be kept, while releases and
//! configurations change, and what is left for a browser to ask on its second visit.

mod replaced;
mod second_visit;
mod served;

use std::{fs, path::Path};

use crate::support::{Gateway, client::Answer};

const FOR_GOOD: Option<&str> = Some("public, max-age=31536000, immutable");
const ASK_AGAIN: Option<&str> = Some("no-cache");

/// A release that nobody has.
const UNKNOWN: &str = "AAAAAAAAAAAAAAAAAAAAAA";

const MAIN: &str = "assets/js/main-module.Cq0qsXkl.js";
const VENDOR: &str = "assets/chunks/vendor.CB7Ld50-.js";
const STYLE: &str = "assets/css/main.CwAhzGqq.css";
const LAZY_STYLE: &str = "assets/css/vendor.CZnR2ujB.css";
const LOCALE: &str = "assets/locales/en/translation.json";

/// A build with what counts of the real one: names with hashes and without, a style sheet that a script loads too.
fn build(version: &str) -> Vec<(&'static str, String)> {
    let page = format!(
        "<!doctype html><html><head><title>{version}</title>\n\
         <link rel=\"icon\" href=\"./assets/imgs/favicon.ico\" />\n<script src=\"./assets/config.js\"></script>\n\
         <script type=\"module\" crossorigin src=\"./{MAIN}\"></script>\n\
         <link rel=\"modulepreload\" crossorigin href=\"./{VENDOR}\">\n\
         <link rel=\"stylesheet\" crossorigin href=\"./{LAZY_STYLE}\">\n\
         <link rel=\"stylesheet\" crossorigin href=\"./{STYLE}\">\n</head><body></body></html>"
    );
    vec![
        ("index.html", page),
        ("login.html", "secret?".to_owned()),
        (
            "assets/config.js",
            "window.plugNmeetConfig = { own: 1 };".to_owned(),
        ),
        (MAIN, "import '../chunks/vendor.CB7Ld50-.js';".to_owned()),
        (VENDOR, "m.f=['../css/vendor.CZnR2ujB.css']".to_owned()),
        (STYLE, "@font-face { src: url(../fonts/a.woff2) }".to_owned()),
        (LAZY_STYLE, String::new()),
        ("assets/fonts/a.woff2", "font".to_owned()),
        ("assets/imgs/favicon.ico", "icon".to_owned()),
        (LOCALE, format!("{{\"version\": \"{version}\"}}")),
    ]
}

fn write(folder: &Path, version: &str) {
    for (name, content) in build(version) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

async fn gateway(client: &Path, more: &str) -> Gateway {
    let toml = format!(
        "client.path = '{}'\nclient.watch = '100ms'\n{more}",
        client.display()
    );
    Gateway::with(&toml).await
}

async fn page(gateway: &Gateway, mount: &str) -> Answer {
    let session = format!("pnm_access_token={}", gateway.token("room01", "ann"));
    let path = format!("{mount}/s/{}/", gateway.keys.tag("room01", "ann"));
    gateway.get(&path, &[("Cookie", session.as_str())]).await
}

/// The release that the page names.
fn release_of(page: &str) -> &str {
    let (_, after) = page
        .split_once("/r/")
        .unwrap_or_else(|| panic!("no release in {page}"));
    after.split_once('/').unwrap().0
}

/// The address of `config.js` that the page names.
fn config_of(page: &str) -> &str {
    let scripts = page.split("<script src=\"").skip(1);
    let mut addresses = scripts.map(|rest| rest.split('"').next().unwrap());
    addresses.find(|address| address.contains("/config.")).unwrap()
}

/// Status, `Cache-Control` and text.
fn seen(answer: &Answer) -> (u16, Option<&str>, String) {
    (answer.status, answer.header("cache-control"), answer.text())
}
