//! nats-server.conf: maps in braces, lists in brackets, `key: value`, `key = value` or `key value`, comments from `#` or `//`.
//!
//! Not understood: variables and `include`, which the official file has not; a value that is one is a text like any other.
//!
//! Source: docs.nats.io, "Configuration", "Syntax".

use super::{Found, Unreadable};

/// Maps in maps: the official file has five.
const MAX_DEPTH: usize = 32;

pub struct NatsConf {
    file: String,
    root: Vec<Member>,
}

struct Member {
    key: String,
    line: usize,
    value: Value,
}

enum Value {
    Text(String),
    List(Vec<(usize, Value)>),
    Map(Vec<Member>),
}

impl NatsConf {
    /// A file of which nothing is known.
    pub fn empty(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            root: Vec::new(),
        }
    }

    pub fn parse(text: &str, file: &str) -> Result<Self, Unreadable> {
        let mut reader = Reader {
            tokens: tokens(text),
            at: 0,
        };
        let root = reader.members(0).ok().filter(|_| reader.peek().is_none());
        let root = root.ok_or_else(|| Unreadable {
            file: file.to_owned(),
            why: format!("line {}: is not what nats-server reads", reader.line()),
        })?;
        Ok(Self {
            file: file.to_owned(),
            root,
        })
    }

    /// A text that is not empty.
    pub fn text(&self, path: &[&str]) -> Option<Found<String>> {
        let member = self.member(path)?;
        match &member.value {
            Value::Text(text) if !text.is_empty() => Some(self.found(member.line, path, text.clone())),
            Value::Text(_) | Value::List(_) | Value::Map(_) => None,
        }
    }

    pub fn number(&self, path: &[&str]) -> Option<Found<u64>> {
        let found = self.text(path)?;
        let value = found.value.parse().ok()?;
        Some(found.map(|_| value))
    }

    /// The texts of a list; in a list of maps those of this key.
    pub fn texts(&self, path: &[&str], key: &str) -> Vec<Found<String>> {
        let Some(Value::List(items)) = self.member(path).map(|member| &member.value) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for (line, item) in items {
            match item {
                Value::Text(text) => found.push(self.found(*line, path, text.clone())),
                Value::Map(members) => {
                    for member in members.iter().filter(|member| member.key == key) {
                        if let Value::Text(text) = &member.value {
                            found.push(self.found(member.line, path, text.clone()));
                        }
                    }
                }
                Value::List(_) => {}
            }
        }
        found
    }

    pub fn has(&self, path: &[&str]) -> bool {
        self.member(path).is_some()
    }

    /// Where something stands, or would stand.
    pub fn place(&self, path: &[&str]) -> String {
        match self.member(path) {
            Some(member) => self.found(member.line, path, ()).origin,
            None => format!("{} {}", self.file, path.join(".")),
        }
    }

    fn member(&self, path: &[&str]) -> Option<&Member> {
        let (first, rest) = path.split_first()?;
        // Of a key that is written twice the last one counts.
        let mut member = self.root.iter().rev().find(|member| member.key == *first)?;
        for name in rest {
            let Value::Map(members) = &member.value else {
                return None;
            };
            member = members.iter().rev().find(|member| member.key == *name)?;
        }
        Some(member)
    }

    fn found<T>(&self, line: usize, path: &[&str], value: T) -> Found<T> {
        Found {
            value,
            origin: format!("{}:{line} {}", self.file, path.join(".")),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    /// One of `{ } [ ]`; separators that mean nothing (`:`, `=`, `,`, `;`) are left out.
    Mark(char),
}

fn tokens(text: &str) -> Vec<(usize, Token)> {
    let mut found = Vec::new();
    let (mut line, mut chars) = (1, text.chars().peekable());
    // A colon ends a key; inside of a value, such as an address, it does not.
    let (mut open, mut value_next) = (Vec::new(), false);
    while let Some(&char) = chars.peek() {
        match char {
            '\n' => {
                line += 1;
                value_next = false;
                chars.next();
            }
            '#' => while chars.next_if(|char| *char != '\n').is_some() {},
            '{' | '}' | '[' | ']' => {
                if matches!(char, '{' | '[') {
                    open.push(char);
                } else {
                    open.pop();
                }
                found.push((line, Token::Mark(char)));
                value_next = false;
                chars.next();
            }
            '"' | '\'' => {
                chars.next();
                let mut word = String::new();
                let began = line;
                while let Some(inside) = chars.next_if(|inside| *inside != char) {
                    line += usize::from(inside == '\n');
                    word.push(inside);
                }
                chars.next();
                found.push((began, Token::Word(word)));
                value_next = !value_next;
            }
            ',' | ';' => {
                value_next = false;
                chars.next();
            }
            ':' | '=' => drop(chars.next()),
            char if char.is_whitespace() => drop(chars.next()),
            _ => {
                let is_key = !value_next && open.last() != Some(&'[');
                let ends = |next: char| {
                    next.is_whitespace() || "{}[],;".contains(next) || (is_key && ":=".contains(next))
                };
                let mut word = String::new();
                while let Some(next) = chars.next_if(|next| !ends(*next)) {
                    word.push(next);
                }
                if word.starts_with("//") {
                    while chars.next_if(|char| *char != '\n').is_some() {}
                } else {
                    found.push((line, Token::Word(word)));
                    value_next = !value_next;
                }
            }
        }
    }
    found
}

struct Reader {
    tokens: Vec<(usize, Token)>,
    at: usize,
}

struct Broken;

impl Reader {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn next(&mut self) -> Option<(usize, Token)> {
        let next = self.tokens.get(self.at).cloned();
        self.at += usize::from(next.is_some());
        next
    }

    fn line(&self) -> usize {
        let at = self.at.min(self.tokens.len().saturating_sub(1));
        self.tokens.get(at).map_or(1, |(line, _)| *line)
    }

    fn members(&mut self, depth: usize) -> Result<Vec<Member>, Broken> {
        let mut members = Vec::new();
        while let Some(Token::Word(_)) = self.peek() {
            let Some((line, Token::Word(key))) = self.next() else {
                return Err(Broken);
            };
            members.push(Member {
                key,
                line,
                value: self.value(depth)?,
            });
        }
        Ok(members)
    }

    fn value(&mut self, depth: usize) -> Result<Value, Broken> {
        if depth > MAX_DEPTH {
            return Err(Broken);
        }
        match self.next().ok_or(Broken)?.1 {
            Token::Word(word) => Ok(Value::Text(word)),
            Token::Mark('{') => {
                let members = self.members(depth + 1)?;
                self.closing('}')?;
                Ok(Value::Map(members))
            }
            Token::Mark('[') => {
                let mut items = Vec::new();
                while self.peek() != Some(&Token::Mark(']')) {
                    let line = self.line();
                    items.push((line, self.value(depth + 1)?));
                }
                self.closing(']')?;
                Ok(Value::List(items))
            }
            Token::Mark(_) => Err(Broken),
        }
    }

    fn closing(&mut self, mark: char) -> Result<(), Broken> {
        match self.next() {
            Some((_, token)) if token == Token::Mark(mark) => Ok(()),
            Some(_) | None => Err(Broken),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONF: &str = "websocket {\n    port: 8222 # for clients\n    no_tls: true\n}\njetstream: {\n store_dir: /data/js\n}\n\
        accounts {\n PNM: { jetstream: enabled\n users: [\n { nkey: UABC, permissions: x }\n ] }\n}\nlisten: 127.0.0.1:4222\n\
        cluster { routes [ nats://a:6222, nats://b:6222 ] }\n\
        authorization { timeout = 5, auth_callout { issuer: \"AXYZ\"; auth_users: [ UABC, 'UDEF' ] } } // end\n";

    #[test]
    fn values_have_their_lines() {
        let conf = NatsConf::parse(CONF, "nats.conf").unwrap();
        let text = |path: &[&str]| conf.text(path).map(|found| (found.value, found.origin));
        assert_eq!(
            text(&["websocket", "port"]),
            Some(("8222".into(), "nats.conf:2 websocket.port".into()))
        );
        assert_eq!(text(&["jetstream", "store_dir"]).unwrap().0, "/data/js");
        assert_eq!(text(&["listen"]).unwrap().0, "127.0.0.1:4222");
        assert_eq!(text(&["authorization", "timeout"]).unwrap().0, "5");
        assert_eq!(
            text(&["authorization", "auth_callout", "issuer"]).unwrap().0,
            "AXYZ"
        );
        let values = |found: Vec<Found<String>>| -> Vec<String> {
            found.into_iter().map(|found| found.value).collect()
        };
        assert_eq!(
            values(conf.texts(&["authorization", "auth_callout", "auth_users"], "")),
            ["UABC", "UDEF"]
        );
        assert_eq!(
            values(conf.texts(&["accounts", "PNM", "users"], "nkey")),
            ["UABC"]
        );
        assert_eq!(conf.place(&["accounts", "PNM"]), "nats.conf:9 accounts.PNM");
        assert_eq!(conf.place(&["accounts", "OTHER"]), "nats.conf accounts.OTHER");
        assert!(conf.has(&["accounts", "PNM"]) && !conf.has(&["accounts", "OTHER"]));
    }

    #[test]
    fn what_is_not_closed_is_told() {
        for broken in ["a {", "a [ b", "}", "a { b: [ } ]", &"a {".repeat(1000)] {
            let error = NatsConf::parse(broken, "n").map(|_| ()).unwrap_err();
            assert!(error.to_string().contains("is not what nats-server reads"));
        }
    }
}
