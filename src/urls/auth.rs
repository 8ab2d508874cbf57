//! The rows below `/auth`.
//!
//! Source: docs/plugnmeet.md section 8.

use super::{
    endpoint::{Endpoint, Listed, Thing},
    pattern::{
        Compared,
        Segment::{self, Rest, Word},
    },
    row::{Action, Branch, First, Form, Issues, Row},
};

const fn auth(pattern: &'static [Segment], endpoint: Endpoint) -> Row {
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
        auth(&[Word("getClientFiles")], Endpoint::WebApp),
        auth(&[Word("recorder"), Word("notify")], Endpoint::RecorderNotify).internal(),
        auth(&[Rest], Endpoint::Other),
    ],
);
