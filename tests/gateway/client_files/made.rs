//! What the gateway makes: the page, `config.js`, the icon.

use serde_json::{Value, json};

use super::{INDEX, client, gateway_with, missing, no_body};
use crate::support::{Gateway, folder_of};

/// White for seconds, else. No script, nothing to load, and the client's first drawing takes it out.
#[tokio::test]
async fn who_waits_for_the_client_is_told_so_in_their_language() {
    let folder = folder_of(&[(
        "index.html",
        "<!doctype html><html><head><title>client</title></head><body><div id=\"plugNmeet-app\"></div></body></html>",
    )]);
    let gateway = gateway_with(folder.path(), "").await;
    let session = format!("pnm_access_token={}", gateway.token("room01", "ann"));
    let path = format!("/conference/s/{}/", gateway.keys.tag("room01", "ann"));
    let ask = async |more: &[(&str, &str)]| {
        let fields = [&[("Cookie", session.as_str())], more].concat();
        gateway.get(&path, &fields).await
    };
    let mut tags = std::collections::BTreeSet::new();
    for (asked, lang, dir, line) in [
        ("de-AT,de;q=0.9", "de", "ltr", "Wird geladen …"),
        ("he", "he", "rtl", "בטעינה…"),
        ("zh-TW", "zh-TW", "ltr", "正在載入…"),
        ("sw", "en", "ltr", "Loading…"),
        ("", "en", "ltr", "Loading…"),
    ] {
        let page = ask(&[("Accept-Language", asked)]).await;
        let html = page.text();
        let start = format!("<div id=\"plugNmeet-app\"><p lang=\"{lang}\" dir=\"{dir}\" style=\"");
        assert_eq!(html.matches(&start).count(), 1, "{html}");
        assert!(html.contains(&format!("\">{line}</p></div>")), "{html}");
        assert!(!html.contains("<script"), "{html}");
        assert_eq!(
            (page.header("cache-control"), page.header("vary")),
            (Some("no-cache"), Some("Accept-Encoding, Accept-Language"))
        );
        let etag = page.header("etag").unwrap().to_owned();
        assert!(etag.starts_with('"'), "{etag}");
        let again = ask(&[("Accept-Language", asked), ("If-None-Match", &etag)]).await;
        no_body(&again, 304);
        assert_eq!(again.header("vary"), page.header("vary"));
        // What a browser has of one language is not what another language has.
        let other = ask(&[("Accept-Language", "fi"), ("If-None-Match", &etag)]).await;
        assert_eq!(other.status, 200, "{other:?}");
        // Each form of each language has a tag of its own.
        for coding in ["identity", "gzip", "br", "zstd"] {
            // On a busy machine a form may be there a moment after the start.
            let coded = loop {
                let coded = ask(&[("Accept-Language", asked), ("Accept-Encoding", coding)]).await;
                if coded.header("content-encoding").unwrap_or("identity") == coding {
                    break coded;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            };
            tags.insert(coded.header("etag").unwrap().to_owned());
        }
    }
    assert_eq!(tags.len(), 4 * 4);
}

/// Browsers ask for it by themselves; the server behind us has one too (docs/plugnmeet.md section 8).
#[tokio::test]
async fn the_icon_is_the_clients_or_our_own() {
    let of = |names: &[(&str, &str)]| folder_of(&[&[("index.html", INDEX)], names].concat());
    let bare = of(&[]);
    for (folder, mount, expected) in [
        (client(), "/conference", Some("icon")),
        (client(), "/", Some("icon")),
        (
            of(&[("assets/imgs/favicon.ico", "the client's")]),
            "/conference",
            Some("the client's"),
        ),
        (bare, "/", None),
    ] {
        let gateway = gateway_with(folder.path(), &format!("client.mount = '{mount}'")).await;
        let icon = gateway.get("/favicon.ico", &[]).await;
        assert_eq!(
            (
                icon.status,
                icon.header("content-type"),
                icon.header("cache-control")
            ),
            (200, Some("image/x-icon"), Some("no-cache"))
        );
        match expected {
            Some(text) => assert_eq!(icon.text(), text),
            None => assert!(icon.body.starts_with(b"\0\0\x01\0\x01\0"), "{icon:?}"),
        }
        let etag = icon.header("etag").unwrap();
        let again = gateway.get("/favicon.ico", &[("If-None-Match", etag)]).await;
        no_body(&again, 304);
    }
    let demo = Gateway::embedded().await;
    let icon = demo.get("/favicon.ico", &[]).await;
    assert_eq!(
        (icon.status, icon.header("content-type")),
        (200, Some("image/x-icon"))
    );
    let post = demo.post("/favicon.ico", &[], b"").await;
    assert_eq!((post.status, post.header("allow")), (405, Some("GET, HEAD")));
}

#[tokio::test]
async fn config_js_is_made_of_the_gateways_own_configuration() {
    let folder = client();
    let gateway = gateway_with(
        folder.path(),
        "[client.config]\nenableSimulcast = true\nvideoCodec = 'vp8'\n",
    )
    .await;
    for path in ["/conference/assets/config.js", "/assets/config.js"] {
        let answer = gateway.get(path, &[]).await;
        assert_eq!(
            (
                answer.status,
                answer.header("content-type"),
                answer.header("cache-control")
            ),
            (200, Some("text/javascript; charset=utf-8"), Some("no-cache"))
        );
        let text = answer.text();
        let config = text.strip_prefix("window.plugNmeetConfig = ").unwrap();
        let config: Value = serde_json::from_str(config.trim_end().trim_end_matches(';')).unwrap();
        assert_eq!(
            config,
            json!({"serverUrl": gateway.origin(), "staticAssetsPath": "/conference/assets",
                   "enableSimulcast": true, "videoCodec": "vp8"})
        );
    }
}

#[tokio::test]
async fn config_js_follows_the_public_origin_and_the_mount() {
    let folder = client();
    let gateway = gateway_with(
        folder.path(),
        "client.mount = '/'\npublic_origin = 'https://conf.example.org'",
    )
    .await;
    let answer = gateway
        .get("/assets/config.js", &[("Host", "conf.example.org")])
        .await;
    assert_eq!(
        answer.text(),
        "window.plugNmeetConfig = {\"serverUrl\":\"https://conf.example.org\",\"staticAssetsPath\":\"/assets\"};\n"
    );
}

#[tokio::test]
async fn a_config_file_of_the_operators_is_served_as_it_is() {
    let folder = client();
    let own = folder_of(&[("own.js", "window.plugNmeetConfig = {}\n")]);
    let more = format!("client.config_file = '{}'", own.path().join("own.js").display());
    let gateway = gateway_with(folder.path(), &more).await;
    let answer = gateway.get("/conference/assets/config.js", &[]).await;
    assert_eq!(
        (answer.status, answer.text()),
        (200, "window.plugNmeetConfig = {}\n".to_owned())
    );
}

#[tokio::test]
async fn config_js_is_there_without_a_client_too() {
    let gateway = Gateway::embedded().await;
    let answer = gateway.get("/conference/assets/config.js", &[]).await;
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .text()
            .contains(&format!("\"serverUrl\":\"{}\"", gateway.origin()))
    );
    missing(&gateway.get("/conference/assets/js/main.js", &[]).await);
}

#[tokio::test]
async fn the_page_of_a_session_has_its_base_first_and_is_asked_for_every_time() {
    let folder = client();
    let gateway = gateway_with(folder.path(), "").await;
    let session = format!("pnm_access_token={}", gateway.token("room01", "ann"));
    let session = ("Cookie", session.as_str());
    let path = format!("/conference/s/{}/", gateway.keys.tag("room01", "ann"));
    let answer = gateway.get(&path, &[session]).await;
    assert_eq!(
        (
            answer.status,
            answer.header("content-type"),
            answer.header("cache-control")
        ),
        (200, Some("text/html; charset=utf-8"), Some("no-cache"))
    );
    assert_eq!(
        answer.text(),
        INDEX.replace("<head>", "<head><base href=\"/conference/\">")
    );
    // A session's page is nobody else's to read.
    assert_eq!(answer.header("access-control-allow-origin"), None);
    let etag = answer.header("etag").unwrap();
    assert!(etag.starts_with('"'), "{etag}");
    let answer = gateway.get(&path, &[session, ("If-None-Match", etag)]).await;
    no_body(&answer, 304);
    // Without the cookie there is nothing that could be unchanged.
    let answer = gateway.get(&path, &[("If-None-Match", etag)]).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("Use your join link"));
}
