//! The host's own `config.js` in the client's folder: its keys are served, below `[client.config]` and what the gateway sets.

use std::{fs, path::Path, time::Duration};

use serde_json::json;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::support::{Gateway, folder_of};

const OFFICIAL: &str = include_str!("../support/official/config.js");

/// Longer than a busy machine takes for anything here.
const PATIENCE: Duration = Duration::from_secs(60);

fn client(script: &str) -> TempDir {
    folder_of(&[
        ("index.html", "<html><head></head></html>"),
        ("assets/config.js", script),
    ])
}

async fn gateway(client: &Path, more: &str) -> Gateway {
    let toml = format!(
        "client.path = '{}'\nclient.watch = '100ms'\n{more}",
        client.display()
    );
    Gateway::with(&toml).await
}

async fn served(gateway: &Gateway) -> String {
    let answer = gateway.get("/conference/assets/config.js", &[]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    answer.text()
}

/// What is served, with the keys that the gateway does not set itself.
fn script(gateway: &Gateway, keys: &str) -> String {
    format!(
        "window.plugNmeetConfig = {{\"serverUrl\":\"{}\",\"staticAssetsPath\":\"/conference/assets\"{keys}}};\n",
        gateway.origin()
    )
}

async fn becomes(gateway: &Gateway, expected: &str) {
    let until = Instant::now() + PATIENCE;
    loop {
        let found = served(gateway).await;
        if found == expected {
            return;
        }
        assert!(Instant::now() < until, "still {found}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// A file in a new place of its own, in one step, as an update leaves it.
fn put(client: &Path, script: &str) {
    let new = client.join("assets/.new");
    fs::write(&new, script).unwrap();
    fs::rename(new, client.join("assets/config.js")).unwrap();
}

#[tokio::test]
async fn what_the_installers_file_turns_on_stays_on() {
    let client = client(OFFICIAL);
    let gateway = gateway(client.path(), "[client.config]\nvideoCodec = 'av1'\nown = 1\n").await;
    let expected = script(
        &gateway,
        ",\"enableDynacast\":true,\"enableSimulcast\":true,\"videoCodec\":\"av1\",\"stopMicTrackOnMute\":true,\"own\":1",
    );
    assert_eq!(served(&gateway).await, expected);
    // LTI pages take it from there.
    assert_eq!(gateway.get("/assets/config.js", &[]).await.text(), expected);
}

#[tokio::test]
async fn a_new_file_counts_while_the_gateway_runs() {
    let client = client(OFFICIAL);
    let gateway = gateway(client.path(), "").await;
    put(
        client.path(),
        "window.plugNmeetConfig = { serverUrl: 'http://localhost:8080', enableSimulcast: false, fresh: [1, 'x'] };",
    );
    becomes(
        &gateway,
        &script(&gateway, ",\"enableSimulcast\":false,\"fresh\":[1,\"x\"]"),
    )
    .await;
    // What can't be read leaves what is served without such a file.
    put(client.path(), "window.plugNmeetConfig = settings();");
    becomes(&gateway, &script(&gateway, "")).await;
    put(client.path(), "window.plugNmeetConfig = { again: true };");
    becomes(&gateway, &script(&gateway, ",\"again\":true")).await;
}

/// A recorder's link brings the operator's design back as it is, and it passes whole, whoever's host it names.
#[tokio::test]
async fn a_design_in_the_hosts_file_is_the_operators_own_word() {
    let design = json!({ "primary_color": "#004D90", "custom_css_url": "https://own.example.org/a.css" });
    let client = client(&format!(
        "window.plugNmeetConfig = {{ designCustomization: {design} }};"
    ));
    let strict = gateway(client.path(), "design.on_invalid = 'reject'\n").await;
    let encoded: String = form_urlencoded::byte_serialize(design.to_string().as_bytes()).collect();
    let link = format!(
        "/conference/?access_token={}&custom_design={encoded}",
        strict.token("room01", "ann")
    );
    let answer = strict.get(&link, &[]).await;
    assert_eq!(answer.status, 303);
    assert!(
        answer.header("location").unwrap().ends_with(&encoded),
        "{answer:?}"
    );
    let other = encoded.replace("own.example.org", "other.example.org");
    let link = link.replace(&encoded, &other);
    assert_eq!(strict.get(&link, &[]).await.status, 400);
}
