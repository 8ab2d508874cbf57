//! The endpoints under `/auth`, classed by where a call names its room.
//!
//! An endpoint that a new server adds is `Other` until it is listed here. A caller that may use certain rooms alone
//! can't use it.
//!
//! Source: docs/plugnmeet.md section 8, and plugnmeet-protocol's messages of these calls.

/// An endpoint under `/auth`, classed by what a caller with a key of its own may do there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `uploadWhiteboardFile`, the one that takes multipart bodies; its room is signed in a header.
    Upload,
    /// The room that the body's `room_id` names is all that the call reaches.
    OneRoom,
    /// A list for the rooms that `room_ids` names, or for all rooms if it names none. If `room_sid` is given too, the
    /// server looks at it alone.
    List(Listed),
    /// The call is about one thing, named by its id, which belongs to a room.
    Thing(Thing),
    /// `mergeRecordings`: all recordings of a session, or several by their ids.
    Merge,
    /// `getActiveRoomsInfo`: the request names no room, but the answer names every running one.
    ActiveRooms,
    /// The call names no room and its answer shows nothing of any room.
    WebApp,
    /// Recorders report here. No other caller may use it.
    RecorderNotify,
    /// Every endpoint that is not listed above: the gateway assumes that it may reach every room.
    Other,
}

/// The kind of things that a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// Meetings that have ended.
    PastRooms,
    Recordings,
    /// Artifacts, and analytics, which the server keeps as artifacts.
    Artifacts,
}

/// A thing that the server keeps and that belongs to one room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Thing {
    /// A recording, named by `record_id`.
    Recording,
    /// An artifact, named by `artifact_id`.
    Artifact,
    /// Analytics: an artifact that is named by `file_id`.
    Analytics,
}
