//! plugnmeet-gateway: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    plugnmeet_gateway::cli::run(std::env::args_os())
}
