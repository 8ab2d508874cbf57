//! A CA that refuses, breaks off, or wants something: what that costs, who hears of it, and when it is tried again.

use std::{fs, time::Duration};

use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::support::{
    Gateway,
    addr::free_port,
    client::plain_get,
    pebble::shown,
    stub_ca::{Refusal, StubCa, TOKEN},
};

const NAME: &str = "conf.example.org";
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until as many orders have come to their end.
async fn ended(gateway: &Gateway, ca: &StubCa, orders: usize) -> Value {
    let started = Instant::now();
    loop {
        let status = gateway.status();
        let standing = status.get("acme").map_or(Value::Null, |all| all[NAME].clone());
        if ca.orders().len() >= orders && matches!(standing["state"].as_str(), Some("failed" | "waits")) {
            return standing;
        }
        assert!(started.elapsed() < PATIENCE, "{standing} {:?}", ca.orders());
        sleep(Duration::from_millis(50)).await;
    }
}

/// Some hours later somebody asks.
async fn later(gateway: &Gateway, ca: &StubCa, orders: usize) -> Value {
    gateway.clock.advance(Duration::from_secs(6 * 3600));
    gateway.reload();
    ended(gateway, ca, orders).await
}

#[tokio::test]
async fn a_refusal_costs_nothing_is_told_in_the_cas_words_and_is_waited_out() {
    let ca = StubCa::start().await;
    ca.refuse(&[Refusal::Busy(3 * 3600), Refusal::Half, Refusal::Nonsense]);
    let storage = tempfile::tempdir().unwrap();
    let gateway = Gateway::with(&ca.toml(NAME, storage.path())).await;
    let standing = ended(&gateway, &ca, 1).await;
    assert_eq!(
        standing["reason"],
        "too many certificates (5) already issued (urn:ietf:params:acme:error:rateLimited)"
    );
    // Neither ten minutes nor somebody who asks makes it come before the CA's own time.
    gateway.clock.advance(Duration::from_secs(1200));
    gateway.reload();
    sleep(Duration::from_secs(3)).await;
    assert_eq!(ca.orders().len(), 1);
    assert_eq!(shown(gateway.https, NAME, &ca.root()).await, None);
    assert_eq!(gateway.get("/livez", &[("host", NAME)]).await.status, 404);

    let standing = later(&gateway, &ca, 2).await;
    let reason = standing["reason"].as_str().unwrap();
    assert!(reason.contains("broke off"), "{reason}");
    let standing = later(&gateway, &ca, 3).await;
    let reason = standing["reason"].as_str().unwrap();
    assert!(reason.contains("JSON"), "{reason}");
    let standing = later(&gateway, &ca, 4).await;
    assert_eq!(standing["state"], "waits");
    let started = Instant::now();
    while shown(gateway.https, NAME, &ca.root()).await.is_none() {
        assert!(started.elapsed() < PATIENCE);
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(ca.orders().len(), 4);
    gateway.stop().await;
}

#[tokio::test]
async fn a_renewal_comes_when_the_ca_wants_it_and_says_what_it_replaces_once() {
    let ca = StubCa::start().await;
    let storage = tempfile::tempdir().unwrap();
    let gateway = Gateway::with(&ca.toml(NAME, storage.path())).await;
    let now = gateway.clock.unix();
    ca.wants(now + 40 * 24 * 3600, now + 42 * 24 * 3600);
    ended(&gateway, &ca, 1).await;
    // It is asked again after the time that the CA has named; and the CA wants it at once by now.
    ca.refuse(&[Refusal::Replaced]);
    ca.wants(now - 7200, now - 3600);
    gateway.clock.advance(Duration::from_secs(3700));
    gateway.reload();
    ended(&gateway, &ca, 3).await;
    let replaces: Vec<bool> = ca
        .orders()
        .iter()
        .map(|order| order["replaces"].is_string())
        .collect();
    assert_eq!(replaces, [false, true, false]);
    assert_eq!(ca.orders()[0]["identifiers"][0]["value"], NAME);
    gateway.stop().await;
}

#[tokio::test]
async fn the_first_order_is_tried_where_a_failure_costs_nothing() {
    let (ca, staging) = tokio::join!(StubCa::start(), StubCa::start());
    staging.refuse(&[Refusal::Busy(60)]);
    let storage = tempfile::tempdir().unwrap();
    let roots = storage.path().join("roots.pem");
    let both = [ca.certificate(), staging.certificate()].map(|file| fs::read_to_string(file).unwrap());
    fs::write(&roots, both.concat()).unwrap();
    let toml = ca
        .toml(NAME, &storage.path().join("acme"))
        .replace(ca.certificate().to_str().unwrap(), roots.to_str().unwrap());
    let gateway = Gateway::with(&format!("{toml}staging = '{}'\n", staging.directory())).await;
    let standing = ended(&gateway, &staging, 1).await;
    let reason = standing["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("the CA's staging directory: too many certificates"),
        "{reason}"
    );
    assert_eq!(ca.orders().len(), 0);
    let standing = later(&gateway, &ca, 1).await;
    assert_eq!(standing["state"], "waits");
    assert_eq!((staging.orders().len(), ca.orders().len()), (2, 1));
    gateway.stop().await;
}

#[tokio::test]
async fn a_name_that_leads_nowhere_is_not_ordered() {
    let ca = StubCa::start().await;
    let storage = tempfile::tempdir().unwrap();
    let toml = ca
        .toml(NAME, storage.path())
        .replace("preflight = false", "preflight = true")
        .replace("accept_terms", "names = ['conf.invalid']\naccept_terms");
    let gateway = Gateway::with(&toml).await;
    let started = Instant::now();
    let reason = loop {
        let status = gateway.status();
        if let Some(reason) = status
            .get("acme")
            .and_then(|all| all["conf.invalid"]["reason"].as_str())
        {
            break reason.to_owned();
        }
        assert!(started.elapsed() < PATIENCE, "{status:?}");
        sleep(Duration::from_millis(100)).await;
    };
    assert!(reason.contains("A or AAAA record"), "{reason}");
    assert_eq!(ca.orders().len(), 0);
    gateway.stop().await;
}

#[tokio::test]
async fn an_order_that_is_under_way_goes_on_in_the_next_process() {
    let ca = StubCa::start().await;
    ca.hold(true);
    let storage = tempfile::tempdir().unwrap();
    let toml = ca.toml(NAME, storage.path());
    let first = Gateway::with(&toml).await;
    let started = Instant::now();
    while ca.orders().is_empty() || !storage.path().join(format!("orders/{NAME}.json")).exists() {
        assert!(started.elapsed() < PATIENCE);
        sleep(Duration::from_millis(50)).await;
    }
    // Until the key is with the CA.
    while !ca.has_signed() {
        assert!(started.elapsed() < PATIENCE);
        sleep(Duration::from_millis(50)).await;
    }
    first.stop().await;
    let next = Gateway::with(&toml).await;
    ca.hold(false);
    while shown(next.https, NAME, &ca.root()).await.is_none() {
        assert!(started.elapsed() < 2 * PATIENCE, "{:?}", next.status());
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(ca.orders().len(), 1);
    next.stop().await;
}

/// The CA has been told to ask, and may do so at any moment, of whoever is there then.
#[tokio::test]
async fn the_answer_to_a_check_outlives_the_process_that_gave_it() {
    let ca = StubCa::start().await;
    ca.check(false);
    let storage = tempfile::tempdir().unwrap();
    let toml = ca.toml(NAME, storage.path());
    let first = Gateway::with(&toml).await;
    let started = Instant::now();
    while ca.checks() == 0 {
        assert!(started.elapsed() < PATIENCE, "{:?}", first.status());
        sleep(Duration::from_millis(50)).await;
    }
    let check = format!("/.well-known/acme-challenge/{TOKEN}");
    let answer = plain_get(first.http, &check).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().starts_with(&format!("{TOKEN}.")), "{answer:?}");
    // It is there before the next one begins, and while both are.
    let next = Gateway::with(&toml).await;
    assert_eq!(plain_get(next.http, &check).await.text(), answer.text());
    first.stop().await;
    assert_eq!(plain_get(next.http, &check).await.text(), answer.text());
    ca.check(true);
    while shown(next.https, NAME, &ca.root()).await.is_none() {
        assert!(started.elapsed() < 2 * PATIENCE, "{:?}", next.status());
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!((ca.orders().len(), ca.checks()), (1, 1));
    next.stop().await;
}

#[tokio::test]
async fn who_asks_when_to_renew_makes_no_account() {
    let ca = StubCa::start().await;
    let storage = tempfile::tempdir().unwrap();
    let toml = ca.toml(NAME, storage.path());
    let first = Gateway::with(&toml).await;
    ended(&first, &ca, 1).await;
    first.stop().await;
    for entry in fs::read_dir(storage.path()).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("account-") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    let next = Gateway::with(&toml).await;
    ended(&next, &ca, 1).await;
    next.clock.advance(Duration::from_secs(4000));
    next.reload();
    // When to ask again is kept once it has been asked.
    let state = storage.path().join(format!("state/{NAME}.json"));
    let started = Instant::now();
    loop {
        let record: Value = serde_json::from_slice(&fs::read(&state).unwrap()).unwrap();
        if record["window"]["ask_again"].as_i64() > Some(next.clock.unix()) {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{record}");
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((ca.accounts(), ca.orders().len()), (1, 1));
    next.stop().await;
}

#[tokio::test]
async fn a_name_that_failed_is_told_as_failing_after_a_start_too() {
    let ca = StubCa::start().await;
    let storage = tempfile::tempdir().unwrap();
    let gateway = Gateway::with("").await;
    let now = gateway.clock.unix();
    fs::create_dir_all(storage.path().join("state")).unwrap();
    let record = format!(
        r#"{{"failures":3,"tried":{now},"next":{},"words":"no valid A records"}}"#,
        now + 3600
    );
    fs::write(storage.path().join(format!("state/{NAME}.json")), record).unwrap();
    let gateway = Gateway::with(&ca.toml(NAME, storage.path())).await;
    let standing = ended(&gateway, &ca, 0).await;
    assert_eq!(
        (standing["state"].as_str(), standing["reason"].as_str()),
        (Some("failed"), Some("no valid A records"))
    );
    let line = format!(r#"plugnmeet_gateway_acme_failing{{name="{NAME}"}} 3"#);
    let metrics = plain_get(gateway.admin, "/metrics").await.text();
    assert!(metrics.contains(&line), "{metrics}");
    assert_eq!(ca.orders().len(), 0);
    gateway.stop().await;
}

#[tokio::test]
async fn a_redis_that_is_away_is_told_as_what_it_is() {
    let ca = StubCa::start().await;
    let storage = tempfile::tempdir().unwrap();
    let toml = format!(
        "limits.store = 'redis://127.0.0.1:{}'\n{}",
        free_port(),
        ca.toml(NAME, storage.path())
    );
    let gateway = Gateway::with(&toml).await;
    let standing = ended(&gateway, &ca, 0).await;
    assert_eq!(standing["state"], "failed");
    let reason = standing["reason"].as_str().unwrap();
    assert!(reason.starts_with("Redis does not say who orders: "), "{reason}");
    assert_eq!(ca.orders().len(), 0);
    gateway.stop().await;
}

#[tokio::test]
async fn the_ca_is_asked_for_the_kind_of_certificate_that_is_wanted() {
    let ca = StubCa::start().await;
    let storage = tempfile::tempdir().unwrap();
    let toml = ca.toml(NAME, storage.path());
    let gateway = Gateway::with(&format!("{toml}profile = 'shortlived'\n")).await;
    ended(&gateway, &ca, 1).await;
    assert_eq!(ca.orders()[0]["profile"], "shortlived");
    gateway.stop().await;
}
