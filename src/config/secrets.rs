//! Secrets: written in the configuration, or in a file of their own.
//!
//! A variable wins over the file here too, so that `PNM_GATEWAY__PLUGNMEET__SECRET` replaces a `secret_file` of the file
//! and the other way round; two in one place are refused, as nobody could say which one signs.

use std::path::Path;

use super::{
    kind::shown,
    problem::Place,
    reader::{Reader, Taken},
};
use crate::{
    secret::{self, Secret, SecretFileError},
    token::{KeyProblem, TokenKeys},
};

/// Far more than any secret.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

const ALLOWED: &str = "write the server's client_info.secret";

const FILE_ALLOWED: &str = "name a readable file that holds the server's client_info.secret";

/// `plugnmeet.secret` or the content of `plugnmeet.secret_file`; a short one is warned about.
pub(super) fn plugnmeet(
    reader: &mut Reader<'_>,
    warnings: &mut Vec<String>,
) -> Taken<Option<Secret<String>>> {
    let (key, file_key) = ("plugnmeet.secret", "plugnmeet.secret_file");
    let written = reader.secret(key, ALLOWED);
    let file = reader.secret(file_key, FILE_ALLOWED);
    let (written, file) = (written?, file?);
    let (secret, key, allowed) = match (written, file) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) if reader.is_variable(key) == reader.is_variable(file_key) => {
            return Err(reader.refuse(
                file_key,
                "is given beside plugnmeet.secret",
                "write one of the two",
            ));
        }
        (Some(secret), None) => (secret, key, ALLOWED),
        (Some(secret), Some(_)) if reader.is_variable(key) => (secret, key, ALLOWED),
        (_, Some(file)) => match of_file(&file) {
            Ok(found) => {
                let place = reader.place(file_key);
                warnings.extend(found.exposed.map(|what| warning(&place, file_key, &what)));
                (found.secret, file_key, FILE_ALLOWED)
            }
            Err(why) => {
                return Err(reader.refuse(file_key, why.found, why.allowed.unwrap_or(FILE_ALLOWED)));
            }
        },
    };
    if secret.trim().is_empty() {
        return Err(reader.refuse(key, KeyProblem::EmptySecret.to_string(), allowed));
    }
    warnings.extend(short(&reader.place(key), key, &secret));
    Ok(Some(Secret::new(secret)))
}

/// What to say of a secret that can be guessed.
pub(super) fn short(place: &Place, key: &str, secret: &str) -> Option<String> {
    (secret.len() < TokenKeys::SHORT_SECRET_BYTES).then(|| {
        let what = format!(
            "is only {} bytes long, and short secrets can be guessed; use {} random bytes or more",
            secret.len(),
            TokenKeys::SHORT_SECRET_BYTES
        );
        warning(place, key, &what)
    })
}

/// What stands in a file, and what to say of who may read it.
pub(super) struct FromFile {
    pub(super) secret: String,
    /// With the file's name: what could be read is a file.
    pub(super) exposed: Option<String>,
}

/// Why there is no secret in a file, and what to do about it.
pub(super) struct NoSecret {
    pub(super) found: String,
    pub(super) allowed: Option<&'static str>,
}

/// SECURITY: a problem shows the name only where there is such a file. Else it may be the secret itself, written at the
/// wrong key.
pub(super) fn of_file(file: &str) -> Result<FromFile, NoSecret> {
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
    Ok(FromFile {
        secret: secret::trimmed(&text).to_owned(),
        exposed: read.exposed.map(|exposed| format!("{} {exposed}", shown(file))),
    })
}

/// A warning at a place.
pub(super) fn warning(place: &Place, key: &str, what: &str) -> String {
    let line = place.line.map_or_else(String::new, |line| format!(":{line}"));
    format!("{}{line}: {key}: {what}", place.file)
}
