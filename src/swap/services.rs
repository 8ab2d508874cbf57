//! systemd's units, asked and told by `systemctl`, each call within a time.

use std::{process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

pub(super) const HAPROXY: &str = "haproxy.service";
pub(super) const GATEWAY: &str = "plugnmeet-gateway.service";
/// Holds port 443 for the gateway, where it is installed.
pub(super) const SOCKET: &str = "plugnmeet-gateway.socket";

/// The most time for an answer that needs no work.
const ASKING: Duration = Duration::from_secs(5);
/// The most time for a unit to say that it is ready; the gateway reads its client meanwhile.
const STARTING: Duration = Duration::from_secs(60);
/// The most time for a unit to end. What has not ended then is killed, so that the way back takes less than ten seconds.
const STOPPING: Duration = Duration::from_secs(3);
/// How often units are stopped that run again.
const STOPS: u32 = 3;

/// Runs `systemctl` with these arguments: what it prints, or why it failed.
async fn systemctl(arguments: &[&str], within: Duration) -> Result<String, String> {
    let said = arguments.join(" ");
    let child = Command::new("systemctl")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .output();
    match timeout(within, child).await {
        Err(_) => Err(format!(
            "systemctl {said}: not done within {} s",
            within.as_secs()
        )),
        Ok(Err(error)) => Err(format!("systemctl cannot be run: {error}")),
        Ok(Ok(output)) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(Ok(output)) => {
            let words = String::from_utf8_lossy(&output.stderr);
            let words = words.trim().lines().next().unwrap_or("it failed").to_owned();
            Err(format!("systemctl {said}: {words}"))
        }
    }
}

pub(super) async fn is_active(unit: &str) -> bool {
    systemctl(&["--quiet", "is-active", unit], ASKING).await.is_ok()
}

pub(super) async fn is_enabled(unit: &str) -> bool {
    systemctl(&["--quiet", "is-enabled", unit], ASKING).await.is_ok()
}

pub(super) async fn is_there(unit: &str) -> bool {
    // `cat` fails too where a drop-in that systemd has read is gone by now.
    let state = systemctl(&["show", "--property=LoadState", "--value", unit], ASKING).await;
    state.is_ok_and(|state| state.trim() == "loaded")
}

pub(super) async fn enable(unit: &str) -> Result<(), String> {
    systemctl(&["enable", unit], ASKING).await.map(drop)
}

pub(super) async fn disable(unit: &str) -> Result<(), String> {
    systemctl(&["disable", unit], ASKING).await.map(drop)
}

pub(super) async fn start(unit: &str) -> Result<(), String> {
    systemctl(&["start", unit], STARTING).await.map(drop)
}

/// Stops units, and kills what takes its time.
///
/// In one call: a service that is about to be started again would start its socket with it, and a socket that still listens its
/// service, so that port 443 stays taken.
pub(super) async fn stop(units: &[&str]) -> Result<(), String> {
    let mut failed = None;
    for _ in 0..STOPS {
        failed = systemctl(&[&["stop"], units].concat(), STOPPING).await.err();
        let mut running = Vec::new();
        for unit in units {
            if is_active(unit).await {
                running.push(*unit);
            }
        }
        if running.is_empty() {
            return Ok(());
        }
        // What still runs then is told.
        systemctl(&[&["kill", "--signal=KILL"], running.as_slice()].concat(), ASKING)
            .await
            .ok();
    }
    Err(failed.unwrap_or_else(|| format!("systemctl stop {}: it runs again each time", units.join(" "))))
}

/// It has read the drop-ins that lie there.
pub(super) async fn read_units() -> Result<(), String> {
    systemctl(&["daemon-reload"], ASKING).await.map(drop)
}
