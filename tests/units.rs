//! The units in `deploy/` are what systemd reads without a word, as closed as they say, and fit to what the program does.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

const SERVICE: &str = "plugnmeet-gateway.service";
const SOCKET: &str = "plugnmeet-gateway.socket";

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name);
    fs::read_to_string(path).unwrap()
}

/// All values of a key.
fn values<'t>(text: &'t str, key: &str) -> Vec<&'t str> {
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    lines.collect()
}

/// The units, where the program that they name is there.
fn installed() -> (TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (service, socket) = (folder.path().join(SERVICE), folder.path().join(SOCKET));
    let program = env!("CARGO_BIN_EXE_plugnmeet-gateway");
    fs::write(
        &service,
        text(SERVICE).replace("/usr/bin/plugnmeet-gateway", program),
    )
    .unwrap();
    fs::write(&socket, text(SOCKET)).unwrap();
    (folder, service, socket)
}

/// None: it is not installed here.
fn analyze(arguments: &[&str]) -> Option<(bool, String)> {
    let output = Command::new("systemd-analyze").args(arguments).output().ok()?;
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8(said).unwrap()))
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let (_folder, service, socket) = installed();
    let units = [service.to_str().unwrap(), socket.to_str().unwrap()];
    if let Some(verdict) = analyze(&["verify", "--man=no", units[0], units[1]]) {
        assert_eq!(verdict, (true, String::new()));
    }
}

#[test]
fn the_service_is_less_exposed_than_2() {
    let (_folder, service, _) = installed();
    let offline = [
        "security",
        "--offline=yes",
        "--threshold=19",
        service.to_str().unwrap(),
    ];
    if let Some((is_closed, said)) = analyze(&offline) {
        assert!(is_closed, "{said}");
    }
}

#[test]
fn the_service_speaks_and_is_spoken_to_as_the_program_does() {
    let service = text(SERVICE);
    for (key, value) in [
        ("Type", "notify"),
        ("NotifyAccess", "all"),
        ("KillMode", "mixed"),
        ("ExecReload", "/bin/kill -HUP $MAINPID"),
        ("AmbientCapabilities", "CAP_NET_BIND_SERVICE"),
        ("RuntimeDirectory", "plugnmeet-gateway"),
        ("Restart", "on-failure"),
        ("User", "plugnmeet-gateway"),
    ] {
        assert_eq!(values(&service, key), [value], "{key}");
    }
    // They would take port 443 away, and hide what the gateway reads below /proc.
    for key in ["PrivateUsers", "ProcSubset", "DynamicUser"] {
        assert!(values(&service, key).is_empty(), "{key}");
    }
    assert!(text("plugnmeet-gateway.sysusers").contains("\nu plugnmeet-gateway "));
    let socket = text(SOCKET);
    assert_eq!(values(&socket, "FileDescriptorName"), ["https"]);
    assert_eq!(values(&socket, "Service"), [SERVICE]);
}

/// The manager's patience is longer than the drain, and its variables are keys of the gateway.
#[test]
fn a_stop_is_over_before_systemd_kills() {
    let service = text(SERVICE);
    let seconds = |text: &str| text.strip_suffix('s').unwrap().parse::<u32>().unwrap();
    let variable = values(&service, "Environment")[..].concat();
    let (name, drain) = variable.split_once('=').unwrap();
    let stop = values(&service, "TimeoutStopSec").concat();
    assert!(seconds(drain) + 4 < seconds(&stop), "{drain} {stop}");
    let folder = tempfile::tempdir().unwrap();
    let checked = Command::new(env!("CARGO_BIN_EXE_plugnmeet-gateway"))
        .arg("check")
        .current_dir(folder.path())
        .env(name, drain)
        .env("PNM_GATEWAY__LISTEN__HTTPS", "127.0.0.1:0")
        .status();
    assert!(checked.unwrap().success());
}
