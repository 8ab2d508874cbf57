//! Compressed forms that outlive a gateway, and those that lie beside the files.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::time::timeout;

use crate::support::{
    Gateway,
    binary::{self, Serving, anywhere},
    client::{Answer, Client},
    folder_of,
};

const SCRIPT: &str = "/conference/assets/js/main-module.Cq0qsXkl.js";
/// Compressing comes after all else that a busy machine does.
const PATIENCE: Duration = Duration::from_secs(900);
const CODINGS: [&str; 3] = ["br", "zstd", "gzip"];

/// Large enough that nobody compresses it within the patience of a start.
fn script() -> String {
    script_of(1_600)
}

fn script_of(lines: u32) -> String {
    let line = |n: u32| {
        format!(
            "export const v{n:x} = () => import('./c{:x}.js');\n",
            n.wrapping_mul(2_654_435_761)
        )
    };
    (0..lines).map(line).collect::<Vec<_>>().concat()
}

fn client() -> TempDir {
    client_with(&script())
}

fn client_with(script: &str) -> TempDir {
    let index = format!(
        "<!doctype html><html><head>{}</head></html>",
        "<!-- -->".repeat(99)
    );
    folder_of(&[
        ("index.html", &index),
        ("assets/js/main-module.Cq0qsXkl.js", script),
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
    let variables = [&anywhere()[..], &[("CLIENT__PATH", path)]].concat();
    for _ in 0..2 {
        let done = binary::run(folder.path(), &["prepare"], &variables).await;
        let said = String::from_utf8(done.stdout).unwrap();
        assert!(done.status.success(), "{said}");
        let files = format!("4 files of {} bytes, with 6 compressed forms of ", {
            let page =
                "<!doctype html><html><head>".len() + "<base href=\"/conference/\">".len() + 8 * 99 + 14;
            let config = "window.plugNmeetConfig = {\"serverUrl\":\"https://localhost:0\",\"staticAssetsPath\":\"/conference/assets\"};\n";
            // The second one, for the page, names the release.
            let config_of_page = config.len() + "/r/AAAAAAAAAAAAAAAAAAAAAA".len();
            page + script().len() + config.len() + config_of_page
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
        &anywhere()[..],
        &[("CLIENT__PATH", path), ("CLIENT__CACHE", "file/cache")],
    ]
    .concat();
    let serving = Serving::start(folder.path(), &[], &variables).await;
    let asking = Client::trusting(&folder.path().join("certs/development.pem"), serving.https);
    has_every_form(&asking, SCRIPT, &script()).await;
    serving.signal("TERM").await;
    let (status, said) = serving.end().await;
    let told = said.matches("The client's cache can't be written").count();
    assert_eq!((status, told), (Some(0), 1), "{said}");
}

/// Processes that this one has started and that still run.
fn children(of: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").unwrap();
    let pids = all.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    pids.filter(|pid| state_and_parent(*pid).is_some_and(|(_, parent)| parent == of))
        .collect()
}

/// Those that compress: a process is a copy of the one that started it for a moment.
fn compressors(of: u32) -> Vec<u32> {
    let mut all = children(of);
    all.retain(|pid| {
        let command = fs::read_to_string(format!("/proc/{pid}/cmdline"));
        command.is_ok_and(|command| command.ends_with("compress\0"))
    });
    all
}

fn state_and_parent(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// Gone, or gone but for somebody who takes note of it.
fn is_over(pid: u32) -> bool {
    state_and_parent(pid).is_none_or(|(state, _)| state == 'Z')
}

async fn until<T>(mut found: impl FnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            match found() {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    };
    timeout(PATIENCE, looking).await.expect("never so")
}

fn kill(pid: u32) {
    let sent = Command::new("kill")
        .args(["-s", "KILL", &pid.to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// A gateway that has much to compress, the process that does it, and who asks.
async fn compressing(folder: &TempDir, client: &TempDir) -> (Serving, u32, Client) {
    let path = client.path().to_str().unwrap();
    let variables = [&anywhere()[..], &[("CLIENT__PATH", path)]].concat();
    let serving = Serving::start(folder.path(), &[], &variables).await;
    let child = until(|| compressors(serving.pid()).pop()).await;
    let asking = Client::trusting(&folder.path().join("certs/development.pem"), serving.https);
    (serving, child, asking)
}

async fn has_every_form(asking: &Client, path: &str, plain: &str) {
    for coding in CODINGS {
        let coded = async {
            loop {
                let answer = asking
                    .request("GET", path, &[("Accept-Encoding", coding)], b"")
                    .await;
                if answer.header("content-encoding") == Some(coding) {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let answer = timeout(PATIENCE, coded).await.expect("it is not compressed");
        if coding == "gzip" {
            assert_eq!(gunzipped(&answer.body), plain.as_bytes());
        }
    }
}

/// An allocator keeps most of the memory that compressing took; a process that has ended keeps nothing.
#[tokio::test]
async fn forms_are_made_by_a_process_that_is_gone_then() {
    let (script, folder) = (script(), tempfile::tempdir().unwrap());
    let client = client_with(&script);
    let (serving, child, asking) = compressing(&folder, &client).await;
    let command = fs::read_to_string(format!("/proc/{child}/cmdline")).unwrap();
    assert_eq!(command, "plugnmeet-gateway\0compress\0");
    let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap();
    let nice = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().nth(16);
    assert_eq!(nice, Some("19"), "{stat}");
    let environment = fs::read(format!("/proc/{child}/environ")).unwrap();
    assert!(environment.is_empty());
    has_every_form(&asking, SCRIPT, &script).await;
    until(|| children(serving.pid()).is_empty().then_some(())).await;

    // A new release, too; the old one is served until then.
    let newer = format!("{script}// newer");
    fs::write(client.path().join("assets/js/newer-module.Aq0qsXkl.js"), &newer).unwrap();
    serving.signal("HUP").await;
    until(|| compressors(serving.pid()).pop()).await;
    let path = "/conference/assets/js/newer-module.Aq0qsXkl.js";
    has_every_form(&asking, path, &newer).await;
    until(|| children(serving.pid()).is_empty().then_some(())).await;
    serving.signal("TERM").await;
    let (status, said) = serving.end().await;
    assert_eq!(status, Some(0));
    assert!(!said.contains("process"), "{said}");
}

#[tokio::test]
async fn a_process_that_is_killed_costs_time_and_nothing_else() {
    let (script, folder) = (script(), tempfile::tempdir().unwrap());
    let client = client_with(&script);
    let (serving, child, asking) = compressing(&folder, &client).await;
    kill(child);
    let answer = asking.request("GET", SCRIPT, &[], b"").await;
    assert_eq!((answer.status, answer.text()), (200, script.clone()));
    has_every_form(&asking, SCRIPT, &script).await;
    serving.signal("TERM").await;
    let (status, said) = serving.end().await;
    assert_eq!((status, said.matches("process").count()), (Some(0), 1), "{said}");
}

#[tokio::test]
async fn no_process_outlives_its_gateway() {
    let (script, client_folder) = (script_of(40_000), tempfile::tempdir().unwrap());
    let client = client_with(&script);
    let (serving, child, _asking) = compressing(&client_folder, &client).await;
    kill(serving.pid());
    assert_eq!(serving.end().await.0, None);
    until(|| is_over(child).then_some(())).await;

    let folder = tempfile::tempdir().unwrap();
    let (serving, child, _asking) = compressing(&folder, &client).await;
    serving.signal("TERM").await;
    assert_eq!(serving.end().await.0, Some(0));
    until(|| is_over(child).then_some(())).await;
}
