//! Nothing falls silent: what has ended is told, and the process ends with an error, to be started again.

use std::{fs, time::Duration};

use tokio::{
    process::Command,
    time::{sleep, timeout},
};

use super::{empty, serving};
use crate::support::{Gateway, client::plain_get};

#[tokio::test]
async fn what_does_not_run_any_more_is_told_at_livez() {
    for what in [
        "listener https",
        "thread worker-1",
        "thread log",
        "certificate watch",
    ] {
        let gateway = Gateway::embedded().await;
        let answer = plain_get(gateway.admin, "/livez").await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "alive\n"));
        gateway.threads().fail(what);
        let answer = plain_get(gateway.admin, "/livez").await;
        assert_eq!(answer.status, 503);
        assert_eq!(answer.text(), format!("does not run any more: {what}\n"));
    }
}

/// A thread that the system holds up: strace(1) delays its next call for longer than this test takes.
#[tokio::test]
async fn a_process_of_which_a_thread_is_stuck_ends_with_an_error() {
    let folder = empty();
    let variables = [("LISTEN__THREADS", "2"), ("TIMEOUTS__DRAIN", "1s")];
    let mut gateway = serving(folder.path(), &variables).await;
    let threads = fs::read_dir(format!("/proc/{}/task", gateway.pid()))
        .unwrap()
        .flatten();
    let stuck = threads.map(|thread| thread.path()).find(|thread| {
        let name = fs::read_to_string(thread.join("comm"));
        name.is_ok_and(|name| name.trim() == "worker-1")
    });
    let stuck = stuck.unwrap();
    let id = stuck.file_name().unwrap().to_str().unwrap();
    let mut holding = Command::new("strace");
    holding.args([
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "inject=epoll_wait:delay_enter=600s",
        "-p",
        id,
    ]);
    let mut holding = holding.kill_on_drop(true).spawn().unwrap();
    sleep(Duration::from_secs(1)).await;
    if holding.try_wait().unwrap().is_some() {
        eprintln!("strace may not look at other processes here");
        return;
    }
    // It looks every 5 s, and gives a thread 30 s.
    let told = "Stopping, as something does not run any more: thread worker-1";
    let telling = async {
        while !gateway.said.contains(told) {
            gateway.line().await;
        }
    };
    timeout(Duration::from_secs(300), telling)
        .await
        .expect("nobody has seen it");
    // It has decided by now. The system lets nobody end who is held like this.
    holding.kill().await.unwrap();
    let (status, said) = gateway.end().await;
    assert_eq!(status, Some(1), "{said}");
}
