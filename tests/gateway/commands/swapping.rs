//! `swap`: the gateway in the place of a real HAProxy, and back, with clients in between.

use std::{
    collections::BTreeSet,
    fs,
    sync::{Arc, Mutex},
    time::Duration,
};

use rustix::{
    fs::{FlockOperation, flock},
    process::{Pid, Signal, kill_process},
};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::sleep,
};
use tokio_rustls::TlsConnector;

use super::official_machine::{HOOK, Machine, NAME, ends, mode};
use crate::support::{addr::free_port, client::Client};

/// What `/healthCheck` says, if anybody is there at this moment.
async fn health(client: &Client, at: std::net::SocketAddr) -> Option<u16> {
    let name = ServerName::try_from(NAME).unwrap();
    let stream = TcpStream::connect(at).await.ok()?;
    let mut stream = TlsConnector::from(client.config(b"http/1.1"))
        .connect(name, stream)
        .await
        .ok()?;
    let head = format!("GET /healthCheck HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.ok()?;
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.ok()?;
    str::from_utf8(&status).ok()?.rsplit(' ').next()?.parse().ok()
}

/// A client that asks again and again, whatever happens; every status that it saw.
fn asking(machine: &Machine) -> (JoinHandle<()>, Arc<Mutex<BTreeSet<u16>>>) {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let (record, client) = (Arc::clone(&seen), machine.client());
    let at = ([127, 0, 0, 1], machine.https).into();
    let task = tokio::spawn(async move {
        loop {
            if let Some(status) = health(&client, at).await {
                record.lock().unwrap().insert(status);
            }
            sleep(Duration::from_millis(50)).await;
        }
    });
    (task, seen)
}

#[tokio::test]
async fn the_gateway_takes_haproxys_place_and_gives_it_back() {
    let machine = Machine::start().await;
    assert_eq!(machine.front().await, "haproxy");
    let (asking, statuses) = asking(&machine);
    let tunnel = machine.tunnel().await;

    let (status, said, errors) = machine.swap(&[]).await;
    assert_eq!(status, 0, "{said}{errors}");
    for route in [
        "ok: the client's files: 200",
        "ok: a join link, to the joined page: 303, then 200",
        "ok: /healthCheck: 200",
        "ok: /ws, to NATS' INFO: 101, INFO",
        "ok: /livekit/rtc/validate: 401",
        "ok: /whip: 200",
        "ok: /etherpad/: 200",
        "ok: TURN over TLS: an answer of STUN's",
    ] {
        assert!(
            said.lines().any(|line| line == route),
            "{route} is not in\n{said}"
        );
    }
    for route in ["ok: http://", "ok: TCP at "] {
        assert!(
            said.lines().any(|line| line.starts_with(route)),
            "{route} is not in\n{said}"
        );
    }
    assert_eq!(
        machine.done()[2..],
        [
            "daemon-reload",
            "enable plugnmeet-gateway.service",
            "disable haproxy.service",
            "stop haproxy.service",
            "start plugnmeet-gateway.service",
        ]
    );
    assert!(!machine.runs("haproxy.service") && !machine.is_enabled("haproxy.service"));
    assert!(machine.runs("plugnmeet-gateway.service") && machine.is_enabled("plugnmeet-gateway.service"));
    assert_eq!(
        mode(&machine.root().join(HOOK)) & 0o111,
        0,
        "it would start HAProxy"
    );
    assert_eq!(machine.front().await, "gateway");
    ends(tunnel).await;
    let tunnel = machine.tunnel().await;

    let (status, said, _) = machine.swap(&[]).await;
    assert_eq!(status, 0);
    assert!(
        said.contains("The gateway is in HAProxy's place already."),
        "{said}"
    );

    let (status, said, errors) = machine.swap(&["--back"]).await;
    assert_eq!(status, 0, "{said}{errors}");
    assert!(
        said.contains("All is as it was before the swap, after "),
        "{said}"
    );
    ends(tunnel).await;
    machine.is_as_before().await;
    asking.abort();
    assert_eq!(*statuses.lock().unwrap(), BTreeSet::from([200]));

    let (status, _, errors) = machine.swap(&["--back"]).await;
    assert_eq!(
        (status, errors.trim()),
        (1, "nothing was changed: no swap is on record here")
    );
}

#[tokio::test]
async fn a_route_that_does_not_answer_brings_haproxy_back() {
    let machine = Machine::start().await;
    let toml = machine.toml();
    let nats = toml.lines().find(|line| line.starts_with("nats = ")).unwrap();
    let wrong = format!("nats = \"http://127.0.0.1:{}\"", free_port());
    fs::write(
        machine.root().join("etc/gateway.toml"),
        toml.replace(nats, &wrong),
    )
    .unwrap();
    let tunnel = machine.tunnel().await;
    let (status, said, errors) = machine.swap(&[]).await;
    assert_eq!(status, 1, "{said}");
    assert!(
        errors.contains("all is as it was before the swap: /ws, to NATS' INFO: "),
        "{errors}"
    );
    ends(tunnel).await;
    machine.is_as_before().await;
}

#[tokio::test]
async fn a_gateway_that_does_not_start_brings_haproxy_back() {
    let machine = Machine::start().await;
    fs::write(machine.root().join("systemd/broken"), "").unwrap();
    let (status, said, errors) = machine.swap(&[]).await;
    assert_eq!(status, 1, "{said}");
    assert!(
        errors.contains(
            "all is as it was before the swap: systemctl start plugnmeet-gateway.service: it is broken"
        ),
        "{errors}"
    );
    machine.is_as_before().await;
}

#[tokio::test]
async fn a_swap_that_broke_off_is_undone_and_two_at_once_are_one() {
    let machine = Machine::start().await;
    // As after a loss of power between two steps.
    machine.systemctl(&["disable", "haproxy.service"]).await;
    machine.systemctl(&["stop", "haproxy.service"]).await;
    let record = r#"{"in_place":false,"haproxy_was_active":true,"haproxy_was_enabled":true,"hooks":[]}"#;
    fs::write(machine.root().join("etc/swap.state"), record).unwrap();
    // The configuration need not be sound for the way back.
    let toml = machine.toml();
    fs::write(machine.root().join("etc/gateway.toml"), "nonsense").unwrap();
    let (status, said, errors) = machine.swap(&["--back"]).await;
    assert_eq!(status, 0, "{said}{errors}");
    machine.is_as_before().await;
    fs::write(machine.root().join("etc/gateway.toml"), toml).unwrap();

    let lock = fs::File::open(machine.root().join("etc/swap.lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let before = machine.done();
    for arguments in [&[][..], &["--back"]] {
        let (status, _, errors) = machine.swap(arguments).await;
        assert_eq!(status, 1);
        assert!(errors.contains("another swap is under way"), "{errors}");
    }
    drop(lock);

    let (status, said, errors) = machine.swap(&["--dry-run"]).await;
    assert_eq!(status, 0, "{said}{errors}");
    for step in [
        "systemctl stop haproxy.service",
        "systemctl start plugnmeet-gateway.service",
        "ask for /ws, to NATS' INFO",
    ] {
        assert!(said.lines().any(|line| line == step), "{step} is not in\n{said}");
    }
    assert_eq!(machine.done(), before);
    machine.is_as_before().await;
}

#[tokio::test]
async fn what_doctor_finds_wrong_stops_a_swap_before_its_first_step() {
    let machine = Machine::start().await;
    let before = machine.done();
    let livekit = machine.root().join("opt/livekit.yaml");
    let text = fs::read_to_string(&livekit).unwrap();
    fs::write(
        &livekit,
        text.replace(
            "https://conf.example.org/webhook",
            "https://conf.example.org/hook",
        ),
    )
    .unwrap();
    let (status, said, errors) = machine.swap(&[]).await;
    assert_eq!(status, 1, "{said}");
    assert!(
        said.lines()
            .any(|line| line.starts_with("[FAIL] livekit.webhook-url: ")),
        "{said}"
    );
    assert_eq!(
        errors.lines().last().unwrap(),
        "nothing was changed: doctor finds what would fail in HAProxy's place (livekit.webhook-url); mend it, or go on regardless \
         by --despite ID"
    );
    let (status, _, errors) = machine.swap(&["--despite", "livekit.nothing"]).await;
    assert_eq!(status, 1);
    assert!(errors.contains("there is no check livekit.nothing; "), "{errors}");
    assert_eq!(machine.done(), before);
    machine.is_as_before().await;

    let (status, said, errors) = machine.swap(&["--despite", "livekit.webhook-url"]).await;
    assert_eq!(status, 0, "{said}{errors}");
    assert!(
        said.lines()
            .any(|line| line.starts_with("[FAIL] livekit.webhook-url: ")),
        "what goes on regardless is shown: {said}"
    );
    assert_eq!(machine.front().await, "gateway");
}

/// A hand that grows impatient, a connection that is lost, a machine that is shut down.
#[tokio::test]
async fn a_signal_in_the_middle_brings_haproxy_back() {
    let machine = Machine::start().await;
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        // The gateway does not get ready before the test lets it.
        let slow = machine.root().join("systemd/slow");
        fs::write(&slow, "").unwrap();
        let (mut child, mut lines) = machine
            .swap_until("systemctl start plugnmeet-gateway.service")
            .await;
        let id = Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();
        kill_process(id, signal).unwrap();
        let mut said = Vec::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            said.push(line);
        }
        let status = child.wait().await.unwrap();
        assert_eq!(status.code(), Some(1), "{said:?}");
        let words = said
            .iter()
            .any(|line| line.starts_with("FAIL: interrupted by SIG"));
        assert!(words, "{said:?}");
        fs::remove_file(slow).unwrap();
        machine.is_as_before().await;
    }
}
