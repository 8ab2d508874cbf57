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
    WebApp,
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
