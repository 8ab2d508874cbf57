//! `check`: tells whether the configuration is sound.
//!
//! The configuration is sound if a plan can be made of it and all listeners can be opened. The listeners are closed at
//! once, and nothing is created. What only says that a gateway runs here already is a warning.

use std::fmt;

use tracing::{Event, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use super::Refused;
use crate::{
    clock::Clock,
    config::{Config, NoPlan, NotListening, Plan, Problems},
    gateway::Listeners,
};

/// Checks a configuration. With `starting`, a problem of the moment, such as a port in use, is an error; else it is a
/// warning.
pub(super) fn answer(config: &Config, clock: &Clock, starting: bool) -> Result<String, Refused> {
    // Warnings that modules write to the log are shown too.
    let log = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::WARN)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .event_format(AsWarning);
    let (deaf, plan) = tracing::subscriber::with_default(log.finish(), || {
        let plan = Plan::of(config, config.listen.https.port(), clock);
        (deaf(config), plan)
    });
    let deaf = deaf?;
    let (mut warnings, notes, mut problems) = match plan {
        Ok(plan) => (plan.warnings, plan.notes, Vec::new()),
        Err(NoPlan { problems, warnings }) => (warnings, Vec::new(), problems),
    };
    for NotListening {
        problem,
        of_the_moment,
    } in deaf
    {
        if of_the_moment && !starting {
            warnings.push(problem.to_string());
        } else {
            problems.push(problem);
        }
    }
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    for note in notes {
        eprintln!("note: {note}");
    }
    if problems.is_empty() {
        Ok("configuration is sound".to_owned())
    } else {
        Err(Problems(problems).to_string())
    }
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
