//! Whole mornings for `benches/nine_oclock`: hundreds who come, and how many are in, refused, and after which time. They
//! measure time, so they want a machine that does nothing else. The same mornings by a clock that the tests move are in
//! `src/joining/tests.rs`.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;
use tokio::time::sleep;

use super::{Seen, Site};

/// How many are in, how many are refused, and when the last one was in.
fn tell(named: &str, seen: &Seen) {
    let (entered, refused) = (seen.entered.len(), seen.refused.len());
    let last = seen.entered.values().max();
    println!("{named}: {entered} are in, {refused} refused; the last after {last:?} ms");
}

#[tokio::test]
#[ignore = "two minutes"]
async fn three_hundred_who_come_at_once() {
    for (named, joining) in [("without places", "0"), ("with places", "'auto'")] {
        let site = Site::with(5, 10, &format!("upstreams.joining = {joining}")).await;
        let people = site.comers("room01", 300, &json!({}));
        let (seen, course) = site.course_of(&people).await;
        tell(named, &seen);
        println!("places each second {course:?}");
        assert!(joining == "0" || seen.refused.is_empty(), "{seen:?}");
        assert!(joining != "0" || seen.refused.len() > 150, "{seen:?}");
    }
}

/// From 20 in a second to 10, and up to 100: 100 in five seconds, 100 in ten, and 100 in one.
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
    tell("20, 10 and 100 in a second", &seen);
    assert_eq!(seen.refused, BTreeMap::new());
    assert!(seen.last() < 16_000 * 3 / 2, "{}", seen.last());
}

#[tokio::test]
#[ignore = "half a minute"]
async fn a_hundred_and_forty_who_come_to_the_websocket_alone() {
    let site = Site::with(5, 15, "").await;
    let seen = site
        .come(&site.comers("room01", 140, &json!({"direct": true})))
        .await;
    tell("to /ws alone", &seen);
    assert_eq!(seen.refused, BTreeMap::new());
}

#[tokio::test]
#[ignore = "half a minute"]
async fn a_room_of_three_and_a_moderator_among_two_hundred() {
    let site = Site::with(5, 10, "").await;
    let mut people = site.comers("lecture", 200, &json!({}));
    people.extend(site.comers("three", 3, &json!({"after": 4000})));
    let moderator = site.gateway.sign(|claims| {
        claims.room_id = "lecture".into();
        claims.user_id = "teacher".into();
        claims.sub = "teacher".into();
        claims.is_admin = true;
    });
    people.push(json!({"name": "teacher", "token": moderator, "after": 8000}));
    let seen = site.come(&people).await;
    tell("200, three, and a moderator", &seen);
    assert_eq!(seen.refused, BTreeMap::new());
    let last = |room| seen.times(room).max().unwrap();
    println!(
        "the three: {} ms; the moderator: {} ms",
        last("three") - 4000,
        last("teacher") - 8000
    );
    assert!(last("three") < 7000, "{}", last("three"));
    assert!(last("teacher") < 11_000, "{}", last("teacher"));
}

#[tokio::test]
#[ignore = "two minutes"]
async fn nats_is_started_again_under_five_hundred() {
    let mut site = Site::with(5, 60, "").await;
    let mut process = site.begin(&site.comers("room01", 500, &json!({})), true);
    let seen = Seen::of(&process.next_line().await);
    tell("before", &seen);
    assert_eq!(seen.refused, BTreeMap::new());
    site.callout.say(&json!({"rate": 30})).await;
    site.nats.restart(Duration::from_secs(1)).await;
    let newcomers = site.comers("room02", 100, &json!({"after": 1000}));
    let seen = site.come(&newcomers).await;
    tell("newcomers", &seen);
    assert_eq!(seen.refused, BTreeMap::new());
    let end = process.next_line().await;
    println!("those who were in: {end}");
    assert_eq!(end, json!({"back": 500, "closed": 0}));
    process.finish().await;
}
