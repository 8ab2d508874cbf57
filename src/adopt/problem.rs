//! Why nothing is adopted.

use std::path::PathBuf;

/// Why nothing can be adopted.
#[derive(Debug, thiserror::Error)]
pub enum AdoptProblem {
    /// A file can't be read, or not understood: its name, and why.
    #[error("{0}: {1}")]
    Unreadable(String, String),
    /// A file lacks a value: its name, the key.
    #[error("{0}: {1} is missing")]
    Lacks(String, &'static str),
    /// Two files name different public hosts: what each says, with its origin.
    #[error("plugNmeet's own files disagree about its public name, so one of them is wrong: {}", .0.join("; "))]
    Disagree(Vec<String>),
    /// Somebody has edited this file.
    #[error("{0} was edited by hand and is left alone; with --force it is kept beside the new one")]
    Edited(PathBuf),
    /// This file of a secret is not what plugNmeet's file says.
    #[error(
        "{0} holds another secret than config.yaml and is left alone; with --force it is kept beside the new one"
    )]
    OtherSecret(PathBuf),
    /// The configuration that would be written is not sound.
    #[error("the configuration would not be sound: {0}")]
    Unsound(String),
}
