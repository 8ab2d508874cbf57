//! Secrets: written in the configuration, or in a file of their own.
//!
//! A variable wins over the file here too, so that `PNM_GATEWAY__PLUGNMEET__SECRET` replaces a `secret_file` of the file
//! and the other way round; two in one place are refused, as nobody could say which one signs.

use std::path::Path;

use super::{
    files,
    kind::shown,
    problem::Place,
    reader::{Reader, Taken},
};
use crate::{
    secret::Secret,
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
            Ok(secret) => (secret, file_key, FILE_ALLOWED),
            Err(why) => return Err(reader.refuse(file_key, format!("{} {why}", shown(&file)), FILE_ALLOWED)),
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
    let line = place.line.map_or_else(String::new, |line| format!(":{line}"));
    (secret.len() < TokenKeys::SHORT_SECRET_BYTES).then(|| {
        format!(
            "{}{line}: {key}: is only {} bytes long, and short secrets can be guessed; use {} random bytes or more",
            place.file,
            secret.len(),
            TokenKeys::SHORT_SECRET_BYTES
        )
    })
}

/// The file's text without the line end that editors leave behind it.
pub(super) fn of_file(file: &str) -> Result<String, String> {
    let bytes =
        files::read(Path::new(file), MAX_SECRET_BYTES).map_err(|error| format!("cannot be read: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}
