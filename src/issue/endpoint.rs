//! The endpoints under `/auth`, by what says whose room a call is about.
//!
//! A new endpoint of the server's is `Other` until it stands here: a caller that is held to rooms can't use it.
//!
//! Source: docs/plugnmeet.md section 8, and plugnmeet-protocol's messages of these calls.

/// An endpoint under `/auth`, by what a caller with a key of its own may do there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `uploadWhiteboardFile`, the one that takes multipart bodies; its room is signed in a header.
    Upload,
    /// What its body's `room_id` alone selects.
    OneRoom,
    /// A list of what `room_ids` name; of all rooms if they name none. Where a `room_sid` is given too, the server looks
    /// at it alone.
    List(Listed),
    /// One thing that belongs to a room, by its id.
    Thing(Thing),
    /// `mergeRecordings`: all recordings of a session, or several by their ids.
    Merge,
    /// `getActiveRoomsInfo`: its answer names the rooms.
    ActiveRooms,
    /// Names no room and shows nothing of any.
    ClientFiles,
    /// Recorders report here, and nobody else.
    RecorderNotify,
    /// Any other: it may reach every room there is.
    Other,
}

/// What a list is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// Meetings that have ended.
    PastRooms,
    /// Recordings.
    Recordings,
    /// Artifacts, and analytics, which are artifacts.
    Artifacts,
}

/// What is kept of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Thing {
    /// Named by `record_id`.
    Recording,
    /// Named by `artifact_id`.
    Artifact,
    /// An artifact that is named by `file_id`.
    Analytics,
}

const ENDPOINTS: [(&str, &str, Endpoint); 24] = [
    ("room", "create", Endpoint::OneRoom),
    ("room", "isRoomActive", Endpoint::OneRoom),
    ("room", "getActiveRoomInfo", Endpoint::OneRoom),
    ("room", "endRoom", Endpoint::OneRoom),
    ("room", "broadcastToRoom", Endpoint::OneRoom),
    ("room", "uploadWhiteboardFile", Endpoint::Upload),
    ("room", "getActiveRoomsInfo", Endpoint::ActiveRooms),
    ("room", "fetchPastRooms", Endpoint::List(Listed::PastRooms)),
    ("recording", "fetch", Endpoint::List(Listed::Recordings)),
    ("recording", "info", Endpoint::Thing(Thing::Recording)),
    // The older name of `info`.
    ("recording", "recordingInfo", Endpoint::Thing(Thing::Recording)),
    ("recording", "updateMetadata", Endpoint::Thing(Thing::Recording)),
    ("recording", "delete", Endpoint::Thing(Thing::Recording)),
    ("recording", "getDownloadToken", Endpoint::Thing(Thing::Recording)),
    ("recording", "mergeRecordings", Endpoint::Merge),
    ("analytics", "fetch", Endpoint::List(Listed::Artifacts)),
    ("analytics", "delete", Endpoint::Thing(Thing::Analytics)),
    ("analytics", "getDownloadToken", Endpoint::Thing(Thing::Analytics)),
    ("artifact", "fetch", Endpoint::List(Listed::Artifacts)),
    ("artifact", "info", Endpoint::Thing(Thing::Artifact)),
    ("artifact", "delete", Endpoint::Thing(Thing::Artifact)),
    ("artifact", "getDownloadToken", Endpoint::Thing(Thing::Artifact)),
    ("getClientFiles", "", Endpoint::ClientFiles),
    ("recorder", "notify", Endpoint::RecorderNotify),
];

impl Endpoint {
    /// What is at `/auth/{group}/{name}`, in any case, as the server's router compares (docs/plugnmeet.md section 0.1).
    pub fn of(group: &str, name: &str) -> Self {
        ENDPOINTS
            .iter()
            .find(|(in_group, named, _)| {
                in_group.eq_ignore_ascii_case(group) && named.eq_ignore_ascii_case(name)
            })
            .map_or(Self::Other, |(_, _, endpoint)| *endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_known_in_any_case_and_any_other_is_other() {
        assert_eq!(
            Endpoint::of("Room", "FETCHpastrooms"),
            Endpoint::List(Listed::PastRooms)
        );
        assert_eq!(Endpoint::of("getclientfiles", ""), Endpoint::ClientFiles);
        for (group, name) in [
            ("room", "getClientFiles"),
            ("recording", "fetch2"),
            ("", ""),
            ("room", ""),
        ] {
            assert_eq!(Endpoint::of(group, name), Endpoint::Other, "{group}/{name}");
        }
    }
}
