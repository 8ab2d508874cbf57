//! `/api`: what the client asks for a person with a join token.
//!
//! Rooms, people, polls, files and breakout rooms are modelled. Behind them lies much that is not (recorders, whiteboards,
//! ingress, insights): there the answer to an empty body is the real one's, and any other body is a success.
//!
//! Sources: docs/plugnmeet.md sections 4, 5 and 8; plugnmeet-server 2.4.0, `controllers/auth.go` and the others.

use serde_json::{Value, json};

use super::{
    answer::{Answer, common_json, common_protobuf, json_answer, json_utf8, not_found, plain, protobuf},
    auth::client_files,
    state::{Poll, State, uuid},
    tokens::{self, Refused},
    wire::{self, Held, Message},
};
use crate::support::upstream::Seen;

const ONLY_ADMIN: &str = "only admin can perform this task";
const BAD_WIRE: &str = "proto: cannot parse invalid wire-format data";

/// Whose call it is.
struct Caller {
    room_id: String,
    sid: String,
    user_id: String,
    is_admin: bool,
}

impl State {
    pub(super) fn api(&mut self, seen: &Seen, path: &str, route: &str, query: &str) -> Answer {
        let caller = match self.caller(seen, query) {
            Ok(caller) => caller,
            Err((message, code)) => {
                // The uploader takes 400 for an end, and this is asked of the path as it came.
                let status = if path.contains("fileUpload") { 400 } else { 401 };
                return if seen.first("content-type") == Some("application/protobuf") {
                    common_protobuf(status, false, message)
                } else {
                    common_json(status, false, message, code)
                };
            }
        };
        let call = route.strip_prefix("/api/").unwrap_or_default();
        match (seen.method.as_str(), call) {
            (_, "getroomfilesbytype") => self.room_files(&caller.room_id),
            ("GET" | "POST", "fileupload") => self.file_upload(seen, &caller.sid, query),
            ("GET", _) => self.api_get(&caller, call),
            ("POST", "whiteboard/convert" | "convertwhiteboardfile") => convert(seen),
            ("POST", "getclientfiles") => json_answer(200, &client_files()),
            ("POST", _) => self.api_post(seen, &caller, call),
            _ => not_found(),
        }
    }

    fn caller(&mut self, seen: &Seen, query: &str) -> Result<Caller, (&'static str, &'static str)> {
        let token = seen.first("authorization").unwrap_or_default().to_owned();
        let token = if token.is_empty() {
            form_value(seen, query)
        } else {
            token
        };
        if token.is_empty() {
            return Err(("notifications.auth-header-missing", "MISSING_REQUIRED_PARAMETER"));
        }
        let claims = tokens::verified(&token, self.now()).map_err(|refused| {
            let message = match refused {
                Refused::Expired => "notifications.token-expired",
                Refused::Malformed | Refused::Invalid => "notifications.invalid-token",
            };
            (message, "INVALID_TOKEN_OR_SIGNATURE")
        })?;
        let room_id = tokens::text(&claims, "room_id").to_owned();
        match self.room(&room_id) {
            Some(room) if !room_id.is_empty() => Ok(Caller {
                sid: room.sid.clone(),
                user_id: tokens::text(&claims, "user_id").to_owned(),
                is_admin: claims["is_admin"] == true,
                room_id,
            }),
            _ => Err(("notifications.room-not-active", "ROOM_NOT_FOUND")),
        }
    }

    fn api_get(&mut self, caller: &Caller, call: &str) -> Answer {
        match call {
            "polls/listpolls" => self.polls(&caller.room_id, |list, poll, room_id| {
                let entry = Message::default()
                    .text(1, &poll.id)
                    .text(2, room_id)
                    .number(5, 1)
                    .number(6, u64::try_from(poll.created).unwrap_or_default())
                    .text(7, &poll.created_by);
                list.bytes(7, &entry.build())
            }),
            "polls/pollsstats" => {
                let polls = self
                    .room(&caller.room_id)
                    .map_or(0, |room| room.polls.len() as u64);
                let stats = Message::default().number(1, polls).number(2, polls);
                let answer = Message::default().number(1, 1).text(2, "success");
                protobuf(200, answer.bytes(8, &stats.build()).build())
            }
            "breakoutroom/listrooms" | "breakoutroom/myrooms" => self.breakout_rooms(&caller.room_id),
            _ => not_found(),
        }
    }

    fn polls(&mut self, room_id: &str, write: impl Fn(Message, &Poll, &str) -> Message) -> Answer {
        let start = Message::default().number(1, 1).text(2, "success");
        let list = self.room(room_id).map_or_else(Message::default, |room| {
            room.polls
                .iter()
                .fold(start, |list, poll| write(list, poll, room_id))
        });
        protobuf(200, list.build())
    }

    fn api_post(&mut self, seen: &Seen, caller: &Caller, call: &str) -> Answer {
        let for_admins = match call {
            "recording" | "rtmp" => Some("only admin can start recording"),
            _ if FOR_ADMINS.contains(&call) => Some(ONLY_ADMIN),
            _ if FOR_ALL.contains(&call) => None,
            _ => return not_found(),
        };
        if let Some(refusal) = for_admins.filter(|_| !caller.is_admin) {
            return common_protobuf(200, false, refusal);
        }
        let Some(body) = wire::fields(&seen.body) else {
            return common_protobuf(200, false, BAD_WIRE);
        };
        match call {
            "verifytoken" => self.verify_token(caller),
            "endroom" if wire::text(&body, 1) == caller.room_id => {
                self.end(&caller.room_id);
                common_protobuf(200, true, "success")
            }
            "removeparticipant" if wire::text(&body, 2) == caller.room_id => self.remove(caller, &body),
            "muteunmutetrack" | "updatelocksettings" if wire::text(&body, 2) == caller.room_id => {
                common_protobuf(200, true, "success")
            }
            "changevisibility" if wire::text(&body, 1) == caller.room_id => {
                common_protobuf(200, true, "success")
            }
            "endroom" | "removeparticipant" | "muteunmutetrack" | "updatelocksettings"
            | "changevisibility" => common_protobuf(200, false, "requested roomId & token roomId mismatched"),
            "polls/create" => self.create_poll(caller),
            "breakoutroom/create" => self.create_breakout_rooms(&caller.room_id, &body),
            "breakoutroom/join" => self.join_breakout_room(&caller.room_id, caller.is_admin, &body),
            "uploadedfilemerge" => self.merge_chunks(&caller.sid, &body),
            "uploadbase64encodeddata" => self.upload_base64(&caller.room_id, &caller.sid, &seen.body),
            _ if body.is_empty() => answer_to_nothing(call),
            _ => common_protobuf(200, true, "success"),
        }
    }

    /// Nobody is ever online here, so nobody is a duplicate.
    fn verify_token(&mut self, caller: &Caller) -> Answer {
        let open_house = self.open_house;
        let Some(room) = self.room(&caller.room_id) else {
            return common_protobuf(200, false, "notifications.room-not-active");
        };
        if !open_house && !room.users.contains_key(&caller.user_id) {
            return common_protobuf(200, false, "notifications.user-info-not-found");
        }
        if room.blocked.contains(&caller.user_id) {
            return common_protobuf(200, false, "notifications.you-are-blocked");
        }
        let subjects = [
            "sysApiWorker",
            "sysJsWorker",
            "sysCoreWorker",
            "sysPublic",
            "sysPrivate",
            "chat",
            "whiteboard",
            "dataChannel",
        ];
        let subjects = (1..)
            .zip(subjects)
            .fold(Message::default(), |all, (field, name)| all.text(field, name));
        let answer = Message::default()
            .number(1, 1)
            .text(2, "token is valid")
            .text(3, &format!("{}/ws", self.join_host))
            .text(4, "2.4.0")
            .text(5, &caller.room_id)
            .text(6, &caller.user_id)
            .text(7, "pnm-room-stream")
            .bytes(8, &subjects.build())
            .set_false(9);
        protobuf(200, answer.build())
    }

    /// `RemoveParticipantReq`: sid, room, user, words, block.
    fn remove(&mut self, caller: &Caller, body: &[(u64, Held)]) -> Answer {
        let user_id = wire::text(body, 3);
        if user_id == caller.user_id {
            return common_protobuf(200, false, "you can't remove yourself\"");
        }
        if wire::text(body, 1) != caller.sid && !self.open_house {
            return common_protobuf(200, false, "room isn't running");
        }
        if let Some(room) = self.room(&caller.room_id)
            && wire::number(body, 5) == 1
        {
            room.blocked.insert(user_id);
        }
        common_protobuf(200, true, "success")
    }

    fn create_poll(&mut self, caller: &Caller) -> Answer {
        let poll = Poll {
            id: uuid(),
            created: self.now(),
            created_by: caller.user_id.clone(),
        };
        let answer = Message::default()
            .number(1, 1)
            .text(2, "success")
            .text(3, &poll.id);
        if let Some(room) = self.room(&caller.room_id) {
            room.polls.push(poll);
        }
        protobuf(200, answer.build())
    }
}

const FOR_ADMINS: [&str; 15] = [
    "endroom",
    "removeparticipant",
    "muteunmutetrack",
    "updatelocksettings",
    "switchpresenter",
    "waitingroom/approveusers",
    "waitingroom/updatemsg",
    "breakoutroom/create",
    "ingress/create",
    "externalmediaplayer",
    "externaldisplaylink",
    "changevisibility",
    "sharednotepad/changestatus",
    "polls/activate",
    "polls/create",
];

const FOR_ALL: [&str; 6] = [
    "verifytoken",
    "breakoutroom/join",
    "polls/submitresponse",
    "uploadedfilemerge",
    "uploadbase64encodeddata",
    "insights/supportedlangs",
];

/// What the server says to a body without a field where what it would do is not modelled.
fn answer_to_nothing(call: &str) -> Answer {
    let message = match call {
        // No meeting has the empty sid.
        "recording" | "rtmp" => "notifications.room-not-active",
        "switchpresenter" => "no metadata found for user ",
        // The metadata of the user with the empty id.
        "waitingroom/approveusers" => "proto: syntax error (line 1:1): unexpected token ",
        "externaldisplaylink" => "valid url required",
        // The poll with the empty id is taken for one that was voted in.
        "polls/submitresponse" => "user already voted",
        "insights/supportedlangs" => {
            "unknown or unsupported insights service type: INSIGHTS_SERVICE_TYPE_UNSPECIFIED"
        }
        "externalmediaplayer" => {
            return plain(
                500,
                "runtime error: invalid memory address or nil pointer dereference",
            );
        }
        "ingress/create" => {
            let key = uuid().replace('-', "");
            let answer = Message::default()
                .number(1, 1)
                .text(2, "success")
                .text(5, &key[..12]);
            return protobuf(200, answer.build());
        }
        _ => return common_protobuf(200, true, "success"),
    };
    common_protobuf(200, false, message)
}

/// Fiber binds JSON and forms and takes nothing else; nothing is converted.
fn convert(seen: &Seen) -> Answer {
    let is_json = seen
        .first("content-type")
        .is_some_and(|media| media.starts_with("application/json"));
    let body: Option<Value> = serde_json::from_slice(&seen.body).ok().filter(|_| is_json);
    match body {
        None => json_utf8(200, &json!({"msg": "Unprocessable Entity", "status": false})),
        Some(body) if body["file_path"].as_str().unwrap_or_default().is_empty() => json_utf8(
            400,
            &json!({"msg": "file path require", "status": false, "status_code": "INVALID_PARAMETERS"}),
        ),
        Some(_) => json_utf8(200, &json!({"msg": "success", "status": true})),
    }
}

/// Where Fiber's `FormValue` looks: the query, a form, a multipart form.
fn form_value(seen: &Seen, query: &str) -> String {
    let in_pairs = |pairs: &[u8]| {
        form_urlencoded::parse(pairs)
            .find_map(|(name, value)| (name == "Authorization").then(|| value.into_owned()))
    };
    let media = seen.first("content-type").unwrap_or_default();
    let in_body = if media.starts_with("application/x-www-form-urlencoded") {
        in_pairs(&seen.body)
    } else if media.starts_with("multipart/form-data") {
        let form = String::from_utf8_lossy(&seen.body).into_owned();
        let part = form.split_once("name=\"Authorization\"\r\n\r\n");
        part.and_then(|(_, rest)| rest.split_once("\r\n"))
            .map(|(value, _)| value.to_owned())
    } else {
        None
    };
    in_pairs(query.as_bytes()).or(in_body).unwrap_or_default()
}
