//! The two cookies of a session: their content, their lifetime, and the path for which they are valid.

use hyper::header::HeaderValue;

use super::{
    Scope, SessionError, Sessions,
    companion::{self, Companion},
    cookie, renewal,
};
use crate::token::LEEWAY_SECS;

impl Sessions {
    /// The cookie with the token, which the client reads.
    pub(super) fn token_cookie(
        &self,
        tag: &str,
        token: &str,
        exp: i64,
        cross_site: bool,
    ) -> Result<HeaderValue, SessionError> {
        cookie::write(&cookie::Written {
            name: cookie::ACCESS,
            value: token,
            path: &self.cookie_path(tag),
            lives: self.lives_for(exp.saturating_sub(self.clock.unix())),
            cross_site,
            http_only: false,
        })
    }

    /// The companion cookie, valid for as long as it can be used. It outlives the time in which it allows a renewal: a
    /// token that the server renewed looks like a first one, and only the companion tells the difference.
    pub(super) fn companion_cookie(&self, companion: &Companion) -> Result<HeaderValue, SessionError> {
        let known_until = companion
            .begun
            .saturating_add_unsigned(self.settings.max_age.as_secs())
            .saturating_add_unsigned(self.settings.renew_grace.as_secs())
            .saturating_add(*renewal::VALIDITY.end());
        let path = self.cookie_path(&companion.tag);
        cookie::write(&cookie::Written {
            name: self.companion_name(),
            value: &companion.sealed(&self.keys).unwrap_or_default(),
            path: match self.settings.scope {
                Scope::Session => &path,
                Scope::Mount => "/",
            },
            lives: known_until.saturating_sub(self.clock.unix()),
            cross_site: companion.framed,
            http_only: true,
        })
    }

    pub(super) fn companion_name(&self) -> &'static str {
        match self.settings.scope {
            Scope::Session => companion::OF_SESSION,
            Scope::Mount => companion::OF_MOUNT,
        }
    }

    /// Seconds that a cookie lives: what is left of its token, and the grace. A token that is past its end and still good
    /// must not end its cookie at once.
    pub(super) fn lives_for(&self, left: i64) -> i64 {
        let lives = left.saturating_add_unsigned(self.settings.renew_grace.as_secs());
        if lives > 0 {
            lives
        } else {
            left.saturating_add(LEEWAY_SECS).max(1)
        }
    }

    /// The path of a session's page.
    pub(super) fn page_of(&self, tag: &str) -> String {
        let mount = &self.settings.mount;
        match self.settings.scope {
            Scope::Session => format!("{mount}/s/{tag}/"),
            Scope::Mount => format!("{mount}/"),
        }
    }

    /// The path for which a session's cookie is valid. If all sessions share the mount, the cookie is valid without the
    /// slash at its end too.
    pub(super) fn cookie_path(&self, tag: &str) -> String {
        match self.settings.scope {
            Scope::Session => self.page_of(tag),
            Scope::Mount if self.settings.mount.is_empty() => "/".to_owned(),
            Scope::Mount => self.settings.mount.clone(),
        }
    }
}
