//! Connections that are not HTTP for the gateway: on the port of HTTPS, and on ports of their own.

use super::{super::Config, Found};
use crate::{
    listen::OnwardSettings,
    proxy::{DialSettings, Target},
    turn::TurnSettings,
};

/// The settings of connections that go on to upstreams as they are.
#[derive(Clone, Debug)]
pub struct PortPlan {
    /// TURN on the port of HTTPS. None: it is not served.
    pub turn: Option<TurnSettings>,
    /// Names whose TLS connections go on, and are not ended here.
    pub passthrough: Vec<OnwardSettings>,
    /// The upstreams of the listeners of `[[tcp]]`, in their order.
    pub tcp: Vec<Target>,
    /// The settings of all connections that are dialled.
    pub dial: DialSettings,
}

pub(super) fn plan(config: &Config) -> PortPlan {
    let dial = DialSettings {
        within: config.timeouts.connect,
        most: config.upstreams.max_connections.get(),
    };
    PortPlan {
        turn: config.turn.as_ref().map(|turn| TurnSettings {
            upstream: turn.upstream.clone(),
            names: turn
                .names
                .iter()
                .filter(|name| !is_ours(config, name))
                .cloned()
                .collect(),
            header: turn.proxy_protocol,
            dial,
            silence: config.timeouts.idle,
        }),
        passthrough: config
            .passthrough
            .iter()
            .map(|passthrough| OnwardSettings {
                names: passthrough.names.clone(),
                upstream: passthrough.upstream.clone(),
                header: passthrough.proxy_protocol,
            })
            .collect(),
        tcp: config.tcp.iter().map(|tcp| tcp.upstream.clone()).collect(),
        dial,
    }
}

/// Warns if TURN is served and `public_origin` has another port than 443, because LiveKit offers TURN at 443 of its
/// domain whatever that port is. Warns also if a name in `[[passthrough]]` is one of the gateway's own.
pub(super) fn warn(found: &mut Found<'_>) {
    let called = found.origin.port.unwrap_or(443);
    if found.config.turn.is_some() && called != 443 && found.config.public_origin.is_some() {
        let what = format!("is served at port {called}, and LiveKit offers it at 443 alone");
        found.warn("turn.upstream", &what);
    }
    for name in found
        .config
        .passthrough
        .iter()
        .flat_map(|passthrough| &passthrough.names)
    {
        if is_ours(found.config, name) {
            let what = format!(
                "has {name}, which is a name of the gateway's own: nothing of it is served here any more"
            );
            found
                .warnings
                .push(found.config.warning("passthrough.names", &what));
        }
    }
}

fn is_ours(config: &Config, name: &str) -> bool {
    let public = config.public_origin.as_ref().map(|origin| &origin.host);
    public.into_iter().chain(&config.hosts).any(|own| own == name)
}
