//! Asks the server which meeting runs in a room. Platforms choose the ids of rooms, and a later meeting may be in a
//! room of the same id, but the server gives each meeting an id of its own.
//!
//! When a whole class joins at the same moment the server is asked once: an answer, or its absence, is shared for a few
//! seconds.
//!
//! Source: docs/plugnmeet.md section 8 (`getActiveRoomInfo`).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::Deserialize;
use serde_json::json;
use tokio::sync::OnceCell;

use super::Issue;
use crate::context::RequestContext;

/// The endpoint that says which meeting runs in a room.
const PATH: &str = "/auth/room/getActiveRoomInfo";

/// The time for the server's answer. Meanwhile a person waits for a page.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long an answer is shared.
const RECENT: Duration = Duration::from_secs(3);

/// The largest number of rooms whose answers are shared at a time. For other rooms the server is asked every time.
const MAX_ROOMS: usize = 4096;

/// The meeting that runs in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meeting {
    Running {
        /// The server's id of the meeting.
        sid: String,
        /// The meeting's beginning, in seconds since 1970; 0 if the server does not say.
        began: i64,
    },
    Ended,
    /// The server did not say.
    Unknown,
}

/// The answers of the last seconds, by room.
#[derive(Default)]
pub(super) struct Meetings(Mutex<HashMap<String, Recent>>);

struct Recent {
    since: Duration,
    answer: Arc<OnceCell<Meeting>>,
}

impl Meetings {
    /// The cell that holds the answer for this room, or will hold it.
    fn of(&self, room_id: &str, now: Duration) -> Arc<OnceCell<Meeting>> {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(recent) = rooms.get(room_id)
            && now < recent.since + RECENT
        {
            return Arc::clone(&recent.answer);
        }
        if rooms.len() >= MAX_ROOMS {
            rooms.retain(|_, recent| now < recent.since + RECENT);
        }
        let answer = Arc::default();
        if rooms.len() < MAX_ROOMS {
            let recent = Recent {
                since: now,
                answer: Arc::clone(&answer),
            };
            rooms.insert(room_id.to_owned(), recent);
        }
        answer
    }
}

impl Issue {
    /// The meeting in a room, by an answer that may be up to `RECENT` old.
    pub async fn recent_meeting(&self, room_id: &str, context: &RequestContext) -> Meeting {
        if self.embedded.is_some() {
            return Meeting::Unknown;
        }
        let answer = self.state.meetings.of(room_id, self.clock.steady());
        answer
            .get_or_init(|| self.meeting(room_id, context))
            .await
            .clone()
    }

    /// Asks the server for the meeting in a room.
    pub(super) async fn meeting(&self, room_id: &str, context: &RequestContext) -> Meeting {
        #[derive(Deserialize)]
        struct Answer {
            status: bool,
            status_code: String,
            room: Option<Room>,
        }
        #[derive(Deserialize)]
        struct Room {
            room_info: Option<Info>,
        }
        #[derive(Deserialize)]
        struct Info {
            sid: String,
            /// A number as text: protojson writes 64-bit numbers so.
            #[serde(default)]
            creation_time: String,
        }
        let asked = json!({ "room_id": room_id });
        let Some(whole) = self.ask(PATH, &asked, context, PATIENCE).await else {
            return Meeting::Unknown;
        };
        match whole.json::<Answer>() {
            Some(Answer {
                status: true,
                room:
                    Some(Room {
                        room_info: Some(info),
                        ..
                    }),
                ..
            }) => Meeting::Running {
                sid: info.sid,
                began: info.creation_time.parse().unwrap_or_default(),
            },
            Some(answer) if answer.status_code == "ROOM_NOT_FOUND" => Meeting::Ended,
            Some(_) | None => Meeting::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_shared_for_some_seconds_and_rooms_are_bounded() {
        let meetings = Meetings::default();
        let first = meetings.of("r", Duration::ZERO);
        assert!(Arc::ptr_eq(&first, &meetings.of("r", RECENT / 2)));
        assert!(!Arc::ptr_eq(&first, &meetings.of("r", RECENT)));
        for room in 0..2 * MAX_ROOMS {
            meetings.of(&room.to_string(), RECENT);
        }
        assert_eq!(meetings.0.lock().unwrap().len(), MAX_ROOMS);
        meetings.of("late", 3 * RECENT);
        assert_eq!(meetings.0.lock().unwrap().len(), 1);
    }
}
