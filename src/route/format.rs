//! In which form a caller wants to be told of an error: known from the target and the fields alone, before anything is
//! checked, so that even a refused target is answered in it.

use hyper::{HeaderMap, Uri, header};

use super::table::DESIGN_CHECK;
use crate::{issue::BbbPath, reply::Format};

/// Paths that no person opens, wherever the client is mounted.
const MACHINES: [&str; 6] = [
    "/ws",
    "/livekit",
    "/etherpad",
    "/whip",
    "/webhook",
    "/healthCheck",
];

/// The form for a request.
pub(super) fn of(uri: &Uri, headers: &HeaderMap, mount: &str) -> Format {
    let path = uri.path();
    let starts = |prefix: &str| {
        path.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
            && path
                .get(prefix.len()..)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let protobuf = || {
        headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|media| media == "application/protobuf")
    };
    let accepts = |media: &str| {
        headers
            .get_all(header::ACCEPT)
            .iter()
            .any(|line| line.to_str().is_ok_and(|line| line.contains(media)))
    };
    if starts("/auth") {
        Format::Auth { protobuf: protobuf() }
    } else if starts("/api/fileUpload") {
        Format::Upload
    } else if starts("/api") {
        Format::Api { protobuf: protobuf() }
    } else if BbbPath::of(path).is_some() && (mount.is_empty() || !starts(mount)) {
        Format::Bbb
    } else if starts("/lti/v1/api") || path.strip_prefix(mount) == Some(DESIGN_CHECK) {
        Format::Page { json: true }
    } else if !MACHINES.iter().any(|prefix| starts(prefix)) && (path == "/" || starts(mount)) {
        Format::Page {
            json: accepts("application/json") && !accepts("text/html"),
        }
    } else {
        Format::Page {
            json: !accepts("text/html"),
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn form(path: &'static str, fields: &[(&'static str, &'static str)]) -> Format {
        let headers = fields
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect::<HeaderMap>();
        of(&Uri::from_static(path), &headers, "/conference")
    }

    #[test]
    fn every_caller_has_its_form() {
        assert_eq!(form("/AUTH/room/x", &[]), Format::Auth { protobuf: false });
        let protobuf = [("content-type", "application/protobuf")];
        assert_eq!(
            form("/auth/recorder/notify", &protobuf),
            Format::Auth { protobuf: true }
        );
        assert_eq!(
            form("/api/verifyToken", &protobuf),
            Format::Api { protobuf: true }
        );
        assert_eq!(form("/api/FileUpload?x=1", &protobuf), Format::Upload);
        assert_eq!(form("/key/bigbluebutton/api/join", &[]), Format::Bbb);
        assert_eq!(form("/conferences/bigbluebutton/api", &[]), Format::Bbb);
        assert_eq!(
            form("/conference/", &[("accept", "text/html,*/*")]),
            Format::Page { json: false }
        );
        assert_eq!(
            form("/conference/", &[("accept", "application/json")]),
            Format::Page { json: true }
        );
        assert_eq!(
            form("/conference/design/check", &[("accept", "text/html,*/*")]),
            Format::Page { json: true }
        );
        assert_eq!(form("/ws", &[]), Format::Page { json: true });
        assert_eq!(
            form("/download/recording/x", &[("accept", "text/html")]),
            Format::Page { json: false }
        );
    }
}
