//! What a parsed head says of what follows it, and whether hyper would read it.
//!
//! Sources: RFC 9112 sections 6.1 to 6.3; hyper's own rules for a request (`proto::h1::role`).

use hyper::{Method, Uri};

use super::bad_head::BadHead;

pub(super) enum Behind {
    /// The next head follows: there is no body.
    Nothing,
    /// A body of this many bytes follows.
    Bytes(u64),
    /// A chunked body follows.
    Chunks,
    /// The request has `Upgrade`, and so another protocol may follow.
    Anything,
}

/// Returns what follows a head, and what is wrong with it. An error means that hyper would not read the head.
pub(super) fn judge(request: &httparse::Request<'_, '_>) -> Result<(Behind, Option<BadHead>), BadHead> {
    let (mut lengths, mut length) = (0, Some(0));
    let (mut codings, mut only_chunked, mut ends, mut upgrade) = (0, true, true, false);
    for field in request.headers.iter() {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            lengths += 1;
            length = length_of(field.value);
        } else if is("transfer-encoding") {
            codings += 1;
            only_chunked &= is_chunked(field.value);
            ends = field
                .value
                .rsplit(|byte| *byte == b',')
                .next()
                .is_some_and(is_chunked);
        } else if is("upgrade") {
            upgrade = true;
        }
    }
    let is_old = request.version == Some(0);
    if lengths > 1 || (lengths > 0 && codings > 0) {
        return if lengths > 1 || length.is_none() || !ends || is_old {
            Err(BadHead::TwoFramings)
        } else {
            Ok((Behind::Chunks, Some(BadHead::TwoFramings)))
        };
    }
    if !ends || (codings > 0 && is_old) {
        return Err(BadHead::NoEnd);
    }
    let length = length.ok_or(BadHead::Length)?;
    let path = request.path.unwrap_or_default();
    if !is_target(path) {
        return Err(BadHead::Target);
    }
    let is_method = |method: &str| Method::from_bytes(method.as_bytes()).is_ok();
    if !request.method.is_some_and(is_method) {
        return Err(BadHead::Malformed);
    }
    let bad = if codings > 1 || !only_chunked {
        Some(BadHead::TransferCoding)
    } else if path.contains('#') {
        Some(BadHead::Fragment)
    } else {
        None
    };
    let behind = if upgrade {
        Behind::Anything
    } else if codings > 0 {
        Behind::Chunks
    } else if length > 0 {
        Behind::Bytes(length)
    } else {
        Behind::Nothing
    };
    Ok((behind, bad))
}

fn is_chunked(coding: &[u8]) -> bool {
    coding.trim_ascii().eq_ignore_ascii_case(b"chunked")
}

/// Parses a `Content-Length` of digits alone. The largest numbers are refused, as hyper uses them as marks.
fn length_of(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|length| *length < u64::MAX - 2)
}

/// Would hyper take this target? Most targets have only bytes that hyper is known to take, and need no parsing.
fn is_target(path: &str) -> bool {
    let is_plain = path.starts_with('/')
        && path.len() < usize::from(u16::MAX)
        && path
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"/-._~%?&=+:,;@!$'()*".contains(&byte));
    is_plain || path.parse::<Uri>().is_ok()
}

/// Is the request line complete, with a version that is written as `HTTP/` and two digits with a dot between them?
pub(super) fn names_a_version(head: &[u8]) -> bool {
    let line = head
        .trim_ascii_start()
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default()
        .trim_ascii_end();
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(_), Some(_), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return false;
    };
    matches!(version, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
        if major.is_ascii_digit() && minor.is_ascii_digit())
}
