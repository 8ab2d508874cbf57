//! `health`: what a probe is told that has only the program itself to ask with.

use super::{empty, serving, told};
use crate::support::{addr::free, binary::run};

#[tokio::test]
async fn a_running_gateway_is_alive_and_ready_and_no_longer_ready_once_it_stops() {
    let folder = empty();
    let admin = free().to_string();
    let address = [("LISTEN__ADMIN", admin.as_str())];
    let variables = [
        &address[..],
        &[("TIMEOUTS__DRAIN_DELAY", "10m"), ("TIMEOUTS__DRAIN", "1s")],
    ]
    .concat();
    let mut serving = serving(folder.path(), &variables).await;
    let asked = |arguments: &'static [&'static str]| {
        let (folder, address) = (folder.path(), &address);
        async move { told(&run(folder, arguments, address).await) }
    };
    let alive = (0, "alive\n".to_owned(), String::new());
    assert_eq!(asked(&["health"]).await, alive);
    let (status, said, _) = asked(&["health", "--ready"]).await;
    assert_eq!((status, said.as_str()), (0, "ready\n"));
    serving.signal("TERM").await;
    serving.says("Stopping; connections are still taken").await;
    assert_eq!(asked(&["health"]).await, alive);
    let (status, said, errors) = asked(&["health", "--ready"]).await;
    assert_eq!((status, said.as_str()), (1, ""));
    assert_eq!(
        errors,
        format!("http://{admin}/readyz: 503 Service Unavailable: draining\n")
    );
    // Without more waiting.
    serving.signal("TERM").await;
    serving.end().await;
}

#[tokio::test]
async fn a_gateway_that_does_not_run_is_not_healthy() {
    let folder = empty();
    let admin = free().to_string();
    let said = run(folder.path(), &["health"], &[("LISTEN__ADMIN", &admin)]).await;
    let (status, said, errors) = told(&said);
    assert_eq!((status, said.as_str()), (1, ""));
    assert_eq!(
        errors,
        format!("http://{admin}/livez: Connection refused (os error 111)\n")
    );
    let said = run(folder.path(), &["health"], &[("LISTEN__ADMIN", "")]).await;
    let (status, _, errors) = told(&said);
    assert_eq!(
        (status, errors.as_str()),
        (1, "listen.admin is not set, and nobody else can be asked\n")
    );
}
