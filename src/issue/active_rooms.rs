//! Removes from the server's list of active rooms those that a caller may not use.
//!
//! The remaining fields keep the server's text, because an SDK may fail at any other (docs/plugnmeet.md section 0.4).
//!
//! Source: docs/plugnmeet.md section 8 and the recorded answers of `getActiveRoomsInfo`.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The server's answer if no room is active.
const NO_ROOM: &str = r#"{"status":false,"msg":"no active room found","status_code":"NOT_FOUND","rooms":[]}"#;

/// The answer without the rooms that are not `own`; none if the answer is not of the form that we know.
pub(super) fn only<'a>(answer: &'a [u8], own: impl Fn(&str) -> bool) -> Option<String> {
    let Members(members) = serde_json::from_slice::<Members<'a>>(answer).ok()?;
    let rooms = members.iter().find(|(name, _)| name == "rooms");
    // An error names no rooms.
    let rooms = rooms.map_or("[]", |(_, rooms)| rooms.get());
    let rooms: Vec<&RawValue> = serde_json::from_str(rooms).ok()?;
    let kept: Vec<&str> = rooms
        .iter()
        .map(|room| room.get())
        .filter(|room| id_of(room).is_some_and(|room_id| own(&room_id)))
        .collect();
    if kept.is_empty() && !rooms.is_empty() {
        return Some(NO_ROOM.to_owned());
    }
    let members: Option<Vec<String>> = members
        .iter()
        .map(|(name, value)| {
            let value = if name == "rooms" {
                format!("[{}]", kept.join(","))
            } else {
                value.get().to_owned()
            };
            Some(format!("{}:{value}", serde_json::to_string(name).ok()?))
        })
        .collect();
    Some(format!("{{{}}}", members?.join(",")))
}

/// The id of the room in this element of the list; none if the element has no id.
fn id_of(room: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Room {
        room_info: Info,
    }
    #[derive(Deserialize)]
    struct Info {
        room_id: String,
    }
    let room: Room = serde_json::from_str(room).ok()?;
    Some(room.room_info.room_id)
}

/// The members of an object in their order, each with its value as the text in the server's answer.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_math(answer: &str) -> Option<String> {
        only(answer.as_bytes(), |room_id| room_id.starts_with("math"))
    }

    #[test]
    fn a_callers_rooms_stay_to_the_letter_and_the_rest_goes() {
        let math = r#"{ "room_info":{"room_id":"math-1","joined_participants":"10","x":null,"metadata":"{\"a\":\"\u0026\"}"},"participants_info":[ ]}"#;
        let art = r#"{"room_info":{"room_id":"art"},"participants_info":[]}"#;
        let head = r#"{"status":true,"msg":"success","status_code":"SUCCESS","rooms":"#;
        let answer = format!(r#"{head}[{art}, {math},{art},{{"room_info":null}},{{}}]}}"#);
        assert_eq!(of_math(&answer), Some(format!("{head}[{math}]}}")));
    }

    #[test]
    fn without_a_room_of_its_own_it_hears_what_the_server_says_where_there_is_none() {
        let answer = r#"{"status":true,"msg":"success","rooms":[{"room_info":{"room_id":"art"}}]}"#;
        assert_eq!(of_math(answer).as_deref(), Some(NO_ROOM));
        let error = r#"{"status":false,"msg":"x","status_code":"INTERNAL_SERVER_ERROR"}"#;
        assert_eq!(of_math(error).as_deref(), Some(error));
    }

    #[test]
    fn an_answer_of_another_form_shows_nothing() {
        for answer in [
            "",
            "[]",
            r#"{"rooms":{}}"#,
            r#"{"rooms":[1}"#,
            r#"{"rooms":"math"}"#,
        ] {
            assert_eq!(of_math(answer), None, "{answer}");
        }
    }
}
