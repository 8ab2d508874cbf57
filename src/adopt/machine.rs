//! The files of a machine that the official installer has set up, as text.

use super::{AdoptProblem, AdoptSettings};
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
    pub(super) fn read(settings: &AdoptSettings) -> Result<Self, AdoptProblem> {
        let config_name = settings.from.join("config.yaml").display().to_string();
        let config = text(&settings.from.join("config.yaml"))?.ok_or_else(|| {
            AdoptProblem::Unreadable(
                config_name.clone(),
                "is not there; name the installation by --from".into(),
            )
        })?;
        Ok(Self {
            config,
            config_name,
            livekit: text(&settings.from.join("livekit.yaml"))?,
            ingress: text(&settings.from.join("ingress.yaml"))?,
            sip: text(&settings.from.join("sip.yaml"))?,
            nats: text(&settings.from.join("nats-server.conf"))?,
            compose: text(&settings.from.join("docker-compose.yaml"))?,
            haproxy: text(&settings.haproxy.join("haproxy.cfg"))?,
        })
    }
}
