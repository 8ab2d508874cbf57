//! Reads for which room and user a token speaks, as tolerantly as the server does. The result is for counting, and for
//! nothing else.
//!
//! An endpoint that takes a token and issues another has to count for the user to whom the server would issue it. A
//! reader stricter than the server would not count some tokens that the server accepts. The server's decoder ignores
//! line breaks and the spare bits at the end of each part, so that one signature has many spellings. It also accepts
//! tokens without `exp`, and any token of its own at any of these endpoints. A token that the server refuses counts for
//! nobody.
//!
//! Not here: believing a token (`verify`).
//!
//! Sources: docs/plugnmeet.md sections 0.9, 4 and 5; go-jose v4, compact form.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
    prelude::BASE64_URL_SAFE_NO_PAD,
};
use serde::Deserialize;
use serde_json::Value;

use super::{Kind, TokenKeys, Unverified, kind::Marks, verify::LEEWAY_SECS};

/// The room and the user of a token that was read but not checked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Participant {
    /// The room's id; empty in a token that is for no room.
    pub room_id: String,
    pub user_id: String,
}

/// Base64 as Go's `RawURLEncoding` decodes it.
const TOLERANT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

impl Participant {
    /// The participant for whom the server has just issued this token. The token is read and not checked.
    ///
    /// SECURITY: only for tokens in the server's own answers, never for those that a client sent.
    pub fn of_issued(token: &str) -> Option<Self> {
        serde_json::from_slice(&payload(token)?).ok()
    }
}

/// The payload of a token, read but not checked.
pub(super) fn payload(token: &str) -> Option<Vec<u8>> {
    let (_, behind) = token.split_once('.')?;
    let payload = behind.split_once('.').map_or(behind, |(payload, _)| payload);
    if memchr::memchr2(b'\r', b'\n', payload.as_bytes()).is_some() {
        return TOLERANT.decode(payload.replace(['\r', '\n'], "")).ok();
    }
    TOLERANT.decode(payload).ok()
}

impl TokenKeys {
    /// The participant for whom this token speaks; none if the server would refuse the token.
    pub fn participant(&self, token: Unverified<'_>, now: i64) -> Option<Participant> {
        let payload = self.genuine_payload(token.0)?;
        let text = |name: &str| payload.get(name).and_then(Value::as_str).unwrap_or_default();
        let time = |name: &str| payload.get(name).and_then(Value::as_f64);
        if text("iss") != self.api_key() {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit for a while")]
        let (earliest, latest) = ((now - LEEWAY_SECS) as f64, (now + LEEWAY_SECS) as f64);
        let is_over = time("exp").is_some_and(|exp| exp.floor() < earliest);
        let is_to_come = ["nbf", "iat"]
            .iter()
            .any(|name| time(name).is_some_and(|from| from.floor() > latest));
        if is_over || is_to_come {
            return None;
        }
        let user_id = match text("user_id") {
            "" => text("sub"),
            user_id => user_id,
        };
        Some(Participant {
            room_id: text("room_id").to_owned(),
            user_id: user_id.to_owned(),
        })
    }

    /// Is this a token that the server would take, and of another kind than this? What can't be read, or is not genuine, is
    /// none: the server refuses it itself.
    pub fn is_of_another_kind(&self, token: Unverified<'_>, wanted: Kind, now: i64) -> bool {
        // Reading is cheap, so that only what is to be refused is checked.
        let claimed = payload(token.0)
            .and_then(|payload| serde_json::from_slice::<Marks>(&payload).ok())
            .map(|marks| marks.kind());
        claimed.is_some_and(|kind| kind != wanted) && self.participant(token, now).is_some()
    }

    fn genuine_payload(&self, token: &str) -> Option<Value> {
        let token: String = token.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
        let mut parts = token.split('.').map(|part| TOLERANT.decode(part).ok());
        let (header, payload, signature) = (parts.next()??, parts.next()??, parts.next()??);
        if parts.next().is_some() {
            return None;
        }
        // The signature is over the one proper spelling of both.
        let mut signed = BASE64_URL_SAFE_NO_PAD.encode(header);
        signed.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(&payload, &mut signed);
        self.requests()
            .is_tag(signed.as_bytes(), &signature)
            .then(|| serde_json::from_slice(&payload).ok())?
    }
}

#[cfg(test)]
pub(super) mod tests {
    use aws_lc_rs::hmac;
    use serde_json::json;

    use super::*;
    use crate::secret::Secret;

    const NOW: i64 = 1_800_000_000;

    fn keys() -> TokenKeys {
        TokenKeys::new("plugnmeet".into(), &Secret::new("s3cret".into())).unwrap()
    }

    pub fn signed(payload: &Value) -> String {
        let text = format!(
            "{}.{}",
            BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#),
            BASE64_URL_SAFE_NO_PAD.encode(payload.to_string())
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"s3cret");
        let signature = hmac::sign(&key, text.as_bytes());
        format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    fn read(payload: &Value) -> Option<String> {
        keys()
            .participant(Unverified(&signed(payload)), NOW)
            .map(|found| format!("{}/{}", found.room_id, found.user_id))
    }

    #[test]
    fn reads_the_tokens_of_a_client_and_of_a_learning_platform() {
        let join =
            json!({"iss": "plugnmeet", "sub": "ann", "user_id": "ann", "room_id": "room01", "exp": NOW});
        assert_eq!(read(&join), Some("room01/ann".into()));
        let lti = json!({"iss": "plugnmeet", "sub": "ann", "user_id": "ann", "room_id": "room01",
                         "room_title": "Physics", "lti_custom_parameters": {}});
        assert_eq!(read(&lti), Some("room01/ann".into()));
        let no_user_id = json!({"iss": "plugnmeet", "sub": "ann", "room_id": "room01"});
        assert_eq!(read(&no_user_id), Some("room01/ann".into()));
    }

    #[test]
    fn an_issued_token_is_for_whom_it_names() {
        let claims = json!({"iss": "plugnmeet", "name": "Ann", "room_id": "room01", "user_id": "ann"});
        let named = Participant::of_issued(&signed(&claims)).unwrap();
        assert_eq!((&*named.room_id, &*named.user_id), ("room01", "ann"));
        for nobody in [
            "",
            "a",
            "a.b.c",
            "a.e30.c",
            &signed(&json!({"room_id": "room01"})),
        ] {
            assert_eq!(Participant::of_issued(nobody), None, "{nobody}");
        }
    }

    #[test]
    fn what_the_server_refuses_speaks_for_nobody() {
        let token = |name: &str, value: Value| {
            let mut payload =
                json!({"iss": "plugnmeet", "user_id": "ann", "room_id": "room01", "exp": NOW + 600});
            payload[name] = value;
            payload
        };
        assert_eq!(read(&token("exp", json!(NOW - 60))), Some("room01/ann".into()));
        assert_eq!(read(&token("exp", json!(NOW - 61))), None);
        assert_eq!(read(&token("nbf", json!(NOW + 60))), Some("room01/ann".into()));
        assert_eq!(read(&token("nbf", json!(NOW + 61))), None);
        assert_eq!(read(&token("iss", json!("other"))), None);
        let good = signed(&token("exp", json!(NOW)));
        for bad in [
            good.clone() + ".",
            good.clone() + "=",
            good.replace('.', " "),
            good.chars().rev().collect(),
        ] {
            assert_eq!(keys().participant(Unverified(&bad), NOW), None, "{bad}");
        }
    }

    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    /// 32 bytes in 43 characters leave two spare bits, which are zero when properly written.
    #[test]
    fn every_spelling_that_the_server_takes_speaks_for_the_same_user() {
        let good = signed(&json!({"iss": "plugnmeet", "user_id": "ann", "room_id": "room01"}));
        let (start, last) = good.split_at(good.len() - 1);
        let at = ALPHABET.find(last).unwrap();
        for spare in 0..4 {
            let spelled = format!("{start}{}", &ALPHABET[at + spare..=at + spare]);
            assert!(keys().participant(Unverified(&spelled), NOW).is_some(), "{spare}");
        }
        assert!(
            keys()
                .participant(Unverified(&good.replace('.', "\n.\r")), NOW)
                .is_some()
        );
    }

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
