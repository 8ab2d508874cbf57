//! What is left of meetings: recordings. No artifact, and so no analytics, is ever kept here.
//!
//! Sources: docs/plugnmeet.md section 8; plugnmeet-server 2.4.0, `controllers/{recording,artifact,analytics}.go`.

use serde_json::{Value, json};

use super::{
    answer::{Answer, bad_parameters, json_answer, refused, success},
    protojson::{self, Field, Kind},
    rooms::Page,
    state::{State, sql, text},
    tokens::download_token,
};

const RECORD_ID: &[Field] = &[Field("record_id", Kind::Text), Field("metadata", Kind::Any)];

impl State {
    /// `None` for a call that is not there.
    pub(super) fn archive(&mut self, body: &[u8], call: &str) -> Option<Answer> {
        Some(match call {
            "recording/fetch" => self.recordings_answer(body),
            "recording/info"
            | "recording/recordinginfo"
            | "recording/updatemetadata"
            | "recording/delete"
            | "recording/getdownloadtoken" => self.recording_answer(body, call),
            // Merging is the recorder's work, and there is none.
            "recording/mergerecordings" => refused("recording not found", "NOT_FOUND"),
            "artifact/fetch" | "analytics/fetch" => match Page::read(body) {
                Ok(_) => refused("no artifact found", "NOT_FOUND"),
                Err(error) => bad_parameters(&error),
            },
            "artifact/info"
            | "artifact/delete"
            | "artifact/getdownloadtoken"
            | "analytics/delete"
            | "analytics/getdownloadtoken" => refused("artifact not found", "NOT_FOUND"),
            _ => return None,
        })
    }

    fn recordings_answer(&self, body: &[u8]) -> Answer {
        match Page::read(body) {
            Ok(wanted) => match self.recordings_page(&wanted) {
                Some(result) => json_answer(
                    200,
                    &json!({"status": true, "msg": "success", "status_code": "SUCCESS", "result": result}),
                ),
                None => refused("no recording found", "NOT_FOUND"),
            },
            Err(error) => bad_parameters(&error),
        }
    }

    pub(super) fn recordings_page(&self, wanted: &Page) -> Option<Value> {
        let found = self
            .recordings
            .iter()
            .filter(|recording| wanted.wants(&recording.room_id))
            .map(super::state::Recording::info)
            .collect();
        wanted.result("total_recordings", "recordings_list", found)
    }

    fn recording_answer(&mut self, body: &[u8], call: &str) -> Answer {
        let wanted = match protojson::read(body, RECORD_ID) {
            Ok(wanted) => wanted,
            Err(error) => return bad_parameters(&error),
        };
        let id = text(&wanted, "record_id");
        let Some(recording) = self.recordings.iter().find(|recording| recording.id == id) else {
            return refused("recording not found", "NOT_FOUND");
        };
        match call {
            "recording/getdownloadtoken" => {
                let token = download_token(self.now(), &recording.path);
                json_answer(
                    200,
                    &json!({"status": true, "msg": "success", "status_code": "SUCCESS", "token": token}),
                )
            }
            "recording/delete" => {
                self.recordings.retain(|recording| recording.id != id);
                success()
            }
            "recording/updatemetadata" => success(),
            _ => {
                let room = self.rooms.iter().find(|room| room.sid == recording.room_sid);
                json_answer(
                    200,
                    &json!({"status": true, "msg": "success", "status_code": "SUCCESS",
                            "recording_info": recording.info(),
                            "room_info": room.map(|room| room.past_info(sql))}),
                )
            }
        }
    }
}
