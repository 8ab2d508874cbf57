//! Load that wrk and h2load don't make, and the upstream behind all who are measured.
//!
//! Every client says at its end in one line of JSON what it did; an unexpected answer ends it with an error, so that
//! nobody is measured while failing. Clients are threads that block, one a connection: what they cost is not measured,
//! and a thread that sleeps until a point in time wakes nearer to it than a runtime's timer. `join` alone runs on a
//! runtime, as HTTP/2 does.
//!
//! Not here: whose load it is, and what it costs them (`benches/peers`).

mod bell;
mod echo;
mod handshakes;
mod http;
mod idle;
mod join;
mod latency;
mod options;
mod steady;
mod stream;
mod streams;
mod upstream;

use std::{error::Error, process::ExitCode};

use options::Options;

/// Anything can go wrong, and then the figure is void.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let outcome = Options::of(arguments).and_then(|options| match command.as_str() {
        "upstream" => upstream::run(&options),
        "handshakes" => handshakes::run(&options),
        "bell" => bell::run(&options),
        "echo" => echo::run(&options),
        "idle" => idle::run(&options),
        "join" => join::one_after_another(&options),
        "joins" => join::at_once(&options),
        "steady" => steady::run(&options),
        "upload" => streams::upload(&options),
        "download" => streams::download(&options),
        _ => Err(
            "one of: upstream, handshakes, bell, echo, idle, join, joins, steady, upload, download".into(),
        ),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{command}: {error}");
            ExitCode::FAILURE
        }
    }
}
