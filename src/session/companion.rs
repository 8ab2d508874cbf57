//! The companion: the gateway's own cookie beside the client's, sealed and out of every script's reach. It says what the
//! token can't: when the session began, in which meeting, and who asked for it.
//!
//! SECURITY: its name has a prefix with which browsers let no other host set it (RFC 6265bis section 4.1.3). Where all
//! sessions share one path it is also what tells the running session's token from one that somebody slipped in.

use serde::{Deserialize, Serialize};

use super::cookie::Cookies;
use crate::token::TokenKeys;

/// Its name at a session's own path.
pub(super) const OF_SESSION: &str = "__Secure-pnm_session";

/// Its name where one path is for all: no subdomain can set it, at the price of `Path=/`.
pub(super) const OF_MOUNT: &str = "__Host-pnm_session";

/// What it is sealed for.
const PURPOSE: &str = "session";

/// What it says.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(super) struct Companion {
    /// The session's.
    pub tag: String,
    /// When the first token was issued, since 1970: from here `session.max_age` counts.
    pub begun: i64,
    /// When the link was opened, since 1970: who left before has come back since.
    pub entered: i64,
    /// Who asked for the token, if that is known.
    pub caller: Option<String>,
    /// The meeting that ran in the room then, by the server's id for it, if that was to be had.
    #[serde(default)]
    pub meeting: Option<String>,
    /// Was it opened in another site's frame? A reload of the frame does not say so.
    pub framed: bool,
}

impl Companion {
    pub(super) fn sealed(&self, keys: &TokenKeys) -> Option<String> {
        keys.seal(PURPOSE, &serde_json::to_vec(self).ok()?)
    }

    /// The first that was sealed here, of this session if it is said of which.
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
