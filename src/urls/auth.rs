//! The endpoints under `/auth`, by what says whose room a call is about.
//!
//! A new endpoint of the server's is `Other` until it stands here: a caller that is held to rooms can't use it.
//!
//! Source: docs/plugnmeet.md section 8, and plugnmeet-protocol's messages of these calls.

use super::{
    pattern::{
        Compared,
        Segment::{Rest, Word},
    },
    row::{Action, Branch, First, Form, Issues, Row},
};

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

const fn auth(pattern: &'static [super::pattern::Segment], endpoint: Endpoint) -> Row {
    Row::new("auth", pattern, Action::Issue(Issues::Auth(endpoint))).errors(Form::Auth)
}

/// What is below `/auth`.
pub(super) const AUTH: Branch = Branch::api(
    First::Word("auth"),
    Compared::AsServer,
    &[
        Row::new(
            "issue",
            &[Word("room"), Word("getJoinToken")],
            Action::Issue(Issues::Token),
        )
        .errors(Form::Auth),
        auth(&[Word("room"), Word("create")], Endpoint::OneRoom),
        auth(&[Word("room"), Word("isRoomActive")], Endpoint::OneRoom),
        auth(&[Word("room"), Word("getActiveRoomInfo")], Endpoint::OneRoom),
        auth(&[Word("room"), Word("endRoom")], Endpoint::OneRoom),
        auth(&[Word("room"), Word("broadcastToRoom")], Endpoint::OneRoom),
        auth(&[Word("room"), Word("uploadWhiteboardFile")], Endpoint::Upload),
        auth(&[Word("room"), Word("getActiveRoomsInfo")], Endpoint::ActiveRooms),
        auth(
            &[Word("room"), Word("fetchPastRooms")],
            Endpoint::List(Listed::PastRooms),
        ),
        auth(
            &[Word("recording"), Word("fetch")],
            Endpoint::List(Listed::Recordings),
        ),
        auth(
            &[Word("recording"), Word("info")],
            Endpoint::Thing(Thing::Recording),
        ),
        // The older name of `info`.
        auth(
            &[Word("recording"), Word("recordingInfo")],
            Endpoint::Thing(Thing::Recording),
        ),
        auth(
            &[Word("recording"), Word("updateMetadata")],
            Endpoint::Thing(Thing::Recording),
        ),
        auth(
            &[Word("recording"), Word("delete")],
            Endpoint::Thing(Thing::Recording),
        ),
        auth(
            &[Word("recording"), Word("getDownloadToken")],
            Endpoint::Thing(Thing::Recording),
        ),
        auth(&[Word("recording"), Word("mergeRecordings")], Endpoint::Merge),
        auth(
            &[Word("analytics"), Word("fetch")],
            Endpoint::List(Listed::Artifacts),
        ),
        auth(
            &[Word("analytics"), Word("delete")],
            Endpoint::Thing(Thing::Analytics),
        ),
        auth(
            &[Word("analytics"), Word("getDownloadToken")],
            Endpoint::Thing(Thing::Analytics),
        ),
        auth(
            &[Word("artifact"), Word("fetch")],
            Endpoint::List(Listed::Artifacts),
        ),
        auth(
            &[Word("artifact"), Word("info")],
            Endpoint::Thing(Thing::Artifact),
        ),
        auth(
            &[Word("artifact"), Word("delete")],
            Endpoint::Thing(Thing::Artifact),
        ),
        auth(
            &[Word("artifact"), Word("getDownloadToken")],
            Endpoint::Thing(Thing::Artifact),
        ),
        auth(&[Word("getClientFiles")], Endpoint::ClientFiles),
        auth(&[Word("recorder"), Word("notify")], Endpoint::RecorderNotify).internal(),
        auth(&[Rest], Endpoint::Other),
    ],
);
