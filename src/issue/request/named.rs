//! What the bodies of the other endpoints under `/auth` name: rooms, sessions, recordings, artifacts.
//!
//! They are read as `getJoinToken`'s body is, so that the gateway decides about what the server will read: a field in
//! one of its two spellings, each field once, and nothing behind the object.
//!
//! Not here: who may use which room (`crate::issue`).
//!
//! Sources: docs/plugnmeet.md section 2; `plugnmeet_auth_room.proto`, `plugnmeet_auth_recording.proto`,
//! `plugnmeet_auth_artifact.proto` and `plugnmeet_auth_analytics.proto` of plugnmeet-protocol.

use super::{
    json::{JsonError, Reader},
    message::{give, is_spelling, message},
};

pub(in crate::issue) use super::message::Field;

pub(in crate::issue) fn read<M: Field>(body: &[u8]) -> Result<M, JsonError> {
    let mut reader = Reader::new(body);
    let message = M::read(&mut reader)?;
    reader.end()?;
    Ok(message)
}

message! {
    /// The body of a call about one room.
    OneRoom {
        room_id: String,
    }
}

message! {
    /// The body of a call for a list.
    List {
        room_ids: Vec<String>,
        room_sid: Option<String>,
    }
}

message! {
    /// The body of a call about one recording.
    OneRecording {
        record_id: String,
    }
}

message! {
    /// The body of a call about one artifact.
    OneArtifact {
        artifact_id: String,
    }
}

message! {
    /// The body of a call about the analytics of one meeting.
    OneAnalytics {
        file_id: String,
    }
}

message! {
    /// The body of `mergeRecordings`.
    Merge {
        by_session: Option<BySession>,
        by_ids: Option<ByIds>,
    }
}

message! {
    /// Names all recordings of a session.
    BySession {
        room_sid: String,
    }
}

message! {
    /// Names these recordings, in this order.
    ByIds {
        room_id: String,
        recording_ids: Vec<String>,
    }
}

impl Field for Vec<String> {
    /// Reads a list. Unlike a field's value, an element can't be `null`.
    fn read(reader: &mut Reader<'_>) -> Result<Self, JsonError> {
        let mut list = Self::new();
        reader.array(|reader| {
            list.push(String::read(reader)?);
            Ok(())
        })?;
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room_ids(body: &str) -> Option<Vec<String>> {
        read::<List>(body.as_bytes()).ok().map(|list| list.room_ids)
    }

    #[test]
    fn a_body_names_one_room_or_none() {
        let room = |body: &str| read::<OneRoom>(body.as_bytes()).ok().map(|named| named.room_id);
        assert_eq!(
            room(r#"{"room_id":"a","metadata":{"room_id":"b"}}"#),
            Some("a".into())
        );
        assert_eq!(room(r#"{"room\u0049d":"a"}"#), Some("a".into()));
        assert_eq!(room(r#"{"room_id":null}"#), Some(String::new()));
        for body in [
            r#"{"room_id":"a","roomId":"a"}"#,
            r#"{"room_id":"a","roomId":null}"#,
            r#"{"room_id":"a","room_id":"b"}"#,
            r#"{"room_id":"a"}{}"#,
            r#"{"room_id":1}"#,
            "[]",
            "",
        ] {
            assert_eq!(room(body), None, "{body}");
        }
    }

    #[test]
    fn a_list_of_rooms_is_read_as_the_server_reads_it() {
        assert_eq!(
            room_ids(r#"{ "roomIds" : [ "a" , "b" ] , "from" : 0 }"#),
            Some(vec!["a".into(), "b".into()])
        );
        for body in [r#"{"room_ids":[]}"#, r#"{"room_ids":null}"#, "{}"] {
            assert_eq!(room_ids(body), Some(Vec::new()), "{body}");
        }
        for body in [
            r#"{"room_ids":["a"],"roomIds":["b"]}"#,
            r#"{"room_ids":["a",]}"#,
            r#"{"room_ids":["a" "b"]}"#,
            r#"{"room_ids":[null]}"#,
            r#"{"room_ids":"a"}"#,
            r#"{"room_ids":["a"]"#,
            r#"{"room_ids":[["a"]]}"#,
        ] {
            assert_eq!(room_ids(body), None, "{body}");
        }
    }

    #[test]
    fn a_merge_names_all_that_it_is_of() {
        let body = br#"{"byIds":{"roomId":"a","recordingIds":["r1","r2"]},"by_session":null}"#;
        let merge: Merge = read(body).unwrap();
        let by_ids = merge.by_ids.unwrap();
        assert_eq!(
            (&*by_ids.room_id, by_ids.recording_ids),
            ("a", vec!["r1".into(), "r2".into()])
        );
        assert!(merge.by_session.is_none());
        assert!(read::<Merge>(br#"{"by_ids":{"room_id":"a","roomId":"b"}}"#).is_err());
    }
}
