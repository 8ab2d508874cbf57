//! Heads as they come, cut in pieces of any length: what is found in them, and what hyper then reads.

use super::*;

const MAX: usize = 64 * 1024;

/// The verdict on each request of a connection whose bytes come in pieces of `cut` bytes, and the bytes that hyper
/// reads.
fn followed(bytes: &[u8], cut: usize, requests: usize) -> (Vec<Option<BadHead>>, Vec<u8>) {
    let mut watch = HeadWatch::new(MAX, None);
    let mut read = Vec::new();
    for piece in bytes.chunks(cut) {
        let through = watch.pass(piece);
        read.extend_from_slice(&piece[..through]);
        read.extend_from_slice(watch.ready());
        watch.gave(watch.ready().len());
    }
    let heads = watch.heads();
    ((0..requests).map(|_| heads.next()).collect(), read)
}

fn verdicts(bytes: &[u8], cut: usize, requests: usize) -> Vec<Option<BadHead>> {
    followed(bytes, cut, requests).0
}

#[test]
fn finds_two_framings_behind_bodies_of_either_kind_however_they_are_cut() {
    let bytes = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nGET \
        POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n#a \r\n0\r\n\r\n\
        POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: x\r\nContent-Length: 4\r\n\r\n0\r\n\r\n";
    for cut in 1..=bytes.len() {
        let (verdicts, read) = followed(bytes, cut, 3);
        assert_eq!(verdicts, [None, None, Some(BadHead::TwoFramings)], "{cut}");
        assert_eq!(read, bytes, "{cut}");
    }
}

#[test]
fn either_order_and_equal_lengths_are_two_framings() {
    for fields in [
        "Content-Length: 0\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
        "Content-Length: 1\r\ncontent-length: 1",
        "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: x\r\nTransfer-Encoding: chunked",
    ] {
        let bytes = format!("POST / HTTP/1.1\r\n{fields}\r\n\r\n");
        assert_eq!(
            verdicts(bytes.as_bytes(), 7, 1),
            [Some(BadHead::TwoFramings)],
            "{fields}"
        );
    }
}

/// RFC 9112 section 6.1: any other coding than `chunked` would have to be decoded by somebody.
#[test]
fn any_coding_but_one_chunked_is_found() {
    for (fields, bad) in [
        ("gzip, chunked", BadHead::TransferCoding),
        ("chunked, chunked", BadHead::TransferCoding),
        ("chunked\r\nTransfer-Encoding: chunked", BadHead::TransferCoding),
        ("xchunked", BadHead::NoEnd),
        ("gzip", BadHead::NoEnd),
        ("chunked, identity", BadHead::NoEnd),
    ] {
        let bytes = format!("POST / HTTP/1.1\r\nTransfer-Encoding: {fields}\r\n\r\n");
        assert_eq!(verdicts(bytes.as_bytes(), 7, 1), [Some(bad)], "{fields}");
    }
    let bytes = b"POST / HTTP/1.1\r\nTransfer-Encoding:  Chunked \r\n\r\n";
    assert_eq!(verdicts(bytes, 7, 1), [None]);
    let bytes = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(verdicts(bytes, 7, 1), [Some(BadHead::NoEnd)]);
}

#[test]
fn a_fragment_is_found_in_the_target_alone() {
    let bytes = b"GET /a?b=%23 HTTP/1.1\r\nX: #\r\n\r\nGET /a#b HTTP/1.1\r\n\r\n";
    assert_eq!(verdicts(bytes, 9, 2), [None, Some(BadHead::Fragment)]);
}

#[test]
fn what_hyper_would_not_read_has_another_head_in_its_place_however_it_is_cut() {
    for (head, bad, made) in [
        ("NONSENSE\r\n\r\n", BadHead::Malformed, "GET / HTTP/1.1\r\n\r\n"),
        (
            "GET /a\" HTTP/1.1\r\nbad field\r\n\r\n",
            BadHead::Malformed,
            "GET /a%22 HTTP/1.1\r\n\r\n",
        ),
        (
            "GET /<a> HTTP/1.1\r\n\r\n",
            BadHead::Target,
            "GET /%3Ca%3E HTTP/1.1\r\n\r\n",
        ),
        (
            "GET /a HTTP/3.0\r\nAccept: b\r\n\r\n",
            BadHead::Version,
            "GET /a HTTP/1.1\r\naccept: b\r\n\r\n",
        ),
        (
            "PUT /a HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
            BadHead::Length,
            "PUT /a HTTP/1.1\r\n\r\n",
        ),
    ] {
        let before = "GET /before HTTP/1.1\r\n\r\n";
        let bytes = format!("{before}{head}GET /never HTTP/1.1\r\n\r\n");
        for cut in 1..bytes.len() {
            let (verdicts, read) = followed(bytes.as_bytes(), cut, 3);
            assert_eq!(
                verdicts,
                [None, Some(bad), Some(BadHead::NotFollowed)],
                "{head:?} {cut}"
            );
            let read = String::from_utf8(read).unwrap();
            // With an early cut, the replacement may show less of the target or of the fields.
            assert!(read.starts_with(before) && read.ends_with("\r\n\r\n"), "{read:?}");
            assert!(!read.contains("never"), "{read:?}");
            if cut > before.len() + head.len() {
                assert_eq!(read, format!("{before}{made}"));
            }
        }
    }
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(101));
    assert_eq!(verdicts(many.as_bytes(), 4096, 1), [Some(BadHead::TooManyFields)]);
    let large = format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(MAX));
    assert_eq!(verdicts(large.as_bytes(), 4096, 1), [Some(BadHead::TooLarge)]);
    let long = format!("GET /{}", "y".repeat(MAX));
    assert_eq!(verdicts(long.as_bytes(), 4096, 1), [Some(BadHead::TargetTooLong)]);
}

#[test]
fn of_a_head_that_is_too_large_next_to_nothing_is_kept() {
    let before = "GET /before HTTP/1.1\r\n\r\n";
    let large = "y".repeat(40_000);
    for (head, bad, made) in [
        (
            format!("POST /auth/x?a=b HTTP/1.1\r\nX: {large}\r\nAccept: a\r\n\r\n"),
            BadHead::TooLarge,
            "POST /auth/x HTTP/1.1\r\naccept: a\r\n\r\n",
        ),
        (
            format!("GET /a?{large} HTTP/1.1\r\nAccept: a\r\n\r\n"),
            BadHead::TargetTooLong,
            "GET /a HTTP/1.1\r\naccept: a\r\n\r\n",
        ),
    ] {
        let bytes = format!("{before}{head}");
        let mut watch = HeadWatch::new(MAX, None);
        let mut read = Vec::new();
        for piece in bytes.as_bytes().chunks(1000) {
            let through = watch.pass(piece);
            read.extend_from_slice(&piece[..through]);
            read.extend_from_slice(watch.ready());
            watch.gave(watch.ready().len());
            assert!(!watch.in_body() || watch.is_refused());
        }
        assert_eq!(String::from_utf8(read).unwrap(), format!("{before}{made}"));
        assert_eq!([watch.heads().next(), watch.heads().next()], [None, Some(bad)]);
    }
    // An incomplete head that is too large is not shown to hyper.
    let mut watch = HeadWatch::new(MAX, None);
    for piece in format!("GET / HTTP/1.1\r\nX: {large}").as_bytes().chunks(1000) {
        assert_eq!(watch.pass(piece), 0);
    }
    assert!(watch.in_head() && matches!(watch.state, State::TooLarge(_)));
    // A head whose fields are just as large as allowed is read.
    let field = "y".repeat(32 * 1024 - 5);
    let fits = format!("GET / HTTP/1.1\r\nX: {field}\r\n\r\n");
    assert_eq!(
        followed(fits.as_bytes(), 1000, 1),
        (vec![None], fits.clone().into_bytes())
    );
}

#[test]
fn what_is_behind_a_lost_body_is_refused() {
    let bytes =
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: 1\n\r\n\r\nGET / HTTP/1.1\r\n\r\n";
    for cut in 1..bytes.len() {
        assert_eq!(
            verdicts(bytes, cut, 2),
            [None, Some(BadHead::NotFollowed)],
            "{cut}"
        );
    }
}
