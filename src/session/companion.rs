//! The companion: the gateway's own cookie beside the client's, sealed, and hidden from scripts. It holds what the
//! token doesn't: when the session began, in which meeting, and who asked for its token.
//!
//! SECURITY: its name has a prefix with which browsers accept it from no other host (RFC 6265bis section 4.1.3). Where
//! all sessions share one path, the companion also tells the running session's token from a token that somebody
//! planted.

use serde::{Deserialize, Serialize};

use super::cookie::Cookies;
use crate::token::TokenKeys;

/// The companion's name if its session has a path of its own.
pub(super) const OF_SESSION: &str = "__Secure-pnm_session";

/// The companion's name if all sessions share one path. No subdomain can set such a cookie; in return its path must be
/// `/`.
pub(super) const OF_MOUNT: &str = "__Host-pnm_session";

/// The purpose under which the companion is sealed (`TokenKeys::seal`).
const PURPOSE: &str = "session";

/// The content of the companion cookie.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(super) struct Companion {
    pub tag: String,
    /// The time at which the first token was issued, in seconds since 1970. `session.max_age` counts from it.
    pub begun: i64,
    /// The time at which the link was opened, in seconds since 1970. A participant who left before it has come back
    /// since.
    pub entered: i64,
    /// The caller who asked for the token, if the gateway knows it.
    pub caller: Option<String>,
    /// The server's id of the meeting that ran in the room at `entered`, if the server told it.
    #[serde(default)]
    pub meeting: Option<String>,
    /// Was the link opened in another site's frame? A reload of the frame does not tell.
    pub framed: bool,
}

impl Companion {
    pub(super) fn sealed(&self, keys: &TokenKeys) -> Option<String> {
        keys.seal(PURPOSE, &serde_json::to_vec(self).ok()?)
    }

    /// The first companion that this gateway's key has sealed; only one of session `tag` if a tag is given.
    pub(super) fn among(
        cookies: &Cookies<'_>,
        name: &'static str,
        keys: &TokenKeys,
        tag: Option<&str>,
    ) -> Option<Self> {
        cookies
            .named(name)
            .filter_map(|sealed| {
                let content = keys.open(PURPOSE, sealed)?;
                serde_json::from_slice::<Self>(&content).ok()
            })
            .find(|companion| tag.is_none_or(|tag| tag == companion.tag))
    }
}
