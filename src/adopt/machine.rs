//! The files of a machine that the official installer has set up, as text.

use super::{AdoptProblem, Wish};
use crate::official::text;

/// What lies there. A file that is missing is none; one that is there has to be readable.
#[derive(Debug, Default)]
pub(super) struct Machine {
    pub(super) config: String,
    pub(super) config_name: String,
    pub(super) livekit: Option<String>,
    pub(super) ingress: Option<String>,
    pub(super) sip: Option<String>,
    pub(super) nats: Option<String>,
    pub(super) compose: Option<String>,
    pub(super) haproxy: Option<String>,
}

impl Machine {
    pub(super) fn read(wish: &Wish) -> Result<Self, AdoptProblem> {
        let config_name = wish.from.join("config.yaml").display().to_string();
        let config = text(&wish.from.join("config.yaml"))?.ok_or_else(|| {
            AdoptProblem::Unreadable(
                config_name.clone(),
                "is not there; name the installation by --from".into(),
            )
        })?;
        Ok(Self {
            config,
            config_name,
            livekit: text(&wish.from.join("livekit.yaml"))?,
            ingress: text(&wish.from.join("ingress.yaml"))?,
            sip: text(&wish.from.join("sip.yaml"))?,
            nats: text(&wish.from.join("nats-server.conf"))?,
            compose: text(&wish.from.join("docker-compose.yaml"))?,
            haproxy: text(&wish.haproxy.join("haproxy.cfg"))?,
        })
    }
}
