//! What pages may load, use and be framed by, over real sockets; and that the client's files can be used from elsewhere.

mod client;
mod others;

use tempfile::TempDir;

use crate::support::{Gateway, client::Answer, folder_of};

const CSP: &str = "content-security-policy";

fn client() -> TempDir {
    folder_of(&[
        ("index.html", "<!doctype html><head></head>"),
        ("assets/js/main-module.Cq0qsXkl.js", "import './a.js'"),
        ("assets/fonts/inter.woff2", "font"),
        ("assets/worker/pdf.Cq0qsXkl.js", "worker"),
    ])
}

/// The client's page for Ann, under this configuration.
async fn page(toml: &str) -> Answer {
    let client = client();
    let gateway = Gateway::with(&format!(
        "{toml}\n[client]\npath = '{}'\n",
        client.path().display()
    ))
    .await;
    page_of(&gateway).await
}

async fn page_of(gateway: &Gateway) -> Answer {
    let session = format!("pnm_access_token={}", gateway.token("room01", "ann"));
    let path = format!("/conference/s/{}/", gateway.keys.tag("room01", "ann"));
    let answer = gateway.get(&path, &[("Cookie", &session)]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// A directive's sources.
fn sources<'a>(policy: &'a str, directive: &str) -> Vec<&'a str> {
    let found = policy
        .split("; ")
        .find(|part| part.split(' ').next() == Some(directive));
    let found = found.unwrap_or_else(|| panic!("no {directive} in {policy}"));
    found.split(' ').skip(1).collect()
}

/// As `sources`, without the client's own files, whose port is the test's.
fn beside_own_files(policy: &str, directive: &str) -> String {
    let mut sources = sources(policy, directive);
    sources.retain(|source| !source.starts_with("https://localhost:"));
    sources.join(" ")
}
