//! Files as they are served: whole, in parts, again, and which are not.

use std::os::unix::fs::symlink;

use super::{HASHED, client, gateway_with, missing, no_body};
use crate::support::folder_of;

#[tokio::test]
async fn a_file_comes_with_all_that_a_browser_needs_to_keep_it() {
    let folder = client();
    let gateway = gateway_with(folder.path(), "").await;
    for (path, media, cache) in [
        (
            HASHED,
            "text/javascript; charset=utf-8",
            "public, max-age=31536000, immutable",
        ),
        (
            "assets/locales/en/translation.json",
            "application/json",
            "no-cache",
        ),
        ("favicon.ico", "image/x-icon", "no-cache"),
    ] {
        let answer = gateway.get(&format!("/conference/{path}?v=1"), &[]).await;
        assert_eq!(
            (
                answer.status,
                answer.header("content-type"),
                answer.header("cache-control")
            ),
            (200, Some(media), Some(cache)),
            "{path}"
        );
        for (name, value) in [
            ("accept-ranges", "bytes"),
            ("x-content-type-options", "nosniff"),
            ("access-control-allow-origin", "*"),
            ("cross-origin-resource-policy", "cross-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        assert_eq!(answer.header("set-cookie"), None);
        assert!(answer.header("last-modified").is_some());
        assert_eq!(answer.body, std::fs::read(folder.path().join(path)).unwrap());
    }
}

#[tokio::test]
async fn what_a_browser_has_is_not_sent_again() {
    let folder = client();
    let gateway = gateway_with(folder.path(), "").await;
    let path = format!("/conference/{HASHED}");
    let answer = gateway.get(&path, &[]).await;
    let (etag, modified) = (
        answer.header("etag").unwrap().to_owned(),
        answer.header("last-modified").unwrap().to_owned(),
    );
    assert!(
        etag.starts_with('"') && etag.ends_with('"'),
        "{etag} is a strong one"
    );
    let weak = format!("W/{etag}, \"x\"");
    for field in [
        ("If-None-Match", etag.as_str()),
        ("If-None-Match", weak.as_str()),
        ("If-None-Match", "*"),
        ("If-Modified-Since", modified.as_str()),
    ] {
        let answer = gateway.get(&path, &[field]).await;
        no_body(&answer, 304);
        assert_eq!(answer.header("etag"), Some(etag.as_str()));
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        let answer = gateway.client().request_h2("GET", &path, &[field], b"").await;
        no_body(&answer, 304);
    }
    let answer = gateway.get(&path, &[("If-None-Match", "\"x\"")]).await;
    assert_eq!((answer.status, answer.text()), (200, "0123456789".to_owned()));
    no_body(&gateway.get(&path, &[("If-Match", "\"x\"")]).await, 412);
}

#[tokio::test]
async fn a_part_can_be_asked_for() {
    let folder = client();
    let gateway = gateway_with(folder.path(), "").await;
    let path = format!("/conference/{HASHED}");
    let etag = gateway.get(&path, &[]).await.header("etag").unwrap().to_owned();
    for (range, content_range, text) in [
        ("bytes=4-6", "bytes 4-6/10", "456"),
        ("bytes=7-", "bytes 7-9/10", "789"),
        ("bytes=-2", "bytes 8-9/10", "89"),
        ("bytes=0-99", "bytes 0-9/10", "0123456789"),
    ] {
        let answer = gateway.get(&path, &[("Range", range), ("If-Range", &etag)]).await;
        assert_eq!(
            (answer.status, answer.header("content-range"), answer.text()),
            (206, Some(content_range), text.to_owned())
        );
        assert_eq!(
            answer.header("content-length"),
            Some(text.len().to_string().as_str())
        );
    }
    let answer = gateway.get(&path, &[("Range", "bytes=10-")]).await;
    no_body(&answer, 416);
    assert_eq!(answer.header("content-range"), Some("bytes */10"));
    for whole in [
        vec![("Range", "bytes=4-6"), ("If-Range", "\"x\"")],
        vec![("Range", "items=4-6")],
        vec![("Range", "bytes=6-4")],
    ] {
        let answer = gateway.get(&path, &whole).await;
        assert_eq!(
            (answer.status, answer.text()),
            (200, "0123456789".to_owned()),
            "{whole:?}"
        );
    }
}

#[tokio::test]
async fn files_are_read_and_not_written_to() {
    let folder = client();
    let gateway = gateway_with(folder.path(), "").await;
    let path = format!("/conference/{HASHED}");
    let client = gateway.client();
    let head = client.request("HEAD", &path, &[], b"").await;
    no_body(&head, 200);
    let mut get = gateway.get(&path, &[]).await.headers;
    let mut head = head.headers;
    for headers in [&mut get, &mut head] {
        headers.remove("date");
    }
    assert_eq!(head, get);
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let answer = client.request(method, &path, &[], b"x").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")));
    }
    let preflight = [
        ("Origin", "https://lms.example.org"),
        ("Access-Control-Request-Method", "GET"),
    ];
    let answer = client.request("OPTIONS", &path, &preflight, b"").await;
    no_body(&answer, 204);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("access-control-allow-methods"), Some("GET, HEAD"));
}

/// docs/plugnmeet.md section 12: LTI pages name `/assets` whatever the mount.
#[tokio::test]
async fn assets_are_at_the_root_too_and_nothing_else_is() {
    let folder = client();
    let gateway = gateway_with(folder.path(), "").await;
    let at_mount = gateway.get(&format!("/conference/{HASHED}"), &[]).await;
    let at_root = gateway.get(&format!("/{HASHED}"), &[]).await;
    assert_eq!((at_root.status, &at_root.body), (200, &at_mount.body));
    assert_eq!(at_root.header("etag"), at_mount.header("etag"));
    for path in ["/index.html", "/assetsx/config.js", "/Assets/config.js"] {
        missing(&gateway.get(path, &[]).await);
    }
}

#[tokio::test]
async fn what_is_missing_is_404_and_never_the_page() {
    let folder = client();
    let gateway = gateway_with(folder.path(), "").await;
    let session = format!("pnm_access_token={}", gateway.token("room01", "ann"));
    let tag = gateway.keys.tag("room01", "ann");
    let under_session = format!("/conference/s/{tag}/{HASHED}");
    for path in [
        "/conference/assets/js/missing.js",
        "/conference/assets/locales/en-US/translation.json",
        "/conference/assets",
        "/conference/assets/",
        "/conference/assets/js",
        "/conference/room01",
        "/conference/index.htm",
        "/conference/INDEX.HTML",
        "/conference/assets/config.js/",
        "/conference/assets/Config.js",
        "/conference/s/",
        under_session.as_str(),
    ] {
        for accept in ["text/html,*/*", "*/*"] {
            let headers = [("Accept", accept), ("Cookie", session.as_str())];
            missing(&gateway.get(path, &headers).await);
        }
    }
}

#[tokio::test]
async fn nothing_hidden_and_nothing_outside_is_served() {
    let folder = client();
    let outside = folder_of(&[("secret.txt", "hidden"), ("deep/secret.txt", "hidden")]);
    symlink(
        outside.path().join("secret.txt"),
        folder.path().join("assets/link.txt"),
    )
    .unwrap();
    symlink(outside.path().join("deep"), folder.path().join("assets/deep")).unwrap();
    symlink("imgs", folder.path().join("assets/pictures")).unwrap();
    let gateway = gateway_with(folder.path(), "").await;
    for path in [
        "/conference/.env",
        "/conference/.git/config",
        "/conference/assets/.secret",
        "/assets/.secret",
        "/conference/%2eenv",
        "/conference/assets/link.txt",
        "/conference/assets/deep/secret.txt",
        "/conference/login.html",
        "/conference/Login.html",
        "/login.html",
        "/login",
    ] {
        missing(&gateway.get(path, &[]).await);
    }
    let answer = gateway
        .get("/conference/assets/pictures/a%20b+%C3%A9.png", &[])
        .await;
    assert_eq!((answer.status, answer.text()), (200, "picture".to_owned()));
    let outside = outside.path().join("secret.txt");
    for path in [
        "/conference/../Cargo.toml".to_owned(),
        "/conference/%2e%2e/Cargo.toml".to_owned(),
        "/conference/..%2fCargo.toml".to_owned(),
        "/conference/%252e%252e/Cargo.toml".to_owned(),
        "/conference/assets/..%5c..%5cCargo.toml".to_owned(),
        "/conference/assets/config.js%00.png".to_owned(),
        format!("/conference/{}", outside.display()),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = gateway.client().send_raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path} {answer}");
    }
}

#[tokio::test]
async fn a_login_page_is_served_only_where_it_was_asked_for() {
    let folder = client();
    let gateway = gateway_with(folder.path(), "upstreams.expose = ['login']").await;
    let answer = gateway.get("/conference/login.html", &[]).await;
    assert_eq!(
        (answer.status, answer.text()),
        (200, "<form>secret</form>".to_owned())
    );
}

#[tokio::test]
async fn a_name_can_be_spelled_with_escapes() {
    let folder = client();
    let gateway = gateway_with(folder.path(), "").await;
    for path in [
        "/conference/assets/imgs/a%20b+%C3%A9.png",
        "/conference/assets/imgs/a%20b%2B%c3%a9.png",
        "/conference/%61ssets/imgs/%61%20b+%C3%A9%2Epng",
    ] {
        let answer = gateway.get(path, &[]).await;
        assert_eq!(
            (answer.status, answer.text()),
            (200, "picture".to_owned()),
            "{path}"
        );
        assert_eq!(answer.header("content-type"), Some("image/png"));
    }
    for path in [
        "/conference/assets/imgs/a%20b%20%C3%A9.png",
        "/conference/assets/imgs/a+b+%C3%A9.png",
    ] {
        missing(&gateway.get(path, &[]).await);
    }
    for path in [
        "/conference/assets%2Fconfig.js",
        "/conference/assets/%ff.png",
        "/conference/assets/%zz",
    ] {
        assert_eq!(gateway.get(path, &[]).await.status, 400, "{path}");
    }
}

/// No request reads a file: what changes on disk is taken up as a whole, or not at all.
#[tokio::test]
async fn files_are_served_as_they_were_read() {
    let folder = client();
    let gateway = gateway_with(folder.path(), "client.watch = '0s'").await;
    std::fs::write(folder.path().join(HASHED), "changed").unwrap();
    std::fs::write(folder.path().join("new.txt"), "new").unwrap();
    let answer = gateway.get(&format!("/conference/{HASHED}"), &[]).await;
    assert_eq!(answer.text(), "0123456789");
    missing(&gateway.get("/conference/new.txt", &[]).await);
}
