//! The embedded issuer: signs tokens itself, with the server's exact claims.
//!
//! Such a token opens the page and not a real room: there the server must have added the user (docs/plugnmeet.md
//! section 4).

use std::{sync::Arc, time::Duration};

use hyper::Response;
use serde::Serialize;

use super::{IssueError, answer, request::TokenRequest};
use crate::{
    clock::Clock,
    reply::{Body, ServerCode},
    token::{Claims, TokenKeys},
};

/// The settings of the embedded issuer.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedSettings {
    /// How long a token is valid.
    pub token_validity: Duration,
}

/// The answer with a token, in the server's form.
#[derive(Serialize)]
struct Granted<'a> {
    status: bool,
    msg: &'static str,
    status_code: &'static str,
    token: &'a str,
}

pub(super) struct Embedded {
    settings: EmbeddedSettings,
    keys: Arc<TokenKeys>,
    clock: Clock,
}

impl Embedded {
    pub(super) fn new(settings: EmbeddedSettings, keys: Arc<TokenKeys>, clock: Clock) -> Self {
        Self {
            settings,
            keys,
            clock,
        }
    }

    pub(super) fn issue(&self, wanted: TokenRequest) -> Result<Response<Body>, IssueError> {
        let now = self.clock.unix();
        let token = self.keys.sign(&Claims {
            client_type: wanted.client_type,
            exp: now.saturating_add_unsigned(self.settings.token_validity.as_secs()),
            is_admin: wanted.is_admin,
            is_hidden: wanted.is_hidden,
            iss: self.keys.api_key().to_owned(),
            name: wanted.name,
            nbf: now,
            room_id: wanted.room_id,
            sub: wanted.user_id.clone(),
            user_id: wanted.user_id,
        })?;
        let granted = Granted {
            status: true,
            msg: "success",
            status_code: ServerCode::Success.name(),
            token: token.expose(),
        };
        let granted = serde_json::to_string(&granted).map_err(jsonwebtoken::errors::Error::from)?;
        Ok(answer::json(granted))
    }
}
