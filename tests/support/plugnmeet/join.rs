//! A token for somebody, from whichever door: the rules are the same, and the user is added to the room.
//!
//! Sources: docs/plugnmeet.md section 3; plugnmeet-server 2.4.0, `controllers/user.go` and `models/user_join.go`.

use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, bad_parameters, json_answer, refused, violations},
    protojson::{self, Field, Kind},
    rooms::is_id,
    state::{State, User, text, uuid},
    tokens::{Join, join_token},
};

/// `GenerateTokenReq`.
const TOKEN: &[Field] = &[
    Field("room_id", Kind::Text),
    Field("user_info", Kind::Message(USER)),
];

const USER: &[Field] = &[
    Field("name", Kind::Text),
    Field("user_id", Kind::Text),
    Field("is_admin", Kind::Bool),
    Field("is_hidden", Kind::Bool),
    Field("client_type", Kind::Names(&["WEB", "HYBRID_WEB"])),
    Field("user_metadata", Kind::Message(METADATA)),
];

const METADATA: &[Field] = &[
    Field("profile_pic", Kind::Text),
    Field("is_admin", Kind::Bool),
    Field("is_presenter", Kind::Bool),
    Field("record_webcam", Kind::Bool),
    Field("wait_for_approval", Kind::Bool),
    Field("preferred_lang", Kind::Text),
    Field("ex_user_id", Kind::Text),
    Field("metadata_id", Kind::Text),
    Field("extra_data", Kind::Map),
    Field(
        "raised_hand",
        Kind::Message(&[Field("is_raised", Kind::Bool), Field("raised_at", Kind::Int)]),
    ),
    Field("lock_settings", Kind::Message(LOCKS)),
];

const LOCKS: &[Field] = &[
    Field("lock_microphone", Kind::Bool),
    Field("lock_webcam", Kind::Bool),
    Field("lock_screen_sharing", Kind::Bool),
    Field("lock_whiteboard", Kind::Bool),
    Field("lock_shared_notepad", Kind::Bool),
    Field("lock_chat", Kind::Bool),
    Field("lock_chat_send_message", Kind::Bool),
    Field("lock_chat_file_share", Kind::Bool),
    Field("lock_private_chat", Kind::Bool),
];

/// Whom a token is wanted for.
#[derive(Default)]
pub(super) struct Wanted {
    pub user_id: String,
    pub name: String,
    pub is_admin: bool,
    pub is_hidden: bool,
    pub client_type: i64,
}

impl State {
    /// `getJoinToken`.
    pub(super) fn join_token_answer(&mut self, body: &[u8]) -> Answer {
        let wanted = match protojson::read(body, TOKEN) {
            Ok(wanted) => wanted,
            Err(error) => return bad_parameters(&error),
        };
        let found = token_violations(&wanted);
        if !found.is_empty() {
            return bad_parameters(&violations(&found));
        }
        let room_id = text(&wanted, "room_id");
        let user = wanted.get("user_info").and_then(Value::as_object);
        let user = user.cloned().unwrap_or_default();
        let user_id = text(&user, "user_id");
        match self.room(room_id) {
            Some(room) if room.blocked.contains(user_id) => {
                return refused("this user is blocked to join this session", "USER_BLOCKED");
            }
            Some(_) => {}
            None => return refused("room is not active", "ROOM_NOT_FOUND"),
        }
        let is = |name: &str| user.get(name) == Some(&Value::Bool(true));
        let wanted = Wanted {
            user_id: user_id.to_owned(),
            name: text(&user, "name").to_owned(),
            is_admin: is("is_admin"),
            is_hidden: is("is_hidden"),
            client_type: user
                .get("client_type")
                .and_then(Value::as_i64)
                .unwrap_or_default(),
        };
        match self.join(room_id, wanted) {
            Ok(token) => json_answer(
                200,
                &json!({"status": true, "msg": "success", "status_code": "SUCCESS", "token": token}),
            ),
            Err(message) => refused(&message, "INTERNAL_SERVER_ERROR"),
        }
    }

    /// `GetPNMJoinToken`: it looks at no block list, and takes a block away.
    pub(super) fn join(&mut self, room_id: &str, wanted: Wanted) -> Result<String, String> {
        reserved(&wanted)?;
        let now = self.now();
        let Some(room) = self.room(room_id) else {
            return Err("did not find correct room info".to_owned());
        };
        let mut user_id = wanted.user_id;
        if room.makes_up_user_ids() && !["RECORDER_BOT", "RTMP_BOT"].contains(&user_id.as_str()) {
            user_id = uuid();
        }
        if !is_id(&user_id) {
            return Err("user_id should only contain ASCII letters (a-z A-Z), digits (0-9) or -_".to_owned());
        }
        if user_id.contains("-FIELD_") {
            return Err("user_id cannot contain the reserved pattern '-FIELD_'".to_owned());
        }
        if user_id.starts_with("user_") {
            return Err("user_id cannot start with the reserved pattern 'user_'".to_owned());
        }
        let user = User {
            name: wanted.name.clone(),
            is_admin: wanted.is_admin,
        };
        room.users.insert(user_id.clone(), user);
        room.blocked.remove(&user_id);
        Ok(join_token(
            now,
            &Join {
                room_id,
                user_id: &user_id,
                name: &wanted.name,
                is_admin: wanted.is_admin,
                is_hidden: wanted.is_hidden,
                client_type: wanted.client_type,
            },
        ))
    }
}

/// Of the id as it was sent.
fn reserved(wanted: &Wanted) -> Result<(), String> {
    if wanted.name == "PLUGNMEET_RECORDER_AUTH" {
        return Err("name: PLUGNMEET_RECORDER_AUTH is reserved for internal use only".to_owned());
    }
    let user_id = &wanted.user_id;
    let prefixes = ["ingres_", "pnm_agent-", "pnm_tts_agent-", "sip_"];
    if prefixes.iter().any(|prefix| user_id.starts_with(prefix)) {
        return Err(format!("user_id: {user_id} is reserved for internal use only"));
    }
    if user_id.ends_with("-native") {
        return Err("user_id: suffix -native is reserved for internal use only".to_owned());
    }
    Ok(())
}

/// protovalidate's, in its order and words.
fn token_violations(wanted: &Map<String, Value>) -> Vec<String> {
    let mut found = Vec::new();
    if !is_id(text(wanted, "room_id")) {
        found.push("room_id: room_id should only contain letters (a-z A-Z), digits (0-9) or -_".to_owned());
    }
    let Some(user) = wanted.get("user_info").and_then(Value::as_object) else {
        found.push("user_info: value is required".to_owned());
        return found;
    };
    if text(user, "name").is_empty() {
        found.push("user_info.name: value is required".to_owned());
    }
    let metadata = &user.get("user_metadata").cloned().unwrap_or_default();
    let mut add = |name: &str, rule: &str| found.push(format!("user_info.user_metadata.{name}: {rule}"));
    match metadata["profile_pic"].as_str() {
        Some("") => add("profile_pic", "value is empty, which is not a valid URI"),
        Some(uri) if !is_uri(uri) => add("profile_pic", "must be a valid URI"),
        _ => {}
    }
    for name in ["is_presenter", "wait_for_approval"] {
        if metadata[name] == true {
            add(name, "must equal false");
        }
    }
    if metadata["raised_hand"]["is_raised"] == true {
        add("raised_hand.is_raised", "must equal false");
    }
    if metadata["raised_hand"]["raised_at"].as_i64().unwrap_or_default() != 0 {
        add("raised_hand.raised_at", "must equal 0");
    }
    if metadata["metadata_id"].as_str().unwrap_or_default() != "" {
        add("metadata_id", "metadata_id should not contain any value");
    }
    found
}

/// RFC 3986, as far as its characters and its scheme go.
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    is_scheme
        && rest
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(c))
}
