//! BigBlueButton's API, as the server speaks it: XML, and 200 for nearly everything.
//!
//! Sources: docs/plugnmeet.md sections 0.17, 5 and 8; plugnmeet-server 2.4.0, `controllers/bbb.go`.

use std::fmt::Write;

use aws_lc_rs::digest;
use time::OffsetDateTime;

use super::{
    answer::{Answer, not_found, of},
    state::{Room, State, hex},
};
use crate::support::{API_KEY, SECRET, upstream::Seen};

const FORM: &str = "application/x-www-form-urlencoded";

/// `/{key}/bigbluebutton/api` and what follows, in the spelling of the request and in the router's.
pub(super) struct Call<'a> {
    key: &'a str,
    path: &'a str,
    /// Without the slashes at its end.
    name: &'a str,
}

impl<'a> Call<'a> {
    pub fn of(path: &'a str, route: &'a str) -> Option<Self> {
        let (_, rest) = route.strip_prefix('/')?.split_once('/')?;
        let name = rest.strip_prefix("bigbluebutton/api")?;
        if !(name.is_empty() || name.starts_with('/')) {
            return None;
        }
        Some(Self {
            key: path.split('/').nth(1)?,
            path,
            name: name.trim_start_matches('/'),
        })
    }
}

/// What was sent with a call.
pub(super) struct Parameters<'a>(&'a [u8]);

impl Parameters<'_> {
    /// Of several the last, as Fiber's binder has it.
    pub fn get(&self, wanted: &str) -> String {
        form_urlencoded::parse(self.0)
            .filter(|(name, _)| name == wanted)
            .last()
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    }
}

impl State {
    pub(super) fn bbb(&mut self, seen: &Seen, call: &Call<'_>, query: &str) -> Answer {
        if call.key != API_KEY {
            return failed("apiKeyError", "invalid api key");
        }
        let is_form = seen.method == "POST" && seen.first("content-type") == Some(FORM);
        let given = match seen.method.as_str() {
            "POST" if is_form => &seen.body,
            "GET" | "POST" => query.as_bytes(),
            _ => return failed("error", "unsupported http method"),
        };
        if given.is_empty() || call.name.is_empty() {
            return succeeded("<version>0.9</version>");
        }
        // What stands before the first `checksum=` is signed, and all is read.
        let text = String::from_utf8_lossy(given);
        let mut pieces = text.split("checksum=");
        let (before, sum) = (pieces.next().unwrap_or_default(), pieces.next());
        let (queries, sum) = match sum {
            Some(sum) => (before.strip_suffix('&').unwrap_or(before), sum),
            None => ("", before),
        };
        let method = call.path.rsplit('/').next().unwrap_or_default();
        if sum != checksum(method, queries) {
            return failed("checksumError", "Checksums do not match");
        }
        self.bbb_call(call.name, &Parameters(given), &host(seen))
    }

    fn bbb_call(&mut self, name: &str, given: &Parameters<'_>, host: &str) -> Answer {
        let meeting = meeting_id(&given.get("meetingID"));
        match name {
            "create" => failed("validationError", CREATE_FAILS),
            "join" => self.bbb_join(given, &meeting, host),
            "ismeetingrunning" => {
                let running = self.room(&given.get("meetingID")).is_some();
                succeeded(&format!("<running>{running}</running>"))
            }
            "getmeetinginfo" => {
                let now = self.now();
                match self.room(&meeting) {
                    Some(room) => {
                        let body = format!(
                            "<response><returncode>SUCCESS</returncode>{}</response>",
                            meeting_info(room, now)
                        );
                        of(200, "application/xml", body)
                    }
                    None => failed("notFound", "room not found in active state"),
                }
            }
            "getmeetings" => self.bbb_meetings(),
            "end" if self.end(&meeting) => said("SUCCESS", "sentEndMeetingRequest", END_SENT),
            "end" => failed("error", "room not found or not active"),
            "getrecordings" => self.bbb_recordings(&meeting, given, host),
            "deleterecordings" => {
                let id = given.get("recordID");
                let before = self.recordings.len();
                self.recordings.retain(|recording| recording.id != id);
                if self.recordings.len() == before {
                    failed("error", "not found")
                } else {
                    succeeded("<deleted>true</deleted>")
                }
            }
            "publishrecordings" => succeeded("<published>true</published>"),
            "updaterecordings" => succeeded("<updated>true</updated>"),
            _ => not_found(),
        }
    }

    fn bbb_meetings(&self) -> Answer {
        let now = self.now();
        let meetings = self.running().fold(String::new(), |mut all, room| {
            write!(all, "<meeting>{}</meeting>", meeting_info(room, now)).unwrap();
            all
        });
        if meetings.is_empty() {
            return said("SUCCESS", "noMeetings", "no meetings were found on this server");
        }
        succeeded(&format!("<meetings>{meetings}</meetings>"))
    }

    /// The links to play them are by the odd scheme of Fiber's `Protocol()`, whatever `bbb_join_host` says. Of what stands
    /// around them only some is told here.
    fn bbb_recordings(&self, meeting: &str, given: &Parameters<'_>, host: &str) -> Answer {
        let wanted = given.get("recordID");
        let all = self.recordings.iter().filter(|recording| {
            (meeting.is_empty() || recording.room_id == meeting)
                && (wanted.is_empty() || recording.id == wanted)
        });
        let list = all.fold(String::new(), |mut list, recording| {
            let token = super::tokens::download_token(self.now(), &recording.path);
            write!(
                list,
                "<recording><recordID>{}</recordID><meetingID>{}</meetingID><playback><format><type>video</type>\
                 <url>HTTP/1.1://{host}/download/recording/{token}</url></format></playback></recording>",
                recording.id, recording.room_id
            )
            .unwrap();
            list
        });
        if list.is_empty() {
            return said(
                "SUCCESS",
                "noRecordings",
                "There are no recordings for the meeting(s).",
            );
        }
        succeeded(&format!("<recordings>{list}</recordings>"))
    }
}

/// The server sets defaults and then holds its own request to the rules for one without.
const CREATE_FAILS: &str = "validation errors:\n - metadata.started_at: must equal 0\n - \
    metadata.room_features.insights_features.transcription_features.max_selected_trans_langs: must equal 0\n - \
    metadata.room_features.insights_features.chat_translation_features.max_selected_trans_langs: must equal 0";

const END_SENT: &str = "A request to end the meeting was sent.  Please wait a few seconds, and then use the getMeetingInfo \
    or isMeetingRunning API calls to verify that it was ended";

/// The checksum of a BBB call: over the method, the query without it, and the secret.
pub fn checksum(method: &str, query: &str) -> String {
    let signed = format!("{method}{query}{SECRET}");
    hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, signed.as_bytes()).as_ref())
}

/// Ids of other systems may be anything; what is no id of plugNmeet's becomes one. How the server does that was not seen.
fn meeting_id(given: &str) -> String {
    if super::rooms::is_id(given) || given.is_empty() {
        return given.to_owned();
    }
    hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, given.as_bytes()).as_ref())
}

fn meeting_info(room: &Room, now: i64) -> String {
    let extra: serde_json::Value = room.metadata["extra_data"]["bbb_extra_data"]
        .as_str()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let password = |name: &str| escaped(extra[name].as_str().unwrap_or_default());
    let (created, millis) = (rfc1123(room.created), room.created * 1000);
    format!(
        "<meetingName>{}</meetingName><meetingID>{}</meetingID><internalMeetingID>{}</internalMeetingID>\
         <createTime>{millis}</createTime><createDate>{created}</createDate><attendeePW>{}</attendeePW>\
         <moderatorPW>{}</moderatorPW><running>true</running><duration>{}</duration>\
         <hasUserJoined>false</hasUserJoined><recording>false</recording>\
         <hasBeenForciblyEnded>false</hasBeenForciblyEnded><startTime>{millis}</startTime><endTime>0</endTime>\
         <participantCount>0</participantCount><listenerCount>0</listenerCount>\
         <voiceParticipantCount>0</voiceParticipantCount><videoCount>0</videoCount><maxUsers>0</maxUsers>\
         <moderatorCount>0</moderatorCount><attendees></attendees><isBreakout>{}</isBreakout><metadata></metadata>",
        escaped(room.title()),
        escaped(&room.id),
        room.sid,
        password("attendeePW"),
        password("moderatorPW"),
        now - room.created,
        !room.parent.is_empty(),
    )
}

/// Go's `time.RFC1123`, in UTC.
fn rfc1123(unix: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(unix).unwrap();
    let (weekday, month) = (at.weekday().to_string(), at.month().to_string());
    format!(
        "{}, {:02} {} {} {:02}:{:02}:{:02} UTC",
        &weekday[..3],
        at.day(),
        &month[..3],
        at.year(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

fn host(seen: &Seen) -> String {
    let host = seen.first("host").unwrap_or_default();
    host.rsplit_once(':').map_or(host, |(name, _)| name).to_owned()
}

pub(super) fn failed(key: &str, message: &str) -> Answer {
    said("FAILED", key, message)
}

fn said(code: &str, key: &str, message: &str) -> Answer {
    xml(&format!(
        "<returncode>{code}</returncode><messageKey>{key}</messageKey><message>{}</message>",
        escaped(message)
    ))
}

pub(super) fn succeeded(rest: &str) -> Answer {
    xml(&format!("<returncode>SUCCESS</returncode>{rest}"))
}

fn xml(inner: &str) -> Answer {
    of(
        200,
        "application/xml; charset=utf-8",
        format!("<response>{inner}</response>"),
    )
}

/// As Go's `encoding/xml` writes text.
pub(super) fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '\n' => out.push_str("&#xA;"),
            '\r' => out.push_str("&#xD;"),
            '\t' => out.push_str("&#x9;"),
            other => out.push(other),
        }
        out
    })
}
