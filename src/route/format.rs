//! Chooses the form in which a caller can read an error. It follows from the request's row and fields alone, before
//! anything is checked, so that a refused target is answered in this form too.
//!
//! Sources: RFC 9110 section 12.5.1 (`Accept`), docs/plugnmeet.md section 13.

use hyper::{HeaderMap, Method, Request, header};

use crate::{
    reply::{Accepted, Format, is_for_people},
    urls::{Form, Row},
};

/// The server's JSON.
const SERVERS: Format = Format::Auth { protobuf: false };

/// The form of errors for a request that this row matches.
pub(super) fn of<B>(request: &Request<B>, row: &Row) -> Format {
    let headers = request.headers();
    let protobuf = || {
        headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|media| media == "application/protobuf")
    };
    let page_if = |for_people: bool| Format::Page { json: !for_people };
    match row.errors {
        Form::Auth => Format::Auth { protobuf: protobuf() },
        Form::Api => Format::Api { protobuf: protobuf() },
        Form::Upload => Format::Upload,
        Form::Bbb => Format::Bbb,
        Form::Json => Format::Page { json: true },
        Form::ServersJson => SERVERS,
        Form::People | Form::Misplaced | Form::Machines if is_for_an_api(request.method(), headers) => {
            SERVERS
        }
        Form::Misplaced if !is_for_people(headers, true) => SERVERS,
        Form::People | Form::OwnForm | Form::Misplaced => page_if(is_for_people(headers, true)),
        Form::Machines => page_if(is_for_people(headers, false)),
    }
}

/// Is this an API call? Its caller gets the server's JSON at any path, because a program can't read a page. A form that
/// a person sends is no API call: a launch by LTI begins with one, and pages of ours have forms.
fn is_for_an_api(method: &Method, headers: &HeaderMap) -> bool {
    let media = headers
        .get(header::CONTENT_TYPE)
        .and_then(|line| line.to_str().ok())
        .and_then(|line| line.split(';').next())
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let is_api_media = matches!(
        media.as_str(),
        "application/json" | "application/protobuf" | "application/x-protobuf"
    );
    headers.contains_key("api-key")
        || is_api_media
        || (method == Method::POST && !is_by_a_person(headers, &media))
}

/// Did a browser go there with it? One that doesn't say how its request came to be sends a form and likes pages.
fn is_by_a_person(headers: &HeaderMap, media: &str) -> bool {
    let is_form = matches!(
        media,
        "application/x-www-form-urlencoded" | "multipart/form-data" | "text/plain"
    );
    match headers.get("sec-fetch-mode") {
        Some(mode) => mode == "navigate",
        None => is_form && Accepted::page(headers).named,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::urls::{Table, Whole};

    type Fields<'a> = &'a [(&'a str, &'a str)];

    const PAGE: Format = Format::Page { json: false };
    const JSON: Format = Format::Page { json: true };
    const PROTOBUF: (&str, &str) = ("content-type", "application/protobuf");

    fn asked(method: &str, path: &str, fields: Fields<'_>) -> Format {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        formed(&request.body(()).unwrap(), "/conference")
    }

    fn formed(request: &Request<()>, mount: &str) -> Format {
        let table = Table {
            mount: mount.into(),
            session_paths: true,
            check_page: false,
            login: false,
            metrics: false,
            whole: Whole::default(),
        };
        of(request, table.find(request.uri().path()).row)
    }

    fn form(path: &str, fields: Fields<'_>) -> Format {
        asked("GET", path, fields)
    }

    #[test]
    fn every_caller_has_its_form() {
        assert_eq!(form("/AUTH/room/x", &[]), Format::Auth { protobuf: false });
        assert_eq!(
            form("/auth/recorder/notify", &[PROTOBUF]),
            Format::Auth { protobuf: true }
        );
        assert_eq!(
            form("/api/verifyToken", &[PROTOBUF]),
            Format::Api { protobuf: true }
        );
        assert_eq!(
            form("/api/verifyToken", &[("accept", "text/html")]),
            Format::Api { protobuf: false }
        );
        assert_eq!(form("/api/FileUpload?x=1", &[]), Format::Upload);
        assert_eq!(form("/key/bigbluebutton/api/join", &[]), Format::Bbb);
        assert_eq!(
            asked("POST", "/key/bigbluebutton/api/create", &[("api-key", "k")]),
            Format::Bbb
        );
        assert_eq!(form("/conferences/bigbluebutton/api", &[]), Format::Bbb);
        assert_eq!(form("/lti/v1/api/room/join", &[]), SERVERS);
        assert_eq!(form("/conference/", &[("accept", "text/html,*/*")]), PAGE);
        assert_eq!(form("/conference/", &[("accept", "application/json")]), JSON);
        assert_eq!(
            asked("POST", "/conference/design/check", &[("accept", "text/html,*/*")]),
            JSON
        );
        assert_eq!(form("/ws", &[]), JSON);
        assert_eq!(form("/download/recording/x", &[("accept", "text/html")]), PAGE);
    }

    #[test]
    fn whoever_calls_an_api_gets_the_servers_json_wherever_the_call_went() {
        let html = ("accept", "text/html,*/*");
        for path in [
            "/",
            "/conference",
            "/conference/",
            "/conference/x",
            "/nowhere",
            "/download/x",
            "/ws",
        ] {
            for (method, fields) in [
                ("POST", &[][..]),
                ("POST", &[html]),
                ("GET", &[html, ("api-key", "k")]),
                (
                    "PUT",
                    &[html, ("content-type", "Application/JSON; charset=utf-8")],
                ),
                ("GET", &[html, PROTOBUF]),
                (
                    "POST",
                    &[
                        html,
                        ("content-type", "application/x-www-form-urlencoded"),
                        ("sec-fetch-mode", "cors"),
                    ],
                ),
                (
                    "POST",
                    &[
                        ("accept", "*/*"),
                        ("content-type", "application/x-www-form-urlencoded"),
                    ],
                ),
            ] {
                assert_eq!(asked(method, path, fields), SERVERS, "{method} {path} {fields:?}");
            }
        }
        // A person's own form.
        let urlencoded = ("content-type", "application/x-www-form-urlencoded");
        for fields in [
            &[html, urlencoded][..],
            &[html, urlencoded, ("sec-fetch-mode", "navigate")],
        ] {
            assert_eq!(asked("POST", "/lti/v1", fields), PAGE, "{fields:?}");
        }
        let navigation = [html, ("sec-fetch-mode", "navigate")];
        assert_eq!(asked("POST", "/conference/", &navigation), PAGE);
        for path in [
            "/conference/switch",
            "/conference/logout",
            "/conference/s/AAAA/logout",
        ] {
            assert_eq!(asked("POST", path, &[]), PAGE, "{path}");
            assert_eq!(
                asked("POST", path, &[("accept", "application/json")]),
                JSON,
                "{path}"
            );
        }
    }

    /// The server finds them before `/api`, and an API key may be any word, the mount's in other letters too.
    #[test]
    fn bbbs_calls_are_told_in_xml_whatever_the_key() {
        for key in ["api", "API", "Conference", "lti", "download", "s"] {
            let path = format!("/{key}/bigbluebutton/api/join?a=1");
            assert_eq!(form(&path, &[]), Format::Bbb, "{path}");
        }
        assert_eq!(form("/conference/bigbluebutton/api/join", &[]), PAGE);
        assert_eq!(
            form("/auth/bigbluebutton/api/join", &[]),
            Format::Auth { protobuf: false }
        );
    }

    #[test]
    fn a_mount_at_the_root_makes_no_person_of_a_script() {
        for path in [
            "/download/x",
            "/ws/x",
            "/livekit/x",
            "/lti/v1/x",
            "/healthCheck/x",
        ] {
            for mount in ["", "/conference"] {
                let request = Request::builder().uri(path).body(()).unwrap();
                assert_eq!(formed(&request, mount), JSON, "{path} {mount}");
                let request = Request::builder().uri(path).header("accept", "text/html");
                assert_eq!(formed(&request.body(()).unwrap(), mount), PAGE, "{path} {mount}");
            }
        }
    }

    #[test]
    fn an_api_below_the_mount_is_told_in_its_own_form() {
        let html = ("accept", "text/html,*/*");
        assert_eq!(
            asked("POST", "/conference/auth/room/getJoinToken", &[html]),
            SERVERS
        );
        assert_eq!(asked("POST", "/conference/api/verifyToken", &[PROTOBUF]), SERVERS);
        assert_eq!(form("/conference/auth/room/create", &[]), PAGE);
        assert_eq!(
            form("/conference/auth/room/create", &[("accept", "application/json")]),
            SERVERS
        );
        assert_eq!(form("/conference/auth/room/create", &[html]), PAGE);
        assert_eq!(
            form("/conference/key/bigbluebutton/api/create", &[html]),
            Format::Bbb
        );
    }

    #[test]
    fn accept_is_read_with_its_weights() {
        for (accept, on_pages, elsewhere) in [
            ("", PAGE, JSON),
            ("*/*", PAGE, JSON),
            ("text/html", PAGE, PAGE),
            ("TEXT/HTML", PAGE, PAGE),
            ("application/json", JSON, JSON),
            ("text/html, application/json", PAGE, PAGE),
            ("application/json, text/html;q=0.9", JSON, JSON),
            ("application/json;q=0.5, text/html;q=0.501", PAGE, PAGE),
            ("application/json;q=0.9, text/html;q=1.000", PAGE, PAGE),
            ("text/html;q=0, */*", JSON, JSON),
            ("text/html;q=0.1, */*;q=0.5", JSON, JSON),
            ("application/json;q=0, */*", PAGE, PAGE),
            ("application/*, text/html;q=0.3", JSON, JSON),
            ("text/*;q=0.2, application/json;q=0.1", PAGE, PAGE),
            ("text/*, text/html;q=0, application/json;q=0.1", JSON, JSON),
            ("text/html;level=1;Q=0.2, application/json;q=0.3", JSON, JSON),
            ("application/json; charset=utf-8", JSON, JSON),
            ("text/html;q=2, application/json;q=0.1", JSON, JSON),
            ("image/png", PAGE, JSON),
        ] {
            let fields = [("accept", accept)];
            let fields = if accept.is_empty() { &[][..] } else { &fields };
            assert_eq!(form("/conference/", fields), on_pages, "{accept}");
            assert_eq!(form("/nowhere", fields), elsewhere, "{accept}");
        }
        let lines = [
            ("accept", "text/html;q=0.4"),
            ("accept", "application/json;q=0.5"),
        ];
        assert_eq!(form("/conference/", &lines), JSON);
    }
}
