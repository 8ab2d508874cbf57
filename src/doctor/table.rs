//! Every check: its id, what it needs, and the function that looks.

use std::{future::Future, pin::Pin, sync::Arc};

use super::{
    files::{
        Files,
        Part::{self, Compose, Config, Gateway, HaProxy, Ingress, Livekit, Nats, Script, Sip},
    },
    finding::Said,
    front,
    machine::{self, Machine},
    media, nats,
    outside::{self, Outside},
    relays, server,
};

/// A check that waits for somebody.
pub type Looking = Pin<Box<dyn Future<Output = Vec<Said>> + Send>>;

pub struct Check {
    /// Its area, a dot, its name; the same in every release.
    pub id: &'static str,
    pub look: Look,
}

pub enum Look {
    /// Files, of which none may be missing.
    Files(&'static [Part], fn(&Files<'_>) -> Vec<Said>),
    /// What `check` has said already.
    Configuration,
    Machine(fn(Arc<Machine>) -> Looking),
    /// The public address, from outside.
    Outside(Needs, fn(Arc<Outside>) -> Looking),
}

/// What a look from outside needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    Address,
    Tls,
    /// The API key and its secret, too.
    Keys,
}

impl Check {
    /// The part of its id before the dot.
    pub fn area(&self) -> &'static str {
        self.id.split_once('.').map_or(self.id, |(area, _)| area)
    }
}

const fn files(id: &'static str, needs: &'static [Part], look: fn(&Files<'_>) -> Vec<Said>) -> Check {
    Check {
        id,
        look: Look::Files(needs, look),
    }
}

const fn here(id: &'static str, look: fn(Arc<Machine>) -> Looking) -> Check {
    Check {
        id,
        look: Look::Machine(look),
    }
}

const fn outside(id: &'static str, needs: Needs, look: fn(Arc<Outside>) -> Looking) -> Check {
    Check {
        id,
        look: Look::Outside(needs, look),
    }
}

/// In the order in which they are shown.
pub const CHECKS: &[Check] = &[
    files("files.readable", &[], front::readable),
    Check {
        id: "gateway.configuration",
        look: Look::Configuration,
    },
    files("gateway.origin", &[Config], server::hosts_agree),
    files("server.port", &[Config, Gateway], server::port),
    files("server.api-key", &[Config, Gateway], server::api_key),
    files("server.secret", &[Config, Gateway], server::secret),
    files("server.secret-strength", &[Config], server::secret_strength),
    files("server.debug", &[Config], server::debug),
    files("server.proxy-header", &[Config], server::proxy_header),
    files("server.proxy-trust", &[Config, Gateway], server::proxy_trust),
    files("server.bbb-join-host", &[Config], server::bbb_join_host),
    files("server.livekit-host", &[Config], server::livekit_host),
    files("server.livekit-keys", &[Config, Livekit], server::livekit_keys),
    files("server.token-validity", &[Config], server::token_validity),
    files("server.upload-size", &[Config, Gateway], server::upload_size),
    files("server.upload-folder", &[Config, Gateway], server::upload_folder),
    files("server.client-path", &[Config], front::client_path),
    files("livekit.port", &[Livekit, Gateway], media::port),
    files("livekit.webhook-url", &[Livekit], media::webhook_url),
    files("livekit.webhook-key", &[Livekit, Config], media::webhook_key),
    files("livekit.ingress-urls", &[Livekit], media::ingress_urls),
    files("livekit.port-ranges", &[Livekit], media::port_ranges),
    files("livekit.version", &[Livekit, Compose], media::version),
    files("livekit.check-page", &[Livekit, Gateway], media::check_page),
    files("ingress.keys", &[Ingress, Livekit], media::ingress_keys),
    files("ingress.ws-url", &[Ingress], media::ingress_ws_url),
    files("ingress.rtmp", &[Ingress, Gateway], media::rtmp),
    files("ingress.whip", &[Ingress, Gateway], media::whip),
    files("sip.keys", &[Sip, Livekit], media::sip_keys),
    files("sip.ws-url", &[Sip], media::sip_ws_url),
    files("turn.enabled", &[Livekit], relays::enabled),
    files("turn.external-tls", &[Livekit], relays::external_tls),
    files("turn.upstream", &[Livekit, Gateway], relays::upstream),
    files("turn.names", &[Livekit, Gateway], relays::names),
    files("turn.certificate", &[Livekit, Gateway], relays::certificate),
    files("turn.proxy-protocol", &[Livekit, Gateway], relays::proxy_protocol),
    files("turn.udp-port", &[Livekit], relays::udp_port),
    files("nats.ws-url", &[Config], nats::ws_url),
    files("nats.account", &[Config, Nats], nats::account),
    files("nats.user", &[Config, Nats], nats::user),
    files("nats.issuer", &[Config, Nats], nats::issuer),
    files("nats.xkey", &[Config, Nats], nats::xkey),
    files("nats.websocket", &[Nats], nats::websocket),
    files("nats.port", &[Nats, Gateway], nats::port),
    files("nats.timeout", &[Nats], nats::timeout),
    files("nats.connections", &[Nats], nats::connections),
    files("nats.jetstream", &[Config, Nats], nats::jetstream),
    files("nats.volume", &[Nats, Compose], nats::volume),
    files("redis.same", &[Config], front::redis),
    files("redis.sentinels", &[Config, Gateway], front::sentinels),
    files("etherpad.upstream", &[Config], media::etherpad),
    files("client.server-url", &[Script], front::server_url),
    files("front.hook", &[Gateway], front::hook),
    files("front.boot", &[Gateway], front::boot),
    files("front.certbot", &[Gateway], front::certbot),
    files("front.turn-name", &[HaProxy, Livekit], front::turn_name),
    files("front.behind", &[HaProxy, Gateway], front::behind),
    here("machine.ports", |m| Box::pin(async move { machine::ports(&m) })),
    here("machine.haproxy", |m| {
        Box::pin(async move { machine::haproxy(&m) })
    }),
    here("machine.parts", |m| Box::pin(machine::parts(m))),
    here("machine.turn", |m| Box::pin(machine::turn_takes(m))),
    here("machine.media", |m| Box::pin(async move { machine::media(&m) })),
    here("machine.redis", |m| Box::pin(machine::redis(m))),
    here("machine.names", |m| Box::pin(machine::names(m))),
    here("machine.hairpin", |m| Box::pin(machine::hairpin(m))),
    here("machine.firewall", |m| {
        Box::pin(async move { machine::firewall(&m) })
    }),
    here("machine.open-files", |m| {
        Box::pin(async move { machine::open_files(&m) })
    }),
    here("machine.somaxconn", |m| {
        Box::pin(async move { machine::somaxconn(&m) })
    }),
    here("machine.udp-buffers", |m| {
        Box::pin(async move { machine::udp_buffers(&m) })
    }),
    here("machine.local-ports", |m| {
        Box::pin(async move { machine::local_ports(&m) })
    }),
    here("machine.memory", |m| Box::pin(async move { machine::memory(&m) })),
    here("machine.disk", |m| Box::pin(async move { machine::disk(&m) })),
    here("machine.clock", |m| Box::pin(machine::clock(m))),
    here("machine.media-ports", |m| {
        Box::pin(async move { machine::media_ports(&m) })
    }),
    here("machine.nats-files", |m| {
        Box::pin(async move { machine::nats_files(&m) })
    }),
    here("machine.jetstream", |m| {
        Box::pin(async move { machine::jetstream(&m) })
    }),
    here("machine.client-version", |m| Box::pin(machine::client_version(m))),
    here("machine.readable", |m| Box::pin(machine::readable(m))),
    outside("outside.names", Needs::Address, |o| Box::pin(outside::names(o))),
    outside("outside.http", Needs::Address, |o| Box::pin(outside::http(o))),
    outside("outside.challenges", Needs::Address, |o| {
        Box::pin(outside::challenges(o))
    }),
    outside("outside.tls", Needs::Address, |o| Box::pin(outside::tls(o))),
    outside("outside.old-tls", Needs::Address, |o| {
        Box::pin(outside::old_tls(o))
    }),
    outside("outside.caa", Needs::Tls, |o| Box::pin(outside::caa(o))),
    outside("outside.clock", Needs::Tls, |o| Box::pin(outside::clock(o))),
    outside("outside.page", Needs::Tls, |o| Box::pin(outside::page(o))),
    outside("outside.files", Needs::Tls, |o| Box::pin(outside::files(o))),
    outside("outside.wasm", Needs::Tls, |o| Box::pin(outside::wasm(o))),
    outside("outside.frames", Needs::Tls, |o| Box::pin(outside::frames(o))),
    outside("outside.health", Needs::Tls, |o| Box::pin(outside::health(o))),
    outside("outside.websocket", Needs::Tls, |o| {
        Box::pin(outside::websocket(o))
    }),
    outside("outside.websocket-stays", Needs::Tls, |o| {
        Box::pin(outside::stays(o))
    }),
    outside("outside.livekit", Needs::Tls, |o| Box::pin(outside::livekit(o))),
    outside("outside.turn-tls", Needs::Tls, |o| Box::pin(outside::over_tls(o))),
    outside("outside.turn-udp", Needs::Address, |o| {
        Box::pin(outside::over_udp(o))
    }),
    outside("outside.webhook", Needs::Tls, |o| Box::pin(outside::webhook(o))),
    outside("outside.whip", Needs::Tls, |o| Box::pin(outside::whip(o))),
    outside("outside.sizes", Needs::Tls, |o| Box::pin(outside::sizes(o))),
    outside("outside.api-key", Needs::Keys, |o| Box::pin(outside::api_key(o))),
    outside("outside.join", Needs::Keys, |o| Box::pin(outside::join(o))),
    outside("outside.scheme", Needs::Keys, |o| Box::pin(outside::scheme(o))),
];
