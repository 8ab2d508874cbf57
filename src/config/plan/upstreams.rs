//! Who is behind us, and what all of them share.

use super::super::Config;
use crate::{
    joining::JoiningSettings,
    places::Budget,
    proxy::{ProxySettings, Target},
};

/// Where upstreams are; those without a target are not there.
#[derive(Clone, Debug)]
pub struct UpstreamsPlan {
    /// What all upstreams share.
    pub settings: ProxySettings,
    /// How people are let in.
    pub joining: JoiningSettings,
    /// Connections to all of them together.
    pub total: usize,
    /// plugnmeet-server.
    pub server: Vec<Target>,
    /// `LiveKit`'s signalling.
    pub livekit: Vec<Target>,
    /// NATS' WebSocket.
    pub nats: Vec<Target>,
    /// Etherpad, of older releases.
    pub etherpad: Vec<Target>,
    /// The WHIP ingress.
    pub ingress: Vec<Target>,
}

pub(super) fn plan(config: &Config, budget: &Budget) -> UpstreamsPlan {
    let found = &config.upstreams;
    let one = |target: &Option<Target>| target.iter().cloned().collect();
    UpstreamsPlan {
        settings: ProxySettings {
            connect: config.timeouts.connect,
            upgrade: config.timeouts.upgrade,
            max_connections: found.max_connections.get(),
            response: config.timeouts.response,
            idle: config.timeouts.idle,
            tunnel_silence: config.timeouts.tunnel_silence,
            max_body_bytes: config.sizes.body_bytes,
            least_rate: config.sizes.least_bytes_per_second,
        },
        joining: JoiningSettings {
            joins: found.joining,
            admission: config.timeouts.admission,
        },
        total: budget.upstreams,
        server: found.server.clone(),
        livekit: one(&found.livekit),
        nats: one(&found.nats),
        etherpad: one(&found.etherpad),
        ingress: one(&found.ingress),
    }
}
