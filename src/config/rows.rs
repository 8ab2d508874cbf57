//! Every key as data: its name, its variable, its default, what it may be, and what it is for.
//!
//! The rows are those that the reader has asked for, so that no key is read and not documented. `docs/configuration.md` is
//! made of them (`super::reference`), and near names are looked up in them.

use super::kind::Kind;

/// What all our variables begin with.
pub const PREFIX: &str = "PNM_GATEWAY__";

/// A key of the configuration.
#[derive(Clone, Debug)]
pub struct Row {
    /// Such as `limits.user`.
    pub key: String,
    /// The variable that is the same.
    pub variable: String,
    /// As it would be written in the file; none where there is no default, or the key is a table.
    pub default: Option<String>,
    /// What to write.
    pub allowed: String,
    /// What it is for; empty where another row says it.
    pub doc: &'static str,
    /// What its value is in the file.
    pub form: Form,
    /// Has it to be there?
    pub required: bool,
}

/// What a value is in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Whatever stands there: a table whose keys are rows too, or what no form describes.
    #[default]
    Any,
    /// A table of any keys.
    Open,
    /// A text.
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
    /// A list of these.
    List(Box<Form>),
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

/// Tables of which there are many: in the environment each has its number.
pub(super) const LISTS: [&str; 3] = ["callers", "passthrough", "tcp"];

impl Row {
    /// Keeps a row, once for each key.
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

/// The variable of a key.
fn variable(key: &str) -> String {
    let mut name = key.to_ascii_uppercase().replace(['.', '-'], "__");
    if key.contains('-') {
        // A directive of the policy: one word of the name.
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
