//! Which meeting runs in a room. Rooms have the ids that platforms give them, and a later meeting may have the same one;
//! the server gives each meeting an id of its own.
//!
//! A class that comes in one moment asks once: an answer is shared for a few seconds, and so is the lack of one.
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

/// Where the server is asked.
const PATH: &str = "/auth/room/getActiveRoomInfo";

/// For the server to answer. People wait for it with a link in their hands.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long an answer is shared.
const RECENT: Duration = Duration::from_secs(3);

/// Rooms whose answers are shared at a time; what finds no place is asked for by itself.
const MAX_ROOMS: usize = 4096;

/// What runs in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meeting {
    /// This meeting.
    Running {
        /// The server's id for it.
        sid: String,
        /// When it began, since 1970; 0 if that is not said.
        began: i64,
    },
    /// None.
    Ended,
    /// The server does not say.
    Unknown,
}

/// Answers of the last seconds, by room.
#[derive(Default)]
pub(super) struct Meetings(Mutex<HashMap<String, Recent>>);

struct Recent {
    since: Duration,
    answer: Arc<OnceCell<Meeting>>,
}

impl Meetings {
    /// Where the answer for this room is, or will be.
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
    /// Which meeting runs in a room, or ran there a moment ago.
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

    /// Asks the server which meeting runs in a room.
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
            /// As protojson writes a number of 64 bits.
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
