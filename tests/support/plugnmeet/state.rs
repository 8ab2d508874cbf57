//! What the server knows: rooms with their people, files and polls, and what is left of rooms that have ended.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt::Write,
};

use aws_lc_rs::rand;
use plugnmeet_gateway::clock::Clock;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

/// Everything, behind one lock.
pub(super) struct State {
    pub clock: Clock,
    /// `client.bbb_join_host`.
    pub join_host: String,
    /// A room is made when it is first asked for, and so are its people: for tests that are about something else.
    pub open_house: bool,
    /// Running and ended, the newest last; at most one of an id is running.
    pub rooms: Vec<Room>,
    pub recordings: Vec<Recording>,
    /// By their path below the upload folder, or below that of the client's files.
    pub files: BTreeMap<String, File>,
    /// `room sid/identifier/number` of chunks that wait for the others, and how long they are.
    pub chunks: HashMap<String, usize>,
}

pub(super) struct Room {
    pub id: String,
    pub sid: String,
    pub created: i64,
    pub ended: Option<i64>,
    /// As `metadata` of `ActiveRoomInfo` has it.
    pub metadata: Value,
    pub parent: String,
    /// Who was added by a token that was issued.
    pub users: HashMap<String, User>,
    pub blocked: HashSet<String>,
    pub polls: Vec<Poll>,
    /// Ids of files and their paths.
    pub uploads: Vec<(String, String)>,
    /// Of a breakout room: who may join it.
    pub invited: HashSet<String>,
}

#[derive(Clone, Default)]
pub(super) struct User {
    pub name: String,
    pub is_admin: bool,
}

pub(super) struct Poll {
    pub id: String,
    pub created: i64,
    pub created_by: String,
}

pub(super) struct Recording {
    pub id: String,
    pub room_id: String,
    pub room_sid: String,
    pub path: String,
    pub created: i64,
    pub room_created: i64,
}

#[derive(Clone)]
pub(super) struct File {
    pub media_type: &'static str,
    pub bytes: Vec<u8>,
    /// As `Last-Modified` has it.
    pub modified: String,
}

/// For how long an open house's rooms have run already.
const DAY_SECS: i64 = 24 * 60 * 60;

impl State {
    pub fn now(&self) -> i64 {
        self.clock.unix()
    }

    /// The running room of this id.
    pub fn room(&mut self, id: &str) -> Option<&mut Room> {
        if self.open_house && !self.rooms.iter().any(|room| room.id == id) {
            self.open(id);
            // Its people's links are younger than it is, whatever asks for it first.
            if let Some(room) = self.rooms.last_mut() {
                room.created -= DAY_SECS;
            }
        }
        self.rooms
            .iter_mut()
            .find(|room| room.id == id && room.ended.is_none())
    }

    /// A room as nobody in particular would make it; BBB can join it.
    pub fn open(&mut self, id: &str) {
        let bbb = json!({"bbb_extra_data": "{\"attendeePW\":\"ap\",\"moderatorPW\":\"mp\"}"});
        self.create(id, &json!({"room_title": id, "extra_data": bbb}));
    }

    /// A room of this id that has just begun, with these parts of its metadata; the one that runs, if one does.
    pub fn create(&mut self, id: &str, metadata: &Value) -> &mut Room {
        let running = self
            .rooms
            .iter()
            .position(|room| room.id == id && room.ended.is_none());
        let at = running.unwrap_or_else(|| {
            self.rooms.push(Room::new(id, self.clock.unix(), metadata));
            self.rooms.len() - 1
        });
        &mut self.rooms[at]
    }

    /// Was one running?
    pub fn end(&mut self, id: &str) -> bool {
        let now = self.now();
        match self.room(id) {
            Some(room) => {
                room.ended = Some(now);
                true
            }
            None => false,
        }
    }

    /// The running rooms, in the order in which they began.
    pub fn running(&self) -> impl Iterator<Item = &Room> {
        self.rooms.iter().filter(|room| room.ended.is_none())
    }
}

impl Room {
    fn new(id: &str, now: i64, metadata: &Value) -> Self {
        let mut all: Value = serde_json::from_str(include_str!("room_defaults.json")).unwrap();
        merge(&mut all, metadata);
        all["started_at"] = now.to_string().into();
        all["metadata_id"] = uuid().into();
        Self {
            id: id.to_owned(),
            sid: uuid(),
            created: now,
            ended: None,
            metadata: all,
            parent: String::new(),
            users: HashMap::new(),
            blocked: HashSet::new(),
            polls: Vec::new(),
            uploads: Vec::new(),
            invited: HashSet::new(),
        }
    }

    pub fn title(&self) -> &str {
        self.metadata["room_title"].as_str().unwrap_or_default()
    }

    /// Does each visitor get an id of the server's making?
    pub fn makes_up_user_ids(&self) -> bool {
        self.metadata["room_features"]["auto_gen_user_id"] == true
    }

    /// `ActiveRoomInfo`. Nobody is ever seen by LiveKit here.
    pub fn info(&self) -> Value {
        json!({
            "room_title": self.title(), "room_id": self.id, "sid": self.sid, "joined_participants": "0", "is_running": 1,
            "is_recording": 0, "is_active_rtmp": 0, "webhook_url": "",
            "is_breakout_room": u8::from(!self.parent.is_empty()), "parent_room_id": self.parent,
            "creation_time": self.created.to_string(), "metadata": self.metadata.to_string(),
        })
    }

    /// `PastRoomInfo`; the two calls that have it write dates differently.
    pub fn past_info(&self, date: impl Fn(i64) -> String) -> Value {
        let ended = self.ended.unwrap_or(BEFORE_ALL);
        json!({
            "room_title": self.title(), "room_id": self.id, "room_sid": self.sid, "joined_participants": "0",
            "webhook_url": "", "created": date(self.created), "ended": date(ended),
        })
    }
}

impl Recording {
    /// `RecordingInfo`: megabytes, and never less than one of them here.
    pub fn info(&self) -> Value {
        json!({
            "record_id": self.id, "room_id": self.room_id, "room_sid": self.room_sid, "file_path": self.path,
            "file_size": 1, "creation_time": self.created.to_string(),
            "room_creation_time": self.room_created.to_string(),
        })
    }
}

/// Go's zero time: the first second of the year 1.
const BEFORE_ALL: i64 = -62_135_596_800;

/// `2026-11-28T03:31:24Z`.
pub(super) fn iso(unix: i64) -> String {
    let (day, time) = day_and_time(unix);
    format!("{day}T{time}Z")
}

/// `2026-11-28 03:31:24`.
pub(super) fn sql(unix: i64) -> String {
    let (day, time) = day_and_time(unix);
    format!("{day} {time}")
}

fn day_and_time(unix: i64) -> (String, String) {
    let at = OffsetDateTime::from_unix_timestamp(unix).unwrap();
    (
        format!("{:04}-{:02}-{:02}", at.year(), u8::from(at.month()), at.day()),
        format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second()),
    )
}

/// Version 4 of RFC 9562.
pub(super) fn uuid() -> String {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).unwrap();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    uuid_of(bytes)
}

pub(super) fn uuid_of(bytes: [u8; 16]) -> String {
    let hex = hex(&bytes);
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// What was sent takes the place of a default; what the server has no default for is kept as it was sent.
fn merge(all: &mut Value, sent: &Value) {
    match (all, sent) {
        (Value::Object(all), Value::Object(sent)) => {
            for (name, value) in sent {
                merge(all.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (all, sent) => *all = sent.clone(),
    }
}

/// The text in a field that may not be there.
pub(super) fn text<'a>(message: &'a Map<String, Value>, name: &str) -> &'a str {
    message.get(name).and_then(Value::as_str).unwrap_or_default()
}
