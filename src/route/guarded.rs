//! What comes from elsewhere and is dangerous at our origin: what people have uploaded, and a page that asks for the API
//! secret.
//!
//! A download is saved and not shown, as the server says `attachment` of each (docs/plugnmeet.md section 8). If one is
//! shown all the same, it is in a sandbox: a page of nobody's origin, without scripts. A PDF is shown there as ever:
//! Chromium's viewer (156) was seen to draw the same page with a sandbox and without.
//!
//! Not here: whether the login page is served (`super::table`, `crate::files`).
//!
//! Sources: CSP level 3 section 6.4.3 (`sandbox`), Fetch standard "X-Content-Type-Options", docs/plugnmeet.md
//! section 12 (the login page).

use hyper::{
    HeaderMap,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS},
};
use percent_encoding::percent_decode_str;

use super::table::Table;

const LOGIN_POLICY: &str = "connect-src 'self'; form-action 'self'; frame-ancestors 'none'";

/// An answer that is guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guarded {
    /// What was uploaded or recorded.
    Download,
    /// The server's login page, which an operator has exposed.
    Login,
}

impl Guarded {
    /// Of a path as it came; the server ignores case (docs/plugnmeet.md section 0.1).
    pub fn of(path: &str, table: &Table) -> Option<Self> {
        let first = path.split('/').nth(1).unwrap_or_default();
        if first.eq_ignore_ascii_case("download") {
            return Some(Self::Download);
        }
        let is_login = |path: &str| {
            path.get(..6)
                .is_some_and(|start| start.eq_ignore_ascii_case("/login"))
        };
        let below_mount = || {
            let path = percent_decode_str(path).decode_utf8_lossy();
            path.strip_prefix(table.mount.as_str()).is_some_and(is_login)
        };
        (table.login && (is_login(path) || below_mount())).then_some(Self::Login)
    }

    pub fn apply(self, headers: &mut HeaderMap) {
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        match self {
            Self::Download => {
                // Beside the server's own, if it has one: both hold.
                headers.append(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
            }
            Self::Login => {
                headers.append(CONTENT_SECURITY_POLICY, HeaderValue::from_static(LOGIN_POLICY));
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
                headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::behind::Whole, *};

    fn table(login: bool) -> Table {
        Table {
            mount: "/conference".to_owned(),
            session_paths: true,
            login,
            metrics: false,
            whole: Whole::default(),
        }
    }

    #[test]
    fn knows_a_download_and_an_exposed_login_page_by_any_spelling() {
        for (path, exposed, hidden) in [
            (
                "/download/recording/x.y.z",
                Some(Guarded::Download),
                Some(Guarded::Download),
            ),
            (
                "/DownLoad/uploadedFile/a%2Fb",
                Some(Guarded::Download),
                Some(Guarded::Download),
            ),
            ("/downloads", None, None),
            ("/login.html", Some(Guarded::Login), None),
            ("/LOGIN", Some(Guarded::Login), None),
            ("/conference/login.html", Some(Guarded::Login), None),
            ("/conference/%6cogin.html", Some(Guarded::Login), None),
            ("/conference/", None, None),
            ("/é", None, None),
        ] {
            assert_eq!(Guarded::of(path, &table(true)), exposed, "{path}");
            assert_eq!(Guarded::of(path, &table(false)), hidden, "{path}");
        }
    }
}
