//! The cookies of a session: `pnm_access_token`, written for the client to read by script and read as the client reads
//! it, and the gateway's own companion beside it, which no script sees.
//!
//! A site on a related domain may have set a cookie that could be taken for ours: for the parent domain, for another
//! path, or under a name that a lenient parser reads as ours. The client takes the first that it finds, so the gateway
//! recognises such cookies and clears them.
//!
//! Sources: docs/plugnmeet.md section 6; RFC 6265 sections 4.1.2, 5.4 and 6.1; RFC 6265bis section 5.7 (nameless
//! cookies).

use std::net::IpAddr;

use cookie::{Cookie, SameSite, time::Duration};
use hyper::{
    HeaderMap,
    header::{self, HeaderValue},
};

use super::SessionError;
use crate::http::without_brackets;

/// The name that the client looks for.
pub(super) use crate::http::ACCESS_COOKIE as ACCESS;

/// The largest size of a cookie. Browsers drop a larger one without a message (RFC 6265 section 6.1).
const MAX_COOKIE_BYTES: usize = 4096;

/// The longest lifetime of a cookie, in seconds: browsers keep none longer than 400 days (RFC 6265bis section 5.6.2).
const MAX_LIFE_SECS: i64 = 400 * 24 * 3600;

/// The largest number of tokens of one request that are looked at. No request has more by accident.
const MAX_TOKENS: usize = 8;

/// A cookie that the gateway sets.
pub(super) struct Written<'a> {
    pub name: &'static str,
    pub value: &'a str,
    pub path: &'a str,
    /// The lifetime in seconds.
    pub lives: i64,
    /// Is it sent in another site's frame (`SameSite=None; Partitioned`)?
    pub cross_site: bool,
    /// Is it hidden from scripts (`HttpOnly`)?
    pub http_only: bool,
}

/// The `Set-Cookie` value. The cookie's value is not encoded, because the client reads its token from `document.cookie`
/// as it is (docs/plugnmeet.md sections 0.10 and 6).
pub(super) fn write(written: &Written<'_>) -> Result<HeaderValue, SessionError> {
    let mut cookie = Cookie::build((written.name, written.value))
        .path(written.path)
        .max_age(Duration::seconds(written.lives.clamp(0, MAX_LIFE_SECS)))
        .secure(true);
    if written.http_only {
        cookie = cookie.http_only(true);
    }
    let cookie = if written.cross_site {
        cookie.same_site(SameSite::None).partitioned(true)
    } else {
        cookie.same_site(SameSite::Lax)
    };
    let text = in_order(&cookie.build().to_string());
    if text.len() > MAX_COOKIE_BYTES {
        return Err(SessionError::CookieTooLarge);
    }
    HeaderValue::try_from(text).map_err(|_| SessionError::Location)
}

/// The same cookie with its attributes in the order of RFC 6265 section 4.1.2, as all other cookies of the gateway have
/// them. Browsers take any order; people and scripts that compare lines do not.
fn in_order(text: &str) -> String {
    const ORDER: [&str; 6] = [
        "Path=",
        "Max-Age=",
        "Secure",
        "HttpOnly",
        "SameSite=",
        "Partitioned",
    ];
    let place = |attribute: &str| ORDER.iter().position(|name| attribute.starts_with(name));
    let mut parts: Vec<&str> = text.split("; ").collect();
    if let Some((_, attributes)) = parts.split_first_mut() {
        attributes.sort_by_key(|attribute| place(attribute));
    }
    parts.join("; ")
}

/// The cookies of a request that concern sessions.
pub(super) struct Cookies<'a> {
    /// The tokens, each once, in the order in which the client would find them.
    pub tokens: Vec<&'a str>,
    /// Is there a name that equals ours without its blanks, a value that can't be a token beside the tokens, or more
    /// tokens than are looked at?
    pub odd: bool,
    headers: &'a HeaderMap,
}

impl<'a> Cookies<'a> {
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        let mut cookies = Self {
            tokens: Vec::new(),
            odd: false,
            headers,
        };
        let mut unusable = false;
        for (name, value) in pairs(headers) {
            if name == ACCESS.as_bytes() {
                let Some(token) = str::from_utf8(value).ok().filter(|token| !token.is_empty()) else {
                    unusable = true;
                    continue;
                };
                if cookies.tokens.len() == MAX_TOKENS {
                    cookies.odd = true;
                } else if !cookies.tokens.contains(&token) {
                    cookies.tokens.push(token);
                }
            } else if looks_like_ours(name) {
                cookies.odd = true;
            }
        }
        // Alone it says no more than no cookie would; before a token the client would take it for the token.
        cookies.odd |= unusable && !cookies.tokens.is_empty();
        cookies
    }

    /// The values of all cookies with this name, at most `MAX_TOKENS`.
    pub(super) fn named(&self, name: &'static str) -> impl Iterator<Item = &'a str> {
        pairs(self.headers)
            .filter(move |(found, _)| *found == name.as_bytes())
            .filter_map(|(_, value)| str::from_utf8(value).ok())
            .take(MAX_TOKENS)
    }
}

/// The names and values as the client reads them: split at `;`, without blanks before a name, all else unchanged.
fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        .filter_map(|pair| {
            let blanks = pair.iter().take_while(|byte| **byte == b' ').count();
            let pair = pair.get(blanks..)?;
            let equals = pair.iter().position(|byte| *byte == b'=')?;
            let (name, value) = pair.split_at_checked(equals)?;
            Some((name, value.get(1..)?))
        })
}

/// Would a lenient parser take this name for `pnm_access_token`?
fn looks_like_ours(name: &[u8]) -> bool {
    let name = String::from_utf8_lossy(name);
    name.trim_matches(|c: char| {
        c.is_whitespace() || c.is_control() || c == '"' || c == char::REPLACEMENT_CHARACTER
    })
    .eq_ignore_ascii_case(ACCESS)
}

/// The `Set-Cookie` values that end every cookie that a page at this path would see and that could be taken for ours,
/// except ours itself. They cover the path and all paths above it, the host and its parent domains, and cookies without
/// a name, whose value can look like a name and a value.
pub(super) fn clearing(host: &str, page: &str, own_path: &str, cross_site: bool) -> Vec<HeaderValue> {
    let mut cleared = Vec::new();
    let kinds: &[&str] = if cross_site {
        &["; SameSite=None", "; SameSite=None; Partitioned"]
    } else {
        &[""]
    };
    for domain in domains(host) {
        for path in paths_to(page) {
            let own = domain.is_none() && path == own_path;
            for name in [ACCESS, ""] {
                if own && !name.is_empty() {
                    continue;
                }
                // Browsers ignore a cookie that has neither name nor value.
                let value = if name.is_empty() { "gone" } else { "" };
                let of = domain.map_or(String::new(), |domain| format!("; Domain={domain}"));
                for kind in kinds {
                    let text = format!("{name}={value}; Path={path}{of}; Max-Age=0; Secure{kind}");
                    cleared.extend(HeaderValue::try_from(text));
                }
            }
        }
    }
    cleared
}

/// Every cookie `Path` that matches requests for this path (RFC 6265 section 5.1.4).
fn paths_to(path: &str) -> impl Iterator<Item = &str> {
    path.char_indices()
        .filter(|(_, c)| *c == '/')
        .flat_map(|(at, _)| {
            let without = path.get(..at).filter(|above| !above.is_empty());
            without.into_iter().chain(path.get(..=at))
        })
        .chain((!path.ends_with('/')).then_some(path))
}

/// The domains with which a cookie can be set that our pages see: none for the host alone, then the host and its
/// parents. Browsers ignore those that belong to everybody, such as `co.uk`; an address has no domains.
fn domains(host: &str) -> impl Iterator<Item = Option<&str>> {
    let is_address = without_brackets(host).parse::<IpAddr>().is_ok();
    let mut next = (!is_address).then_some(host);
    let all = std::iter::from_fn(move || {
        let domain = next.filter(|domain| domain.contains('.'))?;
        next = domain.split_once('.').map(|(_, parent)| parent);
        Some(Some(domain))
    });
    std::iter::once(None).chain(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(cross_site: bool, http_only: bool) -> String {
        let cookie = Written {
            name: ACCESS,
            value: "a.b-c._",
            path: "/conference/s/x/",
            lives: 11_400,
            cross_site,
            http_only,
        };
        write(&cookie).unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn the_client_can_read_what_is_written() {
        let start = "pnm_access_token=a.b-c._; Path=/conference/s/x/; Max-Age=11400; Secure";
        assert_eq!(written(false, false), format!("{start}; SameSite=Lax"));
        assert_eq!(written(false, true), format!("{start}; HttpOnly; SameSite=Lax"));
    }

    #[test]
    fn in_a_foreign_frame_the_cookie_is_partitioned() {
        let cookie = written(true, false);
        assert!(
            cookie.ends_with("; Secure; SameSite=None; Partitioned"),
            "{cookie}"
        );
    }

    #[test]
    fn a_cookie_that_the_browser_would_drop_is_not_written() {
        let cookie = Written {
            name: ACCESS,
            value: &"x".repeat(4090),
            path: "/",
            lives: 1,
            cross_site: false,
            http_only: false,
        };
        assert!(matches!(write(&cookie), Err(SessionError::CookieTooLarge)));
    }

    fn headers(lines: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("cookie", HeaderValue::from_bytes(line).unwrap());
        }
        headers
    }

    #[test]
    fn finds_each_token_once_as_the_client_does() {
        for (lines, tokens) in [
            (
                &[&b"a=1;  pnm_access_token=x.y.z; pnm_access_token=2"[..]][..],
                &["x.y.z", "2"][..],
            ),
            (&[b"a=1", b"pnm_access_token=a%2Bb"], &["a%2Bb"]),
            (&[b"pnm_access_token=a; pnm_access_token=a"], &["a"]),
            (&[b"pnm_access_tokens=1; x_pnm_access_token=2"], &[]),
            (&[b"pnm_access_token="], &[]),
            (&["name=Zoë; pnm_access_token=a".as_bytes()], &["a"]),
        ] {
            let headers = headers(lines);
            let cookies = Cookies::of(&headers);
            assert_eq!(cookies.tokens, tokens, "{lines:?}");
            assert!(!cookies.odd);
        }
    }

    #[test]
    fn a_value_that_can_be_no_token_is_odd_beside_one() {
        for line in [
            &b"pnm_access_token=; pnm_access_token=a"[..],
            b"pnm_access_token=a; pnm_access_token=",
            b"pnm_access_token=\xff; pnm_access_token=a",
        ] {
            let headers = headers(&[line]);
            let cookies = Cookies::of(&headers);
            assert_eq!(cookies.tokens, ["a"], "{line:?}");
            assert!(cookies.odd, "{line:?}");
        }
    }

    #[test]
    fn a_name_that_is_ours_but_for_blanks_is_none_of_ours() {
        for line in [
            &b"\tpnm_access_token=x"[..],
            b"pnm_access_token =x",
            b"PNM_Access_Token=x",
            b"\"pnm_access_token\"=x",
            "\u{a0}pnm_access_token=x".as_bytes(),
            b"\xa0pnm_access_token=x",
        ] {
            let headers = headers(&[line]);
            let cookies = Cookies::of(&headers);
            assert!(cookies.odd && cookies.tokens.is_empty(), "{line:?}");
        }
    }

    #[test]
    fn clears_all_that_a_browser_would_send_with_ours_but_not_ours() {
        let cleared = clearing("conf.example.org", "/conference/s/x/", "/conference/s/x/", false);
        let cleared: Vec<&str> = cleared.iter().map(|value| value.to_str().unwrap()).collect();
        let own = "pnm_access_token=; Path=/conference/s/x/; Max-Age=0; Secure";
        assert!(!cleared.contains(&own));
        for expected in [
            "pnm_access_token=; Path=/; Max-Age=0; Secure",
            "pnm_access_token=; Path=/conference; Max-Age=0; Secure",
            "pnm_access_token=; Path=/conference/; Max-Age=0; Secure",
            "pnm_access_token=; Path=/conference/s/x/; Domain=conf.example.org; Max-Age=0; Secure",
            "pnm_access_token=; Path=/; Domain=example.org; Max-Age=0; Secure",
            "=gone; Path=/conference/s/x/; Max-Age=0; Secure",
            "=gone; Path=/conference/s/x/; Domain=example.org; Max-Age=0; Secure",
        ] {
            assert!(cleared.contains(&expected), "{expected}");
        }
        // Seven paths, three domains, two names, less the one that is ours.
        assert_eq!(cleared.len(), 7 * 3 * 2 - 1);
        assert!(!cleared.iter().any(|cookie| cookie.contains("Domain=org")));
        let of_address = clearing("[::1]", "/c/", "/c/", true);
        assert!(
            of_address
                .iter()
                .all(|cookie| !cookie.to_str().unwrap().contains("Domain"))
        );
        let partitioned = of_address
            .iter()
            .filter(|cookie| cookie.to_str().unwrap().ends_with("; SameSite=None; Partitioned"));
        assert_eq!(partitioned.count(), of_address.len() / 2);
    }

    /// The client takes the cookie with the longest path.
    #[test]
    fn clears_what_has_a_longer_path_than_ours() {
        let cleared = clearing("example.org", "/c/index.html", "/c", false);
        let cleared: Vec<&str> = cleared.iter().map(|value| value.to_str().unwrap()).collect();
        assert!(!cleared.contains(&"pnm_access_token=; Path=/c; Max-Age=0; Secure"));
        for expected in [
            "pnm_access_token=; Path=/c; Domain=example.org; Max-Age=0; Secure",
            "pnm_access_token=; Path=/c/; Max-Age=0; Secure",
            "pnm_access_token=; Path=/c/index.html; Max-Age=0; Secure",
            "=gone; Path=/c; Max-Age=0; Secure",
        ] {
            assert!(cleared.contains(&expected), "{expected}");
        }
        assert_eq!(cleared.len(), 4 * 2 * 2 - 1);
    }
}
