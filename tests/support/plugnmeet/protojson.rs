//! JSON as the server's decoder reads it (protojson, unknown fields thrown away), and the decoder's own words for what it
//! does not take: the answers quote them.
//!
//! Source: docs/plugnmeet.md section 2; protobuf-go 1.36, `encoding/protojson` and `internal/encoding/json`.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a decoder takes the tokens that may stand here, and refuses all others"
)]

use serde_json::{Map, Value};

/// What may stand in a field.
pub enum Kind {
    Text,
    Bool,
    Int,
    Texts,
    /// From text to text.
    Map,
    /// An enum: its names, from 0.
    Names(&'static [&'static str]),
    Message(&'static [Field]),
    /// A message whose fields are not looked at here.
    Any,
}

/// A field's name in the .proto, and its kind.
pub struct Field(pub &'static str, pub Kind);

/// The message, by the names of the .proto; fields that were not set, or `null`, are not there.
pub fn read(body: &[u8], fields: &[Field]) -> Result<Map<String, Value>, String> {
    let mut reader = Reader { text: body, at: 0 };
    let message = reader.message(fields)?;
    let rest = reader.token()?;
    match rest.kind {
        Token::End => Ok(message),
        _ => Err(reader.unexpected(&rest)),
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

struct Found {
    at: usize,
    end: usize,
    kind: Token,
}

#[derive(Clone, PartialEq)]
enum Token {
    End,
    Null,
    Bool(bool),
    Number,
    Text(String),
    /// `{`, `}`, `[`, `]`, `:` or `,`.
    Mark(u8),
}

impl Reader<'_> {
    fn token(&mut self) -> Result<Found, String> {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        let at = self.at;
        let rest = &self.text[at..];
        let (kind, length) = match rest.first() {
            None => (Token::End, 0),
            Some(mark @ (b'{' | b'}' | b'[' | b']' | b':' | b',')) => (Token::Mark(*mark), 1),
            Some(b'"') => self.string()?,
            Some(b'-' | b'0'..=b'9') => (Token::Number, self.number()?),
            Some(_) => [
                ("null", Token::Null),
                ("true", Token::Bool(true)),
                ("false", Token::Bool(false)),
            ]
            .into_iter()
            .find(|(word, _)| rest.starts_with(word.as_bytes()) && is_end(rest.get(word.len())))
            .map(|(word, kind)| (kind, word.len()))
            .ok_or_else(|| self.invalid())?,
        };
        self.at = at + length;
        Ok(Found {
            at,
            end: self.at,
            kind,
        })
    }

    fn peek(&mut self) -> Result<Found, String> {
        let before = self.at;
        let found = self.token();
        self.at = before;
        found
    }

    fn string(&self) -> Result<(Token, usize), String> {
        let rest = &self.text[self.at..];
        let mut end = 1;
        loop {
            match rest.get(end) {
                None => return Err(self.syntax(self.text.len(), "unexpected EOF")),
                Some(b'\\') => end += 2,
                Some(b'"') => break,
                Some(_) => end += 1,
            }
        }
        serde_json::from_slice(&rest[..=end])
            .map(|text| (Token::Text(text), end + 1))
            .map_err(|_| self.syntax(self.at, "invalid UTF-8 in string"))
    }

    fn number(&self) -> Result<usize, String> {
        let rest = &self.text[self.at..];
        let length = rest
            .iter()
            .take_while(|byte| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'))
            .count();
        let is_number = serde_json::from_slice::<serde_json::Number>(&rest[..length]).is_ok();
        if is_number && is_end(rest.get(length)) {
            Ok(length)
        } else {
            Err(self.invalid())
        }
    }

    fn message(&mut self, fields: &[Field]) -> Result<Map<String, Value>, String> {
        self.mark(b'{')?;
        let mut message = Map::new();
        let mut set = Vec::new();
        let mut first = true;
        while let Some((name, at)) = self.next_name(first)? {
            first = false;
            let known = fields
                .iter()
                .find(|field| name == field.0 || name == camel_case(field.0));
            let Some(Field(proto_name, kind)) = known else {
                self.any()?;
                continue;
            };
            if set.contains(proto_name) {
                return Err(self.error(at, &format!("duplicate field {name:?}")));
            }
            set.push(*proto_name);
            if self.peek()?.kind == Token::Null {
                self.token()?;
            } else if let Some(value) = self.value(proto_name, kind)? {
                message.insert((*proto_name).to_owned(), value);
            }
        }
        Ok(message)
    }

    /// `None` for an enum's name that nobody knows: it leaves the field unset.
    fn value(&mut self, name: &str, kind: &Kind) -> Result<Option<Value>, String> {
        let value = match kind {
            Kind::Message(fields) => Value::Object(self.message(fields)?),
            Kind::Any => {
                let token = self.peek()?;
                if token.kind != Token::Mark(b'{') {
                    return Err(self.unexpected(&token));
                }
                self.any()?
            }
            Kind::Texts => Value::Array(self.texts(name)?),
            Kind::Map => Value::Object(self.map(name)?),
            Kind::Text | Kind::Bool | Kind::Int | Kind::Names(_) => {
                let token = self.token()?;
                let raw = &self.text[token.at..token.end];
                match (kind, &token.kind) {
                    (_, Token::Mark(_) | Token::End) => return Err(self.unexpected(&token)),
                    (Kind::Text, Token::Text(text)) => text.clone().into(),
                    (Kind::Bool, Token::Bool(value)) => (*value).into(),
                    (Kind::Int | Kind::Names(_), Token::Number) if integer(raw).is_some() => {
                        integer(raw).into()
                    }
                    (Kind::Int, Token::Text(text)) if integer(text.as_bytes()).is_some() => {
                        integer(text.as_bytes()).into()
                    }
                    (Kind::Names(names), Token::Text(text)) => {
                        return Ok(names.iter().position(|known| known == text).map(Value::from));
                    }
                    _ => return Err(self.invalid_for(kind, name, &token)),
                }
            }
        };
        Ok(Some(value))
    }

    fn texts(&mut self, name: &str) -> Result<Vec<Value>, String> {
        self.mark(b'[')?;
        let mut texts = Vec::new();
        if self.peek()?.kind == Token::Mark(b']') {
            self.token()?;
            return Ok(texts);
        }
        loop {
            let token = self.token()?;
            match &token.kind {
                Token::Text(text) => texts.push(text.clone().into()),
                _ => return Err(self.invalid_for(&Kind::Text, name, &token)),
            }
            let next = self.token()?;
            match next.kind {
                Token::Mark(b',') => {}
                Token::Mark(b']') => return Ok(texts),
                _ => return Err(self.unexpected(&next)),
            }
        }
    }

    fn map(&mut self, name: &str) -> Result<Map<String, Value>, String> {
        self.mark(b'{')?;
        let mut map = Map::new();
        let mut first = true;
        while let Some((key, at)) = self.next_name(first)? {
            first = false;
            let token = self.token()?;
            let Token::Text(text) = &token.kind else {
                return Err(self.invalid_for(&Kind::Text, name, &token));
            };
            if map.insert(key.clone(), text.clone().into()).is_some() {
                return Err(self.error(at, &format!("duplicate map key {key:?}")));
            }
        }
        Ok(map)
    }

    /// The next name of an object and where it stands, with the `:` read; `None` at its end.
    fn next_name(&mut self, first: bool) -> Result<Option<(String, usize)>, String> {
        let mut token = self.token()?;
        match (&token.kind, first) {
            (Token::Mark(b'}'), _) => return Ok(None),
            (Token::Mark(b','), false) => token = self.token()?,
            (_, false) => return Err(self.unexpected(&token)),
            (_, true) => {}
        }
        let Token::Text(name) = &token.kind else {
            return Err(self.unexpected(&token));
        };
        self.mark(b':')?;
        Ok(Some((name.clone(), token.at)))
    }

    /// Whatever stands here.
    fn any(&mut self) -> Result<Value, String> {
        let token = self.token()?;
        let raw = &self.text[token.at..token.end];
        Ok(match &token.kind {
            Token::Mark(b'{') => {
                let mut object = Map::new();
                let mut first = true;
                while let Some((name, _)) = self.next_name(first)? {
                    first = false;
                    object.insert(name, self.any()?);
                }
                Value::Object(object)
            }
            Token::Mark(b'[') => {
                let mut list = Vec::new();
                if self.peek()?.kind == Token::Mark(b']') {
                    self.token()?;
                    return Ok(Value::Array(list));
                }
                loop {
                    list.push(self.any()?);
                    let next = self.token()?;
                    match next.kind {
                        Token::Mark(b',') => {}
                        Token::Mark(b']') => break Value::Array(list),
                        _ => return Err(self.unexpected(&next)),
                    }
                }
            }
            Token::Mark(_) | Token::End => return Err(self.unexpected(&token)),
            _ => serde_json::from_slice(raw).unwrap_or_default(),
        })
    }

    fn mark(&mut self, mark: u8) -> Result<(), String> {
        let token = self.token()?;
        if token.kind == Token::Mark(mark) {
            Ok(())
        } else {
            Err(self.unexpected(&token))
        }
    }

    fn unexpected(&self, token: &Found) -> String {
        let raw = String::from_utf8_lossy(&self.text[token.at..token.end]);
        self.syntax(token.at, &format!("unexpected token {raw}"))
    }

    /// The decoder quotes a word, or one character of what is none.
    fn invalid(&self) -> String {
        let rest = String::from_utf8_lossy(&self.text[self.at..]).into_owned();
        let word: String = rest
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || "-+._".contains(*c))
            .take(32)
            .collect();
        let quoted = if word.is_empty() {
            rest.chars().take(1).collect()
        } else {
            word
        };
        self.syntax(self.at, &format!("invalid value {quoted}"))
    }

    fn invalid_for(&self, kind: &Kind, name: &str, token: &Found) -> String {
        let kind = match kind {
            Kind::Bool => "bool",
            Kind::Int => "int64",
            Kind::Names(_) => "enum",
            _ => "string",
        };
        let raw = String::from_utf8_lossy(&self.text[token.at..token.end]);
        let name = camel_case(name);
        self.error(token.at, &format!("invalid value for {kind} field {name}: {raw}"))
    }

    fn syntax(&self, at: usize, what: &str) -> String {
        format!("proto: syntax error {}: {what}", self.place(at))
    }

    fn error(&self, at: usize, what: &str) -> String {
        format!("proto: {}: {what}", self.place(at))
    }

    fn place(&self, at: usize) -> String {
        let before = String::from_utf8_lossy(&self.text[..at]);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        format!("(line {line}:{column})")
    }
}

fn is_end(next: Option<&u8>) -> bool {
    next.is_none_or(|byte| !(byte.is_ascii_alphanumeric() || b"-+._".contains(byte)))
}

/// Numbers count as integers if they are: `1e3` is one.
fn integer(raw: &[u8]) -> Option<i64> {
    let value: f64 = std::str::from_utf8(raw).ok()?.parse().ok()?;
    let whole = value.fract() == 0.0 && value.abs() < 9e15;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
    whole.then_some(value as i64)
}

/// `user_id` is `userId` in JSON.
fn camel_case(name: &str) -> String {
    let mut pieces = name.split('_');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |mut name, piece| {
        let (head, tail) = piece.split_at(piece.len().min(1));
        name.push_str(&head.to_uppercase());
        name.push_str(tail);
        name
    })
}
