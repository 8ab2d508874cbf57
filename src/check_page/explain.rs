//! What a code says, line by line, for the host whom a participant has sent it.

use super::code::{self, BadCode, FIELDS, Found};

/// What each value of a field says. An empty text says nothing.
const SAID: [(&str, &[&str]); FIELDS.len()] = [
    (
        "frame",
        &["", "the page was in another site's frame, or in one of ours"],
    ),
    (
        "webrtc",
        &[
            "",
            "the browser has no WebRTC, or an add-on has turned it off -> another browser, or without the add-on",
        ],
    ),
    (
        "cookies",
        &[
            "cookies: not looked at",
            "cookies: kept",
            "cookies: not kept -> allow cookies for this site; in a frame a meeting opens all the same, and a reload ends it",
        ],
    ),
    (
        "socket",
        &[
            "/ws: not looked at, as upstreams.nats is not configured",
            "/ws: opens, and NATS speaks",
            "/ws: does not open -> if it does so for everybody, see doctor --from-outside (outside.websocket); if for one \
             alone, a proxy or a virus scanner there breaks WebSockets",
            "/ws: opens, and NATS says nothing -> see doctor, nats.port and outside.websocket; a proxy that looks into \
             TLS does that, too",
        ],
    ),
    (
        "udp",
        &[
            "UDP: not looked at -> set check_page.udp_port to turn.udp_port of livekit.yaml",
            "UDP: gets through",
            "UDP: does not get through -> a firewall on the way, most often the participant's own; media goes through TURN \
             over TLS, if that works. If it is so for everybody, see doctor --from-outside (outside.turn-udp)",
        ],
    ),
    (
        "relay",
        &[
            "TURN over TLS: not looked at -> set check_page.livekit_key and its secret",
            "TURN over TLS: gives a relay",
            "TURN over TLS: does not answer -> see doctor --from-outside (outside.turn-tls); if it answers there, a proxy on \
             the participant's side looks into TLS",
            "TURN over TLS: answers, and refuses the login -> check_page.livekit_key and its secret have to be a pair of keys \
             in livekit.yaml, and the clocks of both right",
        ],
    ),
    ("camera", &CAMERA),
    ("microphone", &MICROPHONE),
];

/// The values of camera and microphone.
macro_rules! device {
    ($device:literal) => {
        [
            concat!($device, ": not looked at, as the button was not pressed"),
            concat!($device, ": works"),
            concat!(
                $device,
                ": the frame may not use it -> the site around has to write allow=\"camera; microphone; display-capture\" \
                 into its iframe, and its own Permissions-Policy has to let it"
            ),
            concat!(
                $device,
                ": not allowed -> the participant allows it at the icon beside the address, and in the system's settings"
            ),
            concat!($device, ": there is none"),
            concat!($device, ": can't be used -> another program may have it"),
        ]
    };
}

const CAMERA: [&str; 6] = device!("camera");
const MICROPHONE: [&str; 6] = device!("microphone");

/// What can be said of getting in as a whole.
fn verdict([_, webrtc, cookies, socket, udp, relay, camera, microphone]: Found) -> &'static str {
    if webrtc == 1 || socket > 1 {
        return "can't get in";
    }
    match (udp, relay, cookies) {
        (2, 2 | 3, _) => "gets in, and most likely sees and hears nobody",
        (2, 0, _) => "gets in; whether media gets through is not known",
        (2, _, _) => "gets in; media takes the slow way over TLS",
        (_, 2 | 3, _) | (_, _, 2) => "gets in, with something to look at",
        _ if camera > 1 || microphone > 1 => "gets in, with something to look at",
        _ => "gets in",
    }
}

/// What a code says: a verdict, and a line for each thing that was tried.
pub fn explain(text: &str) -> Result<String, BadCode> {
    let found = code::read(text)?;
    let mut said = vec![verdict(found)];
    for ((_, values), value) in SAID.iter().zip(found) {
        let at = usize::try_from(value).unwrap_or(usize::MAX);
        said.push(values.get(at).copied().ok_or(BadCode::Version)?);
    }
    said.retain(|line| !line.is_empty());
    Ok(said.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check_page::code::written;

    #[test]
    fn each_field_has_its_words() {
        for ((name, values), (field, width)) in SAID.iter().zip(FIELDS) {
            assert_eq!(*name, field);
            assert!(values.len() <= 1 << width, "{field}");
        }
    }

    #[test]
    fn a_code_says_what_was_found_and_what_to_do() {
        let all = explain(&written([0, 0, 1, 1, 1, 1, 1, 1])).unwrap();
        assert_eq!(
            all,
            "gets in\ncookies: kept\n/ws: opens, and NATS speaks\nUDP: gets through\nTURN over TLS: gives a relay\ncamera: \
             works\nmicrophone: works"
        );
        let blocked = explain(&written([1, 0, 2, 1, 2, 1, 2, 3])).unwrap();
        let lines: Vec<&str> = blocked.lines().collect();
        assert_eq!(lines.len(), 8, "{blocked}");
        assert_eq!(lines[0], "gets in; media takes the slow way over TLS");
        assert!(
            lines[6].starts_with("camera: the frame may not use it -> "),
            "{blocked}"
        );
        assert_eq!(
            explain(&written([0, 1, 1, 1, 0, 0, 0, 0]))
                .unwrap()
                .lines()
                .next(),
            Some("can't get in")
        );
        // A value that this version does not know.
        assert_eq!(explain(&written([0, 0, 3, 1, 1, 1, 1, 1])), Err(BadCode::Version));
        assert_eq!(explain("nothing"), Err(BadCode::Form));
    }
}
