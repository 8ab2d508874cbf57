//! Tests every row of the URL space: it must have a form for errors, a log form without secrets, and a name in records
//! and metrics.

use std::{net::Ipv4Addr, sync::Arc};

use hyper::{Method, Request, StatusCode, Version, header};

use super::format;
use crate::{
    addr::ClientAddr,
    clock::Clock,
    observe::{AccessLog, AccessRecord, Exposition, Metrics, Records, redacted},
    reply::{Failure, Reader},
    request_id::RequestIds,
    urls::{self, Form, Row, SECRET},
};

fn media_type(row: &Row, method: &str, accept: &str) -> String {
    let request = Request::builder()
        .method(method)
        .uri("/")
        .header(header::ACCEPT, accept)
        .header(header::ORIGIN, "https://other.example.org")
        .body(())
        .unwrap();
    let failure = Failure::new(StatusCode::BAD_GATEWAY, "code", "message");
    let response = failure.into_response(format::of(&request, row), &Reader::default());
    let media_type = response.headers()[header::CONTENT_TYPE].to_str().unwrap();
    media_type.split(';').next().unwrap().to_owned()
}

#[test]
fn every_row_has_a_form_for_its_errors() {
    const JSON: &str = "application/json";
    const PAGE: &str = "text/html";
    for (path, row) in urls::examples("/conference") {
        let [browser, script, call] = match row.errors {
            Form::Auth | Form::Api | Form::Upload | Form::ServersJson | Form::Json => [JSON, JSON, JSON],
            Form::Bbb => ["application/xml", "application/xml", "application/xml"],
            Form::People | Form::Misplaced => [PAGE, PAGE, JSON],
            Form::OwnForm => [PAGE, PAGE, PAGE],
            Form::Machines => [PAGE, JSON, JSON],
        };
        assert_eq!(media_type(row, "GET", "text/html,*/*;q=0.8"), browser, "{path}");
        assert_eq!(media_type(row, "GET", "*/*"), script, "{path}");
        assert_eq!(media_type(row, "POST", "*/*"), call, "{path}");
    }
}

#[test]
fn no_rows_secret_is_logged_however_it_is_spelled() {
    let mut secrets = 0;
    for (path, row) in urls::examples("/conference") {
        let shown = redacted(&path);
        assert!(!shown.contains(SECRET), "{row:?}: {shown}");
        secrets += usize::from(path.contains(SECRET));
        let spellings = [
            format!("/{path}"),
            format!("/.{path}"),
            format!("/elsewhere{path}"),
            path.replace('/', "//"),
            path.replace('/', "\\"),
            path.replacen('o', "%6f", 1).replacen('w', "%57", 1),
            path.replace('/', "%2F"),
            path.to_ascii_uppercase(),
        ];
        for spelling in spellings {
            let shown = redacted(&spelling);
            assert!(!shown.contains(SECRET), "{spelling}: {shown}");
        }
    }
    assert!(secrets > 8, "{secrets}");
}

#[test]
fn every_row_has_a_name_in_metrics() {
    let metrics = Arc::new(Metrics::default());
    let log = Arc::new(AccessLog::new(
        Records::default(),
        Arc::clone(&metrics),
        Clock::system(),
    ));
    let (ids, client) = (RequestIds::default(), ClientAddr(Ipv4Addr::LOCALHOST.into()));
    for (path, row) in urls::examples("/conference") {
        let mut record = AccessRecord::begin(ids.next(), client, &Method::GET, &path, Version::HTTP_2, &log);
        record.routed(row.name);
    }
    let shown = metrics.text(Exposition::Text).unwrap();
    for (path, row) in urls::examples("/conference") {
        assert!(
            row.name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
            "{path}"
        );
        assert!(
            shown.contains(&format!("route=\"{}\"", row.name)),
            "{path}: {shown}"
        );
    }
}
