//! Text from outside -> a join token that this deployment's server signed and that is valid now.
//!
//! As strict as the server and a little stricter: it would take a token without `exp`, `room_id` or `user_id`, which no
//! real one lacks, and the tokens for downloads and LTI, which the same secret signs and which open no room.
//!
//! Sources: docs/plugnmeet.md sections 0.8, 0.9 and 4.

use jsonwebtoken::{Algorithm, Validation, decode};
use serde::{Deserialize, Deserializer};

use super::{Claims, Kind, TokenKeys, claims::RENEWED, kind::there};

/// The server's own tolerance for clocks that differ, in seconds (docs/plugnmeet.md section 0.9).
pub const LEEWAY_SECS: i64 = 60;

/// The longest token in bytes. It has to fit into a cookie, of which browsers keep 4096 bytes.
const MAX_TOKEN_BYTES: usize = 3 * 1024;

/// The largest time in a token: the last second of the year 9999. HTTP's dates can express no later one.
const END_OF_TIME: i64 = 253_402_300_799;

/// The number of bytes that renewal may add to a token (`kid` in its header), so that the result can be renewed again.
const RENEWED_BYTES: usize = 32;

/// A token as it was received, not checked.
#[derive(Clone, Copy)]
pub struct Unverified<'a>(pub &'a str);

/// The claims of a genuine join token that is valid now.
#[derive(Clone, Debug)]
pub struct Verified {
    pub claims: Claims,
    /// Did a gateway sign the token in place of an older one?
    pub renewed: bool,
}

/// A genuine join token, which may be signed anew.
pub struct Genuine<'t> {
    pub claims: Claims,
    /// Did a gateway sign the token in place of an older one?
    pub renewed: bool,
    /// The token's text. Only this module makes a `Genuine`, so that no other token is ever renewed.
    pub(super) token: &'t str,
}

/// A genuine join token: valid, or expired.
pub enum TokenState<'t> {
    /// The token is valid now.
    Valid(Genuine<'t>),
    /// The token was valid, and has expired.
    Expired(Genuine<'t>),
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// The text is not a compact JWT, or is too long for a cookie.
    #[error("the token is not genuine: it is no compact JWT of at most 3 KiB")]
    Malformed,
    /// Signed by another key or another algorithm, for another API key, or with claims that no join token has.
    #[error("the token is not genuine: this server did not sign it")]
    NotGenuine,
    /// The token is genuine, but is for a download or a learning platform's page.
    #[error("the token is not genuine: it is signed for something else than joining a room")]
    NotAJoinToken,
    /// The signature is right, but the token has expired.
    #[error("the token has expired")]
    Expired,
    /// The signature is right, but the token is not valid yet.
    #[error("the token is not valid yet")]
    NotYetValid,
}

impl BadToken {
    /// The stable code in logs, metrics and pages.
    pub fn code(self) -> &'static str {
        match self {
            Self::Malformed | Self::NotGenuine | Self::NotAJoinToken => "token_not_genuine",
            Self::Expired => "token_expired",
            Self::NotYetValid => "token_not_yet_valid",
        }
    }
}

/// The payload as the server's decoder reads it: with these names and types, each claim once.
#[derive(Clone, Deserialize)]
struct Payload {
    iss: Option<String>,
    sub: Option<String>,
    exp: Option<NumericDate>,
    nbf: Option<NumericDate>,
    iat: Option<NumericDate>,
    name: Option<String>,
    user_id: Option<String>,
    room_id: Option<String>,
    is_admin: Option<bool>,
    is_hidden: Option<bool>,
    client_type: Option<i32>,
    #[serde(default, deserialize_with = "there")]
    room_title: bool,
    #[serde(default, deserialize_with = "there")]
    lti_custom_parameters: bool,
}

/// A JSON number of seconds, which may have a fraction (RFC 7519 section 2).
#[derive(Clone, Copy)]
struct NumericDate(i64);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "whole seconds are meant, and `as` saturates"
        )]
        Ok(Self(seconds as i64))
    }
}

impl TokenKeys {
    /// Checks a token, except for what only the server knows about the room. `now` is in seconds since 1970.
    pub fn verify(&self, token: Unverified<'_>, now: i64) -> Result<Verified, BadToken> {
        match self.state(token, now)? {
            TokenState::Valid(Genuine { claims, renewed, .. }) => Ok(Verified { claims, renewed }),
            TokenState::Expired(_) => Err(BadToken::Expired),
        }
    }

    /// Checks a token as `verify` does, but also accepts one that has expired.
    pub fn state<'t>(&self, token: Unverified<'t>, now: i64) -> Result<TokenState<'t>, BadToken> {
        let (claims, renewed) = self.genuine(token)?;
        // The server's comparisons, in its order: valid up to and including the second `exp + leeway`.
        if now.saturating_add(LEEWAY_SECS) < claims.nbf {
            return Err(BadToken::NotYetValid);
        }
        let is_over = now.saturating_sub(LEEWAY_SECS) > claims.exp;
        let genuine = Genuine {
            claims,
            renewed,
            token: token.0,
        };
        Ok(if is_over {
            TokenState::Expired(genuine)
        } else {
            TokenState::Valid(genuine)
        })
    }

    fn genuine(&self, token: Unverified<'_>) -> Result<(Claims, bool), BadToken> {
        if !is_compact_jwt(token.0) {
            return Err(BadToken::Malformed);
        }
        let mut validation = Validation::new(Algorithm::HS256);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let decoded =
            decode::<Payload>(token.0, self.decoding(), &validation).map_err(|_| BadToken::NotGenuine)?;
        // RFC 7515 section 4.1.11: extensions that we don't know must not be ignored.
        if decoded.header.crit.is_some() {
            return Err(BadToken::NotGenuine);
        }
        let renewed = decoded.header.kid.as_deref() == Some(RENEWED);
        if !renewed && token.0.len() > MAX_TOKEN_BYTES {
            return Err(BadToken::Malformed);
        }
        Ok((self.join_claims(decoded.claims)?, renewed))
    }

    fn join_claims(&self, payload: Payload) -> Result<Claims, BadToken> {
        let iss = payload.iss.unwrap_or_default();
        if !self.is_api_key(iss.as_bytes()) {
            return Err(BadToken::NotGenuine);
        }
        let (Some(room_id), Some(user_id), Some(sub)) = (payload.room_id, payload.user_id, payload.sub)
        else {
            return Err(BadToken::NotAJoinToken);
        };
        let is_lti = payload.room_title || payload.lti_custom_parameters;
        if Kind::of(is_lti, &room_id, &user_id) != Kind::Join {
            return Err(BadToken::NotAJoinToken);
        }
        if room_id.is_empty() || user_id.is_empty() || sub != user_id {
            return Err(BadToken::NotAJoinToken);
        }
        let (Some(exp), Some(nbf)) = (payload.exp, payload.nbf) else {
            return Err(BadToken::NotAJoinToken);
        };
        if exp.0 > END_OF_TIME {
            return Err(BadToken::NotGenuine);
        }
        Ok(Claims {
            client_type: payload.client_type.unwrap_or_default(),
            exp: exp.0,
            is_admin: payload.is_admin.unwrap_or_default(),
            is_hidden: payload.is_hidden.unwrap_or_default(),
            iss,
            name: payload.name.unwrap_or_default(),
            // The server refuses a token from the future by `iat` too; no real one has it.
            nbf: payload.iat.map_or(nbf.0, |iat| nbf.0.max(iat.0)),
            room_id,
            sub,
            user_id,
        })
    }
}

/// Does the token have three parts of base64url (RFC 7515 section 7.1), and a length that fits into a cookie? The
/// length that is allowed depends on who signed the token.
fn is_compact_jwt(token: &str) -> bool {
    token.len() <= MAX_TOKEN_BYTES + RENEWED_BYTES
        && token.split('.').count() == 3
        && token
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use serde_json::{Value, json};

    use super::*;
    use crate::secret::Secret;

    const NOW: i64 = 1_800_000_000;

    fn keys() -> TokenKeys {
        TokenKeys::new(
            "plugnmeet".into(),
            &Secret::new("zumyyYWqv7KR2kUqvYdq4z4sXg7XTBD2ljT6".into()),
        )
        .unwrap()
    }

    fn payload() -> Value {
        json!({"iss": "plugnmeet", "sub": "u1", "user_id": "u1", "room_id": "room01", "name": "Ann",
               "exp": NOW + 600, "nbf": NOW})
    }

    fn signed_text(header: &str, payload: &str) -> String {
        let text = format!(
            "{}.{}",
            BASE64_URL_SAFE_NO_PAD.encode(header),
            BASE64_URL_SAFE_NO_PAD.encode(payload)
        );
        let signature =
            jsonwebtoken::crypto::sign(text.as_bytes(), keys().encoding(), Algorithm::HS256).unwrap();
        format!("{text}.{signature}")
    }

    fn verdict(payload: &Value) -> Result<(), BadToken> {
        let token = signed_text(r#"{"alg":"HS256","typ":"JWT"}"#, &payload.to_string());
        keys().verify(Unverified(&token), NOW).map(|_| ())
    }

    fn with(name: &str, value: Value) -> Value {
        let mut payload = payload();
        payload[name] = value;
        payload
    }

    fn lacking(name: &str) -> Value {
        let mut payload = payload();
        payload.as_object_mut().unwrap().remove(name);
        payload
    }

    #[test]
    fn what_it_signs_it_believes_and_the_bytes_are_the_servers() {
        let claims = Claims {
            client_type: 0,
            exp: NOW + 600,
            is_admin: true,
            is_hidden: false,
            iss: "plugnmeet".into(),
            name: "Ann & <Bob>".into(),
            nbf: NOW,
            room_id: "room01".into(),
            sub: "u1".into(),
            user_id: "u1".into(),
        };
        let token = keys().sign(&claims).unwrap();
        let mut parts = token
            .expose()
            .split('.')
            .map(|part| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap());
        assert_eq!(parts.next().unwrap(), br#"{"alg":"HS256","typ":"JWT"}"#);
        let expected = format!(
            r#"{{"exp":{},"is_admin":true,"iss":"plugnmeet","name":"Ann \u0026 \u003cBob\u003e","nbf":{NOW},"room_id":"room01","sub":"u1","user_id":"u1"}}"#,
            NOW + 600
        );
        assert_eq!(String::from_utf8(parts.next().unwrap()).unwrap(), expected);
        assert_eq!(
            keys().verify(Unverified(token.expose()), NOW).unwrap().claims,
            claims
        );
    }

    /// docs/plugnmeet.md section 0.9: sixty seconds either way, to the second.
    #[test]
    fn gives_the_leeway_that_the_server_gives() {
        assert_eq!(verdict(&with("exp", json!(NOW - 60))), Ok(()));
        assert_eq!(verdict(&with("exp", json!(NOW - 61))), Err(BadToken::Expired));
        assert_eq!(verdict(&with("nbf", json!(NOW + 60))), Ok(()));
        assert_eq!(verdict(&with("nbf", json!(NOW + 61))), Err(BadToken::NotYetValid));
        assert_eq!(verdict(&with("iat", json!(NOW + 61))), Err(BadToken::NotYetValid));
    }

    #[test]
    fn what_was_never_valid_is_not_expired() {
        let mut turned = with("exp", json!(NOW - 61));
        turned["nbf"] = json!(NOW + 61);
        assert_eq!(verdict(&turned), Err(BadToken::NotYetValid));
    }

    #[test]
    fn a_token_of_three_kibibytes_can_be_renewed_again_and_again() {
        let header = r#"{"alg":"HS256","typ":"JWT"}"#;
        let of_size = |size: usize| {
            (0..size)
                .map(|name| signed_text(header, &with("name", json!("x".repeat(name))).to_string()))
                .find(|token| token.len() >= size)
                .unwrap()
        };
        let (largest, too_large) = (of_size(3071), of_size(3073));
        assert!(largest.len() <= 3072);
        assert_eq!(
            keys().verify(Unverified(&too_large), NOW).err(),
            Some(BadToken::Malformed)
        );
        let mut token = largest;
        for round in 1..4 {
            let now = NOW + round * 1000;
            let Ok(TokenState::Expired(expired)) = keys().state(Unverified(&token), now) else {
                panic!("is not expired: {round}");
            };
            token = keys()
                .renew(&expired, now, now + 600)
                .unwrap()
                .expose()
                .to_owned();
        }
        assert!(token.len() > 3072);
    }

    #[test]
    fn a_recorder_has_no_name() {
        assert_eq!(verdict(&lacking("name")), Ok(()));
    }

    #[test]
    fn what_every_join_token_has_must_be_there() {
        for name in ["sub", "exp", "nbf", "room_id", "user_id"] {
            assert_eq!(verdict(&lacking(name)), Err(BadToken::NotAJoinToken), "{name}");
        }
        assert_eq!(verdict(&lacking("iss")), Err(BadToken::NotGenuine));
        assert_eq!(verdict(&with("iss", json!("other"))), Err(BadToken::NotGenuine));
        assert_eq!(verdict(&with("sub", json!("u2"))), Err(BadToken::NotAJoinToken));
        assert_eq!(verdict(&with("room_id", json!(""))), Err(BadToken::NotAJoinToken));
        for (name, value) in [
            ("exp", json!("1900000000")),
            ("name", json!(7)),
            ("is_admin", json!("true")),
        ] {
            assert_eq!(verdict(&with(name, value)), Err(BadToken::NotGenuine), "{name}");
        }
    }

    #[test]
    fn tokens_for_downloads_and_learning_platforms_join_nothing() {
        assert_eq!(
            verdict(&with("room_title", json!("Physics"))),
            Err(BadToken::NotAJoinToken)
        );
        assert_eq!(
            verdict(&with("lti_custom_parameters", json!({}))),
            Err(BadToken::NotAJoinToken)
        );
        let download = json!({"iss": "plugnmeet", "sub": "a/b.mp4", "exp": NOW + 600, "nbf": NOW});
        assert_eq!(verdict(&download), Err(BadToken::NotAJoinToken));
    }

    #[test]
    fn nothing_but_hs256_with_our_secret_is_genuine() {
        let payload = payload().to_string();
        let none = format!(
            "{}.{}.",
            BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
            BASE64_URL_SAFE_NO_PAD.encode(&payload)
        );
        let other = signed_text(r#"{"alg":"HS512","typ":"JWT"}"#, &payload);
        let critical = signed_text(r#"{"alg":"HS256","crit":["x"],"x":1}"#, &payload);
        let mut forged = signed_text(r#"{"alg":"HS256"}"#, &payload);
        let last = if forged.pop() == Some('A') { 'E' } else { 'A' };
        forged.push(last);
        for token in [none, other, critical, forged] {
            assert_eq!(
                keys().verify(Unverified(&token), NOW).err(),
                Some(BadToken::NotGenuine),
                "{token}"
            );
        }
    }

    #[test]
    fn a_claim_given_twice_is_not_genuine() {
        let twice = payload().to_string().replace('}', r#","user_id":"u1"}"#);
        let token = signed_text(r#"{"alg":"HS256"}"#, &twice);
        assert_eq!(
            keys().verify(Unverified(&token), NOW).err(),
            Some(BadToken::NotGenuine)
        );
    }

    #[test]
    fn what_is_no_compact_jwt_is_not_looked_into() {
        let good = signed_text(r#"{"alg":"HS256"}"#, &payload().to_string());
        for token in [
            format!("{good}\n"),
            format!("{good}="),
            good.replace('.', "%2E"),
            "a.b".into(),
            "x".repeat(3073),
        ] {
            assert_eq!(
                keys().verify(Unverified(&token), NOW).err(),
                Some(BadToken::Malformed),
                "{token}"
            );
        }
    }
}
