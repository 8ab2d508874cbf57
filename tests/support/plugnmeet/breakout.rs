//! Breakout rooms: rooms of their own, for some of a room's people.
//!
//! Sources: docs/plugnmeet.md section 5; plugnmeet-server 2.4.0, `models/bkroom_*.go`; plugnmeet-protocol,
//! `plugnmeet_breakout_room.proto`.

use serde_json::json;

use super::{
    answer::{Answer, common_protobuf, protobuf},
    join::Wanted,
    state::State,
    wire::{self, Held, Message},
};

impl State {
    /// Each room of the body: its id below the parent's, its title, and who is invited.
    pub(super) fn create_breakout_rooms(&mut self, room_id: &str, body: &[(u64, Held)]) -> Answer {
        let mut made = 0;
        for wanted in wire::bytes(body, 5) {
            let Some(wanted) = wire::fields(wanted) else {
                continue;
            };
            let users = wire::bytes(&wanted, 3);
            let invited = users
                .into_iter()
                .filter_map(wire::fields)
                .map(|user| wire::text(&user, 1))
                .collect();
            let id = format!("{room_id}-{}", wire::text(&wanted, 1));
            let room = self.create(&id, &json!({"room_title": wire::text(&wanted, 2)}));
            room_id.clone_into(&mut room.parent);
            room.invited = invited;
            made += 1;
        }
        if made == 0 {
            return common_protobuf(
                200,
                false,
                "breakout room creation wasn't successful for any room",
            );
        }
        common_protobuf(200, true, "success")
    }

    /// For the user whom the body names, with that user's name and rights.
    pub(super) fn join_breakout_room(
        &mut self,
        room_id: &str,
        is_admin: bool,
        body: &[(u64, Held)],
    ) -> Answer {
        let (id, user_id) = (wire::text(body, 1), wire::text(body, 2));
        let is_open_house = self.open_house;
        let Some(user) = self
            .room(room_id)
            .and_then(|room| room.users.get(&user_id).cloned())
        else {
            if is_open_house {
                return self.breakout_token(
                    &id,
                    Wanted {
                        user_id,
                        name: "Ann".into(),
                        ..Wanted::default()
                    },
                );
            }
            return common_protobuf(200, false, "not found");
        };
        match self.room(&id) {
            Some(room) if room.parent == room_id || is_open_house => {
                if !is_admin && !room.invited.contains(&user_id) && !is_open_house {
                    let message = "user is not allowed to join this breakout room";
                    return common_protobuf(200, false, message);
                }
            }
            _ => return common_protobuf(200, false, "not found"),
        }
        let wanted = Wanted {
            user_id,
            name: user.name,
            is_admin: user.is_admin,
            ..Wanted::default()
        };
        self.breakout_token(&id, wanted)
    }

    fn breakout_token(&mut self, id: &str, wanted: Wanted) -> Answer {
        match self.join(id, wanted) {
            Ok(token) => {
                let body = Message::default().number(1, 1).text(2, "success").text(3, &token);
                protobuf(200, body.build())
            }
            Err(message) => common_protobuf(200, false, &message),
        }
    }

    pub(super) fn breakout_rooms(&self, room_id: &str) -> Answer {
        let rooms: Vec<_> = self.running().filter(|room| room.parent == room_id).collect();
        if rooms.is_empty() {
            return common_protobuf(200, false, "no breakout rooms found");
        }
        let list = rooms.into_iter().fold(
            Message::default().number(1, 1).text(2, "success"),
            |list, room| {
                let id = room.id.strip_prefix(room_id).unwrap_or(&room.id);
                let entry = Message::default()
                    .text(1, id.trim_start_matches('-'))
                    .text(2, room.title());
                list.bytes(4, &entry.build())
            },
        );
        protobuf(200, list.build())
    }
}
