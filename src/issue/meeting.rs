//! Which meeting runs in a room. Rooms have the ids that platforms give them, and a later meeting may have the same one;
//! the server gives each meeting an id of its own.
//!
//! Source: contract.md section 8 (`getActiveRoomInfo`).

use std::time::Duration;

use bytes::Bytes;
use hyper::{
    Method, Request,
    header::{self, HeaderValue},
    http::uri::PathAndQuery,
};
use serde::Deserialize;
use serde_json::json;

use super::{Issue, answer::Whole};
use crate::proxy::About;

/// Where the server is asked.
const PATH: &str = "/auth/room/getActiveRoomInfo";

/// For the server to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What runs in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meeting {
    /// This meeting, by the server's id for it.
    Running(String),
    /// None.
    Ended,
    /// The server does not say.
    Unknown,
}

impl Issue {
    /// Asks the server which meeting runs in a room.
    pub async fn meeting(&self, room_id: &str, about: &About) -> Meeting {
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
        }
        let mut request = Request::new(Bytes::from(json!({ "room_id": room_id }).to_string()));
        *request.method_mut() = Method::POST;
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        let body = request.body().clone();
        self.sign_anew(request.headers_mut(), &body);
        let answer = async {
            let path = PathAndQuery::from_static(PATH);
            Whole::of(self.server()?.forward_whole(request, path, about).await?).await
        };
        let Ok(Ok(whole)) = tokio::time::timeout(PATIENCE, answer).await else {
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
            }) => Meeting::Running(info.sid),
            Some(answer) if answer.status_code == "ROOM_NOT_FOUND" => Meeting::Ended,
            Some(_) | None => Meeting::Unknown,
        }
    }
}
