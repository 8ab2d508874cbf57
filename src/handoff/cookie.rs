//! The cookie `pnm_access_token`, written for the client to read by script and read as the client reads it.
//!
//! Sources: contract.md section 6, RFC 6265 sections 4.1.2 and 6.1.

use cookie::{Cookie, SameSite, time::Duration};
use hyper::{
    HeaderMap,
    header::{self, HeaderValue},
};

use super::HandoffError;

/// The name that the client looks for.
const NAME: &str = "pnm_access_token";

/// RFC 6265 section 6.1: browsers keep this much, and silently drop what is larger.
const MAX_COOKIE_BYTES: usize = 4096;

/// A cookie to be set.
pub(super) struct Written<'a> {
    pub token: &'a str,
    pub path: &'a str,
    /// Seconds.
    pub lives: i64,
    /// For a frame in another site's page.
    pub cross_site: bool,
}

/// Not HttpOnly and not encoded: the client takes it from `document.cookie`, verbatim (contract.md sections 0.10 and 6).
pub(super) fn write(written: &Written<'_>) -> Result<HeaderValue, HandoffError> {
    let cookie = Cookie::build((NAME, written.token))
        .path(written.path)
        .max_age(Duration::seconds(written.lives.max(0)))
        .secure(true);
    let cookie = if written.cross_site {
        cookie.same_site(SameSite::None).partitioned(true)
    } else {
        cookie.same_site(SameSite::Lax)
    };
    let text = cookie.build().to_string();
    if text.len() > MAX_COOKIE_BYTES {
        return Err(HandoffError::CookieTooLarge);
    }
    HeaderValue::try_from(text).map_err(|_| HandoffError::Location)
}

/// The token that the client would find: the first of that name, to the letter.
pub(super) fn read(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .find_map(|pair| pair.trim_start_matches(' ').strip_prefix(NAME)?.strip_prefix('='))
        .filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(cross_site: bool) -> String {
        let cookie = Written {
            token: "a.b-c._",
            path: "/conference/s/x/",
            lives: 11_400,
            cross_site,
        };
        write(&cookie).unwrap().to_str().unwrap().to_owned()
    }

    fn attributes(cookie: &str) -> Vec<String> {
        let mut parts: Vec<String> = cookie.split("; ").map(str::to_owned).collect();
        parts.sort();
        parts
    }

    #[test]
    fn the_client_can_read_what_is_written() {
        let parts = [
            "Max-Age=11400",
            "Path=/conference/s/x/",
            "SameSite=Lax",
            "Secure",
            "pnm_access_token=a.b-c._",
        ];
        assert_eq!(attributes(&written(false)), parts);
        assert!(written(false).starts_with("pnm_access_token=a.b-c._;"));
    }

    #[test]
    fn in_a_foreign_frame_the_cookie_is_partitioned() {
        let parts = attributes(&written(true));
        assert!(
            parts.contains(&"SameSite=None".into()) && parts.contains(&"Partitioned".into()),
            "{parts:?}"
        );
    }

    #[test]
    fn a_cookie_that_the_browser_would_drop_is_not_written() {
        let token = "x".repeat(4090);
        let cookie = Written {
            token: &token,
            path: "/",
            lives: 1,
            cross_site: false,
        };
        assert!(matches!(write(&cookie), Err(HandoffError::CookieTooLarge)));
    }

    #[test]
    fn reads_the_first_of_that_name_as_the_client_does() {
        let read_from = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("cookie", HeaderValue::from_static(line));
            }
            read(&headers).map(str::to_owned)
        };
        assert_eq!(
            read_from(&["a=1;  pnm_access_token=x.y.z; pnm_access_token=2"]),
            Some("x.y.z".into())
        );
        assert_eq!(
            read_from(&["a=1", "pnm_access_token=a%2Bb"]),
            Some("a%2Bb".into())
        );
        assert_eq!(read_from(&["pnm_access_tokens=1; x_pnm_access_token=2"]), None);
        assert_eq!(read_from(&["pnm_access_token="]), None);
    }
}
