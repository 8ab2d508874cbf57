//! Integrators with keys of their own, and requests that are the same: over real sockets, against a server that checks
//! every signature.

mod rights;
mod shared;

use plugnmeet_gateway::{secret::Secret, token::RequestKey};

use crate::support::{Gateway, client::Answer, upstream::Upstream};

const NEW: &str = "new-secret-of-moodle-0123456789abcdef";

const OLD: &str = "old-secret-of-moodle-0123456789abcdef";

/// In front of this server, with one integrator that is held to its own rooms, one that is cut off, and a third.
async fn gateway(server: &Upstream) -> Gateway {
    Gateway::with(&format!(
        "issuer.mode = 'upstream'\nupstreams.server = ['{}']\nlimits.user = '2/min'\n\
         [[callers]]\nname = 'moodle'\napi_key = 'moodle-key'\nsecret = '{NEW}'\nold_secret = '{OLD}'\n\
         rooms = ['moodle-*']\n\
         [[callers]]\nname = 'gone'\napi_key = 'gone-key'\nsecret = '{NEW}'\nenabled = false\n\
         [[callers]]\nname = 'lms'\napi_key = 'lms-key'\nsecret = '{NEW}'\nmay_issue_admin = true\n",
        server.url()
    ))
    .await
}

async fn ask(gateway: &Gateway, path: &str, key: &str, secret: &str, body: &str) -> Answer {
    let signature = RequestKey::new(&Secret::new(secret.into())).signature(body.as_bytes());
    gateway
        .post(
            path,
            &[("API-KEY", key), ("HASH-SIGNATURE", &signature)],
            body.as_bytes(),
        )
        .await
}

async fn ask_for_token(gateway: &Gateway, key: &str, secret: &str, body: &str) -> Answer {
    ask(gateway, "/auth/room/getJoinToken", key, secret, body).await
}
