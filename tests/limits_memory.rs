//! What limits may cost: the memory of this process, measured while a million users go by. Alone in its program, so that
//! nothing else is measured.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use plugnmeet_gateway::{
    clock::Clock,
    limits::{Limits, LimitsSettings, RateSettings, Rates, StoreSettings},
};

/// docs/DEFAULTS.md: some 10 MiB for each limit of each caller. Here two of them fill up: users and rooms.
const CEILING_KIB: u64 = 2 * 16 * 1024;

/// Resident memory, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_million_users_of_a_million_rooms_stay_under_the_stated_ceiling() {
    let rate = |text| RateSettings::parse(text).unwrap();
    let settings = LimitsSettings {
        rates: Rates {
            user: rate("10/min"),
            room: rate("1200/min"),
            caller: rate("2000000/min"),
        },
        failures: rate("20/min"),
        renewal: rate("20/min"),
        design: rate("60/min"),
        check_page: rate("60/min"),
        store: StoreSettings::Memory,
    };
    let limits = Limits::start(&settings, &[], &Arc::default(), &Clock::system()).await;
    let before = resident();
    for number in 0..1_000_000 {
        let name = number.to_string();
        limits.issue("server", &name, &name).await.ok();
    }
    let grown = resident() - before;
    println!("a million users: {grown} KiB");
    assert!(grown < CEILING_KIB, "{grown} KiB");
}
