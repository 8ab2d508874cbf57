//! Why nothing is adopted.

use std::{fmt, path::PathBuf};

use crate::official::Unreadable;

/// Why nothing can be adopted.
#[derive(Debug)]
pub enum AdoptProblem {
    /// A file can't be read, or not understood: its name, and why.
    Unreadable(String, String),
    /// A file lacks a value: its name, the key.
    Lacks(String, &'static str),
    /// Two files name different public hosts: what each says, with its origin.
    Disagree(Vec<String>),
    /// Somebody has edited this file.
    Edited(PathBuf),
    /// This file of a secret is not what plugNmeet's file says.
    OtherSecret(PathBuf),
    /// The configuration that would be written is not sound.
    Unsound(String),
}

impl fmt::Display for AdoptProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(file, why) => write!(f, "{file}: {why}"),
            Self::Lacks(file, key) => write!(f, "{file}: {key} is missing"),
            Self::Disagree(said) => write!(
                f,
                "plugNmeet's own files disagree about its public name, so one of them is wrong: {}",
                said.join("; ")
            ),
            Self::Edited(file) => write!(
                f,
                "{} was edited by hand and is left alone; with --force it is kept beside the new one",
                file.display()
            ),
            Self::OtherSecret(file) => write!(
                f,
                "{} holds another secret than config.yaml and is left alone; with --force it is kept beside the new one",
                file.display()
            ),
            Self::Unsound(why) => write!(f, "the configuration would not be sound: {why}"),
        }
    }
}

impl std::error::Error for AdoptProblem {}

impl From<Unreadable> for AdoptProblem {
    fn from(Unreadable { file, why }: Unreadable) -> Self {
        Self::Unreadable(file, why)
    }
}
