//! The keys that the running gateway signs with. The secret is the configuration's, or else the one that the gateway
//! made at its first start.

use super::Refused;
use crate::{
    config::Config,
    token::{TokenKeys, development_secret},
};

pub(super) fn of(config: &Config) -> Result<TokenKeys, Refused> {
    let secret = match &config.plugnmeet.secret {
        Some(secret) => secret.clone(),
        None => made_at_the_first_start(config)?,
    };
    TokenKeys::new(config.plugnmeet.api_key.clone(), &secret)
        .map_err(|problem| format!("plugnmeet: {problem}"))
}

/// INVARIANT: nothing is made here. A secret from this folder would be no running gateway's.
fn made_at_the_first_start(config: &Config) -> Result<crate::secret::Secret<String>, Refused> {
    let certs = &config.tls.certs;
    let file = development_secret::path(certs);
    match development_secret::read(certs) {
        Ok(Some(secret)) => Ok(secret),
        Ok(None) => Err(format!(
            "{} is not there; start the gateway, which makes it, or write plugnmeet.secret",
            file.display()
        )),
        Err(error) => Err(format!("{} cannot be used: {error}", file.display())),
    }
}
