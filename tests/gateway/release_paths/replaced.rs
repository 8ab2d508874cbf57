//! Another build, or another configuration, while pages of the one before are open.

use std::{fs, path::Path, time::Duration};

use plugnmeet_gateway::{clock::Clock, secret::Secret, token::TokenKeys};
use tokio::time::{Instant, sleep};

use super::{ASK_AGAIN, FOR_GOOD, LOCALE, STYLE, config_of, gateway, page, release_of, seen, write};
use crate::support::{API_KEY, Gateway, SECRET, configured::Configured, sign};

/// Longer than a busy machine takes for anything here.
const PATIENCE: Duration = Duration::from_secs(120);

/// As a deployment does it: under another name first.
fn replace(client: &Path, version: &str) {
    let new = client.with_extension("new");
    write(&new, version);
    fs::remove_dir_all(client).unwrap();
    fs::rename(new, client).unwrap();
}

/// The page, once it is of this version.
async fn page_of(gateway: &Gateway, version: &str) -> String {
    let until = Instant::now() + PATIENCE;
    loop {
        let html = page(gateway, "/conference").await.text();
        if html.contains(&format!("<title>{version}</title>")) {
            return html;
        }
        assert!(Instant::now() < until, "{html}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn pages_of_older_releases_keep_their_own_files_as_long_as_those_are_kept() {
    let parent = tempfile::tempdir().unwrap();
    let client = parent.path().join("client");
    write(&client, "1");
    let gateway = gateway(&client, "client.keep_releases = 2").await;
    let mut pages = vec![page_of(&gateway, "1").await];
    for version in ["2", "3"] {
        replace(&client, version);
        pages.push(page_of(&gateway, version).await);
    }
    let of = async |nth: usize, name: &str| {
        let path = format!("/conference/r/{}/{name}", release_of(&pages[nth]));
        gateway.get(&path, &[]).await
    };
    let locale = |version: &str| format!("{{\"version\": \"{version}\"}}");
    assert_eq!(seen(&of(2, LOCALE).await), (200, FOR_GOOD, locale("3")));
    assert_eq!(seen(&of(1, LOCALE).await), (200, FOR_GOOD, locale("2")));
    let config = gateway.get(config_of(&pages[1]), &[]).await;
    assert_eq!((config.status, config.header("cache-control")), (200, FOR_GOOD));
    assert!(config.text().contains(release_of(&pages[1])), "{config:?}");
    // The first is gone: its pages get what there is, and nothing keeps it under that name.
    assert_eq!(seen(&of(0, LOCALE).await), (200, ASK_AGAIN, locale("3")));
    let config = gateway.get(config_of(&pages[0]), &[]).await;
    assert_eq!((config.status, config.header("cache-control")), (200, ASK_AGAIN));
    assert!(config.text().contains(release_of(&pages[2])), "{config:?}");
    // Nothing of the old build is where its name alone leads.
    let by_name = gateway.get(&format!("/conference/{LOCALE}"), &[]).await;
    assert_eq!(seen(&by_name), (200, ASK_AGAIN, locale("3")));
}

#[tokio::test]
async fn another_start_and_another_replica_with_the_same_build_have_the_same_addresses() {
    let releases = tempfile::tempdir().unwrap();
    write(&releases.path().join("1"), "1");
    let first = gateway(releases.path(), "").await;
    let old = page_of(&first, "1").await;
    let copy = tempfile::tempdir().unwrap();
    write(copy.path(), "1");
    let second = gateway(copy.path(), "").await;
    assert_eq!(release_of(&page_of(&second, "1").await), release_of(&old));
    // An older build that lies beside the newest is known from the start.
    write(&releases.path().join("2"), "2");
    let third = gateway(releases.path(), "").await;
    assert_ne!(release_of(&page_of(&third, "2").await), release_of(&old));
    let path = format!("/conference/r/{}/{LOCALE}", release_of(&old));
    let found = third.get(&path, &[]).await;
    assert_eq!(seen(&found), (200, FOR_GOOD, "{\"version\": \"1\"}".to_owned()));
}

/// Everybody would load everything again.
#[tokio::test]
async fn another_configuration_changes_the_name_of_config_js_and_no_other() {
    let client = tempfile::tempdir().unwrap();
    write(client.path(), "1");
    let toml = |more: &str| format!("client.path = '{}'\n{more}", client.path().display());
    let gateway = Configured::with(&toml("")).await;
    let keys = TokenKeys::new(API_KEY.into(), &Secret::new(SECRET.into())).unwrap();
    let session = format!("pnm_access_token={}", sign(&keys, &Clock::system(), |_| {}));
    let path = format!("/conference/s/{}/", keys.tag("room01", "ann"));
    let page = async || {
        let cookie = [("Cookie", session.as_str())];
        gateway.client().request("GET", &path, &cookie, b"").await.text()
    };
    let before = page().await;
    gateway
        .take_up(&toml("[client.config]\nvideoCodec = 'av1'"))
        .await;
    let after = page().await;
    assert_eq!(release_of(&before), release_of(&after));
    let (old, new) = (config_of(&before), config_of(&after));
    assert_ne!(old, new);
    assert_eq!(after.replace(new, old), before);
    let found = gateway.get(new).await;
    assert_eq!((found.status, found.header("cache-control")), (200, FOR_GOOD));
    assert!(found.text().contains("\"videoCodec\":\"av1\""), "{found:?}");
    // A page that is older than the change gets what counts now.
    let instead = gateway.get(old).await;
    assert_eq!(seen(&instead), (200, ASK_AGAIN, found.text()));
    let style = gateway
        .get(&format!("/conference/r/{}/{STYLE}", release_of(&before)))
        .await;
    assert_eq!((style.status, style.header("cache-control")), (200, FOR_GOOD));
}
