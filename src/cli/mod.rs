//! The command line: arguments and environment in, an exit status out.
//!
//! | command | file | does |
//! | --- | --- | --- |
//! | `serve`, or none | `serve` | runs the gateway until a signal |
//! | `adopt` | `adopt` | makes a configuration of what the official installer left |
//! | `swap` | `swap` | puts the gateway into HAProxy's place, or back |
//! | `check` | `check` | tells whether the configuration is sound; `--json` for programs |
//! | `config show`, `config schema` | here | prints what is in effect; what the file may be |
//! | `explain` | `explain` | tells what would happen to a request |
//! | `doctor` | `doctor` | looks at everything around the gateway; exit status 0, 1 or 2 |
//! | `check-design` | `check_design` | tells whether a design can be used |
//! | `prepare` | `prepare` | compresses the client's files ahead of the start |
//! | `compress` (hidden) | `compress` | compresses what a running gateway sends to it |
//! | `join-link` | `join_link`, `ask` | asks the running gateway for a token and prints the link |
//! | `sign` | `sign` | prints the two headers of a signed request |
//! | `status`, `reload`, `drain` | `operate` | asks the running gateway over its control socket |
//! | `health` | `probe` | asks its admin listener whether it is alive, or ready |
//! | `upgrade` | `operate`; `succeed` | asks it to hand over to the program as it lies there by now |
//! | `reference` (hidden) | here | prints `docs/configuration.md` |
//! | `papers` (hidden) | `papers` | writes man pages and completions, for packages |
//!
//! Exit status: 0, 1 for what went wrong, 2 for arguments that make no sense. Answers and the log of `serve` go to
//! standard output, everything else to standard error.
//!
//! No other module reads the environment.

mod adopt;
mod arguments;
mod ask;
mod check;
mod check_design;
mod compress;
mod doctor;
mod explain;
mod health;
mod join_link;
mod keys;
mod operate;
mod output;
mod papers;
mod prepare;
mod probe;
mod serve;
mod sign;
mod source;
mod succeed;
mod swap;

use std::{
    env,
    ffi::OsString,
    fmt,
    io::{self, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;

use self::{
    arguments::{Arguments, Command, ConfigOf},
    source::Source,
};
use crate::{clock::Clock, config, control::SocketSetting};

/// The configuration that `adopt` writes and the unit reads.
const ADOPTED: &str = "/etc/plugnmeet-gateway/gateway.toml";

pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let program = arguments.first().map_or_else(
        || "plugnmeet-gateway".into(),
        |name| name.to_string_lossy().into_owned(),
    );
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are answers: clap prints them to standard output, with status 0.
            error.print().ok();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    if let Some(command) = &arguments.command
        && let Some(ended) = without_configuration(command)
    {
        return ended;
    }
    // The beginning of a command line that asks this very gateway.
    let ask = match &arguments.config {
        Some(file) => format!("{program} --config {}", file.display()),
        None => program,
    };
    let named = arguments.config.or_else(|| {
        let swaps = matches!(arguments.command, Some(Command::Swap(_)));
        swaps.then(|| PathBuf::from(ADOPTED))
    });
    let file = named.clone().unwrap_or_default();
    let source = Source::of(named, env::vars_os());
    let draft = source.as_ref().map_err(Clone::clone).and_then(Source::draft);
    if let Some(command) = operate::question(arguments.command.as_ref()) {
        // A running gateway can be asked even if the file is broken.
        let socket = draft.map_or(SocketSetting::Auto, |config| config.control);
        return ended(operate::run(&socket, &command));
    }
    if let Some(Command::Health { ready }) = arguments.command {
        let admin = draft.map_err(|problems| problems.to_string());
        return ended(admin.and_then(|config| probe::answer(&config.listen.admin, ready)));
    }
    if let Some(Command::Doctor(looked)) = &arguments.command {
        // On a machine without a gateway there is nothing to be said of one.
        let there = source.as_ref().map_or(true, Source::is_there);
        return doctor::run(looked, draft.as_ref().map(|config| there.then_some(config)));
    }
    if let Some(Command::Swap(swapped)) = &arguments.command
        && swapped.back
    {
        return ended(swap::back(draft.as_ref().ok(), &file, swapped));
    }
    if matches!(arguments.command, Some(Command::Check { json: true })) {
        // A program reads one stream.
        return match check::json(draft.as_ref(), &Clock::system()) {
            Ok(line) => ended(Ok(line)),
            Err(line) => output::answer(line).map_or_else(|why| failed(&why), |()| ExitCode::FAILURE),
        };
    }
    let (source, draft) = match (source, draft) {
        (Ok(source), Ok(draft)) => (source, draft),
        (_, Err(problems)) | (Err(problems), _) => return failed(&problems),
    };
    let config = match arguments.command {
        // They tell what is refused together with what else is wrong.
        None | Some(Command::Serve | Command::Check { .. }) => draft,
        Some(_) => match draft.sound() {
            Ok(config) => config,
            Err(problems) => return failed(&problems),
        },
    };
    let answer = match arguments.command {
        None | Some(Command::Serve) => return serve::run(&config, source, &ask),
        Some(Command::Check { .. }) => check::answer(&config, &Clock::system(), false),
        Some(Command::Config { .. }) => Ok(config.in_effect().trim_end().to_owned()),
        Some(Command::Explain { url, method }) => explain::answer(&config, &url, &method),
        Some(Command::CheckDesign { file, canonical }) => check_design::answer(&config, &file, canonical),
        Some(Command::Prepare) => {
            let clock = Clock::system();
            let prepared = config.prepare_client();
            prepare::answer(prepared, clock.steady())
        }
        Some(Command::Swap(swapped)) => swap::answer(&config, &file, &swapped),
        Some(Command::JoinLink(wanted)) => join_link::answer(&config, &wanted),
        Some(Command::Sign { file }) => sign::answer(&config, file.as_deref()),
        Some(
            Command::Status { .. }
            | Command::Reload
            | Command::Drain { .. }
            | Command::Upgrade
            | Command::Health { .. }
            | Command::Adopt(_)
            | Command::Compress
            | Command::Papers { .. }
            | Command::Doctor(_)
            | Command::Reference,
        ) => Ok(config::reference()),
    };
    ended(answer)
}

/// Runs a command that reads no configuration; `None` for all others.
fn without_configuration(command: &Command) -> Option<ExitCode> {
    let answer = match command {
        Command::Compress => return Some(compress::run()),
        Command::Reference => Ok(config::reference().trim_end().to_owned()),
        Command::Config {
            what: ConfigOf::Schema,
        } => Ok(config::schema().trim_end().to_owned()),
        Command::Papers { folder } => papers::answer(folder),
        Command::Adopt(adopted) => adopt::answer(adopted),
        Command::Serve
        | Command::Check { .. }
        | Command::Config { .. }
        | Command::Explain { .. }
        | Command::Doctor(_)
        | Command::Swap(_)
        | Command::CheckDesign { .. }
        | Command::Prepare
        | Command::JoinLink(_)
        | Command::Sign { .. }
        | Command::Upgrade
        | Command::Status { .. }
        | Command::Health { .. }
        | Command::Reload
        | Command::Drain { .. } => return None,
    };
    Some(ended(answer))
}

fn ended(answer: Result<String, Refused>) -> ExitCode {
    match answer.and_then(output::answer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => failed(&why),
    }
}

fn failed(why: &dyn fmt::Display) -> ExitCode {
    output::remark(why);
    ExitCode::FAILURE
}

/// The reason why a command has no answer.
type Refused = String;

/// Reads a file that the command line names. The error names the file.
fn read(file: &Path) -> Result<Vec<u8>, Refused> {
    std::fs::read(file).map_err(|error| format!("{}: cannot be read: {error}", file.display()))
}

/// Reads a file that the command line names; standard input for `None` and for `-`.
fn read_or_input(file: Option<&Path>) -> Result<Vec<u8>, Refused> {
    if let Some(file) = file.filter(|file| *file != "-") {
        return read(file);
    }
    let mut bytes = Vec::new();
    io::stdin()
        .read_to_end(&mut bytes)
        .map_err(|error| format!("standard input cannot be read: {error}"))?;
    Ok(bytes)
}
