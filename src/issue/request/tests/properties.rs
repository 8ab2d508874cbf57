//! Properties of the reader: any bytes, a request in every spelling, and bodies that another reader takes too.

use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{Index, select},
};
use serde_json::Value;

use super::super::{TokenRequest, read};

/// One of the two spellings of a field, maybe with an escape in it.
fn spelling(snake: &'static str, camel: &'static str) -> impl Strategy<Value = String> {
    (select(vec![snake, camel]), any::<bool>()).prop_map(|(name, is_escaped)| {
        let (first, rest) = name.split_at(1);
        let first = if is_escaped {
            format!("\\u{:04x}", u32::from(first.chars().next().unwrap()))
        } else {
            first.to_owned()
        };
        format!("\"{first}{rest}\"")
    })
}

fn json_string(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// A member, or none where the value is the one of an unset field.
fn member(
    snake: &'static str,
    camel: &'static str,
    value: Option<String>,
) -> impl Strategy<Value = Vec<String>> {
    spelling(snake, camel)
        .prop_map(move |key| value.iter().map(|value| format!("{key} :\t{value}")).collect())
}

/// Members that change nothing.
fn noise() -> impl Strategy<Value = Vec<String>> {
    let value = select(vec![
        "null",
        "[]",
        "[1, {\"room_id\": \"x\"}]",
        "-0.5e7",
        "\"\\ud83d\\ude00\"",
        "{\"a\": 1, \"a\": {}}",
    ]);
    vec(
        ("[A-Z\\[\\]. é]{1,6}", value).prop_map(|(key, value)| format!("{}:{value}", json_string(&key))),
        0..3,
    )
}

fn object(members: impl Strategy<Value = Vec<Vec<String>>>) -> impl Strategy<Value = String> {
    (members, noise())
        .prop_map(|(members, noise)| members.into_iter().flatten().chain(noise).collect::<Vec<_>>())
        .prop_shuffle()
        .prop_map(|members| format!("\r\n{{ {} }} ", members.join(" , ")))
}

fn request() -> impl Strategy<Value = TokenRequest> {
    (
        "[a-zA-Z0-9_-]{1,8}",
        "\\PC{1,8}",
        "[^\u{0}-\u{1f}]{0,8}",
        any::<(bool, bool, i32)>(),
    )
        .prop_map(
            |(room_id, name, user_id, (is_admin, is_hidden, client_type))| TokenRequest {
                room_id,
                name,
                user_id,
                is_admin,
                shown_as_admin: false,
                is_hidden,
                client_type,
            },
        )
}

/// One of the many bodies that ask for this.
fn body_of(request: &TokenRequest) -> impl Strategy<Value = String> + use<> {
    let sent = |is_set: bool| is_set.then(|| "true".to_owned());
    let metadata = option::of(select(vec![
        "null",
        "{}",
        r#"{"isPresenter":false,"extra_data":{"room_id":"x"}}"#,
    ]));
    let room = member("room_id", "roomId", Some(json_string(&request.room_id)));
    let user = (
        member("name", "name", Some(json_string(&request.name))),
        member("user_id", "userId", Some(json_string(&request.user_id))),
        member("is_admin", "isAdmin", sent(request.is_admin)),
        member("is_hidden", "isHidden", sent(request.is_hidden)),
        member("client_type", "clientType", Some(request.client_type.to_string())),
        metadata.prop_flat_map(|value| member("user_metadata", "userMetadata", value.map(str::to_owned))),
    )
        .prop_map(|(a, b, c, d, e, f)| vec![a, b, c, d, e, f]);
    let user = object(user).prop_flat_map(|user| member("user_info", "userInfo", Some(user)));
    object((room, user).prop_map(|(room, user)| vec![room, user]))
}

fn request_and_body() -> impl Strategy<Value = (TokenRequest, String)> {
    request().prop_flat_map(|request| (Just(request.clone()), body_of(&request)))
}

/// A body with some of its bytes removed, doubled or exchanged.
fn mutated_body() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![select(b"\"\\{}[],:0123456789eE+-. ntfu_I".to_vec()), any::<u8>()];
    let edits = vec((any::<Index>(), 0..3usize, vec(byte, 0..3)), 0..4);
    (request_and_body(), edits).prop_map(|((_, body), edits)| {
        let mut body = body.into_bytes();
        for (place, removed, added) in edits {
            let start = place.index(body.len() + 1);
            let end = (start + removed).min(body.len());
            body.splice(start..end, added);
        }
        body
    })
}

/// A field as `serde_json` sees it, under either spelling.
fn field<'a>(object: &'a Value, names: [&str; 2]) -> Option<&'a Value> {
    names
        .iter()
        .find_map(|name| object.get(name))
        .filter(|value| !value.is_null())
}

/// What another reader finds in an accepted body is what we found.
fn agrees_with_another_reader(body: &[u8]) -> Result<(), TestCaseError> {
    let Ok(request) = read(body) else {
        return Ok(());
    };
    // It keeps numbers as floats; we skip those that no float can hold.
    let is_too_large = |error: &serde_json::Error| error.to_string().starts_with("number out of range");
    let other: Value = match serde_json::from_slice(body) {
        Err(error) if is_too_large(&error) || has_bare_exponent(body) => return Ok(()),
        other => other.map_err(|error| TestCaseError::fail(error.to_string()))?,
    };
    let user = field(&other, ["user_info", "userInfo"]).unwrap();
    let text = |value: Option<&Value>| value.map_or(String::new(), |text| text.as_str().unwrap().to_owned());
    prop_assert_eq!(&request.room_id, &text(field(&other, ["room_id", "roomId"])));
    prop_assert_eq!(&request.name, &text(field(user, ["name", "name"])));
    prop_assert_eq!(&request.user_id, &text(field(user, ["user_id", "userId"])));
    let is_admin = field(user, ["is_admin", "isAdmin"]).is_some_and(|value| value.as_bool().unwrap());
    prop_assert_eq!(request.is_admin, is_admin);
    let flag = |value: Option<&Value>| value.is_some_and(|value| value.as_bool().unwrap_or_default());
    prop_assert_eq!(request.is_hidden, flag(field(user, ["is_hidden", "isHidden"])));
    let metadata = field(user, ["user_metadata", "userMetadata"]);
    let shown = metadata.and_then(|metadata| field(metadata, ["is_admin", "isAdmin"]));
    prop_assert_eq!(request.shown_as_admin, flag(shown));
    Ok(())
}

/// The one thing that the server takes and no JSON reader does.
fn has_bare_exponent(body: &[u8]) -> bool {
    body.windows(2).any(|pair| {
        matches!(
            pair,
            [
                b'e' | b'E' | b'+' | b'-',
                b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r'
            ]
        )
    })
}

proptest! {
    #[test]
    fn survives_any_bytes(body in vec(any::<u8>(), 0..200)) {
        agrees_with_another_reader(&body)?;
    }

    #[test]
    fn reads_back_what_was_asked_for_in_any_spelling((request, body) in request_and_body()) {
        prop_assert_eq!(read(body.as_bytes()), Ok(request));
        agrees_with_another_reader(body.as_bytes())?;
    }

    #[test]
    fn accepts_nothing_that_another_reader_reads_differently(body in mutated_body()) {
        agrees_with_another_reader(&body)?;
    }
}
