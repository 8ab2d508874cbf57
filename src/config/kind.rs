//! What a value may be: how its text is read, and what to write instead if it is refused.
//!
//! A kind judges the text only. `super::reader` knows where the text stands, and how a refusal is shown.

use std::{borrow::Cow, fmt::Write as _, path::PathBuf};

use super::words::Word;
use crate::control::SocketSetting;

/// How the text of a key is read.
pub(super) struct Kind<T> {
    /// What to write instead; it follows "…; " in a problem.
    pub(super) allowed: Cow<'static, str>,
    /// May the value be a TOML integer without quotes?
    pub(super) integers: bool,
    /// A regular expression for what the text looks like; some that it takes may be refused all the same.
    pub(super) pattern: Option<&'static str>,
    /// The only texts there are, if they are few.
    pub(super) words: Vec<&'static str>,
    pub(super) parse: fn(&str) -> Result<T, Refusal>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) why: Cow<'static, str>,
    /// What to write instead, if that is more precise than `Kind::allowed`.
    pub(super) allowed: Option<&'static str>,
}

impl Refusal {
    pub(super) const fn new(why: &'static str) -> Self {
        Self {
            why: Cow::Borrowed(why),
            allowed: None,
        }
    }

    pub(super) const fn write(mut self, allowed: &'static str) -> Self {
        self.allowed = Some(allowed);
        self
    }
}

impl<T> Kind<T> {
    pub(super) const fn new(allowed: &'static str, parse: fn(&str) -> Result<T, Refusal>) -> Self {
        Self {
            allowed: Cow::Borrowed(allowed),
            integers: false,
            pattern: None,
            words: Vec::new(),
            parse,
        }
    }

    /// What its texts look like, for editors.
    pub(super) const fn like(mut self, pattern: &'static str) -> Self {
        self.pattern = Some(pattern);
        self
    }

    /// Takes a bare integer as text too.
    pub(super) const fn or_integer(mut self) -> Self {
        self.integers = true;
        self
    }
}

/// A path of this machine. Whether something is there is checked elsewhere.
pub(super) const PATH: Kind<PathBuf> = Kind::new("write a path", |text| {
    if text.is_empty() {
        Err(Refusal::new("is no path"))
    } else {
        Ok(text.into())
    }
})
.like(".");

/// The value of `control.socket`.
pub(super) const CONTROL: Kind<SocketSetting> =
    Kind::new("write a path, \"auto\", or \"\" for none", |text| {
        Ok(match text {
            "auto" => SocketSetting::Auto,
            "" => SocketSetting::None,
            path => SocketSetting::At(path.into()),
        })
    });

/// A value that is one of the words of `W`.
pub(super) fn word<W: Word>() -> Kind<W> {
    let mut allowed = String::from("write ");
    for (nth, (word, _)) in W::WORDS.iter().enumerate() {
        let joint = match nth {
            0 => "",
            _ if nth + 1 == W::WORDS.len() => " or ",
            _ => ", ",
        };
        write!(allowed, "{joint}\"{word}\"").ok();
    }
    Kind {
        allowed: Cow::Owned(allowed),
        integers: false,
        pattern: None,
        words: W::WORDS.iter().map(|(word, _)| *word).collect(),
        parse: |text| {
            W::WORDS
                .iter()
                .find_map(|&(word, value)| (word == text).then_some(value))
                .ok_or(Refusal::new("is not known here"))
        },
    }
}

/// The largest number of characters of a value that a problem shows.
const SHOWN_CHARS: usize = 80;

/// A text as a problem shows it: in quotes, on one line, not endless, and without credentials before an `@`.
pub(super) fn shown(text: &str) -> String {
    let public = match text.rsplit_once('@') {
        Some((before, after)) => {
            let scheme = before.find("://").and_then(|at| before.get(..at + 3));
            Cow::Owned(format!("{}***@{after}", scheme.unwrap_or_default()))
        }
        None => Cow::Borrowed(text),
    };
    let mut start: String = public.chars().take(SHOWN_CHARS).collect();
    if start.len() < public.len() {
        start.push('…');
    }
    format!("{start:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_a_text_on_one_line_and_not_endlessly() {
        assert_eq!(shown("a\n\"b\"\u{202e}"), r#""a\n\"b\"\u{202e}""#);
        assert_eq!(shown(&"é".repeat(100)), format!("\"{}…\"", "é".repeat(80)));
    }

    #[test]
    fn shows_no_credentials_of_an_address() {
        assert_eq!(shown("http://ann:hunter2@127.0.0.1"), "\"http://***@127.0.0.1\"");
        assert_eq!(shown("ann:hunt@er2@127.0.0.1"), "\"***@127.0.0.1\"");
    }
}
