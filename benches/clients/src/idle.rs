//! WebSockets that are open and silent, as most are: says when all stand, and holds them until its input ends.

use std::{io, thread};

use crate::{Outcome, http::Http, options::Options, stream::Endpoint};

/// Handshakes at a time.
const AT_ONCE: usize = 8;

pub fn run(options: &Options) -> Outcome<()> {
    let endpoint = Endpoint::of(options)?;
    let path = options.text("path")?;
    let connections: usize = options.number("connections")?;
    let some = |count| -> Outcome<Vec<_>> {
        (0..count)
            .map(|_| Http::on(endpoint.connect()?).upgrade(endpoint.authority(), path))
            .collect()
    };
    let open = thread::scope(|scope| {
        let all: Vec<_> = (0..AT_ONCE)
            .map(|at| scope.spawn(move || some((connections + at) / AT_ONCE)))
            .collect();
        all.into_iter()
            .map(|thread| thread.join().map_err(|_| "a thread panicked")?)
            .collect::<Outcome<Vec<_>>>()
    })?;
    println!(r#"{{"count":{}}}"#, open.iter().map(Vec::len).sum::<usize>());
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
