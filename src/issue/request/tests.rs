//! The reader as a whole: the bodies that the real rules have judged, and properties of every other body.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;

use super::{JsonProblem, RequestError, Reserved, TokenRequest, UserIdProblem, Violation, read};

const VECTORS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/vectors/generate_token_req_cases.json"
);

fn vectors() -> Vec<Value> {
    serde_json::from_str(&std::fs::read_to_string(VECTORS).unwrap()).unwrap()
}

/// The items of a list as text; none if there is no list.
fn strings(list: &Value, text: impl Fn(&Value) -> String) -> Vec<String> {
    list.as_array().into_iter().flatten().map(text).collect()
}

fn message_of(body: &str) -> String {
    read(body.as_bytes()).unwrap_err().to_string()
}

fn problem_of(body: impl AsRef<[u8]>) -> JsonProblem {
    match read(body.as_ref()) {
        Err(RequestError::Json(error)) => error.problem,
        other => panic!("{other:?}"),
    }
}

/// A valid body with these members added to the user.
fn user_with(members: &str) -> String {
    format!(r#"{{"room_id":"r","user_info":{{"name":"U","user_id":"u",{members}}}}}"#)
}

/// A valid body with these members added to the user's metadata.
fn metadata_with(members: &str) -> String {
    user_with(&format!(r#""user_metadata":{{{members}}}"#))
}

/// A valid body with a field that nobody knows.
fn unknown_holding(value: &str) -> String {
    format!(r#"{{"room_id":"r","x":{value},"user_info":{{"name":"U","user_id":"u"}}}}"#)
}

/// `[[[…]]]`.
fn nested(depth: usize) -> String {
    "[".repeat(depth) + &"]".repeat(depth)
}

#[test]
fn judges_as_the_real_rules_do() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 58);
    for case in vectors {
        let name = case["name"].as_str().unwrap();
        let result = read(case["body"].as_str().unwrap().as_bytes());
        let violations = strings(&case["violations"], |item| {
            format!(
                "{}: {}",
                item["field"].as_str().unwrap(),
                item["message"].as_str().unwrap()
            )
        });
        let server_rules = strings(&case["go_rules"], |item| {
            let (rule, _when) = item
                .as_str()
                .unwrap()
                .split_once("  [")
                .unwrap_or((item.as_str().unwrap(), ""));
            rule.to_owned()
        });

        match result.and_then(|request| request.check_user()) {
            Ok(()) => assert_eq!(case["accept"], true, "{name}"),
            Err(RequestError::Json(_)) => assert_ne!(case["json_parse"], "ok", "{name}"),
            Err(RequestError::Rules(found)) => {
                assert_eq!(
                    found.iter().map(Violation::to_string).collect::<Vec<_>>(),
                    violations,
                    "{name}"
                );
            }
            Err(error) => {
                assert!(error.is_internal(), "{name}");
                assert_eq!(Some(&error.to_string()), server_rules.first(), "{name}");
            }
        }
        let is_good = case["json_parse"] == "ok" && violations.is_empty() && server_rules.is_empty();
        assert_eq!(case["accept"], is_good, "{name}");
    }
}

#[test]
fn reads_every_field_that_is_kept() {
    let body = r#" { "roomId" : "r-1" , "user_info" : { "name" : "\u00c9\ud83d\ude00\n" , "userId" : "u" ,
        "isAdmin" : true , "is_hidden" : true , "clientType" : 7.0e0 } } "#;
    assert_eq!(
        read(body.as_bytes()),
        Ok(TokenRequest {
            room_id: "r-1".to_owned(),
            name: "É😀\n".to_owned(),
            user_id: "u".to_owned(),
            is_admin: true,
            shown_as_admin: false,
            is_hidden: true,
            client_type: 7,
        })
    );
}

#[test]
fn says_what_is_wrong_and_where() {
    assert_eq!(
        message_of(r#"{"room_id":"r","roomId":"r"}"#),
        "invalid JSON at byte 15: field \"room_id\" is given twice"
    );
    assert_eq!(message_of(""), "invalid JSON at byte 0: expected an object");
    assert_eq!(
        message_of(r#"{"room_id": 5}"#),
        "invalid JSON at byte 12: expected a string"
    );
    assert_eq!(
        message_of("{} x"),
        "invalid JSON at byte 3: something follows the JSON value"
    );
}

#[test]
fn names_every_broken_rule_in_the_order_of_the_fields() {
    let body = r#"{"user_info":{"user_metadata":{"metadata_id":"7","wait_for_approval":true,"profile_pic":"x",
        "raised_hand":{"raised_at":"12e1","is_raised":true},"is_presenter":true}}}"#;
    assert_eq!(
        message_of(body),
        "validation errors:\
         \n - room_id: room_id should only contain letters (a-z A-Z), digits (0-9) or -_\
         \n - user_info.name: value is required\
         \n - user_info.user_metadata.profile_pic: must be a valid URI\
         \n - user_info.user_metadata.is_presenter: must equal false\
         \n - user_info.user_metadata.raised_hand.is_raised: must equal false\
         \n - user_info.user_metadata.raised_hand.raised_at: must equal 0\
         \n - user_info.user_metadata.wait_for_approval: must equal false\
         \n - user_info.user_metadata.metadata_id: metadata_id should not contain any value"
    );
    assert_eq!(
        message_of(r#"{"room_id":"r"}"#),
        "validation error: user_info: value is required"
    );
}

#[test]
fn blames_the_caller_for_the_message_and_the_server_for_its_own_rules() {
    let recorder = r#"{"room_id":"r","user_info":{"name":"PLUGNMEET_RECORDER_AUTH"}}"#;
    assert!(!read(b"{").unwrap_err().is_internal());
    assert!(!read(b"{}").unwrap_err().is_internal());
    let as_recorder = read(recorder.as_bytes()).and_then(|request| request.check_user());
    assert!(as_recorder.unwrap_err().is_internal());
}

#[test]
fn refuses_reserved_ids_before_odd_ones_and_leaves_both_to_the_issuer() {
    let with_id = |id: &str| {
        read(format!(r#"{{"room_id":"r","user_info":{{"name":"U","user_id":"{id}"}}}}"#).as_bytes())
    };
    let reserved = Err(RequestError::Reserved(Reserved::UserId("sip_-native".to_owned())));
    assert_eq!(with_id("sip_-native").unwrap().check_user(), reserved);
    let suffix = Err(RequestError::Reserved(Reserved::Suffix));
    assert_eq!(with_id("user_-native").unwrap().check_user(), suffix);
    for (id, problem) in [
        ("", UserIdProblem::Characters),
        ("ü", UserIdProblem::Characters),
        ("user_-FIELD_", UserIdProblem::FieldPattern),
        ("user_1", UserIdProblem::UserPrefix),
    ] {
        let refusal = Err(RequestError::UserId(problem));
        assert_eq!(with_id(id).unwrap().check_user(), refusal, "{id}");
    }
    assert_eq!(with_id("RECORDER_BOT").unwrap().check_user(), Ok(()));
}

#[test]
fn takes_null_for_unset_but_not_inside_a_map_and_not_twice() {
    assert!(
        read(
            metadata_with(r#""raised_hand":null,"extra_data":null,"lock_settings":{"lock_chat":null}"#)
                .as_bytes()
        )
        .is_ok()
    );
    assert_eq!(
        problem_of(metadata_with(r#""extra_data":{"a":null}"#)),
        JsonProblem::Expected("a string")
    );
    assert_eq!(
        problem_of(metadata_with(r#""extra_data":{"a":"","\u0061":""}"#)),
        JsonProblem::KeyTwice
    );
    assert_eq!(
        problem_of(user_with(r#""is_admin":null,"isAdmin":null"#)),
        JsonProblem::FieldTwice("is_admin")
    );
    assert_eq!(problem_of("null"), JsonProblem::Expected("an object"));
}

#[test]
fn reads_enums_and_integers_in_each_form() {
    let client_type = |value: &str| {
        read(user_with(&format!(r#""client_type":{value}"#)).as_bytes()).map(|it| it.client_type)
    };
    for (value, number) in [
        ("\"HYBRID_WEB\"", 1),
        ("\"hybrid_web\"", 0),
        ("\"1\"", 0),
        ("10e-1", 1),
        ("-2147483648", i32::MIN),
    ] {
        assert_eq!(client_type(value), Ok(number), "{value}");
    }
    for value in ["1.5", "2147483648", "true", "[]"] {
        assert!(client_type(value).is_err(), "{value}");
    }
    let raised_at =
        |value: &str| read(metadata_with(&format!(r#""raised_hand":{{"raised_at":{value}}}"#)).as_bytes());
    for value in ["0", "-0", "0e9", "\"0\"", "\"-0.0\""] {
        assert!(raised_at(value).is_ok(), "{value}");
    }
    for value in [
        "\"\"", "\" 0\"", "\"0 \"", "\"0x0\"", "\"0,\"", "0.5", "false", "1e19",
    ] {
        assert!(matches!(raised_at(value), Err(RequestError::Json(_))), "{value}");
    }
}

#[test]
fn skips_unknown_fields_that_are_json() {
    for value in [
        "null",
        "[]",
        "[1,-0.5e+3,{\"a\":[{}],\"a\":true}]",
        "\"\\\\\\\"\"",
        "{ \"\" : [ [ ] , false ] }",
    ] {
        assert!(read(unknown_holding(value).as_bytes()).is_ok(), "{value}");
    }
    for value in [
        "",
        "nul",
        "True",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{1:1}",
        "{\"a\":1,}",
        "[}",
        "{]",
        "'a'",
    ] {
        assert!(
            matches!(problem_of(unknown_holding(value)), JsonProblem::Expected(_)),
            "{value}"
        );
    }
    for value in ["01", "+1", ".5", "1.", "-", "0x1", "NaN", "Infinity", "1_0"] {
        assert!(
            matches!(problem_of(unknown_holding(value)), JsonProblem::Expected(_)),
            "{value}"
        );
    }
    // The server's scanner overlooks that the digits are missing.
    assert!(read(unknown_holding("1e").as_ref()).is_ok());
    assert!(read(user_with(r#""[ext.field]":{},"USER_ID":1,"userid":2,"user-id":3"#).as_bytes()).is_ok());
}

#[test]
fn refuses_broken_strings() {
    for escape in [
        r"\x",
        r"\u12",
        r"\u12g4",
        r"\u+123",
        r"\ud800",
        r"\udc00",
        r"\ud800\ud800",
        r"\ud800x",
        r"\'",
        r"\U0041",
    ] {
        assert_eq!(
            problem_of(unknown_holding(&format!("\"{escape}\""))),
            JsonProblem::BadEscape,
            "{escape}"
        );
    }
    assert_eq!(
        problem_of(unknown_holding("\"a\tb\"")),
        JsonProblem::ControlCharacter
    );
    assert_eq!(problem_of(b"{\"\xc3\x28\":1}"), JsonProblem::NotUtf8);
    assert_eq!(problem_of(b"{\"\xed\xa0\x80\":1}"), JsonProblem::NotUtf8);
    assert_eq!(problem_of("{\"a"), JsonProblem::Expected("the end of the string"));
    assert_eq!(problem_of("\u{feff}{}"), JsonProblem::Expected("an object"));
}

/// The message itself is the first level.
#[test]
fn skips_ten_thousand_levels_and_no_more() {
    assert!(read(unknown_holding(&nested(9_999)).as_bytes()).is_ok());
    assert_eq!(problem_of(unknown_holding(&nested(10_000))), JsonProblem::TooDeep);
    assert!(read(metadata_with(&format!("\"x\":{}", nested(9_997))).as_bytes()).is_ok());
    assert_eq!(
        problem_of(metadata_with(&format!("\"x\":{}", nested(9_998)))),
        JsonProblem::TooDeep
    );
    assert_eq!(
        problem_of(unknown_holding(&"[".repeat(60_000))),
        JsonProblem::TooDeep
    );
}

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
