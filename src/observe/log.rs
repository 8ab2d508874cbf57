//! Setting the log up: text for a terminal, JSON for everything that collects logs.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{Layer, filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

/// How the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug)]
pub struct LogSettings {
    /// The least important level that is shown.
    pub level: LevelFilter,
    /// How it looks.
    pub format: LogFormat,
    /// One line for each request.
    pub access: bool,
}

/// Target of the access records.
pub(super) const ACCESS: &str = "access";

/// Target of the audit log, which is always on.
pub(super) const AUDIT: &str = "audit";

/// Starts logging to standard output; a second call changes nothing.
pub fn start(settings: LogSettings) {
    // Libraries log of their own connections; warnings of theirs are enough.
    let targets = Targets::new()
        .with_default(settings.level.min(LevelFilter::WARN))
        .with_target("plugnmeet_gateway", settings.level)
        .with_target(AUDIT, LevelFilter::INFO)
        .with_target(
            ACCESS,
            if settings.access {
                LevelFilter::INFO
            } else {
                LevelFilter::OFF
            },
        );
    let json = match settings.format {
        LogFormat::Auto => !std::io::stdout().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let layer = if json {
        tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .boxed()
    } else {
        tracing_subscriber::fmt::layer().compact().boxed()
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(targets))
        .try_init()
        .ok();
}
