//! Renewal: a genuine token signed anew with the same claims, for another time.
//!
//! SECURITY: a renewed token looks new, but the time of the first token counts. So the header of a renewed token says
//! that it is one (`kid`, RFC 7515 section 4.1.4, which the server ignores). Before such a token is renewed again, the
//! age of the session must be known from another source than its `nbf`.
//!
//! Not here: whether a token may be renewed (`crate::session`, `crate::issue`).
//!
//! Source: docs/plugnmeet.md section 4.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::{TokenKeys, claims::RENEWED_HEADER, verify::Genuine};
use crate::secret::Secret;

/// A token could not be signed anew. For a genuine token only the cryptography library can be the cause.
#[derive(Debug)]
pub struct NotRenewed;

impl TokenKeys {
    /// Signs the same claims anew, with a new beginning and end. Claims that the gateway does not know are kept too.
    pub fn renew(&self, genuine: &Genuine<'_>, nbf: i64, exp: i64) -> Result<Secret<String>, NotRenewed> {
        let payload = genuine.token.split('.').nth(1).ok_or(NotRenewed)?;
        let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).map_err(|_| NotRenewed)?;
        let mut claims: Map<String, Value> = serde_json::from_slice(&payload).map_err(|_| NotRenewed)?;
        claims.insert("nbf".to_owned(), nbf.into());
        claims.insert("exp".to_owned(), exp.into());
        self.sign_payload(RENEWED_HEADER, &Value::Object(claims).to_string())
            .map_err(|_| NotRenewed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{Claims, TokenState, Unverified};

    const NOW: i64 = 1_800_000_000;

    fn keys() -> TokenKeys {
        TokenKeys::new(
            "plugnmeet".into(),
            &Secret::new("zumyyYWqv7KR2kUqvYdq4z4sXg7XTBD2ljT6".into()),
        )
        .unwrap()
    }

    fn claims() -> Claims {
        Claims {
            client_type: 1,
            exp: NOW - 100,
            is_admin: true,
            is_hidden: false,
            iss: "plugnmeet".into(),
            name: "Ann & <Bob>".into(),
            nbf: NOW - 700,
            room_id: "room01".into(),
            sub: "u1".into(),
            user_id: "u1".into(),
        }
    }

    #[test]
    fn a_renewed_token_says_the_same_for_another_time_and_that_it_is_renewed() {
        let keys = keys();
        let old = keys.sign(&claims()).unwrap();
        let Ok(TokenState::Expired(expired)) = keys.state(Unverified(old.expose()), NOW) else {
            panic!("is not expired");
        };
        assert!(!expired.renewed);
        let new = keys.renew(&expired, NOW, NOW + 600).unwrap();
        let verified = keys.verify(Unverified(new.expose()), NOW).unwrap();
        assert!(verified.renewed);
        let expected = Claims {
            exp: NOW + 600,
            nbf: NOW,
            ..claims()
        };
        assert_eq!(verified.claims, expected);
        // Byte for byte what the server would have signed.
        let payload = |token: &str| token.split('.').nth(1).unwrap().to_owned();
        assert_eq!(
            payload(new.expose()),
            payload(keys.sign(&expected).unwrap().expose())
        );
    }

    #[test]
    fn claims_that_we_do_not_know_stay() {
        let keys = keys();
        let payload = serde_json::to_string(&claims())
            .unwrap()
            .replace("\"is_admin\"", "\"from_tomorrow\":[1],\"is_admin\"");
        let old = keys
            .sign_payload(r#"{"alg":"HS256","typ":"JWT"}"#, &payload)
            .unwrap();
        let Ok(TokenState::Expired(expired)) = keys.state(Unverified(old.expose()), NOW) else {
            panic!("is not expired");
        };
        let new = keys.renew(&expired, NOW, NOW + 600).unwrap();
        let payload = BASE64_URL_SAFE_NO_PAD
            .decode(new.expose().split('.').nth(1).unwrap())
            .unwrap();
        let claims: Map<String, Value> = serde_json::from_slice(&payload).unwrap();
        assert_eq!(claims["from_tomorrow"], serde_json::json!([1]));
    }
}
