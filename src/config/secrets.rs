//! Secrets: written in the configuration, or in a file that the configuration names.
//!
//! A secret stands at a key, or in a file that `KEY_file` names. A variable wins over the configuration file here too:
//! `PNM_GATEWAY__PLUGNMEET__SECRET` replaces a `secret_file` in the file, and the other way round. Both keys in one
//! place are refused, as nobody could say which one signs.

use std::path::Path;

use super::{
    kind::{PATH, shown},
    problem::Place,
    reader::{Table, Taken, Told},
    rows::Form,
    tree::Node,
};
use crate::{
    secret::{self, Secret, SecretFileError},
    token::{KeyProblem, TokenKeys},
};

/// The largest file of a secret that is read, in bytes. No secret has as many.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// What to write for a secret, as problems say it.
pub(super) struct SecretKind {
    /// What to write at the key of the secret itself.
    pub(super) allowed: &'static str,
    /// What to write at the key of its file.
    pub(super) file_allowed: &'static str,
}

/// A secret as it was given.
pub(super) struct Given {
    pub(super) text: String,
    /// The key at which the secret or the name of its file stands, and the place of that key.
    name: String,
    place: Place,
    allowed: &'static str,
}

impl Given {
    /// Adds a problem with the secret, at its key.
    pub(super) fn refuse(&self, table: &Table<'_>, found: String) -> Told {
        table.refuse(&self.place, &self.name, found, self.allowed)
    }
}

/// Reads a secret that signs. An empty one is refused, and a short one is warned about. None: there is none.
pub(super) fn signing(
    table: &mut Table<'_>,
    name: &str,
    kind: &SecretKind,
    doc: &'static str,
) -> Taken<Option<Secret<String>>> {
    let Some(given) = read(table, name, kind, doc)? else {
        return Ok(None);
    };
    if given.text.trim().is_empty() {
        return Err(given.refuse(table, KeyProblem::EmptySecret.to_string()));
    }
    let short = short(&given.place, &table.key(&given.name), &given.text);
    if let Some(warning) = short {
        table.found.warn(warning);
    }
    Ok(Some(Secret::new(given.text)))
}

/// Reads the secret at a key, or in the file at `KEY_file`. A variable wins over the configuration file; both keys in
/// one place are refused. None: there is neither.
pub(super) fn read(
    table: &mut Table<'_>,
    name: &str,
    kind: &SecretKind,
    doc: &'static str,
) -> Taken<Option<Given>> {
    let file_name = format!("{name}_file");
    let node = table.take_secret(name, kind.allowed, doc);
    let written = bare(table, name, kind.allowed, node);
    let node = table.take(&file_name, None, kind.file_allowed, FILE_DOC);
    table
        .found
        .describe(&table.key(&file_name), |row| row.form = Form::of(&PATH, false));
    let file = bare(table, &file_name, kind.file_allowed, node);
    let is_variable = |given: &Given| given.place.variable().is_some();
    match (written?, file?) {
        (given, None) => Ok(given),
        (Some(given), Some(file)) if is_variable(&given) == is_variable(&file) => {
            let found = format!("is given beside {}", table.key(name));
            Err(table.refuse(&file.place, &file_name, found, "write one of the two"))
        }
        (Some(given), Some(_)) if is_variable(&given) => Ok(Some(given)),
        (Some(_) | None, Some(file)) => of_file_at(table, file).map(Some),
    }
}

const FILE_DOC: &str = "The same, as the name of a file that holds it. A BOM, and blanks and line ends at its end, are cut off. A \
    file that others may write, or that belongs to another user, is refused; one that others may read is warned about.";

fn bare(table: &Table<'_>, name: &str, allowed: &'static str, node: Option<Node>) -> Taken<Option<Given>> {
    let Some(node) = node else {
        return Ok(None);
    };
    let Some(text) = node.value.text(false) else {
        let found = format!("is no string but {}", node.value.type_name());
        return Err(table.refuse(&node.place, name, found, allowed));
    };
    Ok(Some(Given {
        text: text.to_owned(),
        name: name.to_owned(),
        place: node.place,
        allowed,
    }))
}

fn of_file_at(table: &Table<'_>, given: Given) -> Taken<Given> {
    let found = of_file(&given.text).map_err(|why| {
        let allowed = why.allowed.unwrap_or(given.allowed);
        table.refuse(&given.place, &given.name, why.found, allowed)
    })?;
    if let Some(exposed) = found.exposed {
        table
            .found
            .warn(warning(&given.place, &table.key(&given.name), &exposed));
    }
    Ok(Given {
        text: found.secret,
        ..given
    })
}

/// The warning about a secret that is so short that it can be guessed. None: it is long enough.
fn short(place: &Place, key: &str, secret: &str) -> Option<String> {
    (secret.len() < TokenKeys::SHORT_SECRET_BYTES).then(|| {
        let what = format!(
            "is only {} bytes long, and short secrets can be guessed; use {} random bytes or more",
            secret.len(),
            TokenKeys::SHORT_SECRET_BYTES
        );
        warning(place, key, &what)
    })
}

/// The secret in a file, and what is unwise about the file.
struct FromFile {
    secret: String,
    /// Who else may read the file, with the file's name. The name may be shown: as the file could be read, the name is
    /// no secret at a wrong key.
    exposed: Option<String>,
}

/// Why a file gives no secret, and what to do about it.
struct NoSecret {
    found: String,
    allowed: Option<&'static str>,
}

/// SECURITY: a problem shows the name only where there is such a file. Else it may be the secret itself, written at the
/// wrong key.
fn of_file(file: &str) -> Result<FromFile, NoSecret> {
    let read = secret::read_file(Path::new(file), MAX_SECRET_BYTES).map_err(|error| NoSecret {
        found: match &error {
            SecretFileError::Unreadable(_) => format!("names a file that {error}"),
            SecretFileError::Writable(_) | SecretFileError::Strangers(_) => {
                format!("{} {error}", shown(file))
            }
        },
        allowed: error.advice(),
    })?;
    let text = String::from_utf8(read.bytes).map_err(|_| NoSecret {
        found: format!("{} is not UTF-8", shown(file)),
        allowed: None,
    })?;
    let secret = secret::trimmed(&text);
    // Of a secret with a note behind it, or of two, no program would take the same.
    if secret.contains(['\r', '\n']) {
        return Err(NoSecret {
            found: format!("{} has several lines", shown(file)),
            allowed: Some("leave the secret alone in it"),
        });
    }
    Ok(FromFile {
        secret: secret.to_owned(),
        exposed: read.exposed.map(|exposed| format!("{} {exposed}", shown(file))),
    })
}

/// The text of a warning about a key's value.
pub(super) fn warning(place: &Place, key: &str, what: &str) -> String {
    let line = place.line.map_or_else(String::new, |line| format!(":{line}"));
    format!("{}{line}: {key}: {what}", place.file)
}
