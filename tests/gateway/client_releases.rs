//! A new client takes the place of the old one, and nobody who has the old one open notices.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::{Instant, sleep};
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::support::{
    Gateway,
    binary::{Serving, anywhere},
    client::{Answer, Client},
    folder_of,
};

/// The files of a release: its page, a script with a hash in its name, and a file without.
fn release(version: &str) -> Vec<(String, String)> {
    let page = format!(
        "<html><head><title>{version}</title></head><script src='{}'></script></html>",
        script(version)
    );
    [
        ("index.html".to_owned(), page),
        (script(version), format!("script of {version}")),
        (
            "assets/locales/en.json".to_owned(),
            format!("{{\"version\": \"{version}\"}}"),
        ),
        (format!("assets/only-in-{version}.txt"), version.to_owned()),
    ]
    .into()
}

fn script(version: &str) -> String {
    format!("assets/js/main-module.{:0>8}.js", version.replace('.', "-"))
}

fn write(folder: &Path, version: &str) {
    for (name, content) in release(version) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// As a deployment does it: under another name first.
fn replace(folder: &Path, version: &str) {
    let new = folder.with_extension("new");
    write(&new, version);
    fs::remove_dir_all(folder).unwrap();
    fs::rename(new, folder).unwrap();
}

fn zip(path: &Path, version: &str) {
    let unfinished = path.with_extension("part");
    let mut zip = ZipWriter::new(File::create(&unfinished).unwrap());
    for (name, content) in release(version) {
        zip.start_file(format!("client/dist/{name}"), SimpleFileOptions::default())
            .unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
    fs::rename(unfinished, path).unwrap();
}

async fn gateway(path: &Path, more: &str) -> Gateway {
    let toml = format!(
        "client.path = '{}'\nclient.watch = '100ms'\n{more}",
        path.display()
    );
    Gateway::with(&toml).await
}

async fn page(gateway: &Gateway, more: &[(&str, &str)]) -> Answer {
    let session = format!("pnm_access_token={}", gateway.token("room01", "ann"));
    let path = format!("/conference/s/{}/", gateway.keys.tag("room01", "ann"));
    gateway
        .get(&path, &[&[("Cookie", session.as_str())], more].concat())
        .await
}

async fn version(gateway: &Gateway) -> String {
    let page = page(gateway, &[]).await.text();
    let title = page.split_once("<title>").unwrap().1;
    title.split_once("</title>").unwrap().0.to_owned()
}

/// Waits for this version; what is served at any time is one of those that are named.
async fn becomes(gateway: &Gateway, expected: &str, meanwhile: &[&str]) {
    let until = Instant::now() + Duration::from_secs(240);
    loop {
        let found = version(gateway).await;
        if found == expected {
            return;
        }
        assert!(meanwhile.contains(&found.as_str()), "{found}");
        assert!(Instant::now() < until, "still {found}");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn stays(gateway: &Gateway, expected: &str) {
    let until = Instant::now() + Duration::from_millis(700);
    while Instant::now() < until {
        assert_eq!(version(gateway).await, expected);
        sleep(Duration::from_millis(20)).await;
    }
}

async fn has(gateway: &Gateway, versions: &[&str], gone: &[&str]) {
    for version in versions {
        let answer = gateway
            .get(&format!("/conference/{}", script(version)), &[])
            .await;
        assert_eq!(
            (answer.status, answer.text()),
            (200, format!("script of {version}"))
        );
        assert_eq!(
            answer.header("cache-control"),
            Some("public, max-age=31536000, immutable")
        );
    }
    for version in gone {
        let answer = gateway
            .get(&format!("/conference/{}", script(version)), &[])
            .await;
        assert_eq!(answer.status, 404, "{version}");
    }
}

#[tokio::test]
async fn a_page_that_was_opened_before_still_gets_its_parts() {
    let parent = tempfile::tempdir().unwrap();
    let client = parent.path().join("client");
    write(&client, "1");
    let gateway = gateway(&client, "").await;
    let tag = page(&gateway, &[]).await.header("etag").unwrap().to_owned();
    has(&gateway, &["1"], &["2"]).await;
    for (new, kept, gone) in [
        ("2", &["1", "2"][..], &[][..]),
        ("3", &["1", "2", "3"], &[]),
        ("4", &["2", "3", "4"], &["1"]),
        // Back again: that is a release like any other.
        ("3", &["2", "3", "4"], &["1"]),
    ] {
        let before = version(&gateway).await;
        replace(&client, new);
        becomes(&gateway, new, &[&before]).await;
        has(&gateway, kept, gone).await;
        // What has no hash in its name is the newest release's alone.
        let locale = gateway.get("/conference/assets/locales/en.json", &[]).await;
        assert_eq!(locale.text(), format!("{{\"version\": \"{new}\"}}"));
        let only_before = gateway
            .get(&format!("/conference/assets/only-in-{before}.txt"), &[])
            .await;
        assert_eq!(only_before.status, 404);
        // Nobody goes on with the old page.
        let again = page(&gateway, &[("If-None-Match", &tag)]).await;
        assert_eq!(
            (again.status, again.header("cache-control")),
            (200, Some("no-cache"))
        );
    }
}

#[tokio::test]
async fn only_as_many_releases_are_kept_as_are_asked_for() {
    let parent = tempfile::tempdir().unwrap();
    let client = parent.path().join("client");
    write(&client, "1");
    let gateway = gateway(&client, "client.keep_releases = 1").await;
    replace(&client, "2");
    becomes(&gateway, "2", &["1"]).await;
    has(&gateway, &["2"], &["1"]).await;
}

#[tokio::test]
async fn the_newest_of_a_folder_of_releases_is_served_and_the_last_ones_scripts() {
    let releases = tempfile::tempdir().unwrap();
    let path = |name: &str| releases.path().join(name);
    for version in ["2.4.8", "2.4.9", "2.4.7"] {
        write(&path(version), version);
    }
    zip(&path("2.4.10.zip"), "2.4.10");
    let gateway = gateway(releases.path(), "").await;
    assert_eq!(version(&gateway).await, "2.4.10");
    has(&gateway, &["2.4.10", "2.4.9", "2.4.8"], &["2.4.7"]).await;

    write(&path(".2.4.11"), "2.4.11");
    stays(&gateway, "2.4.10").await;
    fs::rename(path(".2.4.11"), path("2.4.11")).unwrap();
    becomes(&gateway, "2.4.11", &["2.4.10"]).await;
    has(&gateway, &["2.4.11", "2.4.10", "2.4.9"], &["2.4.8"]).await;

    // Taken back: whoever has it open still gets its parts.
    fs::remove_dir_all(path("2.4.11")).unwrap();
    becomes(&gateway, "2.4.10", &["2.4.11"]).await;
    has(&gateway, &["2.4.10", "2.4.11", "2.4.9"], &["2.4.8"]).await;
}

#[tokio::test]
async fn the_official_archive_is_served_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("client.zip");
    zip(&path, "1");
    let gateway = gateway(&path, "").await;
    assert_eq!(version(&gateway).await, "1");
    has(&gateway, &["1"], &[]).await;
    zip(&path, "2");
    becomes(&gateway, "2", &["1"]).await;
    has(&gateway, &["1", "2"], &[]).await;
    let good = fs::read(&path).unwrap();
    fs::write(&path, &good[..good.len() / 2]).unwrap();
    stays(&gateway, "2").await;
    has(&gateway, &["1", "2"], &[]).await;
}

#[tokio::test]
async fn what_is_still_being_copied_is_not_taken() {
    let parent = tempfile::tempdir().unwrap();
    let client = parent.path().join("client");
    write(&client, "1");
    let toml = format!("client.path = '{}'\nclient.watch = '4s'", client.display());
    let gateway = Gateway::with(&toml).await;
    let mut files = release("2");
    files.extend((0..20).map(|n| (format!("assets/imgs/{n}.png"), "picture".to_owned())));
    for (name, content) in files {
        let path = client.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        sleep(Duration::from_millis(500)).await;
        assert_eq!(version(&gateway).await, "1");
    }
    becomes(&gateway, "2", &["1"]).await;
    assert_eq!(
        gateway.get("/conference/assets/imgs/19.png", &[]).await.status,
        200
    );
}

#[tokio::test]
async fn a_broken_release_is_refused_and_the_old_one_stays() {
    let parent = tempfile::tempdir().unwrap();
    let client = parent.path().join("client");
    write(&client, "1");
    let gateway = gateway(&client, "").await;
    let index = client.join("index.html");
    for bad in [
        &(|| fs::write(&index, "no head at all").unwrap()) as &dyn Fn(),
        &|| fs::write(&index, b"<head>\xff").unwrap(),
        // Half a copy: the page came before what it asks for.
        &|| {
            let page = format!("<head><script type=module src='{}'></script>", script("2"));
            fs::write(&index, page).unwrap();
        },
        &|| fs::remove_file(&index).unwrap(),
        &|| fs::remove_dir_all(&client).unwrap(),
    ] {
        bad();
        stays(&gateway, "1").await;
        has(&gateway, &["1"], &[]).await;
    }
    write(&client, "2");
    becomes(&gateway, "2", &["1"]).await;
    has(&gateway, &["1", "2"], &[]).await;
}

#[tokio::test]
async fn a_release_is_compressed_too_and_what_has_not_changed_is_not_compressed_again() {
    let parent = tempfile::tempdir().unwrap();
    let client = parent.path().join("client");
    write(&client, "1");
    let text = "the same in both releases\n".repeat(100);
    fs::write(client.join("assets/same.txt"), &text).unwrap();
    let gateway = gateway(&client, "").await;
    let coded = async |path: &str| {
        loop {
            let answer = gateway.get(path, &[("Accept-Encoding", "br")]).await;
            if answer.header("content-encoding").is_some() {
                return answer;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    coded("/conference/assets/same.txt").await;
    fs::write(client.join("assets/new.txt"), format!("new {text}")).unwrap();
    while gateway.get("/conference/assets/new.txt", &[]).await.status != 200 {
        // At no time is it sent as if it had never been compressed.
        let same = gateway
            .get("/conference/assets/same.txt", &[("Accept-Encoding", "br")])
            .await;
        assert_eq!(same.header("content-encoding"), Some("br"));
    }
    coded("/conference/assets/new.txt").await;
}

#[tokio::test]
async fn a_signal_is_enough_and_the_log_says_what_came_of_it() {
    let directory = folder_of(&[("config.js", "first")]);
    let client: PathBuf = directory.path().join("client");
    write(&client, "1");
    let variables = [
        &anywhere()[..],
        &[
            ("CLIENT__PATH", "client"),
            ("CLIENT__WATCH", "0s"),
            ("CLIENT__CONFIG_FILE", "config.js"),
        ],
    ]
    .concat();
    let mut serving = Serving::start(directory.path(), &[], &variables).await;
    let asking = Client::trusting(&directory.path().join("certs/development.pem"), serving.https);
    let get = async |path: &str| asking.request("GET", path, &[], b"").await;

    serving.signal("HUP").await;
    serving.says("The client is the same as before").await;

    replace(&client, "2");
    fs::write(directory.path().join("config.js"), "second").unwrap();
    assert_eq!(get("/conference/assets/only-in-2.txt").await.status, 404);
    serving.signal("HUP").await;
    // Page and config.js, and the three files of each release; of the first its config.js, too.
    serving.says("Took up a new client: 9 files of ").await;
    assert_eq!(get("/conference/assets/only-in-2.txt").await.status, 200);
    assert_eq!(get("/conference/assets/config.js").await.text(), "second");
    assert_eq!(get(&format!("/conference/{}", script("1"))).await.status, 200);

    fs::write(client.join("index.html"), "").unwrap();
    serving.signal("HUP").await;
    let said = serving.says("Refused a new client").await;
    assert_eq!(
        said,
        "Refused a new client, the old one stays: client/index.html has no <head> that a browser would see"
    );
    assert_eq!(get("/conference/assets/only-in-2.txt").await.status, 200);

    serving.signal("TERM").await;
    assert_eq!(serving.end().await.0, Some(0));
}

#[tokio::test]
async fn a_broken_newest_release_is_passed_over_at_the_start_and_told() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory.path().join("releases/1.9"), "1.9");
    fs::create_dir_all(directory.path().join("releases/1.10/assets")).unwrap();
    let variables = [&anywhere()[..], &[("CLIENT__PATH", "releases")]].concat();
    let serving = Serving::start(directory.path(), &[], &variables).await;
    let told = "Refused a release of the client: releases/1.10 has no index.html";
    assert!(serving.said.contains(told), "{}", serving.said);
    let asking = Client::trusting(&directory.path().join("certs/development.pem"), serving.https);
    let answer = asking
        .request("GET", "/conference/assets/only-in-1.9.txt", &[], b"")
        .await;
    assert_eq!(answer.status, 200);
}

/// Its first visitors would load four times as many bytes.
#[tokio::test]
async fn a_new_release_is_not_served_before_it_is_compressed() {
    let parent = tempfile::tempdir().unwrap();
    let client = parent.path().join("client");
    write(&client, "1");
    let gateway = gateway(&client, "").await;
    let new = client.with_extension("new");
    write(&new, "2");
    // What takes a while to compress, and not longer than a new release waits for it on a busy machine.
    let words = (0..3_000_u64).map(|n| {
        format!(
            "v{:x} ",
            n.wrapping_mul(n).wrapping_mul(2_654_435_761) >> 9 & 0xfff
        )
    });
    fs::write(new.join(script("2")), words.collect::<String>()).unwrap();
    fs::remove_dir_all(&client).unwrap();
    fs::rename(new, &client).unwrap();
    becomes(&gateway, "2", &["1"]).await;
    for coding in ["br", "zstd", "gzip"] {
        let script = gateway
            .get(
                &format!("/conference/{}", script("2")),
                &[("Accept-Encoding", coding)],
            )
            .await;
        assert_eq!(
            (script.status, script.header("content-encoding")),
            (200, Some(coding))
        );
    }
}

/// The one that was coming is gone for good, and so is what was made of it.
#[tokio::test]
async fn a_release_that_is_taken_back_meanwhile_is_never_served() {
    let parent = tempfile::tempdir().unwrap();
    write(&parent.path().join("1"), "1");
    let gateway = gateway(parent.path(), "client.keep_releases = 1").await;
    let new = parent.path().join(".2");
    write(&new, "2");
    // What takes brotli longer than the looks in between.
    let words = (0..900_000_u64).map(|n| {
        format!(
            "v{:x} ",
            n.wrapping_mul(n).wrapping_mul(2_654_435_761) >> 9 & 0xfff
        )
    });
    fs::write(new.join(script("2")), words.collect::<String>()).unwrap();
    fs::rename(&new, parent.path().join("2")).unwrap();
    stays(&gateway, "1").await;
    fs::rename(parent.path().join("2"), &new).unwrap();
    stays(&gateway, "1").await;
    write(&parent.path().join(".3"), "3");
    fs::rename(parent.path().join(".3"), parent.path().join("3")).unwrap();
    becomes(&gateway, "3", &["1"]).await;
}
