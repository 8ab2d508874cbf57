//! `sign`: prints the two headers that make a body a signed request, for trying the API by hand.
//!
//! The bytes are signed as they are, including a line end at the end.
//!
//! Source: docs/plugnmeet.md section 1.

use std::path::Path;

use super::{Refused, keys, read_or_input};
use crate::{config::Config, token::TokenKeys};

pub(super) fn answer(config: &Config, file: Option<&Path>) -> Result<String, Refused> {
    let keys = keys::of(config)?;
    let body = read_or_input(file)?;
    Ok(headers(&keys, &body)
        .map(|(name, value)| format!("{name}: {value}"))
        .join("\n"))
}

/// The two headers of a signed request, with the names that plugnmeet-server reads.
pub(super) fn headers(keys: &TokenKeys, body: &[u8]) -> [(&'static str, String); 2] {
    [
        ("API-KEY", keys.api_key().to_owned()),
        ("HASH-SIGNATURE", keys.requests().signature(body)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(certs: &Path, secret: &str) -> Config {
        let text = format!(
            "[tls]\ncerts = '{}'\n[plugnmeet]\napi_key = 'key'\n{secret}",
            certs.display()
        );
        Config::parse(&text, "gateway.toml", &[]).unwrap()
    }

    #[test]
    fn signs_a_file_as_the_sdks_sign_a_body() {
        let folder = tempfile::tempdir().unwrap();
        let body = folder.path().join("body.json");
        std::fs::write(&body, "{}").unwrap();
        let config = config(folder.path(), "secret = 'zumyyYWqv7KR2kUqvYdq4z4sXg7XTBD2ljT6'");
        assert_eq!(
            answer(&config, Some(&body)).unwrap(),
            "API-KEY: key\nHASH-SIGNATURE: d2a7003d22b6b6f94519230776f45e19d2086b20d1711a8eae6b0ee24d51cfeb"
        );
    }

    #[test]
    fn makes_no_secret_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plugnmeet-secret");
        assert_eq!(
            answer(&config(folder.path(), ""), None),
            Err(format!(
                "{} is not there; start the gateway, which makes it, or write plugnmeet.secret",
                file.display()
            ))
        );
        assert!(!file.exists());
    }
}
