//! Every key as data: its name, its variable, its default, what it may be, and what it is for.
//!
//! The rows are those that the reader has asked for, so that no key is read and not documented. `docs/configuration.md` is
//! made of them (`super::reference`), and near names are looked up in them.

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
