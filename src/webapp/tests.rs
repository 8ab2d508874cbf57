//! The module as a whole: from a folder to answers.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::{
    reply::{Format, Reader},
    token::Claims,
};

const HASHED: &str = "assets/js/main-module.Cq0qsXkl.js";
/// The first half of the SHA-256 of "0123456789", in quotes.
const ETAG: &str = "\"hNiYd_DUBB77a_kaFvAkjw\"";

fn client() -> TempDir {
    let folder = TempDir::new().unwrap();
    write(
        folder.path(),
        "index.html",
        "<!doctype html><html><head><title>c</title></head></html>",
    );
    write(folder.path(), "login.html", "secret?");
    write(folder.path(), HASHED, "0123456789");
    write(
        folder.path(),
        "assets/config.js",
        "window.plugNmeetConfig = { serverUrl: 'http://wrong' }",
    );
    write(folder.path(), "assets/empty.txt", "");
    folder
}

fn write(folder: &Path, name: &str, content: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    let date = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(date + Duration::from_millis(700)).unwrap();
}

fn settings(path: Option<&Path>) -> WebAppSettings {
    let config = json!({ "enableSimulcast": true }).as_object().unwrap().clone();
    let mut settings =
        WebAppSettings::new("https://a.example".to_owned(), "/conference".to_owned(), config).unwrap();
    settings.path = path.map(Into::into);
    settings
}

fn loaded() -> WebApp {
    WebApp::load(settings(Some(client().path()))).unwrap()
}

fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    fields
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

fn get(files: &WebApp, path: &str, fields: &[(&'static str, &'static str)]) -> Response<Body> {
    files.asset(path, &Method::GET, &headers(fields)).unwrap()
}

fn code(files: &WebApp, path: &str) -> &'static str {
    files
        .asset(path, &Method::GET, &HeaderMap::new())
        .err()
        .unwrap()
        .code()
}

fn page(files: &WebApp, method: &Method, fields: &[(&'static str, &'static str)]) -> Response<Body> {
    let claims = Claims {
        client_type: 0,
        exp: 600,
        is_admin: false,
        is_hidden: false,
        iss: "k".to_owned(),
        name: "Ada".to_owned(),
        nbf: 0,
        room_id: "room01".to_owned(),
        sub: "ada".to_owned(),
        user_id: "ada".to_owned(),
    };
    let shown = Shown {
        claims: &claims,
        now: 0,
        language: crate::reply::Language::of(&headers(fields)),
        browser: Browser::of(&headers(fields)),
        design: &[],
    };
    files.page(shown, method, &headers(fields)).unwrap()
}

fn content(response: Response<Body>) -> Bytes {
    match response.into_body() {
        Body::Full(bytes) => bytes,
        Body::Empty | Body::Stream(_) => Bytes::new(),
    }
}

#[test]
fn a_file_comes_with_all_that_a_browser_needs_to_keep_and_share_it() {
    let response = get(&loaded(), HASHED, &[]);
    assert_eq!(response.status(), 200);
    let expected = headers(&[
        ("content-type", "text/javascript; charset=utf-8"),
        ("cache-control", "public, max-age=31536000, immutable"),
        ("etag", ETAG),
        ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("accept-ranges", "bytes"),
        ("x-content-type-options", "nosniff"),
        ("access-control-allow-origin", "*"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("content-length", "10"),
    ]);
    assert_eq!(*response.headers(), expected);
    assert_eq!(content(response), "0123456789");
}

#[test]
fn answers_share_one_copy_in_memory() {
    let files = loaded();
    let whole = content(get(&files, HASHED, &[]));
    let part = content(get(&files, HASHED, &[("range", "bytes=4-6")]));
    assert_eq!(part, "456");
    assert_eq!(part.as_ptr(), whole[4..].as_ptr());
}

/// RFC 9110 section 9.3.2.
#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let files = loaded();
    let fields = headers(&[("range", "bytes=0-0")]);
    let head = files.asset(HASHED, &Method::HEAD, &fields).unwrap();
    assert_eq!(head.status(), 200);
    assert_eq!(head.headers(), get(&files, HASHED, &[]).headers());
    assert!(matches!(head.body(), Body::Empty));
}

/// RFC 9110 section 15.4.5.
#[test]
fn what_the_browser_has_is_not_sent_again() {
    let files = loaded();
    for field in [
        ("if-none-match", ETAG),
        ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ] {
        let response = get(&files, HASHED, &[field, ("range", "bytes=0-0")]);
        assert_eq!(response.status(), 304);
        let expected = headers(&[
            ("cache-control", "public, max-age=31536000, immutable"),
            ("etag", ETAG),
            ("access-control-allow-origin", "*"),
            ("cross-origin-resource-policy", "cross-origin"),
        ]);
        assert_eq!(*response.headers(), expected);
        assert_eq!(content(response), "");
    }
    assert_eq!(get(&files, HASHED, &[("if-match", "\"x\"")]).status(), 412);
}

/// RFC 9110 sections 15.3.7 and 15.5.17.
#[test]
fn a_range_is_a_part_with_its_place_in_the_whole() {
    let files = loaded();
    for (fields, status, said, len, body) in [
        (
            &[("range", "bytes=2-5")][..],
            206,
            Some("bytes 2-5/10"),
            Some("4"),
            "2345",
        ),
        (
            &[("range", "bytes=-3")],
            206,
            Some("bytes 7-9/10"),
            Some("3"),
            "789",
        ),
        (
            &[("range", "bytes=7-")],
            206,
            Some("bytes 7-9/10"),
            Some("3"),
            "789",
        ),
        (&[("range", "bytes=10-")], 416, Some("bytes */10"), None, ""),
        (&[("range", "bytes=0-4,4-5")], 200, None, Some("10"), "0123456789"),
        (
            &[("range", "bytes=0-1"), ("if-range", ETAG)],
            206,
            Some("bytes 0-1/10"),
            Some("2"),
            "01",
        ),
        (
            &[("range", "bytes=0-1"), ("if-range", "\"x\"")],
            200,
            None,
            Some("10"),
            "0123456789",
        ),
    ] {
        let response = get(&files, HASHED, fields);
        let header = |name| {
            response
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(response.status(), status, "{fields:?}");
        assert_eq!(header("content-range").as_deref(), said, "{fields:?}");
        assert_eq!(header("content-length").as_deref(), len, "{fields:?}");
        assert_eq!(
            response.headers().contains_key("cache-control"),
            status != 416,
            "{fields:?}"
        );
        assert_eq!(content(response), body, "{fields:?}");
    }
    assert_eq!(
        get(&files, "assets/empty.txt", &[]).headers()["content-length"],
        "0"
    );
}

#[test]
fn two_range_fields_are_none() {
    let mut fields = headers(&[("range", "bytes=0-1")]);
    fields.append("range", HeaderValue::from_static("bytes=4-5"));
    let response = loaded().asset(HASHED, &Method::GET, &fields).unwrap();
    assert_eq!(response.status(), 200);
}

#[test]
fn a_name_is_exact_and_a_miss_is_never_the_page() {
    let files = loaded();
    for path in [
        "",
        "index.html",
        "login.html",
        "assets",
        "assets/",
        "assets/js",
        "Assets/config.js",
        "assets/../login.html",
    ] {
        assert_eq!(code(&files, path), "no_such_file", "{path}");
    }
    assert_eq!(code(&files, "assets%2Fconfig.js"), "bad_path");
    assert_eq!(get(&files, "/assets/%63onfig.js", &[]).status(), 200);
}

#[test]
fn the_login_page_is_there_when_it_is_named() {
    let folder = client();
    let mut settings = settings(Some(folder.path()));
    settings.expose_login = true;
    let files = WebApp::load(settings).unwrap();
    assert_eq!(content(get(&files, "login.html", &[])), "secret?");
}

/// RFC 9110 section 15.5.6.
#[test]
fn files_are_for_reading() {
    let refused = loaded()
        .asset(HASHED, &Method::POST, &HeaderMap::new())
        .err()
        .unwrap();
    assert_eq!(
        (refused.status().as_u16(), refused.code()),
        (405, "method_not_allowed")
    );
    let response = refused.into_response(Format::Page { json: true }, &Reader::default());
    assert_eq!(response.headers()["allow"], "GET, HEAD");
}

#[test]
fn a_preflight_is_answered_and_plain_options_too() {
    let files = loaded();
    let options = |fields| files.asset(HASHED, &Method::OPTIONS, &headers(fields)).unwrap();
    let preflight = options(&[
        ("origin", "https://b.example"),
        ("access-control-request-method", "GET"),
    ]);
    assert_eq!(preflight.status(), 204);
    assert_eq!(preflight.headers()["access-control-allow-origin"], "*");
    assert_eq!(preflight.headers()["access-control-allow-methods"], "GET, HEAD");
    let plain = options(&[("origin", "https://b.example")]);
    assert_eq!(
        (plain.status().as_u16(), plain.headers()),
        (204, &headers(&[("allow", "GET, HEAD")]))
    );
}

#[test]
fn config_js_is_ours_whatever_the_folder_has() {
    let response = get(&loaded(), "assets/config.js", &[]);
    assert_eq!(response.headers()["cache-control"], "no-cache");
    assert_eq!(
        content(response),
        "window.plugNmeetConfig = {\"serverUrl\":\"https://a.example\",\
         \"staticAssetsPath\":\"/conference/assets\",\"enableSimulcast\":true};\n"
    );
}

#[test]
fn a_config_file_takes_the_place_of_config_js() {
    let folder = client();
    let own = folder.path().join("assets/config.js");
    let load = |file| {
        let mut settings = settings(None);
        settings.config_file = Some(file);
        WebApp::load(settings)
    };
    let files = load(own).unwrap();
    let response = get(&files, "assets/config.js", &[]);
    assert_eq!(
        response.headers()["content-type"],
        "text/javascript; charset=utf-8"
    );
    assert_eq!(
        content(response),
        "window.plugNmeetConfig = { serverUrl: 'http://wrong' }"
    );

    let missing = folder.path().join("missing.js");
    let problem = load(missing.clone()).err().unwrap();
    assert_eq!(problem.key(), "client.config_file");
    let expected = format!(
        "{} can't be read: No such file or directory (os error 2)",
        missing.display()
    );
    assert_eq!(problem.to_string(), expected);
}

#[test]
fn the_page_knows_where_its_files_are_and_is_asked_about_every_time() {
    let files = loaded();
    let response = page(&files, &Method::GET, &[]);
    let tag = response.headers()["etag"].clone();
    assert_eq!(response.headers()["cache-control"], "no-cache");
    assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
    assert!(!response.headers().contains_key("access-control-allow-origin"));
    assert_eq!(page(&files, &Method::HEAD, &[]).headers(), response.headers());
    assert_eq!(
        content(response),
        "<!doctype html><html><head><base href=\"/conference/\"><title>c</title></head></html>"
    );
    let tag: &'static str = Box::leak(tag.to_str().unwrap().to_owned().into());
    assert_eq!(
        page(&files, &Method::GET, &[("if-none-match", tag)]).status(),
        304
    );
}

/// As of the client 2.4: in the reader's language while it loads, and with modules.
#[test]
fn the_page_varies_by_all_that_it_differs_by() {
    let folder = client();
    let html = format!(
        "<!doctype html><html><head><script type=module src={HASHED}></script></head>\
         <body><div id=\"plugNmeet-app\"></div></body></html>"
    );
    fs::write(folder.path().join("index.html"), html).unwrap();
    let files = WebApp::load(settings(Some(folder.path()))).unwrap();
    let link_for = |fields| {
        let response = page(&files, &Method::GET, fields);
        assert_eq!(
            response.headers()["vary"],
            "Accept-Encoding, Accept-Language, Sec-CH-UA"
        );
        response.headers()["link"].to_str().unwrap().to_owned()
    };
    let address = format!("</conference/{HASHED}>");
    assert_eq!(link_for(&[]), format!("{address}; rel=modulepreload"));
    assert_eq!(
        link_for(&[("accept-language", "de"), ("sec-ch-ua", "\"Chromium\";v=\"140\"")]),
        format!("{address}; rel=preload; as=script; crossorigin")
    );
}

#[test]
fn without_a_folder_there_is_a_page_of_ours_and_config_js() {
    let files = WebApp::load(settings(None)).unwrap();
    let response = page(&files, &Method::GET, &[]);
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert!(String::from_utf8_lossy(&content(response)).contains("room01"));
    assert_eq!(get(&files, "assets/config.js", &[]).status(), 200);
    assert_eq!(code(&files, "index.html"), "no_such_file");
}

#[test]
fn an_index_without_a_head_is_refused() {
    let folder = client();
    for html in [&b"<html><header>"[..], b"<head>\xff"] {
        fs::write(folder.path().join("index.html"), html).unwrap();
        let problem = WebApp::load(settings(Some(folder.path()))).err().unwrap();
        let expected = format!(
            "{}/index.html has no <head> that a browser would see",
            folder.path().display()
        );
        assert_eq!(problem.to_string(), expected);
    }
}

/// RFC 9110 section 8.8.2.1; a date before 1970 can't be written at all.
#[test]
fn a_file_from_another_time_has_no_date() {
    let folder = client();
    let file = fs::File::options()
        .write(true)
        .open(folder.path().join(HASHED))
        .unwrap();
    for odd in [
        SystemTime::UNIX_EPOCH
            .checked_sub(Duration::from_secs(9))
            .unwrap(),
        SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 33),
    ] {
        file.set_modified(odd).unwrap();
        let files = WebApp::load(settings(Some(folder.path()))).unwrap();
        let response = get(
            &files,
            HASHED,
            &[("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT")],
        );
        assert_eq!(response.status(), 200);
        assert!(!response.headers().contains_key("last-modified"));
    }
}
