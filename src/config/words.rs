//! The words that keys take which allow only a few, and what each word means to the module that it is for.

use tracing::level_filters::LevelFilter;

use crate::{design::OnInvalid, observe::LogFormat, route::Csp, session::Scope, turn::TurnHeader};

/// A value that is written as one of a few words.
pub(super) trait Word: Sized + Copy + 'static {
    const WORDS: &'static [(&'static str, Self)];
}

impl Word for LevelFilter {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("error", Self::ERROR),
        ("warn", Self::WARN),
        ("info", Self::INFO),
        ("debug", Self::DEBUG),
        ("trace", Self::TRACE),
    ];
}

impl Word for LogFormat {
    const WORDS: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("text", Self::Text), ("json", Self::Json)];
}

impl Word for Scope {
    const WORDS: &'static [(&'static str, Self)] = &[("session", Self::Session), ("mount", Self::Mount)];
}

impl Word for OnInvalid {
    const WORDS: &'static [(&'static str, Self)] = &[("reject", Self::Reject), ("strip", Self::Strip)];
}

impl Word for Csp {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("enforce", Self::Enforce),
        ("report", Self::Report),
        ("off", Self::Off),
    ];
}

impl Word for TurnHeader {
    const WORDS: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("v2", Self::V2), ("off", Self::Off)];
}

/// The words of `issuer.mode`. The settings of the embedded issuer are at other keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Issuers {
    Embedded,
    Upstream,
}

impl Word for Issuers {
    const WORDS: &'static [(&'static str, Self)] =
        &[("embedded", Self::Embedded), ("upstream", Self::Upstream)];
}

/// The words of `tls.min_version`, the oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinVersion {
    Tls12,
    Tls13,
}

impl Word for MinVersion {
    const WORDS: &'static [(&'static str, Self)] = &[("1.2", Self::Tls12), ("1.3", Self::Tls13)];
}

/// Paths of an upstream that are 404 unless `upstreams.expose` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposed {
    /// The server's `/login…`.
    Login,
    /// The server's `/metrics`.
    Metrics,
    /// Everything below `/ws/`.
    Ws,
    /// Everything below `/livekit`.
    Livekit,
    EtherpadAdmin,
}

impl Word for Exposed {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("login", Self::Login),
        ("metrics", Self::Metrics),
        ("ws", Self::Ws),
        ("livekit", Self::Livekit),
        ("etherpad_admin", Self::EtherpadAdmin),
    ];
}
