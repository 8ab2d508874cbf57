//! Paths of LiveKit, NATS, Etherpad and ingress: their prefixes, and what of them is for meetings.
//!
//! Behind the same prefix they have pages for their operators (`/livekit/debug/pprof/`, `/etherpad/admin`), which are
//! nobody else's business.
//!
//! Sources: docs/plugnmeet.md sections 5 and 9.

use percent_encoding::percent_decode_str;

/// Upstreams that have more behind their prefix than meetings need: `upstreams.expose`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Whole {
    /// NATS, below `/ws/`.
    pub nats: bool,
    /// LiveKit, below `/livekit`.
    pub livekit: bool,
    /// Etherpad, `admin` included.
    pub etherpad: bool,
}

/// What meetings ask of LiveKit: the first segment of its paths (docs/plugnmeet.md section 5). Beside them are its
/// metrics, profiles and debug pages.
const LIVEKIT: [&str; 5] = ["rtc", "validate", "twirp", "agent", "settings"];

/// Etherpad's pages for its operator, and where they log in. It takes them in any case.
const ETHERPAD_ADMIN: [&str; 2] = ["admin", "admin-auth"];

/// Whose prefix a path has, and what they see of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behind<'a> {
    Nats(&'a str),
    Livekit(&'a str),
    Etherpad(&'a str),
    Ingress(&'a str),
    /// Somebody's, and not served.
    Hidden,
}

impl Whole {
    /// Whose prefix a path has, if it has one.
    pub(super) fn find(self, path: &str) -> Option<Behind<'_>> {
        let below = |prefix: &str| below(path, prefix).map(|rest| if rest.is_empty() { "/" } else { rest });
        let if_served = |served: bool, found| if served { found } else { Behind::Hidden };
        if let Some(rest) = below("/ws") {
            return Some(if_served(self.nats || rest == "/", Behind::Nats(rest)));
        }
        if let Some(rest) = below("/livekit") {
            let served = LIVEKIT.contains(&first_segment(rest));
            return Some(if_served(self.livekit || served, Behind::Livekit(rest)));
        }
        if let Some(rest) = below("/etherpad") {
            // Etherpad decodes a path before it looks at it.
            let first = decoded(first_segment(rest));
            let admin = ETHERPAD_ADMIN.iter().any(|name| first.eq_ignore_ascii_case(name));
            return Some(if_served(self.etherpad || !admin, Behind::Etherpad(rest)));
        }
        below("/whip").map(|_| Behind::Ingress(path))
    }
}

/// What follows a prefix of whole segments: nothing, or a path that begins with a slash.
pub(super) fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    path.strip_prefix(prefix)
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn first_segment(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or_default()
}

/// As often as any program behind us might do it (`super::target`).
fn decoded(segment: &str) -> String {
    let mut text = segment.to_owned();
    while text.contains('%') {
        let next = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if next == text {
            break;
        }
        text = next;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(whole: Whole, rows: &[(&str, Option<Behind<'_>>)]) {
        for (path, found) in rows {
            assert_eq!(whole.find(path), *found, "{path}");
        }
    }

    #[test]
    fn prefixes_are_whole_segments_and_are_taken_off_but_for_whip() {
        let room_service = "/twirp/livekit.RoomService/ListRooms";
        check(
            Whole::default(),
            &[
                ("/ws", Some(Behind::Nats("/"))),
                ("/ws/", Some(Behind::Nats("/"))),
                ("/wsx", None),
                ("/livekit/rtc", Some(Behind::Livekit("/rtc"))),
                ("/livekit/rtc/v1", Some(Behind::Livekit("/rtc/v1"))),
                (
                    "/livekit/rtc/v1/validate",
                    Some(Behind::Livekit("/rtc/v1/validate")),
                ),
                ("/livekit/validate", Some(Behind::Livekit("/validate"))),
                (
                    "/livekit/twirp/livekit.RoomService/ListRooms",
                    Some(Behind::Livekit(room_service)),
                ),
                ("/livekit/agent", Some(Behind::Livekit("/agent"))),
                (
                    "/livekit/settings/regions",
                    Some(Behind::Livekit("/settings/regions")),
                ),
                ("/livekits", None),
                ("/etherpad", Some(Behind::Etherpad("/"))),
                ("/etherpad/socket.io/", Some(Behind::Etherpad("/socket.io/"))),
                ("/etherpad/p/admin", Some(Behind::Etherpad("/p/admin"))),
                (
                    "/etherpad/administration",
                    Some(Behind::Etherpad("/administration")),
                ),
                ("/whip", Some(Behind::Ingress("/whip"))),
                ("/whip/x", Some(Behind::Ingress("/whip/x"))),
                ("/whips", None),
            ],
        );
    }

    #[test]
    fn beside_what_meetings_need_upstreams_are_nowhere_unless_exposed() {
        let rows = [
            ("/ws/x", Behind::Nats("/x")),
            ("/ws/varz", Behind::Nats("/varz")),
            ("/livekit", Behind::Livekit("/")),
            ("/livekit/", Behind::Livekit("/")),
            ("/livekit/debug/pprof/", Behind::Livekit("/debug/pprof/")),
            ("/livekit/metrics", Behind::Livekit("/metrics")),
            ("/livekit/rtcx", Behind::Livekit("/rtcx")),
            ("/livekit/RTC", Behind::Livekit("/RTC")),
            ("/livekit/x/rtc", Behind::Livekit("/x/rtc")),
            ("/etherpad/admin", Behind::Etherpad("/admin")),
            ("/etherpad/Admin/plugins", Behind::Etherpad("/Admin/plugins")),
            ("/etherpad/%61dm%49n/", Behind::Etherpad("/%61dm%49n/")),
            ("/etherpad/%2561dmin", Behind::Etherpad("/%2561dmin")),
            ("/etherpad/admin-auth/", Behind::Etherpad("/admin-auth/")),
        ];
        check(
            Whole::default(),
            &rows.map(|(path, _)| (path, Some(Behind::Hidden))),
        );
        let all = Whole {
            nats: true,
            livekit: true,
            etherpad: true,
        };
        check(all, &rows.map(|(path, found)| (path, Some(found))));
    }
}
