//! Every key as data: its name, variable, default, allowed values and purpose.
//!
//! The reader keeps a row for each key that it asks for, so that no key is read without documentation.
//! `docs/configuration.md` is made of the rows (`super::reference`), and they are searched for names near a misspelled
//! one.

use super::kind::Kind;

/// What all our variables begin with.
pub const PREFIX: &str = "PNM_GATEWAY__";

/// One key of the configuration.
#[derive(Clone, Debug)]
pub struct Row {
    /// The full name, such as `limits.user`.
    pub key: String,
    /// The name of the variable for the same key.
    pub variable: String,
    /// The default, as it would be written in the file. None: the key has no default, or is a table.
    pub default: Option<String>,
    /// What to write as the value.
    pub allowed: String,
    /// What the key is for. It is empty where another row says it.
    pub doc: &'static str,
    /// What its value is in the file.
    pub form: Form,
    /// Is a file without it refused?
    pub required: bool,
}

/// What a value is in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Whatever stands there: a table whose keys are rows too, or what no form describes.
    #[default]
    Any,
    Open,
    Text {
        /// May it be a bare integer?
        integers: bool,
        /// May it be empty, whatever it looks like else?
        optional: bool,
        /// A regular expression for what it looks like.
        pattern: Option<&'static str>,
        /// The only texts there are, if they are few.
        words: Vec<&'static str>,
    },
    /// A secret, which nothing shows.
    Secret,
    Flag,
    List(Box<Form>),
    /// One of these, or a list of them.
    Several(Box<Form>),
}

impl Form {
    pub(super) fn of<T>(kind: &Kind<T>, optional: bool) -> Self {
        Self::Text {
            integers: kind.integers,
            optional,
            pattern: kind.pattern,
            words: kind.words.clone(),
        }
    }
}

/// Keys that hold a list of tables. In the name of a variable each table has its number.
pub(super) const LISTS: [&str; 3] = ["callers", "passthrough", "tcp"];

impl Row {
    /// Adds a row, if there is none for the key yet.
    pub(super) fn keep(
        rows: &mut Vec<Self>,
        key: &str,
        default: Option<String>,
        allowed: &str,
        doc: &'static str,
    ) {
        if rows.iter().all(|row| row.key != key) {
            rows.push(Self {
                key: key.to_owned(),
                variable: variable(key),
                default,
                allowed: allowed.strip_prefix("write ").unwrap_or(allowed).to_owned(),
                doc,
                form: Form::default(),
                required: false,
            });
        }
    }
}

/// The name of the variable for a key.
fn variable(key: &str) -> String {
    let mut name = key.to_ascii_uppercase().replace(['.', '-'], "__");
    if key.contains('-') {
        // The key is a directive of the content security policy, which is one word in the variable's name.
        let (table, directive) = key.rsplit_once('.').unwrap_or(("", key));
        name = format!(
            "{}__{}",
            table.to_ascii_uppercase().replace('.', "__"),
            directive.to_ascii_uppercase().replace('-', "_")
        );
    }
    for list in LISTS {
        let list = list.to_ascii_uppercase();
        if let Some(rest) = name.strip_prefix(&format!("{list}__")) {
            name = format!("{list}__0__{rest}");
        }
    }
    format!("{PREFIX}{name}")
}
