//! `nats-server.conf`: the values of its blocks, each with its line.
//!
//! Known is the form of the official installer's file: `name {`, `name: {`, and `key: value`, `key = value` or `key value` on a
//! line of its own. What else stands there is passed over.

use super::yaml::Found;

/// A value, and the blocks around it.
struct Entry {
    path: String,
    value: String,
    line: usize,
}

pub(super) struct Nats {
    file: String,
    entries: Vec<Entry>,
}

impl Nats {
    pub(super) fn parse(text: &str, file: &str) -> Self {
        let mut entries = Vec::new();
        let mut blocks: Vec<&str> = Vec::new();
        for (nth, line) in text.lines().enumerate() {
            let line = line.split("//").next().unwrap_or_default();
            let line = line.split('#').next().unwrap_or_default().trim();
            let (key, value) = line
                .split_once(|char: char| matches!(char, ':' | '=' | '{') || char.is_whitespace())
                .unwrap_or((line, ""));
            let value = value.trim_matches(|char: char| matches!(char, ':' | '=') || char.is_whitespace());
            if line.ends_with('{') || line.ends_with('[') {
                blocks.push(key);
            } else if line.starts_with(['}', ']']) {
                blocks.pop();
            } else if !key.is_empty() && !value.is_empty() {
                let path = [&blocks[..], &[key]].concat().join(".");
                let value = value.trim_end_matches(',').trim_matches(['"', '\'']).to_owned();
                entries.push(Entry {
                    path,
                    value,
                    line: nth + 1,
                });
            }
        }
        Self {
            file: file.to_owned(),
            entries,
        }
    }

    pub(super) fn text(&self, path: &str) -> Option<Found<String>> {
        let entry = self.entries.iter().find(|entry| entry.path == path)?;
        Some(Found {
            value: entry.value.clone(),
            origin: format!("{}:{} {path}", self.file, entry.line),
        })
    }

    pub(super) fn number(&self, path: &str) -> Option<Found<u64>> {
        let found = self.text(path)?;
        let value = found.value.parse().ok()?;
        Some(found.map(|_| value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_within_their_blocks() {
        let text = include_str!("../../tests/support/official/nats-server.conf");
        let nats = Nats::parse(text, "nats-server.conf");
        assert_eq!(
            nats.number("websocket.port"),
            Some(Found {
                value: 8222,
                origin: "nats-server.conf:3 websocket.port".into()
            })
        );
        assert_eq!(nats.text("websocket.no_tls").unwrap().value, "true");
        assert_eq!(nats.number("authorization.timeout").unwrap().value, 5);
        assert_eq!(
            nats.text("authorization.auth_callout.account").unwrap().value,
            "PNM"
        );
        assert_eq!(nats.text("port"), None);
        let other = Nats::parse("port 4222 # all\nwebsocket: {\n port = 9000 }\n}", "n");
        assert_eq!(other.number("port").unwrap().value, 4222);
    }
}
