//! The keys that sign tokens and requests. Their secret is in the configuration, or is made at the first start.

use std::{io, path::PathBuf, sync::Arc};

use super::{
    super::{Config, Problem},
    Found,
};
use crate::{
    secret::{self, Secret},
    token::{TokenKeys, development_secret},
};

const KEY: &str = "tls.certs";

/// The keys that sign tokens and requests.
pub enum Keys {
    /// The secret is there, and these are its keys.
    There(Arc<TokenKeys>),
    /// There is no secret yet, and a start makes one.
    ToMake {
        /// The value of `plugnmeet.api_key`.
        api_key: String,
        /// The folder in which the secret is kept.
        certs: PathBuf,
    },
}

/// INVARIANT: nothing is made here. A secret from `check` would be no running gateway's.
pub(super) fn plan(found: &mut Found<'_>) -> Option<Keys> {
    let config = found.config;
    if config.is_refused(&[
        "plugnmeet.secret",
        "plugnmeet.secret_file",
        "plugnmeet.api_key",
        "tls.certs",
    ]) {
        return None;
    }
    let secret = match &config.plugnmeet.secret {
        Some(secret) => Some(secret.clone()),
        None => found.sound(read(config))?,
    };
    if config.plugnmeet.secret.is_none()
        && let Some(exposed) = development_secret::warning(&config.tls.certs)
    {
        found.warn(KEY, &exposed);
    }
    let Some(secret) = secret else {
        let made = secret::can_make_in(&config.tls.certs).map_err(|error| no_secret(config, &error));
        found.sound(made)?;
        return Some(Keys::ToMake {
            api_key: config.plugnmeet.api_key.clone(),
            certs: config.tls.certs.clone(),
        });
    };
    let keys = of(config, &secret);
    found.sound(keys).map(|keys| Keys::There(Arc::new(keys)))
}

fn read(config: &Config) -> Result<Option<Secret<String>>, Problem> {
    development_secret::read(&config.tls.certs).map_err(|error| no_secret(config, &error))
}

fn no_secret(config: &Config, error: &io::Error) -> Problem {
    let allowed = "make the folder writable, or set plugnmeet.secret";
    config.problem(KEY, format!("plugnmeet-secret: {error}"), allowed)
}

fn of(config: &Config, secret: &Secret<String>) -> Result<TokenKeys, Problem> {
    TokenKeys::new(config.plugnmeet.api_key.clone(), secret).map_err(|problem| {
        let allowed = "give the server's own api_key and secret";
        config.problem("plugnmeet", problem.to_string(), allowed)
    })
}

impl Keys {
    /// Returns the keys. Makes their secret if there is none.
    pub fn open(self) -> io::Result<Arc<TokenKeys>> {
        match self {
            Self::There(keys) => Ok(keys),
            Self::ToMake { api_key, certs } => {
                let secret = development_secret::read_or_make(&certs)?;
                TokenKeys::new(api_key, &secret)
                    .map(Arc::new)
                    .map_err(|problem| io::Error::other(problem.to_string()))
            }
        }
    }
}
