//! `--name value`, for all commands alike.

use std::{collections::HashMap, fmt::Display, str::FromStr, time::Duration};

use crate::Outcome;

/// What the command line says.
pub struct Options(HashMap<String, String>);

impl Options {
    /// Pairs of a name and a value.
    pub fn of(mut arguments: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut options = HashMap::new();
        while let Some(name) = arguments.next() {
            let name = name
                .strip_prefix("--")
                .ok_or(format!("{name}: not an option"))?
                .to_owned();
            let value = arguments.next().ok_or(format!("--{name}: no value"))?;
            options.insert(name, value);
        }
        Ok(Self(options))
    }

    /// A text that has to be there.
    pub fn text(&self, name: &str) -> Outcome<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .ok_or_else(|| format!("--{name} is missing").into())
    }

    /// A text that may be there.
    pub fn maybe(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A number that has to be there.
    pub fn number<T: FromStr<Err: Display>>(&self, name: &str) -> Outcome<T> {
        self.text(name)?
            .parse()
            .map_err(|error| format!("--{name}: {error}").into())
    }

    /// How long to go on.
    pub fn seconds(&self) -> Outcome<Duration> {
        Ok(Duration::from_secs_f64(self.number("seconds")?))
    }
}
