//! Sets up the log: text for a terminal, JSON for programs that collect logs.

use std::{
    fs::File,
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
    sync::Arc,
};

use tracing::{Level, Metadata, error, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer, Registry, filter::Targets, fmt::MakeWriter, layer::SubscriberExt, registry::LookupSpan, reload,
    util::SubscriberInitExt,
};

use super::{
    access::{ACCESS, Records},
    audit::AUDIT,
    buffer::{Buffer, Flusher},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text if the output is a terminal, JSON otherwise.
    Auto,
    Text,
    Json,
}

/// The settings of the log.
#[derive(Clone, Copy, Debug)]
pub struct LogSettings {
    /// The least important level that is logged.
    pub level: LevelFilter,
    pub format: LogFormat,
    /// Is a line written for each request?
    pub access: bool,
}

/// The log of this process. Dropped, when nobody logs any more, it writes what still waits.
pub struct Log {
    records: Records,
    level: LogLevel,
    flusher: Flusher,
}

impl Log {
    /// Starts logging to standard output.
    pub fn start(settings: LogSettings) -> io::Result<Self> {
        let stdout = io::stdout();
        let json = match settings.format {
            LogFormat::Auto => !stdout.is_terminal(),
            LogFormat::Text => false,
            LogFormat::Json => true,
        };
        // Not through the standard library's own buffer, which looks for lines once more.
        let out = File::from(stdout.as_fd().try_clone_to_owned()?);
        let (buffer, flusher) = Flusher::start(out, |count| error!(count, "Log lines lost"))?;
        let records = Records {
            json: json.then(|| Arc::clone(&buffer)),
            access: settings.access,
        };
        let (filter, handle) = reload::Layer::new(targets(settings.level));
        let out = Out(buffer);
        let layer = if json {
            self::json(out).boxed()
        } else {
            let text = tracing_subscriber::fmt::layer().compact().with_writer(out);
            // In a file or a pipe escape codes are noise. On a terminal the library asks NO_COLOR.
            if stdout.is_terminal() {
                text.boxed()
            } else {
                text.with_ansi(false).boxed()
            }
        };
        tracing_subscriber::registry()
            .with(layer.with_filter(filter))
            .try_init()
            .ok();
        Ok(Self {
            records,
            level: LogLevel(handle),
            flusher,
        })
    }

    /// Has the thread ended that writes it? To be asked at any time.
    pub fn has_ended(&self) -> impl Fn() -> bool + Send + Sync + use<> {
        self.flusher.has_ended()
    }

    pub fn level(&self) -> LogLevel {
        self.level.clone()
    }

    pub fn records(&self) -> Records {
        self.records.clone()
    }
}

/// The least important level that is shown, which changes while the log runs.
#[derive(Clone)]
pub struct LogLevel(reload::Handle<Targets, Registry>);

impl LogLevel {
    pub fn set(&self, level: LevelFilter) {
        // Nobody logs any more if this fails.
        self.0.reload(targets(level)).ok();
    }
}

/// Libraries log of their own connections; warnings of theirs are enough.
fn targets(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("plugnmeet_gateway", level)
        .with_target(AUDIT, LevelFilter::INFO)
        .with_target(ACCESS, LevelFilter::INFO)
}

/// One JSON object a line. Access records and audit lines look the same, without this.
pub(super) fn json<S>(out: impl for<'w> MakeWriter<'w> + Send + Sync + 'static) -> impl Layer<S> + Send + Sync
where
    S: tracing::Subscriber + for<'s> LookupSpan<'s>,
{
    tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_writer(out)
}

/// The writer that tracing's layers write to.
struct Out(Arc<Buffer>);

/// Collects one line, and puts it into the buffer whole.
struct LineOut<'b> {
    buffer: &'b Buffer,
    urgent: bool,
}

impl<'b> MakeWriter<'b> for Out {
    type Writer = LineOut<'b>;

    fn make_writer(&'b self) -> LineOut<'b> {
        LineOut {
            buffer: &self.0,
            urgent: false,
        }
    }

    fn make_writer_for(&'b self, about: &Metadata<'_>) -> LineOut<'b> {
        LineOut {
            buffer: &self.0,
            urgent: *about.level() <= Level::WARN,
        }
    }
}

impl Write for LineOut<'_> {
    /// Takes a piece of a line. The layers write each line with one call, with its end.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.buffer
            .append(self.urgent, |lines| lines.extend_from_slice(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
