//! What is wrong with a configuration: where it stands, what was found, what is allowed.
//!
//! All problems are told at one start, one line each, in a form from which an editor can jump to the place:
//!
//! ```text
//! gateway.toml:31: limits.user: "0/min" would refuse every request; write 1/min or more
//! ```
//!
//! INVARIANT: a problem never holds a secret's value.

use std::{collections::BTreeMap, fmt};

/// The file and line of a value, or its variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's name as it was given, `environment: NAME`, or `built-in defaults`.
    pub file: String,
    /// The line in the file, from 1. None: the value is not from a file.
    pub line: Option<usize>,
}

/// What `Place::file` has before the name of a variable.
const ENVIRONMENT: &str = "environment: ";

impl Place {
    /// The place of a value from a variable.
    pub(super) fn of_variable(name: &str) -> Self {
        Self {
            file: format!("{ENVIRONMENT}{name}"),
            line: None,
        }
    }

    /// The name of the variable, if the value is from one.
    pub(super) fn variable(&self) -> Option<&str> {
        self.file.strip_prefix(ENVIRONMENT)
    }
}

/// The place of every key that has been read.
pub(super) type Places = BTreeMap<String, Place>;

/// One thing in the configuration that keeps the gateway from starting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file's name, or another source of the value, as in `Place::file`.
    pub file: String,
    /// The line in the file, from 1. None: the value is not from a file.
    pub line: Option<usize>,
    /// The key, such as `limits.user`; empty when the file as a whole is meant.
    pub key: String,
    /// What was found, and what is wrong with it.
    pub found: String,
    pub allowed: String,
}

impl Problem {
    pub fn at(
        place: Place,
        key: impl Into<String>,
        found: impl Into<String>,
        allowed: impl Into<String>,
    ) -> Self {
        Self {
            file: place.file,
            line: place.line,
            key: key.into(),
            found: found.into(),
            allowed: allowed.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}; {}", self.found, self.allowed)
    }
}

/// Everything that keeps the gateway from starting, in the order of the file; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct Problems(pub Vec<Problem>);

fn lines(problems: &[Problem]) -> String {
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    problems.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line_that_an_editor_can_jump_to() {
        let place = Place {
            file: "gateway.toml".into(),
            line: Some(31),
        };
        let found = "\"0/min\" would refuse every request";
        let problem = Problem::at(place, "limits.user", found, "write 1/min or more");
        assert_eq!(
            problem.to_string(),
            "gateway.toml:31: limits.user: \"0/min\" would refuse every request; write 1/min or more"
        );
    }

    #[test]
    fn a_problem_of_a_whole_file_has_no_line_and_no_key() {
        let place = Place {
            file: "gone.toml".into(),
            line: None,
        };
        let problem = Problem::at(place, "", "cannot be read", "name a readable file");
        assert_eq!(
            Problems(vec![problem.clone(), problem]).to_string(),
            "gone.toml: cannot be read; name a readable file\ngone.toml: cannot be read; name a readable file"
        );
    }
}
