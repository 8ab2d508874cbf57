//! `check`: tells whether the configuration is sound.
//!
//! The configuration is sound if a plan can be made of it and all listeners can be opened. The listeners are closed at
//! once, and nothing is created. What only says that a gateway runs here already is a warning.

use std::{fmt, net::SocketAddr};

use tracing::{Event, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use serde_json::{Value, json};

use super::{Refused, output::remark};
use crate::{
    clock::Clock,
    config::{Config, NoPlan, NotListening, Plan, Problem, Problems},
    gateway::Listeners,
};

/// What is to be said of a configuration.
pub(super) struct Report {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
    notes: Vec<&'static str>,
}

/// `starting`: what is of the moment stops a start.
pub(super) fn answer(config: &Config, clock: &Clock, starting: bool) -> Result<String, Refused> {
    report(config, clock, starting, &[])?.told()
}

/// As one line of JSON, for programs; an error where it is not sound.
pub(super) fn json(draft: Result<&Config, &Problems>, clock: &Clock) -> Result<String, Refused> {
    let report = match draft {
        Ok(config) => report(config, clock, false, &[])?,
        Err(problems) => Report {
            problems: problems.0.clone(),
            warnings: Vec::new(),
            notes: Vec::new(),
        },
    };
    let sound = report.problems.is_empty();
    let line = report.json().to_string();
    if sound { Ok(line) } else { Err(line) }
}

impl Report {
    /// Writes warnings to standard error.
    fn told(self) -> Result<String, Refused> {
        for warning in self.warnings {
            remark(format_args!("warning: {warning}"));
        }
        for note in self.notes {
            remark(format_args!("note: {note}"));
        }
        if self.problems.is_empty() {
            Ok("configuration is sound".to_owned())
        } else {
            Err(Problems(self.problems).to_string())
        }
    }

    fn json(&self) -> Value {
        let problems = self.problems.iter().map(|problem| {
            json!({
                "file": problem.file,
                "line": problem.line,
                "key": problem.key,
                "found": problem.found,
                "allowed": problem.allowed,
            })
        });
        json!({
            "sound": self.problems.is_empty(),
            "problems": problems.collect::<Vec<_>>(),
            "warnings": self.warnings,
            "notes": self.notes,
        })
    }
}

/// Nothing is said of addresses at which a gateway listens that is known to be `running`.
pub(super) fn report(
    config: &Config,
    clock: &Clock,
    starting: bool,
    running: &[SocketAddr],
) -> Result<Report, Refused> {
    // What modules have to say besides, they say to the log.
    let log = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::WARN)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .event_format(AsWarning);
    let (deaf, plan) = tracing::subscriber::with_default(log.finish(), || {
        let plan = Plan::of(config, config.listen.https_port(), clock);
        (deaf(config), plan)
    });
    let deaf = deaf?;
    let (mut warnings, notes, mut problems) = match plan {
        Ok(plan) => (plan.warnings, plan.notes, Vec::new()),
        Err(NoPlan { problems, warnings }) => (warnings, Vec::new(), problems),
    };
    for NotListening {
        addr,
        problem,
        of_the_moment,
    } in deaf
    {
        if of_the_moment && running.iter().any(|listener| takes(*listener, addr)) {
            continue;
        }
        if of_the_moment && !starting {
            warnings.push(problem.to_string());
        } else {
            problems.push(problem);
        }
    }
    Ok(Report {
        problems,
        warnings,
        notes,
    })
}

/// Does a listener take what comes to this address? One of `[::]` may take IPv4, too.
fn takes(listener: SocketAddr, addr: SocketAddr) -> bool {
    let is_any = listener.ip().is_unspecified() && (listener.is_ipv6() || addr.is_ipv4());
    listener.port() == addr.port() && (is_any || listener.ip() == addr.ip())
}

/// Opens all listeners, closes them, and returns those that can't be opened.
fn deaf(config: &Config) -> Result<Vec<NotListening>, Refused> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    Ok(runtime
        .block_on(Listeners::open(config))
        .err()
        .unwrap_or_default())
}

/// Formats a module's log line like all other warnings.
struct AsWarning;

impl<S, N> FormatEvent<S, N> for AsWarning
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write!(writer, "warning: ")?;
        context.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
