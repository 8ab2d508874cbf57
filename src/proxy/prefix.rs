//! Puts a prefix back into an answer. The gateway removed the prefix from the request's path, so the upstream names its
//! own paths without it.
//!
//! Sources: RFC 9110 section 10.2.2 (`Location`), RFC 6265 section 5.2.4 (`Path`).

use std::borrow::Cow;

use hyper::{
    HeaderMap,
    header::{self, Entry, HeaderValue},
};

/// Adds the prefix that was removed from the request to the upstream's own paths: in `Location`, and in the `Path` of
/// its cookies. `host` is the authority by which the upstream was called.
pub fn below_prefix(prefix: &str, host: &HeaderValue, headers: &mut HeaderMap) {
    if let Some(location) = headers.get(header::LOCATION)
        && let Some(path) = own_path(location.as_bytes(), host.as_bytes())
        && let Some(path) = prefixed(prefix, path)
    {
        headers.insert(header::LOCATION, path);
    }
    if let Entry::Occupied(mut cookies) = headers.entry(header::SET_COOKIE) {
        for cookie in cookies.iter_mut() {
            let parts = cookie.as_bytes().split(|byte| *byte == b';');
            let moved: Vec<Cow<'_, [u8]>> = parts
                .enumerate()
                .map(|(at, part)| {
                    let path = path_attribute(part).filter(|_| at > 0);
                    let moved = path.and_then(|path| prefixed(prefix, path));
                    moved.map_or(Cow::Borrowed(part), |path| {
                        Cow::Owned([b" Path=", path.as_bytes()].concat())
                    })
                })
                .collect();
            if let Ok(moved) = HeaderValue::from_bytes(&moved.join(&b";"[..])) {
                *cookie = moved;
            }
        }
    }
}

/// The path of a `Location` that leads to `host` or names no host, with its query. None if it leads to another host, or
/// if the path does not begin with a slash.
fn own_path<'a>(location: &'a [u8], host: &[u8]) -> Option<&'a [u8]> {
    let schemeless = [&b"http:"[..], b"https:"]
        .iter()
        .find_map(|scheme| {
            let start = location.get(..scheme.len())?;
            start
                .eq_ignore_ascii_case(scheme)
                .then(|| location.get(scheme.len()..))?
        })
        .unwrap_or(location);
    let Some(rest) = schemeless.strip_prefix(b"//") else {
        return Some(location).filter(|location| location.starts_with(b"/"));
    };
    let (authority, path) = rest.split_at(rest.iter().position(|byte| *byte == b'/')?);
    authority.eq_ignore_ascii_case(host).then_some(path)
}

/// The path with the prefix in front. A path that is below the prefix already stays as it is.
fn prefixed(prefix: &str, path: &[u8]) -> Option<HeaderValue> {
    let below = path
        .strip_prefix(prefix.as_bytes())
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'/' | b'?' | b'#')));
    if below {
        return HeaderValue::from_bytes(path).ok();
    }
    HeaderValue::from_bytes(&[prefix.as_bytes(), path].concat()).ok()
}

/// The value of a cookie's attribute `Path=/…`. None for any other attribute, and for any other value, which means the
/// path of the request (RFC 6265 section 5.2.4).
fn path_attribute(part: &[u8]) -> Option<&[u8]> {
    let at = part.iter().position(|byte| *byte == b'=')?;
    let (name, value) = part.split_at(at);
    let value = value.get(1..)?.trim_ascii();
    (name.trim_ascii().eq_ignore_ascii_case(b"path") && value.starts_with(b"/")).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_an_upstream_sends_people_is_below_its_prefix() {
        let host = HeaderValue::from_static("conf.example.org:8443");
        for (said, told) in [
            ("/p/a?x=/b#c", "/etherpad/p/a?x=/b#c"),
            ("/", "/etherpad/"),
            ("https://CONF.example.org:8443/p/a", "/etherpad/p/a"),
            ("http://conf.example.org:8443/p/a", "/etherpad/p/a"),
            ("//conf.example.org:8443/p/a", "/etherpad/p/a"),
            ("/etherpad/p/a", "/etherpad/p/a"),
            ("/etherpads", "/etherpad/etherpads"),
            ("p/a", "p/a"),
            ("?x", "?x"),
            ("https://conf.example.org/p/a", "https://conf.example.org/p/a"),
            ("https://other.example/p/a", "https://other.example/p/a"),
            ("//other.example/p/a", "//other.example/p/a"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::LOCATION, HeaderValue::from_static(said));
            below_prefix("/etherpad", &host, &mut headers);
            assert_eq!(headers["location"], told, "{said}");
        }
    }

    #[test]
    fn where_an_upstreams_cookies_count_is_below_its_prefix() {
        let mut headers = HeaderMap::new();
        let said: [(&[u8], &[u8]); 5] = [
            (
                b"express_sid=s%3Ax; Path=/; HttpOnly",
                b"express_sid=s%3Ax; Path=/etherpad/; HttpOnly",
            ),
            (
                b"token=\xe4;path=/p;SameSite=Lax",
                b"token=\xe4; Path=/etherpad/p;SameSite=Lax",
            ),
            (b"a=b", b"a=b"),
            (b"path=/; Path=", b"path=/; Path="),
            (b"c=d; Path=/etherpad", b"c=d; Path=/etherpad"),
        ];
        for (cookie, _) in said {
            headers.append(header::SET_COOKIE, HeaderValue::from_bytes(cookie).unwrap());
        }
        below_prefix("/etherpad", &HeaderValue::from_static("h"), &mut headers);
        let told: Vec<_> = headers
            .get_all(header::SET_COOKIE)
            .iter()
            .map(HeaderValue::as_bytes)
            .collect();
        assert_eq!(told, said.map(|(_, told)| told));
    }
}
