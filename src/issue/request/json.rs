//! A strict JSON reader. Its caller says which value must come next; an error says where another one was found.
//!
//! The reader accepts the same JSON as the server's decoder: strings hold valid Unicode, nothing but white space
//! follows the value, and keys may repeat within a value that is skipped.
//!
//! Not here: which fields there are (`super::message`), what a number is worth (`super::number`).
//!
//! Sources: RFC 8259; docs/plugnmeet.md section 2 for the limit on depth.

use std::borrow::Cow;
use std::str::FromStr;

use super::escape;
use super::number::Number;

/// The largest depth of objects and arrays, counting the message itself.
const MAX_DEPTH: usize = 10_000;

/// Why a body could not be read, and at which place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid JSON at byte {at}: {problem}")]
pub struct JsonError {
    /// The number of bytes before the place.
    pub at: usize,
    /// What is wrong at this place.
    pub problem: JsonProblem,
}

/// What is wrong with a body. Holds no part of the body, which may be long or private.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonProblem {
    /// This was expected, and something else was found.
    #[error("expected {0}")]
    Expected(&'static str),
    /// The number is not whole, or does not fit the field.
    #[error("the number is not whole or out of range")]
    NotInRange,
    /// A string has a raw control character.
    #[error("a string has a raw control character")]
    ControlCharacter,
    /// A string has an unknown escape, or half a surrogate pair.
    #[error("a string has an invalid escape")]
    BadEscape,
    #[error("a string is not UTF-8")]
    NotUtf8,
    /// Objects and arrays are nested too deeply.
    #[error("objects and arrays are nested too deep")]
    TooDeep,
    /// A field occurs twice, in one spelling or in both.
    #[error("field \"{0}\" is given twice")]
    FieldTwice(&'static str),
    /// A map has the same key twice.
    #[error("a map has the same key twice")]
    KeyTwice,
    /// Something follows the value.
    #[error("something follows the JSON value")]
    Trailing,
}

/// An object's key, and the position of its opening quote.
#[derive(Debug)]
pub(super) struct Key<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) at: usize,
}

/// A position in a text. Each method skips white space and then reads one thing.
#[derive(Debug)]
pub(in crate::issue) struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
        }
    }

    /// Reads an object. `member` is called behind each key and has to read or skip the value.
    pub(super) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Key<'a>) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.expect(b'{', "an object")?;
        self.depth += 1;
        if !self.take(b'}') {
            loop {
                let key = self.key()?;
                member(self, key)?;
                if self.take(b'}') {
                    break;
                }
                self.expect(b',', "a comma or the end of the object")?;
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Reads an array. `element` is called before each element and has to read it.
    pub(super) fn array(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.expect(b'[', "an array")?;
        self.depth += 1;
        if !self.take(b']') {
            loop {
                element(self)?;
                if self.take(b']') {
                    break;
                }
                self.expect(b',', "a comma or the end of the array")?;
            }
        }
        self.depth -= 1;
        Ok(())
    }

    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.expect(b'"', "a string")?;
        let mut text = Cow::Borrowed("");
        loop {
            let run = self.run()?;
            if text.is_empty() {
                text = Cow::Borrowed(run);
            } else {
                text.to_mut().push_str(run);
            }
            match self.rest() {
                [b'"', ..] => {
                    self.at += 1;
                    return Ok(text);
                }
                [b'\\', ..] => text.to_mut().push(self.escape()?),
                [] => return Err(self.problem(JsonProblem::Expected("the end of the string"))),
                _ => return Err(self.problem(JsonProblem::ControlCharacter)),
            }
        }
    }

    /// Reads `true` or `false`.
    pub(super) fn boolean(&mut self) -> Result<bool, JsonError> {
        match self.peek() {
            Some(b't') => self.word("true", "true or false").map(|()| true),
            _ => self.word("false", "true or false").map(|()| false),
        }
    }

    /// Reads a number that has to be whole.
    pub(super) fn integer<T: FromStr>(&mut self) -> Result<T, JsonError> {
        self.white_space();
        let out_of_range = self.problem(JsonProblem::NotInRange);
        self.number()?.integer().ok_or(out_of_range)
    }

    /// Reads a `null` if one is next. Returns whether there was one.
    pub(super) fn take_null(&mut self) -> Result<bool, JsonError> {
        match self.peek() {
            Some(b'n') => self.word("null", "a value").map(|()| true),
            _ => Ok(false),
        }
    }

    /// Skips a value of any kind. Uses no stack, however deep the value is.
    pub(super) fn skip(&mut self) -> Result<(), JsonError> {
        let mut closers = Vec::new();
        loop {
            match self.peek() {
                Some(b'{') => {
                    self.open(&mut closers, b'}')?;
                    if !self.take(b'}') {
                        self.key()?;
                        continue;
                    }
                    closers.pop();
                }
                Some(b'[') => {
                    self.open(&mut closers, b']')?;
                    if !self.take(b']') {
                        continue;
                    }
                    closers.pop();
                }
                Some(b'"') => drop(self.string()?),
                Some(b't' | b'f') => drop(self.boolean()?),
                Some(b'n') => drop(self.take_null()?),
                Some(b'-' | b'0'..=b'9') => drop(self.number()?),
                _ => return Err(self.problem(JsonProblem::Expected("a value"))),
            }
            // A value has ended, and with it maybe what it lies in.
            loop {
                match closers.last() {
                    None => return Ok(()),
                    Some(&closer) if self.take(closer) => drop(closers.pop()),
                    Some(&closer) => {
                        self.expect(b',', "a comma or the end of the object or array")?;
                        if closer == b'}' {
                            self.key()?;
                        }
                        break;
                    }
                }
            }
        }
    }

    /// Fails if anything but white space follows.
    pub(super) fn end(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.problem(JsonProblem::Trailing)),
        }
    }

    /// The next byte that is not white space.
    pub(super) fn peek(&mut self) -> Option<u8> {
        self.white_space();
        self.rest().first().copied()
    }

    /// An error at this position.
    pub(super) fn problem(&self, problem: JsonProblem) -> JsonError {
        JsonError { at: self.at, problem }
    }

    fn number(&mut self) -> Result<Number<'a>, JsonError> {
        self.white_space();
        let is_part = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let length = self.rest().iter().take_while(is_part).count();
        let number = self
            .rest()
            .get(..length)
            .and_then(|text| str::from_utf8(text).ok())
            .and_then(Number::in_document)
            .ok_or(self.problem(JsonProblem::Expected("a number")))?;
        self.at += length;
        Ok(number)
    }

    fn key(&mut self) -> Result<Key<'a>, JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.problem(JsonProblem::Expected("a key")));
        }
        let at = self.at;
        let text = self.string()?;
        self.expect(b':', "a colon")?;
        Ok(Key { text, at })
    }

    fn open(&mut self, closers: &mut Vec<u8>, closer: u8) -> Result<(), JsonError> {
        if self.depth + closers.len() == MAX_DEPTH {
            return Err(self.problem(JsonProblem::TooDeep));
        }
        self.at += 1;
        closers.push(closer);
        Ok(())
    }

    /// The characters up to the next quote, backslash or control character.
    fn run(&mut self) -> Result<&'a str, JsonError> {
        let rest = self.rest();
        let length = rest
            .iter()
            .position(|&byte| matches!(byte, b'"' | b'\\' | ..=0x1f))
            .unwrap_or(rest.len());
        let run = str::from_utf8(rest.get(..length).unwrap_or_default()).map_err(|error| JsonError {
            at: self.at + error.valid_up_to(),
            problem: JsonProblem::NotUtf8,
        })?;
        self.at += length;
        Ok(run)
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let (character, length) = escape::read(self.rest()).ok_or(self.problem(JsonProblem::BadEscape))?;
        self.at += length;
        Ok(character)
    }

    /// Reads a fixed word. What follows it is not checked here: nothing that may follow a value can make the word
    /// longer.
    fn word(&mut self, word: &str, what: &'static str) -> Result<(), JsonError> {
        self.white_space();
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(self.problem(JsonProblem::Expected(what)));
        }
        self.at += word.len();
        Ok(())
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), JsonError> {
        if self.take(byte) {
            Ok(())
        } else {
            Err(self.problem(JsonProblem::Expected(what)))
        }
    }

    fn white_space(&mut self) {
        let is_space = |byte: &&u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        self.at += self.rest().iter().take_while(is_space).count();
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }
}
