//! Whole mornings: hundreds who come, and how many are in, refused, and after which time.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;
use tokio::time::sleep;

use super::{Seen, Site};

/// The long form, for `benches/nine_oclock`.
#[tokio::test]
#[ignore = "two minutes"]
async fn three_hundred_who_come_at_once() {
    for (named, joining) in [("without places", "0"), ("with places", "'auto'")] {
        let site = Site::with(5, 10, &format!("upstreams.joining = {joining}")).await;
        let people = site.comers("room01", 300, &json!({}));
        let (seen, course) = site.course_of(&people).await;
        let (entered, refused, last) = (seen.entered.len(), seen.refused.len(), seen.last());
        println!(
            "{named}: {entered} of 300 are in, {refused} refused; the last after {last} ms; places each second {course:?}"
        );
        assert!(joining == "0" || refused == 0, "{seen:?}");
    }
}

/// From 20 in a second to 10, and up to 100.
#[tokio::test]
#[ignore = "a minute"]
async fn three_hundred_and_a_rate_that_changes() {
    let mut site = Site::with(5, 20, "").await;
    let people = site.comers("room01", 300, &json!({}));
    let mut process = site.begin(&people, false);
    sleep(Duration::from_secs(5)).await;
    site.callout.say(&json!({"rate": 10})).await;
    sleep(Duration::from_secs(10)).await;
    site.callout.say(&json!({"rate": 100})).await;
    let seen = Seen::of(&process.next_line().await);
    process.finish().await;
    println!(
        "{} of 300 are in, {} refused; the last after {} ms",
        seen.entered.len(),
        seen.refused.len(),
        seen.last()
    );
    assert_eq!(seen.refused, BTreeMap::new());
}
