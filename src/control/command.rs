//! What an operator can ask for, and the form of answers.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a running gateway is asked for: `{"command":"status"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    Status,
    /// Start the program anew, and hand over to it.
    Upgrade,
    /// Read the configuration again, and take it up.
    Reload,
    /// A gateway starts at the addresses of this one: let go of them, if this one stops.
    GiveWay,
    /// Close the WebSockets of one meeting room.
    Drain {
        room: String,
    },
}

impl Command {
    /// The command's name in the log, which has no room's id.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Upgrade => "upgrade",
            Self::Reload => "reload",
            Self::GiveWay => "give_way",
            Self::Drain { .. } => "drain",
        }
    }
}

/// An answer: one JSON object, which says first whether it was done.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer(Map<String, Value>);

impl Answer {
    pub fn done() -> Self {
        Self(Map::from_iter([("ok".to_owned(), true.into())]))
    }

    /// It was not done, and why.
    pub fn refused(error: impl fmt::Display) -> Self {
        Self(Map::from_iter([("ok".to_owned(), false.into())])).with("error", error.to_string())
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    pub fn is_done(&self) -> bool {
        self.member("ok").and_then(Value::as_bool) == Some(true)
    }

    /// A member of the answer.
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    pub(super) fn read(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok().map(Self)
    }

    pub(super) fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(&self.0).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_one_object_that_names_it() {
        for (command, line) in [
            (Command::Status, r#"{"command":"status"}"#),
            (Command::Reload, r#"{"command":"reload"}"#),
            (Command::GiveWay, r#"{"command":"give_way"}"#),
            (
                Command::Drain {
                    room: "room01".to_owned(),
                },
                r#"{"command":"drain","room":"room01"}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&command).unwrap(), line);
            assert_eq!(serde_json::from_str::<Command>(line).unwrap(), command);
        }
        for bad in [
            "",
            "status",
            "\"status\"",
            "{}",
            r#"{"command":"stop"}"#,
            r#"{"command":7}"#,
            r#"{"command":"drain"}"#,
            "[]",
        ] {
            assert!(serde_json::from_str::<Command>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_answer_says_first_whether_it_was_done() {
        let answer = Answer::refused("no").with("problems", vec!["a", "b"]);
        assert_eq!(
            answer.line(),
            b"{\"ok\":false,\"error\":\"no\",\"problems\":[\"a\",\"b\"]}\n"
        );
        assert!(!answer.is_done() && Answer::done().is_done());
        assert_eq!(Answer::read(&answer.line()), Some(answer));
    }
}
