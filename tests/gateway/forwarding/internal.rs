//! `trust.internal`: what only plugNmeet's own parts call.

use super::*;

#[tokio::test]
async fn what_only_plugnmeets_own_parts_call_can_be_closed_to_everyone_else() {
    let inside = [
        "/webhook",
        "/WEBHOOK/",
        "/livekit/twirp/livekit.RoomService/ListRooms",
        "/livekit/%74wirp/livekit.RoomService/ListRooms",
        "/livekit/twirp",
        "/auth/recorder/notify",
        "/Auth/Recorder/Notify/",
    ];
    let outside = ["/livekit/rtc", "/auth/room/create", "/api/x", "/livekit/twirpx"];
    for (internal, client, allowed) in [
        ("[]", "192.0.2.7", true),
        ("['192.0.2.0/24']", "192.0.2.7", true),
        ("['192.0.2.0/24']", "198.51.100.1", false),
        ("['self']", "127.0.0.1", true),
        ("['self']", "192.0.2.7", false),
        ("['self', '192.0.2.7']", "192.0.2.7", true),
    ] {
        let upstream = Upstream::answering("reached").await;
        // With all of LiveKit's paths open, what guards one of them has to know each of its spellings.
        let config = format!(
            "trust.proxies = ['127.0.0.1']\ntrust.internal = {internal}\nupstreams.expose = ['livekit']"
        );
        let gateway = Gateway::everything_to(&upstream.url(), &config).await;
        let fields = [("x-forwarded-for", client), SIGNED[0], SIGNED[1]];
        for target in inside {
            let answer = gateway.post(target, &fields, b"{}").await;
            if allowed {
                assert_eq!(answer.text(), "reached", "{internal} {client} {target}");
            } else {
                assert_eq!(answer.status, 403, "{internal} {client} {target}");
                assert_eq!(
                    answer.json()["msg"],
                    "this address is for the meeting server's own parts"
                );
            }
        }
        assert_eq!(upstream.saw_nothing(), !allowed);
        for target in outside {
            assert_eq!(
                gateway.post(target, &fields, b"{}").await.text(),
                "reached",
                "{target}"
            );
        }
    }
}

#[tokio::test]
async fn a_forged_address_opens_nothing() {
    let upstream = Upstream::answering("reached").await;
    let gateway = Gateway::everything_to(&upstream.url(), "trust.internal = ['192.0.2.7']").await;
    for (name, value) in [
        ("x-forwarded-for", "192.0.2.7"),
        ("x-real-ip", "192.0.2.7"),
        ("forwarded", "for=192.0.2.7"),
    ] {
        assert_eq!(
            gateway.post("/webhook", &[(name, value)], b"{}").await.status,
            403,
            "{name}"
        );
    }
    assert!(upstream.saw_nothing());
}
