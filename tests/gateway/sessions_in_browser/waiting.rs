//! What people read who wait to be let in, and what is left of it when they are.

use std::{num::NonZeroU32, time::Duration};

use plugnmeet_gateway::joining::{JoiningSettings, Joins};
use serde_json::json;
use tokio::time::sleep;

use super::{READY, Stage, assert_in, support::raw::RawUpstream};

const MESSAGE: &str = "document.querySelector('body > [role=status]')";
const ADMISSION: Duration = Duration::from_secs(300);

/// In the reader's language, for whoever listens too, and in nobody's way.
#[tokio::test]
async fn whoever_waits_reads_how_many_are_before_and_then_joins() {
    let nats = RawUpstream::silent().await;
    let stage = Stage::with(&format!(
        "upstreams.nats = '{}'\nupstreams.joining = 1",
        nats.url()
    ))
    .await;
    // Each of them has the place for ten seconds.
    let mut others = Vec::new();
    for nth in 0..30 {
        let token = stage.token("room01", &format!("other-{nth}"));
        let mut raw = stage.gateway.client().raw().await;
        raw.send(format!(
            "POST /api/verifyToken HTTP/1.1\r\nHost: {}\r\nAuthorization: {token}\r\nContent-Type: \
             application/protobuf\r\nContent-Length: 2\r\n\r\n\x08\x01",
            stage.host
        ))
        .await;
        others.push(raw);
    }
    while stage.gateway.joining().status().waiting < 20 {
        sleep(Duration::from_millis(50)).await;
    }
    let mut browser = stage.browser_with(&["--accept-lang=de"], &json!({}));
    let token = stage.token("room01", "ann");
    let page = browser.step(json!({"tab": 1, "goto": stage.link(&token)})).await;
    assert!(page.console().is_empty(), "{page}");
    // Not before ten seconds are over; a minute has the busiest machine.
    let mut text = String::new();
    for _ in 0..600 {
        sleep(Duration::from_millis(500)).await;
        let seen = browser
            .step(json!({"tab": 1, "run": format!("{MESSAGE}?.textContent ?? ''")}))
            .await;
        assert!(seen.console().is_empty(), "the policy allows the script: {seen}");
        seen.value().as_str().unwrap().clone_into(&mut text);
        if !text.is_empty() {
            break;
        }
    }
    let words =
        "Gerade treten sehr viele Personen bei. Sie werden automatisch eingelassen. Personen vor Ihnen: ";
    let before: u32 = text.strip_prefix(words).unwrap().parse().unwrap();
    assert!((1..30).contains(&before), "{text}");
    let about = format!(
        "[{MESSAGE}.lang, {MESSAGE}.dir, {MESSAGE}.getAttribute('aria-live'), getComputedStyle({MESSAGE}).pointerEvents, \
         document.querySelectorAll('#plugNmeet-app *').length]"
    );
    let seen = browser.step(json!({"tab": 1, "run": about})).await;
    assert_eq!(seen.value(), &json!(["de", "ltr", "polite", "none", 0]));

    // Everybody is let in now, and the message is gone with the waiting.
    stage.gateway.joining().set(JoiningSettings {
        joins: Joins::Unpaced,
        admission: ADMISSION,
    });
    let seen = browser
        .step(json!({"tab": 1, "run": "1", "until": format!("{READY} && {MESSAGE} === null")}))
        .await;
    assert_in(&stage, &seen, ("room01", "ann"), &token);
    for mut other in others {
        assert_eq!(other.answer().await.status, 200);
    }
    // And who is let in at once asks for nothing.
    stage.gateway.joining().set(JoiningSettings {
        joins: Joins::AtOnce(NonZeroU32::new(1000).unwrap()),
        admission: ADMISSION,
    });
    let bob = stage.token("room01", "bob");
    let seen = browser
        .step(json!({"tab": 2, "goto": stage.link(&bob), "until": READY}))
        .await;
    let asked = |request: &serde_json::Value| request["url"].as_str().unwrap().ends_with("/joining");
    assert!(!seen.requests().iter().any(asked), "{seen}");
}
