//! The kinds of tokens. The server signs three kinds with one secret and does not distinguish them: each of its APIs
//! accepts each kind. So the gateway distinguishes them by their claims, and each row of the URL space says which kind
//! it takes.
//!
//! Source: docs/plugnmeet.md section 4 (claims of each kind).

use serde::{Deserialize, Deserializer, de::IgnoredAny};

use super::{TokenKeys, Unverified, participant};

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

impl TokenKeys {
    /// Is this a token that the server would take, and of another kind than this? What can't be read, or is not genuine, is
    /// none: the server refuses it itself.
    pub fn is_of_another_kind(&self, token: Unverified<'_>, wanted: Kind, now: i64) -> bool {
        // Reading is cheap, so that only what is to be refused is checked.
        let claimed = participant::payload(token.0)
            .and_then(|payload| serde_json::from_slice::<Marks>(&payload).ok())
            .map(|marks| marks.kind());
        claimed.is_some_and(|kind| kind != wanted) && self.participant(token, now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::participant::tests::signed, *};
    use crate::secret::Secret;

    const NOW: i64 = 1_800_000_000;

    fn others(payload: &Value) -> Vec<Kind> {
        let keys = TokenKeys::new("plugnmeet".into(), &Secret::new("s3cret".into())).unwrap();
        let token = signed(payload);
        [Kind::Join, Kind::Lti, Kind::Download]
            .into_iter()
            .filter(|wanted| !keys.is_of_another_kind(Unverified(&token), *wanted, NOW))
            .collect()
    }

    #[test]
    fn each_kind_is_taken_for_itself_alone() {
        let join =
            json!({"iss": "plugnmeet", "sub": "ann", "user_id": "ann", "room_id": "room01", "exp": NOW});
        assert_eq!(others(&join), [Kind::Join]);
        let lti = json!({"iss": "plugnmeet", "sub": "ann", "user_id": "ann", "room_id": "room01", "exp": NOW,
                         "lti_custom_parameters": {"lti_custom_design": {}}});
        assert_eq!(others(&lti), [Kind::Lti]);
        let file = json!({"iss": "plugnmeet", "sub": "node/file.mp4", "exp": NOW});
        assert_eq!(others(&file), [Kind::Download]);
        let without_user = json!({"iss": "plugnmeet", "sub": "ann", "room_id": "room01"});
        assert_eq!(others(&without_user), [Kind::Join]);
    }

    /// It is the server that refuses these, in its own words.
    #[test]
    fn what_the_server_would_refuse_is_of_no_kind() {
        let all = [Kind::Join, Kind::Lti, Kind::Download];
        let expired = json!({"iss": "plugnmeet", "sub": "a/b.mp4", "exp": NOW - 61});
        assert_eq!(others(&expired), all);
        let anothers = json!({"iss": "other", "sub": "a/b.mp4", "exp": NOW});
        assert_eq!(others(&anothers), all);
        let keys = TokenKeys::new("plugnmeet".into(), &Secret::new("s3cret".into())).unwrap();
        for text in ["", "x", "a.b.c", "e30.e30.e30"] {
            assert!(
                !keys.is_of_another_kind(Unverified(text), Kind::Join, NOW),
                "{text}"
            );
        }
    }
}
