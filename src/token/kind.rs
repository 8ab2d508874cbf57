//! The kinds of tokens. The server signs three kinds with one secret and does not distinguish them: each of its APIs
//! accepts each kind. So the gateway distinguishes them by their claims, and each row of the URL space says which kind
//! it takes.
//!
//! Source: docs/plugnmeet.md section 4 (claims of each kind).

use serde::{Deserialize, Deserializer, de::IgnoredAny};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A token for a room, which the client sends to `/api`.
    Join,
    /// A token for a learning platform's page, which the page sends to `/lti/v1/api`.
    Lti,
    /// A token for one file, which is in a path below `/download`. It names neither room nor user.
    Download,
}

/// The claims by which the kinds of tokens differ.
#[derive(Clone, Default, Deserialize)]
pub(super) struct Marks {
    #[serde(default, deserialize_with = "there")]
    lti_custom_parameters: bool,
    #[serde(default, deserialize_with = "there")]
    room_title: bool,
    #[serde(default)]
    room_id: String,
    #[serde(default)]
    user_id: String,
}

/// Is the claim present, with any value?
pub(super) fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

impl Marks {
    pub(super) fn kind(&self) -> Kind {
        Kind::of(
            self.lti_custom_parameters || self.room_title,
            &self.room_id,
            &self.user_id,
        )
    }
}

impl Kind {
    /// The kind by the claims. `is_lti` says whether a claim is present that only a learning platform's page has.
    pub(super) fn of(is_lti: bool, room_id: &str, user_id: &str) -> Self {
        if is_lti {
            Self::Lti
        } else if room_id.is_empty() && user_id.is_empty() {
            Self::Download
        } else {
            Self::Join
        }
    }
}
