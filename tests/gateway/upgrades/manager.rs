//! Sockets that a service manager gives.

use std::time::Duration;

use tokio::{
    net::{TcpStream, UnixDatagram},
    process::Command,
    time::{Instant, sleep, timeout},
};

use super::{Folder, PATIENCE, kill};
use crate::support::{
    addr::free,
    binary::{PROGRAM, Serving, anywhere, link},
    raw::Raw,
};

/// What the manager is told next.
async fn heard(notify: &UnixDatagram) -> String {
    let mut message = [0; 512];
    let bytes = timeout(PATIENCE, notify.recv(&mut message))
        .await
        .expect("a word")
        .unwrap();
    String::from_utf8(message[..bytes].to_vec()).unwrap()
}

/// `sd_notify(3)`: by MAINPID the manager follows the process that serves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_manager_is_told_which_process_serves_after_an_upgrade() {
    let folder = Folder::new();
    let notify = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    let heard = || heard(&notify);
    let ready = |pid: u32| format!("READY=1\nMAINPID={pid}\nSTATUS=Serving");
    link(std::path::Path::new(PROGRAM), &folder.program());
    let mut command = Command::new(folder.program());
    command.env("NOTIFY_SOCKET", folder.path().join("notify"));
    for (name, value) in anywhere() {
        command.env(format!("PNM_GATEWAY__{name}"), value);
    }
    let mut gateway = Serving::by(command, folder.path(), &["serve"]).await;
    assert_eq!(heard().await, ready(gateway.pid()));
    kill("USR2", gateway.pid()).await;
    gateway.says("Handed over").await;
    let second = folder.serving_after(gateway.pid()).await;
    assert_eq!(heard().await, ready(second));
    // The old one ends by itself and says nothing: it is not the one that is watched.
    let until = Instant::now() + PATIENCE;
    while folder.processes() != [second] {
        assert!(Instant::now() < until, "{:?}", folder.processes());
        sleep(Duration::from_millis(50)).await;
    }
    kill("TERM", second).await;
    assert_eq!(heard().await, "STOPPING=1\nSTATUS=Draining");
}

/// What systemd does, by its own tool where it is installed.
#[tokio::test]
async fn a_service_managers_socket_is_served_and_it_is_told_of_the_start_and_the_end() {
    if Command::new("systemd-socket-activate")
        .arg("--version")
        .output()
        .await
        .is_err()
    {
        eprintln!("systemd-socket-activate is not installed");
        return;
    }
    let (folder, addr) = (Folder::new(), free());
    let notify = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    let heard = || heard(&notify);
    let mut manager = Command::new("systemd-socket-activate");
    manager.args(["-l", &addr.to_string(), "--fdname=https"]);
    manager.arg(format!(
        "--setenv=NOTIFY_SOCKET={}/notify",
        folder.path().display()
    ));
    manager.arg("--setenv=WATCHDOG_USEC=2000000");
    // The configuration names another address: the operator's socket unit is what counts.
    for (name, value) in anywhere() {
        manager.arg(format!("--setenv=PNM_GATEWAY__{name}={value}"));
    }
    manager.arg(PROGRAM);
    // It starts the program when somebody knocks, who is served.
    let knocking = tokio::spawn(async move {
        let until = Instant::now() + PATIENCE;
        loop {
            match TcpStream::connect(addr).await {
                Ok(stream) => return stream,
                Err(error) => assert!(Instant::now() < until, "{error}"),
            }
            sleep(Duration::from_millis(50)).await;
        }
    });
    let gateway = Serving::by(manager, folder.path(), &["serve"]).await;
    assert_eq!(gateway.https, addr);
    let first = knocking.await.unwrap();
    let client = folder.client(&gateway);
    let mut connection = Raw::over(client.over(first, b"http/1.1").await);
    connection
        .send("GET /conference/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    assert_eq!(connection.answer().await.status, 200);
    assert_eq!(
        heard().await,
        format!("READY=1\nMAINPID={}\nSTATUS=Serving", gateway.pid())
    );
    assert_eq!(heard().await, "WATCHDOG=1");
    assert_eq!(heard().await, "WATCHDOG=1");
    gateway.signal("HUP").await;
    let mut words = Vec::new();
    while words.len() < 2 {
        words.extend(Some(heard().await).filter(|word| word != "WATCHDOG=1"));
    }
    assert_eq!(words[0], "RELOADING=1");
    assert!(words[1].starts_with("READY=1\n"), "{words:?}");
    // It must not end the gateway.
    gateway.signal("USR1").await;
    assert_eq!(client.request("GET", "/conference/", &[], b"").await.status, 200);
    gateway.signal("TERM").await;
    let mut word = heard().await;
    while word == "WATCHDOG=1" {
        word = heard().await;
    }
    assert_eq!(word, "STOPPING=1\nSTATUS=Draining");
    assert_eq!(gateway.end().await.0, Some(0));
}
