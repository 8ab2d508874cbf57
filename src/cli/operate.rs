//! `status`, `reload`, `drain` and `upgrade` ask a running gateway over its control socket. This file also opens the
//! control socket of the gateway that runs in this process.

use std::{env, fmt::Write as _, process::ExitCode};

use serde_json::{Map, Value};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::{Refused, arguments, failed};
use crate::control::{self, Answer, Operator, Socket, SocketSetting};

/// A command for a running gateway, and how its answer is shown.
pub(super) struct Asked {
    command: control::Command,
    json: bool,
}

/// The question to a running gateway that a command stands for; `None` if the command needs no running gateway.
pub(super) fn asked(command: Option<&arguments::Command>) -> Option<Asked> {
    match command? {
        arguments::Command::Status { json } => Some(Asked {
            command: control::Command::Status,
            json: *json,
        }),
        arguments::Command::Upgrade => Some(Asked {
            command: control::Command::Upgrade,
            json: false,
        }),
        arguments::Command::Reload => Some(Asked {
            command: control::Command::Reload,
            json: false,
        }),
        arguments::Command::Drain { room } => Some(Asked {
            command: control::Command::Drain { room: room.clone() },
            json: false,
        }),
        arguments::Command::Serve
        | arguments::Command::Check
        | arguments::Command::CheckDesign { .. }
        | arguments::Command::Prepare
        | arguments::Command::Compress
        | arguments::Command::JoinLink(_)
        | arguments::Command::Sign { .. }
        | arguments::Command::Reference => None,
    }
}

/// Asks the running gateway and prints its answer.
pub(super) fn run(socket: &SocketSetting, asked: &Asked) -> ExitCode {
    match answer(socket, &asked.command) {
        Ok(answer) => told(&answer, asked),
        Err(why) => failed(&why),
    }
}

fn answer(socket: &SocketSetting, command: &control::Command) -> Result<Answer, Refused> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let places = socket.places(|name| env::var_os(name));
    runtime
        .block_on(control::ask(&places, command))
        .map_err(|error| error.to_string())
}

fn told(answer: &Answer, asked: &Asked) -> ExitCode {
    let member = |name| answer.member(name);
    let warnings = member("reload").and_then(|reload| reload.get("warnings"));
    for warning in texts(warnings.or_else(|| member("warnings"))) {
        eprintln!("warning: {warning}");
    }
    if !answer.is_done() {
        for problem in texts(member("problems")) {
            eprintln!("{problem}");
        }
        return failed(&member("error").and_then(Value::as_str).unwrap_or_default());
    }
    if let Some(reload) = member("reload") {
        for key in texts(reload.get("waiting_for_restart")) {
            println!("{key} waits for a restart");
        }
        let hash = reload.get("hash").map(shown).unwrap_or_default();
        println!("the configuration is taken up: {hash}");
    }
    if let Some(closed) = member("closed") {
        println!("{closed} WebSockets are closed");
    }
    match member("status") {
        Some(status) if asked.json => println!("{status}"),
        Some(Value::Object(rows)) => print!("{}", table(rows)),
        Some(_) | None => {}
    }
    if let Some(version) = answer.member("version").and_then(Value::as_str) {
        println!("version {version} has taken over");
    }
    ExitCode::SUCCESS
}

/// The texts in a JSON list; none if this is not a list.
fn texts(list: Option<&Value>) -> impl Iterator<Item = &str> {
    let list = list.and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str)
}

/// Formats rows for people: each has a name, and its value or the values below it.
fn table(rows: &Map<String, Value>) -> String {
    let widest = rows.keys().map(String::len).max().unwrap_or_default();
    let mut text = String::new();
    for (name, value) in rows {
        let mut name = name.as_str();
        for line in lines(value) {
            writeln!(text, "{name:widest$}  {line}").ok();
            name = "";
        }
    }
    text
}

fn lines(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) if members.is_empty() => vec!["none".to_owned()],
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| format!("{name} {}", shown(value)))
            .collect(),
        Value::Array(items) if items.is_empty() => vec!["none".to_owned()],
        Value::Array(items) => items.iter().map(shown).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => vec![shown(value)],
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Object(_) | Value::Array(_) => lines(value).join(", "),
    }
}

/// Answers on the control socket of this process, until this is dropped.
pub(super) struct Serving {
    _answering: AbortOnDropHandle<()>,
}

impl Serving {
    /// Opens the control socket and answers on it. `None` if the setting turns it off, or if the socket can't be
    /// opened; a gateway runs without one too.
    pub(super) async fn begin(setting: &SocketSetting, operator: impl Operator) -> Option<Self> {
        let path = setting.path(|name| env::var_os(name))?;
        match Socket::open(&path).await {
            Ok(socket) => {
                info!("Control socket: {}", path.display());
                let answering = tokio::spawn(async move { control::serve(&socket, operator).await });
                Some(Self {
                    _answering: AbortOnDropHandle::new(answering),
                })
            }
            // With `auto` the operator did not ask for this socket, and so this is no warning.
            Err(error) if *setting == SocketSetting::Auto => {
                info!("No control socket at {}: {error}", path.display());
                None
            }
            Err(error) => {
                warn!("No control socket at {}: {error}", path.display());
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_is_a_table_of_names_and_values() {
        let rows = json!({
            "version": "0.1.0",
            "listeners": { "https": "127.0.0.1:8443", "http": null },
            "tunnels": {},
            "rooms": { "room01": { "nats": 2, "livekit": 1 } },
            "restart": ["listen.https", "log.format"],
        });
        let Value::Object(rows) = rows else {
            panic!("an object")
        };
        assert_eq!(
            table(&rows),
            "version    0.1.0\n\
             listeners  https 127.0.0.1:8443\n\
             \u{20}          http none\n\
             tunnels    none\n\
             rooms      room01 nats 2, livekit 1\n\
             restart    listen.https\n\
             \u{20}          log.format\n"
        );
    }
}
