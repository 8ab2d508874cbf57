//! The header fields and trailers of an upstream's answer: the length is said once, framing is unambiguous, and fields
//! for one hop are removed.
//!
//! SECURITY: an answer whose end can be told in two ways is none, as the next one on the connection would begin where
//! somebody else decides.
//!
//! Sources: RFC 9112 section 6, RFC 9110 sections 6.5.1 and 8.6.

use hyper::{
    HeaderMap, StatusCode,
    header::{self, HeaderValue},
};

use super::headers::{is_hop_by_hop, remove_all, remove_listed};

/// It cannot be told where an answer ends, or in which transfer coding it is.
#[derive(Debug, thiserror::Error)]
#[error("the answer's framing is ambiguous")]
pub(super) struct BadFraming;

/// Turns an upstream's header fields into those of the response to the client. `has_body` is false for an answer to
/// HEAD and for one without content: such an answer ends with its head, whatever its fields say of a body.
pub(super) fn to_client(headers: &mut HeaderMap, has_body: bool) -> Result<(), BadFraming> {
    let coding = coding_of(headers);
    if has_body && matches!(coding, Some(Err(BadFraming))) {
        return Err(BadFraming);
    }
    // RFC 9112 section 6.3: the transfer coding decides where the body ends, so `Content-Length` is not passed on.
    let length = if coding.is_some() {
        None
    } else {
        length_of(headers)
    };
    match length {
        Some(Ok(Length::AsItStands)) => {}
        Some(Ok(Length::SaidOnce(length))) => {
            headers.insert(header::CONTENT_LENGTH, length);
        }
        Some(Err(BadFraming)) if has_body => return Err(BadFraming),
        Some(Err(BadFraming)) | None => {
            headers.remove(header::CONTENT_LENGTH);
        }
    }
    remove_listed(headers);
    remove_all(headers, |name| is_hop_by_hop(name) || name == OTHER_DOORS);
    Ok(())
}

/// The fields of an interim answer (1xx) for the client. None for 100 and 101, as each hop says for itself whether a
/// body is wanted, and which protocol is spoken (RFC 9110 sections 15.2.1 and 15.2.2).
pub(super) fn interim_to_client(status: StatusCode, headers: &HeaderMap) -> Option<HeaderMap> {
    if [StatusCode::CONTINUE, StatusCode::SWITCHING_PROTOCOLS].contains(&status) {
        return None;
    }
    let mut headers = headers.clone();
    to_client(&mut headers, false).ok()?;
    // An interim answer has no body.
    headers.remove(header::CONTENT_LENGTH);
    Some(headers)
}

/// `Alt-Svc` names ports of the upstream's own, and UDP 443 is LiveKit's (RFC 7838 section 3).
const OTHER_DOORS: &str = "alt-svc";

/// The transfer coding of the body; None if there is none. Any other than `chunked` alone is an error, as nobody would
/// decode it (RFC 9112 section 6.1).
fn coding_of(headers: &HeaderMap) -> Option<Result<(), BadFraming>> {
    let mut codings = headers
        .get_all(header::TRANSFER_ENCODING)
        .iter()
        .flat_map(members);
    let first = codings.next()?;
    let is_chunked = first.eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
    Some(if is_chunked { Ok(()) } else { Err(BadFraming) })
}

/// What becomes of `Content-Length`.
enum Length {
    /// It is one number already.
    AsItStands,
    /// The number that it has more than once, or between blanks or commas.
    SaidOnce(HeaderValue),
}

/// The length of the body; None if there is no such field. Equal values may be there more than once (RFC 9110
/// section 8.6). Different ones are an error, and so is a value that is no number.
fn length_of(headers: &HeaderMap) -> Option<Result<Length, BadFraming>> {
    let lines = headers.get_all(header::CONTENT_LENGTH);
    let mut each = lines.iter();
    let line = each.next()?;
    if each.next().is_none() && is_number(line.as_bytes()) {
        return Some(Ok(Length::AsItStands));
    }
    let mut lengths = lines.iter().flat_map(members);
    let first = lengths.next().filter(|first| is_number(first));
    let same = first.filter(|first| lengths.all(|other| other == *first));
    let length = same.and_then(|length| HeaderValue::from_bytes(length).ok());
    Some(length.map(Length::SaidOnce).ok_or(BadFraming))
}

fn is_number(length: &[u8]) -> bool {
    (1..20).contains(&length.len()) && length.iter().all(u8::is_ascii_digit)
}

/// The members of a list with commas, in one field line (RFC 9110 section 5.6.1).
fn members(line: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    line.as_bytes()
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
}

/// Fields that must not come as trailers (RFC 9110 section 6.5.1): they are about framing or routing, or decide how the
/// answer is treated.
const NO_TRAILERS: [&str; 12] = [
    "content-length",
    "content-encoding",
    "content-range",
    "content-type",
    "host",
    "cookie",
    "set-cookie",
    "authorization",
    "www-authenticate",
    "cache-control",
    "location",
    OTHER_DOORS,
];

/// Turns an upstream's trailers into those for the client, by removing what must not come as one.
pub(super) fn trailers_to_client(trailers: &mut HeaderMap) {
    remove_listed(trailers);
    remove_all(trailers, |name| {
        is_hop_by_hop(name) || NO_TRAILERS.contains(&name)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_upstream(fields: &[(&'static str, &'static str)], has_body: bool) -> Option<HeaderMap> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        to_client(&mut headers, has_body).is_ok().then_some(headers)
    }

    #[test]
    fn an_answers_length_is_said_once_or_the_answer_is_none() {
        for fields in [
            &[("content-length", "5")][..],
            &[("content-length", "5, 5")],
            &[("content-length", "5"), ("content-length", "5")],
        ] {
            for has_body in [true, false] {
                let headers = of_upstream(fields, has_body).unwrap();
                assert_eq!(
                    headers.get_all("content-length").iter().collect::<Vec<_>>(),
                    ["5"]
                );
            }
        }
        for fields in [
            &[("content-length", "5, 6")][..],
            &[("content-length", "5"), ("content-length", "6")],
            &[("content-length", "+5")],
            &[("content-length", "")],
            &[("content-length", "5,")],
            &[("content-length", "nonsense")],
            &[("content-length", "99999999999999999999")],
        ] {
            assert!(of_upstream(fields, true).is_none(), "{fields:?}");
            assert!(!of_upstream(fields, false).unwrap().contains_key("content-length"));
        }
    }

    #[test]
    fn an_answer_in_a_coding_that_nobody_takes_off_is_none() {
        for coding in [
            "gzip, chunked",
            "xchunked",
            "chunked, chunked",
            "identity",
            "gzip",
        ] {
            let fields = [("transfer-encoding", coding), ("content-length", "5")];
            assert!(of_upstream(&fields, true).is_none(), "{coding}");
            assert!(of_upstream(&fields, false).unwrap().is_empty(), "{coding}");
        }
        let fields = [
            ("transfer-encoding", "Chunked"),
            ("content-length", "5"),
            ("alt-svc", "h3=\":443\""),
        ];
        assert!(of_upstream(&fields, true).unwrap().is_empty());
    }

    #[test]
    fn trailers_change_nothing_that_was_decided_before() {
        let mut trailers = HeaderMap::new();
        for name in [
            "connection",
            "te",
            "transfer-encoding",
            "content-length",
            "set-cookie",
            "x-sum",
        ] {
            trailers.insert(name, HeaderValue::from_static("x"));
        }
        trailers_to_client(&mut trailers);
        assert_eq!(trailers.keys().collect::<Vec<_>>(), ["x-sum"]);
    }
}
