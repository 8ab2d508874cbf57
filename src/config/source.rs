//! The file as TOML, split into keys, each with its line.
//!
//! Text that is no TOML is told alone: what stands around it can't be judged.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::{
    kind::shown,
    problem::{Place, Problem, Problems},
};

/// A file less what has been taken.
pub(super) struct Source<'i> {
    pub(super) file: &'i str,
    text: &'i str,
    /// Keys outside of all sections, and whatever else is no table.
    pub(super) root: BTreeMap<String, Entry<'i>>,
    pub(super) sections: BTreeMap<String, Section<'i>>,
}

/// A key's value and the line of the key.
pub(super) struct Entry<'i> {
    pub(super) line: usize,
    pub(super) value: DeValue<'i>,
}

/// A section's keys and the line of its heading.
pub(super) struct Section<'i> {
    pub(super) line: usize,
    pub(super) keys: BTreeMap<String, Entry<'i>>,
}

impl<'i> Source<'i> {
    /// Reads TOML; its errors are all told.
    pub(super) fn new(text: &'i str, file: &'i str) -> Result<Self, Problems> {
        let (root, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            return Err(Problems(
                errors.iter().map(|error| not_toml(error, text, file)).collect(),
            ));
        }
        let mut source = Self {
            file,
            text,
            root: BTreeMap::new(),
            sections: BTreeMap::new(),
        };
        for (name, entry) in source.entries(root.into_inner()) {
            if let DeValue::Table(table) = entry.value {
                let (line, keys) = (entry.line, source.entries(table));
                source.sections.insert(name, Section { line, keys });
            } else {
                source.root.insert(name, entry);
            }
        }
        Ok(source)
    }

    fn entries(&self, table: DeTable<'i>) -> BTreeMap<String, Entry<'i>> {
        table
            .into_iter()
            .map(|(name, value)| {
                let line = self.line_at(name.span().start);
                let value = value.into_inner();
                (name.into_inner().into_owned(), Entry { line, value })
            })
            .collect()
    }

    /// What stands at a key, `SECTION.KEY` or `KEY`.
    pub(super) fn take(&mut self, key: &str) -> Option<Entry<'i>> {
        match key.split_once('.') {
            None => self.root.remove(key),
            Some((section, name)) => self.sections.get_mut(section)?.keys.remove(name),
        }
    }

    /// The line of a byte, from 1.
    pub(super) fn line_at(&self, offset: usize) -> usize {
        line_of(self.text, offset)
    }

    /// A place in this file.
    pub(super) fn place(&self, line: Option<usize>) -> Place {
        Place {
            file: self.file.to_owned(),
            line,
        }
    }
}

/// A value's text; a bare integer is one where `integers`.
pub(super) fn text_of(value: &DeValue<'_>, integers: bool) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(integer) if integers => Some(integer.to_string()),
        DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => None,
    }
}

/// A value as a problem shows it.
pub(super) fn shown_value(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => shown(text),
        DeValue::Integer(integer) => integer.to_string(),
        DeValue::Float(float) => float.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(datetime) => datetime.to_string(),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a table".into(),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
}

/// The parser's message names what it expected and shows nothing of the text; a key given twice is named here.
fn not_toml(error: &toml::de::Error, text: &str, file: &str) -> Problem {
    let span = error.span().unwrap_or_default();
    let place = Place {
        file: file.to_owned(),
        line: Some(line_of(text, span.start)),
    };
    if error.message() == "duplicate key" {
        let key = text.get(span).unwrap_or_default();
        return Problem::at(place, key, "is given twice", "write it once");
    }
    Problem::at(
        place,
        "",
        format!("no TOML: {}", error.message()),
        "write KEY = VALUE below [SECTION]",
    )
}
