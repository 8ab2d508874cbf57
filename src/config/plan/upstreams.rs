//! The upstreams, and the settings that they share.

use super::super::Config;
use crate::{
    joining::JoiningSettings,
    places::Budget,
    proxy::{ProxySettings, Target},
};

/// The addresses of each upstream. An empty list means that there is no such upstream.
#[derive(Clone, Debug)]
pub struct UpstreamsPlan {
    /// The settings that all upstreams share.
    pub settings: ProxySettings,
    /// How many people may join at once, and how long the others wait.
    pub joining: JoiningSettings,
    /// The largest number of connections to all upstreams together.
    pub total: usize,
    pub server: Vec<Target>,
    /// `LiveKit`'s signalling.
    pub livekit: Vec<Target>,
    pub nats: Vec<Target>,
    /// Etherpad, for older releases of plugNmeet.
    pub etherpad: Vec<Target>,
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
