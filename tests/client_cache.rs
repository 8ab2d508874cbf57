//! Compressed forms that outlive a gateway, and those that lie beside the files.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use support::{
    Gateway,
    binary::{self, ANYWHERE, Serving},
    client::{Answer, Client},
    folder_of,
};

const SCRIPT: &str = "/conference/assets/js/main-module.Cq0qsXkl.js";
const CODINGS: [&str; 3] = ["br", "zstd", "gzip"];

/// Large enough that nobody compresses it within the patience of a start.
fn script() -> String {
    let line = |n: u32| {
        format!(
            "export const v{n:x} = () => import('./c{:x}.js');\n",
            n.wrapping_mul(2_654_435_761)
        )
    };
    (0..5_000).map(line).collect::<Vec<_>>().concat()
}

fn client() -> TempDir {
    let index = format!(
        "<!doctype html><html><head>{}</head></html>",
        "<!-- -->".repeat(99)
    );
    folder_of(&[
        ("index.html", &index),
        ("assets/js/main-module.Cq0qsXkl.js", &script()),
    ])
}

async fn ask(gateway: &Gateway, coding: &str) -> Answer {
    gateway.get(SCRIPT, &[("Accept-Encoding", coding)]).await
}

async fn all_made(gateway: &Gateway) {
    for coding in CODINGS {
        while ask(gateway, coding).await.header("content-encoding") != Some(coding) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

fn cached(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

/// By the system's own decoder.
fn gunzipped(coded: &[u8]) -> Vec<u8> {
    let mut gzip = Command::new("gzip")
        .args(["-dc"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = gzip.stdin.take().unwrap();
    let coded = coded.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&coded));
    let output = gzip.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    output.stdout
}

#[tokio::test]
async fn the_next_start_has_every_form_before_its_first_request() {
    let client = client();
    let toml = format!("client.path = '{}'", client.path().display());
    let gateway = Gateway::with(&toml).await;
    let first = ask(&gateway, "br").await;
    assert_eq!((first.status, first.header("content-encoding")), (200, None));
    assert_eq!(first.text(), script());
    all_made(&gateway).await;
    let folder = gateway.stop_and_keep_folder().await;
    let cache = folder.path().join("cache");
    // Of the page and of the script; no half ones, and none of what is too small.
    assert_eq!(cached(&cache).len(), 6);

    let gateway = Gateway::in_folder(folder, &toml).await;
    for coding in CODINGS {
        assert_eq!(
            ask(&gateway, coding).await.header("content-encoding"),
            Some(coding)
        );
    }
    assert_eq!(gunzipped(&ask(&gateway, "gzip").await.body), script().as_bytes());
}

#[tokio::test]
async fn a_damaged_cache_is_made_anew_and_never_served() {
    let client = client();
    let toml = format!("client.path = '{}'", client.path().display());
    let gateway = Gateway::with(&toml).await;
    all_made(&gateway).await;
    let folder = gateway.stop_and_keep_folder().await;
    let cache = folder.path().join("cache");
    for (nth, file) in cached(&cache).iter().enumerate() {
        let mut content = fs::read(file).unwrap();
        match nth % 3 {
            0 => content.truncate(content.len() / 2),
            1 => content[7] ^= 1,
            _ => content.clear(),
        }
        fs::write(file, content).unwrap();
    }
    let gateway = Gateway::in_folder(folder, &toml).await;
    let answer = ask(&gateway, "br").await;
    assert_eq!(answer.header("content-encoding"), None);
    assert_eq!(answer.text(), script());
    all_made(&gateway).await;
    assert_eq!(gunzipped(&ask(&gateway, "gzip").await.body), script().as_bytes());
    assert_eq!(cached(&cache).len(), 6);
}

#[tokio::test]
async fn forms_that_lie_beside_a_file_are_used_if_they_are_that_file() {
    let client = client();
    let lying = client.path().join("assets/js/main-module.Cq0qsXkl.js");
    // At a level of its own, so that it can be told from ours.
    let made = Command::new("gzip").args(["-1kn"]).arg(&lying).status().unwrap();
    assert!(made.success());
    let beside = lying.with_extension("js.gz");
    let expected = fs::read(&beside).unwrap();
    fs::write(lying.with_extension("js.br"), "not this file").unwrap();
    let toml = format!("client.path = '{}'", client.path().display());
    let gateway = Gateway::with(&toml).await;
    let gzip = ask(&gateway, "gzip").await;
    assert_eq!(gzip.header("content-encoding"), Some("gzip"));
    assert_eq!(gzip.body, expected);
    assert_eq!(ask(&gateway, "br").await.header("content-encoding"), None);
    // They are no files of their own.
    for end in [".gz", ".br"] {
        assert_eq!(gateway.get(&format!("{SCRIPT}{end}"), &[]).await.status, 404);
    }
}

#[tokio::test]
async fn prepare_makes_them_all_before_the_start() {
    let (client, folder) = (client(), tempfile::tempdir().unwrap());
    let path = client.path().to_str().unwrap();
    let variables = [&ANYWHERE[..], &[("CLIENT__PATH", path)]].concat();
    for _ in 0..2 {
        let done = binary::run(folder.path(), &["prepare"], &variables).await;
        let said = String::from_utf8(done.stdout).unwrap();
        assert!(done.status.success(), "{said}");
        let files = format!("3 files of {} bytes, with 6 compressed forms of ", {
            let page =
                "<!doctype html><html><head>".len() + "<base href=\"/conference/\">".len() + 8 * 99 + 14;
            let config = "window.plugNmeetConfig = {\"serverUrl\":\"https://localhost:0\",\"staticAssetsPath\":\"/conference/assets\"};\n";
            page + script().len() + config.len()
        });
        assert!(said.starts_with(&files), "{said} {files}");
        assert!(said.ends_with(" s\n") && said.lines().count() == 1, "{said}");
        assert_eq!(cached(&folder.path().join("cache/variants")).len(), 6);
    }
    let serving = Serving::start(folder.path(), &[], &variables).await;
    let asking = Client::trusting(&folder.path().join("certs/development.pem"), serving.https);
    for coding in CODINGS {
        let answer = asking
            .request("GET", SCRIPT, &[("Accept-Encoding", coding)], b"")
            .await;
        assert_eq!(answer.header("content-encoding"), Some(coding));
    }
}

#[tokio::test]
async fn prepare_says_what_it_lacks() {
    let client = folder_of(&[("index.html", &format!("<head>{}", "text ".repeat(99)))]);
    let folder = folder_of(&[("file", "")]);
    let path = client.path().to_str().unwrap();
    for (variables, expected) in [
        (
            &[][..],
            "built-in defaults: client.path: is not set, so there is nothing to prepare; name the client's folder",
        ),
        (
            &[("CLIENT__PATH", path), ("CLIENT__CACHE", "")],
            "environment: PNM_GATEWAY__CLIENT__CACHE: client.cache: \"\" leaves nowhere to keep what would be prepared; \
             name a folder that can be written",
        ),
        (
            &[("CLIENT__PATH", path), ("CLIENT__CACHE", "file/cache")],
            "environment: PNM_GATEWAY__CLIENT__CACHE: client.cache: file/cache can't be written; name a folder that can be \
             written",
        ),
    ] {
        let done = binary::run(folder.path(), &["prepare"], variables).await;
        assert_eq!(done.status.code(), Some(1));
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(said.trim_end().ends_with(expected), "{said}");
    }
}

#[tokio::test]
async fn without_a_folder_that_can_be_written_everything_works() {
    let (client, folder) = (client(), folder_of(&[("file", "")]));
    let path = client.path().to_str().unwrap();
    let variables = [
        &ANYWHERE[..],
        &[("CLIENT__PATH", path), ("CLIENT__CACHE", "file/cache")],
    ]
    .concat();
    let mut serving = Serving::start(folder.path(), &[], &variables).await;
    serving.says("Compressed the client's files").await;
    assert_eq!(
        serving
            .said
            .matches("The client's cache can't be written")
            .count(),
        1,
        "{}",
        serving.said
    );
    let asking = Client::trusting(&folder.path().join("certs/development.pem"), serving.https);
    let answer = asking
        .request("GET", SCRIPT, &[("Accept-Encoding", "gzip")], b"")
        .await;
    assert_eq!(gunzipped(&answer.body), script().as_bytes());
}
