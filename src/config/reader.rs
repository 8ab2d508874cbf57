//! Takes one key after another out of the file and the environment, and tells all that is wrong on the way.
//!
//! A variable `PNM_GATEWAY__SECTION__KEY` wins over the file. Whatever nobody has taken at the end is unknown, and is a
//! problem too (`super::unknown`).
//!
//! Not here: what a key may hold (`super::kind`), which keys there are (`super::sections`).

use std::collections::BTreeMap;

use toml::{Spanned, de::DeValue};

use super::{
    kind::{Kind, Refusal, shown},
    problem::{Place, Places, Problem, Problems},
    source::{Entry, Source, shown_value, text_of},
    unknown,
};

/// What a value of the configuration is worth: itself, or a problem that has been told already.
pub(super) type Taken<T> = Result<T, Told>;

/// The problem is in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told;

/// What all our variables begin with.
pub const PREFIX: &str = "PNM_GATEWAY__";

/// What stands in for a file when there is none.
pub(super) const NO_FILE: &str = "built-in defaults";

/// The file and the environment, less what has been taken.
pub(super) struct Reader<'i> {
    pub(super) source: Source<'i>,
    pub(super) variables: BTreeMap<String, String>,
    /// Every key that has been asked for.
    pub(super) known: Vec<&'static str>,
    places: Places,
    problems: Vec<Problem>,
}

/// A key's value as it was given.
pub(super) enum Given<'i> {
    File(DeValue<'i>),
    Variable(String),
}

impl<'i> Reader<'i> {
    pub(super) fn new(
        text: &'i str,
        file: &'i str,
        variables: &[(String, String)],
    ) -> Result<Self, Problems> {
        Ok(Self {
            source: Source::new(text, file)?,
            variables: variables.iter().cloned().collect(),
            known: Vec::new(),
            places: Places::new(),
            problems: Vec::new(),
        })
    }

    /// A text; without one, the default, which is written as it would be in the file.
    pub(super) fn text<T>(&mut self, key: &'static str, default: &str, kind: &Kind<T>) -> Taken<T> {
        self.judged(key, default, kind, kind.parse, "")
    }

    /// As `text`; empty for none.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        default: &str,
        kind: &Kind<T>,
    ) -> Taken<Option<T>> {
        let parse = |text: &str| (!text.is_empty()).then(|| (kind.parse)(text)).transpose();
        self.judged(key, default, kind, parse, ", or \"\" for none")
    }

    fn judged<T, U>(
        &mut self,
        key: &'static str,
        default: &str,
        kind: &Kind<T>,
        parse: impl Fn(&str) -> Result<U, Refusal>,
        or_else: &str,
    ) -> Taken<U> {
        let allowed = format!("{}{or_else}", kind.allowed);
        let text = match self.take(key) {
            None => default.to_owned(),
            Some(Given::Variable(text)) => text,
            Some(Given::File(value)) => match text_of(&value, kind.integers) {
                Some(text) => text,
                None => {
                    return Err(self.refuse(key, format!("{} is no string", shown_value(&value)), allowed));
                }
            },
        };
        parse(&text).map_err(|refusal| {
            let allowed = refusal.allowed.map_or(allowed, str::to_owned);
            self.refuse(key, format!("{} {}", shown(&text), refusal.why), allowed)
        })
    }

    /// A list of texts; in a variable a TOML array, or the texts with commas between them.
    pub(super) fn list<T>(&mut self, key: &'static str, default: &[&str], kind: &Kind<T>) -> Taken<Vec<T>> {
        let items = match self.take(key) {
            None => default.iter().map(|&text| (None, Ok(text.to_owned()))).collect(),
            Some(Given::File(value)) => self.items(key, &value)?,
            Some(Given::Variable(text)) if text.trim_start().starts_with('[') => {
                let Ok(value) = DeValue::parse(text.trim()) else {
                    let found = format!("{} is no TOML array", shown(&text));
                    return Err(self.refuse(
                        key,
                        found,
                        "write [\"…\", \"…\"], or texts with commas between them",
                    ));
                };
                let mut items = self.items(key, value.get_ref())?;
                for (line, _) in &mut items {
                    *line = None;
                }
                items
            }
            Some(Given::Variable(text)) if text.trim().is_empty() => Vec::new(),
            Some(Given::Variable(text)) => text
                .split(',')
                .map(|text| (None, Ok(text.trim().to_owned())))
                .collect(),
        };
        // Every item is judged, so that all that are wrong are told.
        let judged: Vec<Taken<T>> = items
            .into_iter()
            .map(|(line, text)| {
                let mut place = self.place(key);
                place.line = line.or(place.line);
                let text = text.map_err(|found| {
                    self.tell(Problem::at(
                        place.clone(),
                        key,
                        format!("{found} is no string"),
                        &*kind.allowed,
                    ))
                })?;
                (kind.parse)(&text).map_err(|refusal| {
                    let allowed = refusal.allowed.unwrap_or(&kind.allowed);
                    let found = format!("{} {}", shown(&text), refusal.why);
                    self.tell(Problem::at(place, key, found, allowed))
                })
            })
            .collect();
        judged.into_iter().collect()
    }

    fn items(&mut self, key: &'static str, value: &DeValue<'_>) -> Taken<Vec<Item>> {
        let DeValue::Array(array) = value else {
            let found = format!("{} is no list", shown_value(value));
            return Err(self.refuse(key, found, "write a list: [\"…\", \"…\"], or [] for none"));
        };
        Ok(array
            .iter()
            .map(|item| {
                let line = self.source.line_at(item.span().start);
                let text = text_of(item.get_ref(), false).ok_or_else(|| shown_value(item.get_ref()));
                (Some(line), text)
            })
            .collect())
    }

    /// Yes or no.
    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> Taken<bool> {
        self.flag_or(key, default, "write true or false")
    }

    /// As `flag`, where more can be said of what to write.
    pub(super) fn flag_or(&mut self, key: &'static str, default: bool, allowed: &str) -> Taken<bool> {
        let found = match self.take(key) {
            None => return Ok(default),
            Some(Given::File(DeValue::Boolean(flag))) => return Ok(flag),
            Some(Given::File(value)) => shown_value(&value),
            Some(Given::Variable(text)) => match text.as_str() {
                "true" => return Ok(true),
                "false" => return Ok(false),
                _ => shown(&text),
            },
        };
        Err(self.refuse(key, format!("{found} is neither true nor false"), allowed))
    }

    /// A text that no problem shows.
    pub(super) fn secret(&mut self, key: &'static str, allowed: &str) -> Taken<Option<String>> {
        match self.take(key) {
            None => Ok(None),
            Some(Given::Variable(text)) => Ok(Some(text)),
            Some(Given::File(DeValue::String(text))) => Ok(Some(text.into_owned())),
            Some(Given::File(value)) => {
                let found = format!("is no string but {}", value.type_str());
                Err(self.refuse(key, found, allowed))
            }
        }
    }

    /// Whatever stands at a key.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Given<'i>> {
        self.known.push(key);
        let entry = self.source.take(key);
        let name = variable(key);
        if let Some(text) = self.variables.remove(&name) {
            let place = Place {
                file: format!("environment: {name}"),
                line: None,
            };
            self.places.insert(key, place);
            return Some(Given::Variable(text));
        }
        let entry = entry?;
        self.places.insert(key, self.source.place(Some(entry.line)));
        Some(Given::File(entry.value))
    }

    /// The keys of a section whose names are the operator's own.
    pub(super) fn section(&mut self, name: &str) -> BTreeMap<String, Entry<'i>> {
        let section = self.source.sections.remove(name);
        section.map(|section| section.keys).unwrap_or_default()
    }

    /// Where the value of a key stands.
    pub(super) fn place(&self, key: &str) -> Place {
        let place = self.places.get(key).cloned();
        place.unwrap_or_else(|| self.source.place(None))
    }

    /// Is this key's value a variable's?
    pub(super) fn is_variable(&self, key: &str) -> bool {
        self.places.get(key).is_some_and(|place| place.line.is_none())
    }

    /// The line of a part of a value.
    pub(super) fn line_at<T>(&self, part: &Spanned<T>) -> usize {
        self.source.line_at(part.span().start)
    }

    /// Tells a problem of a key's value.
    pub(super) fn refuse(&mut self, key: &str, found: impl Into<String>, allowed: impl Into<String>) -> Told {
        self.tell(Problem::at(self.place(key), key, found, allowed))
    }

    /// Refuses a part of a table that stands under `key`: on its own line if it is in the file, as a variable has none.
    pub(super) fn refuse_part<T>(
        &mut self,
        key: &str,
        part: &Spanned<T>,
        in_file: bool,
        path: &str,
        found: &str,
        allowed: &str,
    ) -> Told {
        let mut place = self.place(key);
        if in_file {
            place.line = Some(self.line_at(part));
        }
        self.tell(Problem::at(place, path, found, allowed))
    }

    /// Tells a problem.
    pub(super) fn tell(&mut self, problem: Problem) -> Told {
        self.problems.push(problem);
        Told
    }

    /// The configuration and the places of its values; or all problems in the order of the file, then those of the
    /// environment.
    pub(super) fn finish<T>(mut self, config: Taken<T>) -> Result<(T, Places), Problems> {
        unknown::tell(&mut self);
        let file = self.source.file;
        self.problems
            .sort_by_key(|problem| (problem.file != file, problem.line));
        match config {
            Ok(config) if self.problems.is_empty() => Ok((config, self.places)),
            Ok(_) | Err(Told) => Err(Problems(self.problems)),
        }
    }
}

/// A list's item: its line in the file, and its text or, of what is none, how it is shown.
type Item = (Option<usize>, Result<String, String>);

/// The variable of a key.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase().replace('.', "__"))
}
