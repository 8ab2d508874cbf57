//! From a path as it came to the name of a file. A name is looked up in a map that was filled at the start, so dot
//! segments and the like lead nowhere; what is refused here could be read in two ways.

use std::borrow::Cow;

use hyper::StatusCode;
use percent_encoding::percent_decode_str;

use crate::reply::Failure;

/// The name of the file for a path below the mount, with or without a slash at its start. Decodes it once (RFC 3986
/// section 2.4).
pub(super) fn file_name(raw_path: &str) -> Result<Cow<'_, str>, Failure> {
    let raw_path = raw_path.strip_prefix('/').unwrap_or(raw_path);
    if !raw_path.bytes().any(|byte| byte == b'%') {
        return Ok(Cow::Borrowed(raw_path));
    }
    let refused = || Failure::new(StatusCode::BAD_REQUEST, "bad_path", "the path is badly encoded");
    if !is_well_encoded(raw_path) {
        return Err(refused());
    }
    let name = percent_decode_str(raw_path)
        .decode_utf8()
        .map_err(|_| refused())?;
    if slashes(&name) != slashes(raw_path) {
        return Err(refused());
    }
    Ok(name)
}

/// Is every `%` followed by two hex digits?
fn is_well_encoded(raw: &str) -> bool {
    raw.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

fn slashes(text: &str) -> usize {
    text.matches('/').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(raw: &str) -> Option<&'static str> {
        file_name(raw).err().map(|failure| failure.code())
    }

    #[test]
    fn decodes_once() {
        for (raw, name) in [
            ("assets/config.js", "assets/config.js"),
            ("/assets/config.js", "assets/config.js"),
            ("assets/%63onfig%2Ejs", "assets/config.js"),
            ("a%20b+c", "a b+c"),
            ("%C3%A9.png", "é.png"),
            ("%252e%252e/x", "%2e%2e/x"),
            ("", ""),
        ] {
            assert_eq!(file_name(raw).ok().as_deref(), Some(name), "{raw}");
        }
    }

    #[test]
    fn refuses_what_can_be_read_in_two_ways() {
        for raw in [
            "assets%2fconfig.js",
            "a%",
            "a%4",
            "a%zz",
            "a%+1",
            "%ff",
            "%c0%ae",
            "a%%41",
        ] {
            assert_eq!(code(raw), Some("bad_path"), "{raw}");
        }
    }
}
