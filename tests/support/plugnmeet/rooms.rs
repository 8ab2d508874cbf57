//! Rooms: made, asked about, ended.
//!
//! Sources: docs/plugnmeet.md sections 3 and 8; plugnmeet-server 2.4.0, `controllers/room.go` and `models/room_*.go`.

use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, bad_parameters, json_answer, json_utf8, refused, success, violations},
    protojson::{self, Field, Kind},
    state::{State, iso, text},
};
use crate::support::upstream::Seen;

/// `CreateRoomReq`. The features' own fields are taken as they are.
const CREATE: &[Field] = &[
    Field("room_id", Kind::Text),
    Field("empty_timeout", Kind::Int),
    Field("max_participants", Kind::Int),
    Field("metadata", Kind::Message(METADATA)),
];

const METADATA: &[Field] = &[
    Field("room_title", Kind::Text),
    Field("welcome_message", Kind::Text),
    Field("webhook_url", Kind::Text),
    Field("logout_url", Kind::Text),
    Field("room_features", Kind::Any),
    Field("default_lock_settings", Kind::Any),
    Field("copyright_conf", Kind::Any),
    Field("extra_data", Kind::Map),
];

const ROOM_ID: &[Field] = &[Field("room_id", Kind::Text)];

const BROADCAST: &[Field] = &[
    Field("room_id", Kind::Text),
    Field("chat_msg", Kind::Any),
    Field("notification_msg", Kind::Any),
];

/// The database's column.
const MAX_ROOM_ID: usize = 64;

impl State {
    pub(super) fn create_room(&mut self, body: &[u8]) -> Answer {
        let wanted = match protojson::read(body, CREATE) {
            Ok(wanted) => wanted,
            Err(error) => return bad_parameters(&error),
        };
        let found = create_violations(&wanted);
        if !found.is_empty() {
            return bad_parameters(&violations(&found));
        }
        let room_id = text(&wanted, "room_id");
        if room_id.len() > MAX_ROOM_ID {
            return refused(
                "Error 1406 (22001): Data too long for column 'roomId' at row 1",
                "INTERNAL_SERVER_ERROR",
            );
        }
        let room = self.create(room_id, &wanted["metadata"]);
        json_answer(
            200,
            &json!({"status": true, "msg": "success", "status_code": "SUCCESS", "room_info": room.info()}),
        )
    }

    pub(super) fn is_room_active(&mut self, body: &[u8]) -> Answer {
        match protojson::read(body, ROOM_ID) {
            Ok(wanted) => self.activity(text(&wanted, "room_id")),
            Err(error) => bad_parameters(&error),
        }
    }

    /// `IsRoomActiveRes`.
    pub(super) fn activity(&mut self, room_id: &str) -> Answer {
        let (message, code, active) = match self.room(room_id) {
            Some(_) => ("room is active", "SUCCESS", true),
            None => ("room not found", "ROOM_NOT_FOUND", false),
        };
        json_answer(
            200,
            &json!({"status": true, "msg": message, "status_code": code, "is_active": active}),
        )
    }

    pub(super) fn active_room_info(&mut self, body: &[u8]) -> Answer {
        let wanted = match protojson::read(body, ROOM_ID) {
            Ok(wanted) => wanted,
            Err(error) => return bad_parameters(&error),
        };
        json_answer(
            200,
            &match self.room(text(&wanted, "room_id")) {
                Some(room) => json!({"status": true, "msg": "success", "status_code": "SUCCESS",
                                     "room": {"room_info": room.info(), "participants_info": []}}),
                None => json!({"status": false, "msg": "room not found in active state",
                               "status_code": "ROOM_NOT_FOUND", "room": null}),
            },
        )
    }

    /// Whatever the body says.
    pub(super) fn active_rooms_info(&self) -> Answer {
        let rooms: Vec<Value> = self
            .running()
            .map(|room| json!({"room_info": room.info(), "participants_info": []}))
            .collect();
        let (status, message, code) = if rooms.is_empty() {
            (false, "no active room found", "NOT_FOUND")
        } else {
            (true, "success", "SUCCESS")
        };
        json_answer(
            200,
            &json!({"status": status, "msg": message, "status_code": code, "rooms": rooms}),
        )
    }

    pub(super) fn end_room(&mut self, body: &[u8]) -> Answer {
        match protojson::read(body, ROOM_ID) {
            Ok(wanted) if self.end(text(&wanted, "room_id")) => success(),
            Ok(_) => refused("room not found or not active", "ROOM_NOT_FOUND"),
            Err(error) => bad_parameters(&error),
        }
    }

    /// Those that still run are in it too. The newest first, twenty at most.
    pub(super) fn past_rooms(&self, body: &[u8]) -> Answer {
        let wanted = match Page::read(body) {
            Ok(wanted) => wanted,
            Err(error) => return bad_parameters(&error),
        };
        let found: Vec<Value> = self
            .rooms
            .iter()
            .filter(|room| wanted.wants(&room.id))
            .map(|room| room.past_info(iso))
            .collect();
        match wanted.result("total_rooms", "rooms_list", found) {
            Some(result) => json_answer(
                200,
                &json!({"status": true, "msg": "success", "status_code": "SUCCESS", "result": result}),
            ),
            None => refused("no room found", "NOT_FOUND"),
        }
    }

    pub(super) fn broadcast(&mut self, body: &[u8]) -> Answer {
        let wanted = match protojson::read(body, BROADCAST) {
            Ok(wanted) => wanted,
            Err(error) => return bad_parameters(&error),
        };
        let mut found = Vec::new();
        if !wanted.contains_key("chat_msg") && !wanted.contains_key("notification_msg") {
            found.push("one of chat_msg, notification_msg must be set".to_owned());
        }
        let room_id = text(&wanted, "room_id");
        if room_id.is_empty() {
            found.push("room_id: value is required".to_owned());
        }
        if !found.is_empty() {
            return bad_parameters(&violations(&found));
        }
        match self.room(room_id) {
            Some(_) => success(),
            None => refused("room not found", "ROOM_NOT_FOUND"),
        }
    }

    /// Nothing is converted here: a form that has a file or a link is taken.
    pub(super) fn whiteboard_upload(&mut self, seen: &Seen) -> Answer {
        let error = |message: &str, code: &str| {
            json_utf8(
                400,
                &json!({"msg": message, "status": false, "status_code": code}),
            )
        };
        let room_id = seen.first("room-id").unwrap_or_default();
        if room_id.is_empty() {
            return error("missing required header Room-Id", "INVALID_PARAMETERS");
        }
        if self.room(room_id).is_none() {
            return error("room not found", "ROOM_NOT_FOUND");
        }
        let form = String::from_utf8_lossy(&seen.body);
        if form.contains("name=\"document\"") || form.contains("name=\"document_link\"") {
            let taken =
                json!({"status": true, "msg": "file uploaded successfully", "status_code": "SUCCESS"});
            return json_answer(200, &taken);
        }
        error(
            "there is no uploaded file associated with the given key",
            "INVALID_PARAMETERS",
        )
    }
}

/// A list that is asked for in pages.
pub(super) struct Page {
    room_ids: Vec<Value>,
    from: i64,
    limit: i64,
    ascending: bool,
}

impl Page {
    pub fn read(body: &[u8]) -> Result<Self, String> {
        let wanted = protojson::read(
            body,
            &[
                Field("room_ids", Kind::Texts),
                Field("room_id", Kind::Text),
                Field("from", Kind::Int),
                Field("limit", Kind::Int),
                Field("order_by", Kind::Text),
            ],
        )?;
        let number = |name: &str| wanted.get(name).and_then(Value::as_i64).unwrap_or_default();
        Ok(Self {
            room_ids: wanted
                .get("room_ids")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default(),
            from: number("from"),
            limit: if number("limit") == 0 { 20 } else { number("limit") },
            ascending: text(&wanted, "order_by") == "ASC",
        })
    }

    /// Of no room's in particular, all.
    pub fn wants(&self, room_id: &str) -> bool {
        self.room_ids.is_empty() || self.room_ids.iter().any(|wanted| wanted == room_id)
    }

    /// `None` if there is none.
    pub fn result(&self, total: &str, list: &str, mut found: Vec<Value>) -> Option<Value> {
        if found.is_empty() {
            return None;
        }
        let count = found.len().to_string();
        if !self.ascending {
            found.reverse();
        }
        let size = |number: i64| usize::try_from(number).unwrap_or_default();
        let page: Vec<Value> = found
            .into_iter()
            .skip(size(self.from))
            .take(size(self.limit))
            .collect();
        let order = if self.ascending { "ASC" } else { "DESC" };
        Some(json!({total: count, "from": self.from, "limit": self.limit, "order_by": order, list: page}))
    }
}

/// docs/plugnmeet.md section 3, at its end.
fn create_violations(wanted: &Map<String, Value>) -> Vec<String> {
    let mut found = Vec::new();
    if !is_id(text(wanted, "room_id")) {
        found.push(
            "room_id: room_id should only contain ASCII letters (a-z A-Z), digits (0-9) or -_".to_owned(),
        );
    }
    for name in ["empty_timeout", "max_participants"] {
        if wanted.get(name).is_some_and(|value| value.as_i64() <= Some(0)) {
            found.push(format!("{name}: must be greater than 0"));
        }
    }
    match wanted.get("metadata") {
        None => found.push("metadata: value is required".to_owned()),
        Some(metadata) => {
            for name in ["room_title", "room_features"] {
                if metadata[name].is_null() || metadata[name] == "" {
                    found.push(format!("metadata.{name}: value is required"));
                }
            }
        }
    }
    found
}

/// `^[a-zA-Z0-9-_]+$`.
pub(super) fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
