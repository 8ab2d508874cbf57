//! The command line: arguments and environment in, an exit status out.
//!
//! | command | file | does |
//! | --- | --- | --- |
//! | `serve`, or none | `serve` | runs the gateway until a signal |
//! | `check` | `check` | tells whether the configuration is sound |
//! | `check-design` | `check_design` | tells whether a design can be used |
//! | `prepare` | `prepare` | compresses the client's files ahead of the start |
//! | `compress` (hidden) | `compress` | compresses what a running gateway sends to it |
//! | `join-link` | `join_link`, `ask` | asks the running gateway for a token and prints the link |
//! | `sign` | `sign` | prints the two headers of a signed request |
//! | `reference` | here | prints `docs/configuration.md` |
//!
//! Exit status: 0, 1 for what went wrong, 2 for arguments that make no sense. Answers and the log of `serve` go to
//! standard output, everything else to standard error.
//!
//! The only reader of the environment.

mod arguments;
mod ask;
mod check;
mod check_design;
mod compress;
mod join_link;
mod keys;
mod prepare;
mod serve;
mod sign;

use std::{
    env,
    ffi::OsString,
    fmt,
    io::{self, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;

use self::arguments::{Arguments, Command};
use crate::{
    clock::Clock,
    config::{self, Config, Place, Problem, Problems},
};

/// What is read when no file is named, if it is there.
const DEFAULT_FILE: &str = "config/gateway.toml";

/// Runs one command.
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
    if matches!(arguments.command, Some(Command::Compress)) {
        return compress::run();
    }
    // What somebody would have to type to ask this very gateway.
    let ask = match &arguments.config {
        Some(file) => format!("{program} --config {}", file.display()),
        None => program,
    };
    if matches!(arguments.command, Some(Command::Reference)) {
        print!("{}", config::reference());
        return ExitCode::SUCCESS;
    }
    let draft = match load(arguments.config) {
        Ok(draft) => draft,
        Err(problems) => return failed(&problems),
    };
    let config = match arguments.command {
        // They tell what is refused together with what else is wrong.
        None | Some(Command::Serve | Command::Check) => draft,
        Some(_) => match draft.sound() {
            Ok(config) => config,
            Err(problems) => return failed(&problems),
        },
    };
    let answer = match arguments.command {
        None | Some(Command::Serve) => return serve::run(&config, &ask),
        Some(Command::Compress) => return compress::run(),
        Some(Command::Check) => check::answer(&config, &Clock::system(), false),
        Some(Command::CheckDesign { file, canonical }) => check_design::answer(&config, &file, canonical),
        Some(Command::Prepare) => {
            let clock = Clock::system();
            let prepared = config.prepare_client();
            prepare::answer(prepared, clock.steady())
        }
        Some(Command::JoinLink(wanted)) => join_link::answer(&config, &wanted),
        Some(Command::Sign { file }) => sign::answer(&config, file.as_deref()),
        Some(Command::Reference) => Ok(config::reference()),
    };
    match answer {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(why) => failed(&why),
    }
}

fn failed(why: &dyn fmt::Display) -> ExitCode {
    eprintln!("{why}");
    ExitCode::FAILURE
}

fn load(named: Option<PathBuf>) -> Result<Config, Problems> {
    let default = || Some(PathBuf::from(DEFAULT_FILE)).filter(|file| file.exists());
    let file = named.or_else(default);
    Config::draft(file.as_deref(), &variables(env::vars_os())?)
}

/// What begins with it is meant for us, and may be misspelled.
const NAME: &str = "PNM_GATEWAY";

/// Kubernetes tells every container of a service `pnm-gateway` in variables of its own.
fn is_of_kubernetes(name: &str) -> bool {
    let own = name.strip_prefix(NAME).unwrap_or_default();
    own == "_PORT" || own == "_SERVICE_HOST" || own.starts_with("_SERVICE_PORT") || own.starts_with("_PORT_")
}

/// Our variables, of which each has to be text.
fn variables(all: impl Iterator<Item = (OsString, OsString)>) -> Result<Vec<(String, String)>, Problems> {
    let (mut ours, mut problems) = (Vec::new(), Vec::new());
    for (name, value) in all {
        let Ok(name) = name.into_string() else { continue };
        if !name.starts_with(NAME) || is_of_kubernetes(&name) {
            continue;
        }
        if let Ok(value) = value.into_string() {
            ours.push((name, value));
        } else {
            let place = Place {
                file: "environment".into(),
                line: None,
            };
            problems.push(Problem::at(place, name, "is not UTF-8", "write UTF-8"));
        }
    }
    if problems.is_empty() {
        Ok(ours)
    } else {
        Err(Problems(problems))
    }
}

/// Why a command has no answer, in a line.
type Refused = String;

/// A file of the command line, with its name where it can't be read.
fn read(file: &Path) -> Result<Vec<u8>, Refused> {
    std::fs::read(file).map_err(|error| format!("{}: cannot be read: {error}", file.display()))
}

/// A file of the command line, or standard input for none and for `-`.
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

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn pairs(all: &[(&str, &[u8])]) -> impl Iterator<Item = (OsString, OsString)> {
        let pairs: Vec<_> = all
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from_vec(value.to_vec())))
            .collect();
        pairs.into_iter()
    }

    #[test]
    fn only_our_variables_are_read() {
        let all: [(&str, &[u8]); 6] = [
            ("PATH", b"\xff"),
            ("PNM_GATEWAY__HOSTS", b"a"),
            ("PNM_GATEWAY_X", b"b"),
            ("PNM_GATEWAY_SERVICE_HOST", b"10.0.0.1"),
            ("PNM_GATEWAY_PORT", b"tcp://10.0.0.1:443"),
            ("PNM_GATEWAY_PORT_443_TCP_ADDR", b"10.0.0.1"),
        ];
        assert_eq!(
            variables(pairs(&all)).unwrap(),
            [
                ("PNM_GATEWAY__HOSTS".into(), "a".into()),
                ("PNM_GATEWAY_X".into(), "b".into())
            ]
        );
    }

    #[test]
    fn a_variable_that_is_no_text_is_told_and_not_shown() {
        let all: [(&str, &[u8]); 1] = [("PNM_GATEWAY__PLUGNMEET__SECRET", b"zumyyYWqv7KR\xff")];
        assert_eq!(
            variables(pairs(&all)).unwrap_err().to_string(),
            "environment: PNM_GATEWAY__PLUGNMEET__SECRET: is not UTF-8; write UTF-8"
        );
    }
}
