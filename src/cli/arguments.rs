//! What can be written after `plugnmeet-gateway`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Version, commit and build; `build.rs` finds the two.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("GATEWAY_BUILD"), ")");

/// The front door of a plugNmeet deployment.
#[derive(Debug, Parser)]
#[command(name = "plugnmeet-gateway", version = VERSION)]
pub(super) struct Arguments {
    /// The configuration; without it config/gateway.toml, if it is there
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the gateway; so does no command at all
    Serve,
    /// Is the configuration sound?
    Check {
        /// Print it as one line of JSON, to standard output whatever comes out
        #[arg(long)]
        json: bool,
    },
    /// What the configuration is, and what it may be
    Config {
        #[command(subcommand)]
        what: ConfigOf,
    },
    /// What would happen to a request, and why; nothing is sent
    Explain {
        /// The whole address, or its path and query at the public origin
        url: String,
        /// The request's method
        #[arg(long, default_value = "GET")]
        method: String,
    },
    /// Make a configuration of what the official installer left on this machine; nothing is started or stopped
    Adopt(Adopted),
    /// Is everything around the gateway as it has to be? Nothing is changed
    Doctor(Looked),
    /// Put the gateway into `HAProxy`'s place on this machine; whatever fails brings `HAProxy` back
    Swap(Swapped),
    /// Can this design be used?
    CheckDesign {
        /// The design as JSON; "-" for standard input
        file: PathBuf,
        /// Print it without what is wrong, each colour in its canonical spelling
        #[arg(long)]
        canonical: bool,
    },
    /// Compress the client's files now, so that no start has to
    Prepare,
    /// Compress what a running gateway sends
    #[command(hide = true)]
    Compress,
    /// Ask the running gateway for a join token and print the link
    JoinLink(Wanted),
    /// Print the headers API-KEY and HASH-SIGNATURE for a request body
    Sign {
        /// The body; without it, or as "-", standard input
        file: Option<PathBuf>,
    },
    /// Have the running gateway start the program anew and hand over to it: nothing is closed, nobody refused
    Upgrade,
    /// What does the running gateway do?
    Status {
        /// Print it as one line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Is the running gateway alive? Its admin listener is asked, for probes in containers
    Health {
        /// Does it take requests?
        #[arg(long)]
        ready: bool,
    },
    /// Have the running gateway read its configuration again and take it up
    Reload,
    /// Close the WebSockets of one meeting room; whoever may, comes back at once
    Drain {
        /// The room's id
        #[arg(long, value_name = "ROOM")]
        room: String,
    },
    /// Print every key of the configuration, as in docs/configuration.md
    #[command(hide = true)]
    Reference,
    /// Write man pages and completions for bash, zsh and fish into a folder
    #[command(hide = true)]
    Papers {
        /// It is made if it is missing
        folder: PathBuf,
    },
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum ConfigOf {
    /// Print what is in effect, with the origin of each value: a line of the file, a variable, or the default
    Show,
    /// Print the JSON Schema of the file, for editors
    Schema,
}

/// What is explained; nothing is looked at.
#[derive(Debug, Subcommand)]
pub(super) enum DoctorOf {
    /// What does this check mean, or the result code of a participant's check page?
    Explain {
        /// The id of a check, or five letters and digits
        #[arg(value_name = "ID|CODE")]
        what: String,
    },
}

/// What is looked at.
#[derive(Args, Debug)]
pub(super) struct Looked {
    #[command(subcommand)]
    pub(super) what: Option<DoctorOf>,
    /// The folder of plugNmeet
    #[arg(long, value_name = "FOLDER", default_value = "/opt/plugNmeet")]
    pub(super) from: PathBuf,
    /// `HAProxy`'s folder
    #[arg(long, value_name = "FOLDER", default_value = "/etc/haproxy")]
    pub(super) haproxy: PathBuf,
    /// One check, or the checks of one area
    #[arg(long, value_name = "ID")]
    pub(super) only: Option<String>,
    /// Print it as one line of JSON
    #[arg(long)]
    pub(super) json: bool,
    /// What does this check mean? Nothing is looked at
    #[arg(long, value_name = "ID")]
    pub(super) explain: Option<String>,
    /// Look at files alone, not at this machine
    #[arg(long, conflicts_with = "from_outside")]
    pub(super) files: bool,
    /// Look at the public address, from any machine
    #[arg(long, value_name = "URL")]
    pub(super) from_outside: Option<url::Url>,
    /// From outside: the API key
    #[arg(long, value_name = "KEY", requires = "from_outside")]
    pub(super) api_key: Option<String>,
    /// From outside: a file with its secret
    #[arg(long, value_name = "FILE", requires = "from_outside")]
    pub(super) secret_file: Option<PathBuf>,
    /// From outside: the site that shows meetings in a frame
    #[arg(long, value_name = "SITE", requires = "from_outside")]
    pub(super) frame: Option<String>,
    /// From outside: turn.domain, if it is a name of its own
    #[arg(long, value_name = "NAME", requires = "from_outside")]
    pub(super) turn: Option<String>,
    /// From outside: certificates that are trusted in place of the system's
    #[arg(long, value_name = "FILE", requires = "from_outside")]
    pub(super) roots: Option<PathBuf>,
}

/// Which machine is adopted, and how.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[derive(Args, Debug)]
pub(super) struct Adopted {
    /// The folder of plugNmeet
    #[arg(long, value_name = "FOLDER", default_value = "/opt/plugNmeet")]
    pub(super) from: PathBuf,
    /// `HAProxy`'s folder
    #[arg(long, value_name = "FOLDER", default_value = "/etc/haproxy")]
    pub(super) haproxy: PathBuf,
    /// The gateway's folder, where the files are written
    #[arg(long, value_name = "FOLDER", default_value = "/etc/plugnmeet-gateway")]
    pub(super) to: PathBuf,
    /// certbot's folder
    #[arg(long, value_name = "FOLDER", default_value = "/etc/letsencrypt")]
    pub(super) letsencrypt: PathBuf,
    /// Where drop-ins of systemd's units are written, if it is there
    #[arg(long, value_name = "FOLDER", default_value = "/etc/systemd/system")]
    pub(super) units: PathBuf,
    /// Have the gateway order its certificates by itself, in place of certbot; accepts the terms of Let's Encrypt, who may write
    /// to this address
    #[arg(long, value_name = "EMAIL")]
    pub(super) acme: Option<String>,
    /// Show what would be written, and write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// A first, careful step: `HAProxy` stays in front, and one line of its file changes
    #[arg(long)]
    pub(super) behind_haproxy: bool,
    /// Write anew what was edited by hand; the edited file is kept beside
    #[arg(long)]
    pub(super) force: bool,
    /// Write although `HAProxy`'s file has what the gateway does not do
    #[arg(long)]
    pub(super) accept_losses: bool,
    /// Sites that show meetings in a frame, with commas between them
    #[arg(long, value_name = "SITES", value_delimiter = ',')]
    pub(super) frame_ancestors: Vec<String>,
    /// Hosts of style sheets that designs may name, with commas between them
    #[arg(long, value_name = "HOSTS", value_delimiter = ',')]
    pub(super) css_hosts: Vec<String>,
}

/// Which way, and how.
#[derive(Args, Debug)]
pub(super) struct Swapped {
    /// Give `HAProxy` its place back
    #[arg(long)]
    pub(super) back: bool,
    /// Say each step, and do none
    #[arg(long)]
    pub(super) dry_run: bool,
    /// The folder of plugNmeet
    #[arg(long, value_name = "FOLDER", default_value = "/opt/plugNmeet")]
    pub(super) from: PathBuf,
    /// `HAProxy`'s folder
    #[arg(long, value_name = "FOLDER", default_value = "/etc/haproxy")]
    pub(super) haproxy: PathBuf,
    /// certbot's folder
    #[arg(long, value_name = "FOLDER", default_value = "/etc/letsencrypt")]
    pub(super) letsencrypt: PathBuf,
    /// What this check of doctor's finds, or any of one area, is shown and does not stop the swap. May be written several
    /// times
    #[arg(long, value_name = "ID")]
    pub(super) despite: Vec<String>,
}

/// Who joins which room, and how it looks to them.
#[derive(Args, Debug)]
pub(super) struct Wanted {
    /// The room's id
    #[arg(long, value_name = "R")]
    pub(super) room: String,
    /// The name that others see
    #[arg(long, value_name = "N")]
    pub(super) name: String,
    /// The participant's id
    #[arg(long, value_name = "U")]
    pub(super) user_id: String,
    /// Join as one who runs the room
    #[arg(long)]
    pub(super) admin: bool,
    /// A JSON file with a `custom_design`
    #[arg(long, value_name = "FILE")]
    pub(super) design: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory;

    use super::*;

    fn parsed(line: &str) -> Arguments {
        let words = std::iter::once("plugnmeet-gateway").chain(line.split_whitespace());
        Arguments::try_parse_from(words).unwrap()
    }

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_file_can_be_named_before_and_after_the_command() {
        for line in [
            "--config a.toml",
            "serve --config a.toml",
            "--config a.toml check",
            "check --config=a.toml",
        ] {
            assert_eq!(
                parsed(line).config.as_deref(),
                Some(Path::new("a.toml")),
                "{line}"
            );
        }
        assert!(parsed("").command.is_none());
    }

    #[test]
    fn a_link_is_for_somebody_in_a_room() {
        let Some(Command::JoinLink(wanted)) =
            parsed("join-link --room r --name n --user-id u --admin").command
        else {
            panic!("join-link is a command");
        };
        assert_eq!(
            (
                wanted.room.as_str(),
                wanted.name.as_str(),
                wanted.user_id.as_str()
            ),
            ("r", "n", "u")
        );
        assert!(wanted.admin && wanted.design.is_none());
    }
}
