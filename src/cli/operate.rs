//! `status`, `reload`, `drain` and `upgrade` ask a running gateway over its control socket. This file also opens the
//! control socket of the gateway that runs in this process.

use std::{env, fmt::Write as _, path::PathBuf, process, time::Duration};

use serde_json::{Map, Value};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::{Refused, arguments, output::remark};
use crate::control::{self, Answer, NotOpen, Operator, Socket, SocketSetting};

/// A command for a running gateway, and how its answer is shown.
pub(super) struct Question {
    command: control::Command,
    json: bool,
}

/// The question to a running gateway that a command stands for; `None` if the command needs no running gateway.
pub(super) fn question(command: Option<&arguments::Command>) -> Option<Question> {
    match command? {
        arguments::Command::Status { json } => Some(Question {
            command: control::Command::Status,
            json: *json,
        }),
        arguments::Command::Upgrade => Some(Question {
            command: control::Command::Upgrade,
            json: false,
        }),
        arguments::Command::Reload => Some(Question {
            command: control::Command::Reload,
            json: false,
        }),
        arguments::Command::Drain { room } => Some(Question {
            command: control::Command::Drain { room: room.clone() },
            json: false,
        }),
        arguments::Command::Serve
        | arguments::Command::Check { .. }
        | arguments::Command::Adopt(_)
        | arguments::Command::Doctor(_)
        | arguments::Command::Swap(_)
        | arguments::Command::Config { .. }
        | arguments::Command::Explain { .. }
        | arguments::Command::Health { .. }
        | arguments::Command::CheckDesign { .. }
        | arguments::Command::Prepare
        | arguments::Command::Compress
        | arguments::Command::JoinLink(_)
        | arguments::Command::Sign { .. }
        | arguments::Command::Papers { .. }
        | arguments::Command::Reference => None,
    }
}

/// Asks the running gateway; returns what is to be said of its answer.
pub(super) fn run(socket: &SocketSetting, question: &Question) -> Result<String, Refused> {
    told(&answer(socket, &question.command)?, question)
}

fn answer(socket: &SocketSetting, command: &control::Command) -> Result<Answer, Refused> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let places = socket.places(|name| env::var_os(name));
    runtime
        .block_on(control::ask(&places, command))
        .map_err(|error| error.to_string())
}

fn told(answer: &Answer, question: &Question) -> Result<String, Refused> {
    let member = |name| answer.member(name);
    let warnings = member("reload").and_then(|reload| reload.get("warnings"));
    for warning in texts(warnings.or_else(|| member("warnings"))) {
        remark(format_args!("warning: {warning}"));
    }
    if !answer.is_done() {
        texts(member("problems")).for_each(remark);
        let error = member("error").and_then(Value::as_str);
        return Err(error.unwrap_or_default().to_owned());
    }
    let mut said = Vec::new();
    if let Some(reload) = member("reload") {
        said.extend(texts(reload.get("waiting_for_restart")).map(|key| format!("{key} waits for a restart")));
        let hash = reload.get("hash").map(shown).unwrap_or_default();
        said.push(format!("the configuration is taken up: {hash}"));
    }
    if let Some(closed) = member("closed") {
        said.push(format!("{closed} WebSockets are closed"));
    }
    match member("status") {
        Some(status) if question.json => said.push(status.to_string()),
        Some(Value::Object(rows)) => said.push(table(rows).trim_end().to_owned()),
        Some(_) | None => {}
    }
    if let Some(version) = member("version").and_then(Value::as_str) {
        said.push(format!("version {version} has taken over"));
    }
    Ok(said.join("\n"))
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

/// The most time for a gateway that stops to let go of its addresses.
const GIVES_WAY_WITHIN: Duration = Duration::from_secs(10);

/// Asks the gateway that has the place of this one's control socket for its addresses. Says whether it has let go.
pub(super) async fn ask_for_way(setting: &SocketSetting) -> bool {
    let Some(place) = setting.path(|name| env::var_os(name)) else {
        return false;
    };
    let places = [place];
    let asking = control::ask(&places, &control::Command::GiveWay);
    let gives_way = matches!(timeout(GIVES_WAY_WITHIN, asking).await, Ok(Ok(answer)) if answer.is_done());
    if gives_way {
        info!("A gateway that stops has given up its addresses");
    }
    gives_way
}

/// The control socket of this process, until this is dropped.
pub(super) struct Control<O> {
    operator: O,
    /// None: the setting says so, or the socket can't be had. A gateway runs without one too.
    serving: Option<Serving>,
}

struct Serving {
    place: PathBuf,
    answering: AbortOnDropHandle<()>,
}

impl<O: Operator> Control<O> {
    /// Where the setting says, and with the old ones that are left there.
    pub(super) async fn begin(setting: &SocketSetting, operator: O) -> Self {
        let mut control = Self {
            operator,
            serving: None,
        };
        let Some(place) = setting.path(|name| env::var_os(name)) else {
            return control;
        };
        let mut opened = Socket::open(&place).await;
        // Whoever stops has no need of the place.
        if matches!(opened, Err(NotOpen::InUse)) && ask_for_way(setting).await {
            opened = Socket::open(&place).await;
        }
        match opened {
            Ok(socket) => {
                info!("Control socket: {}", place.display());
                let operator = WithOld {
                    operator: control.operator.clone(),
                    place: place.clone(),
                };
                control.serving = Some(Serving::at(place, socket, operator));
            }
            // With `auto` the operator did not ask for this socket, and so this is no warning.
            Err(error) if *setting == SocketSetting::Auto => {
                info!("No control socket at {}: {error}", place.display());
            }
            Err(error) => {
                warn!("No control socket at {}: {error}", place.display());
            }
        }
        control
    }

    /// Leaves the place to another gateway, which asks this one beside it from now on.
    pub(super) async fn step_aside(&mut self) {
        let Some(Serving { place, answering }) = self.serving.take() else {
            return;
        };
        let aside = control::old_place(&place, process::id());
        if place != aside {
            match Socket::open(&aside).await {
                Ok(socket) => self.serving = Some(Serving::at(aside, socket, self.operator.clone())),
                Err(error) => warn!("No control socket at {}: {error}", aside.display()),
            }
        }
        answering.abort();
        answering.await.ok();
    }
}

impl Serving {
    fn at(place: PathBuf, socket: Socket, operator: impl Operator) -> Self {
        let answering = tokio::spawn(async move { control::serve(&socket, operator).await });
        Self {
            place,
            answering: AbortOnDropHandle::new(answering),
        }
    }
}

/// Asks the gateways, too, that have handed over or stop.
#[derive(Clone)]
struct WithOld<O> {
    operator: O,
    place: PathBuf,
}

impl<O: Operator> Operator for WithOld<O> {
    async fn act(&self, command: control::Command) -> Answer {
        let asks_all = match &command {
            control::Command::Status | control::Command::Drain { .. } => true,
            control::Command::Upgrade | control::Command::Reload | control::Command::GiveWay => false,
        };
        if !asks_all {
            return self.operator.act(command).await;
        }
        let (own, old) = tokio::join!(
            self.operator.act(command.clone()),
            control::ask_old(&self.place, &command)
        );
        together(own, &old)
    }
}

/// One answer of several: what old ones have left is a row of the status, and what they have closed is counted.
fn together(own: Answer, old: &[(u32, Answer)]) -> Answer {
    if let Some(Value::Object(rows)) = own.member("status") {
        let of_old = old.iter().filter_map(|(process, answer)| {
            let rows = answer.member("status")?.as_object()?;
            let rows = LEFT
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), rows.get(*name)?.clone())));
            Some((process.to_string(), Value::Object(rows.collect())))
        });
        let mut rows = rows.clone();
        rows.insert("old".to_owned(), Value::Object(of_old.collect()));
        return own.with("status", rows);
    }
    let closed = |answer: &Answer| {
        answer
            .member("closed")
            .and_then(Value::as_u64)
            .unwrap_or_default()
    };
    let by_old: u64 = old.iter().map(|(_, answer)| closed(answer)).sum();
    if by_old == 0 {
        return own;
    }
    Answer::done().with("closed", closed(&own) + by_old)
}

/// What is of interest of a gateway that takes nothing new.
const LEFT: [&str; 6] = [
    "version",
    "uptime_s",
    "connections",
    "requests",
    "tunnels",
    "rooms",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_old_ones_have_left_and_closed_is_told_with_the_rest() {
        let status = |rooms: Value| Answer::done().with("status", json!({ "process": 7, "rooms": rooms }));
        let all = together(
            status(json!({})),
            &[
                (4, status(json!({ "room01": { "people": 2 } }))),
                (5, Answer::refused("no")),
            ],
        );
        assert_eq!(
            all.member("status"),
            Some(
                &json!({ "process": 7, "rooms": {}, "old": { "4": { "rooms": { "room01": { "people": 2 } } } } })
            )
        );
        let none = Answer::refused("no open WebSocket is known to be of this room");
        let closed = |many: u64| Answer::done().with("closed", many);
        assert_eq!(together(none.clone(), &[(4, none.clone())]), none);
        assert_eq!(
            together(none.clone(), &[(4, closed(2)), (5, closed(1))]),
            closed(3)
        );
        assert_eq!(together(closed(1), &[(4, closed(2)), (5, none)]), closed(3));
    }

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
