//! The reader as a whole, with the bodies that the real rules have judged.

mod properties;

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
