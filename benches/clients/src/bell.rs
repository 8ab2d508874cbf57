//! Everybody at the same moment: a new connection each, with one small request, from the knock to the whole answer.
//!
//! A full queue of the listener drops what knocks, and the client's kernel tries again after 1, 3 and 7 s: that is what
//! the slowest shows.

use std::{sync::Barrier, thread, time::Instant};

use crate::{Outcome, http::Http, latency, options::Options, stream::Endpoint};

/// A thread waits and copies a few kilobytes.
const STACK_BYTES: usize = 256 * 1024;

pub fn run(options: &Options) -> Outcome<()> {
    let endpoint = Endpoint::of(options)?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\n\r\n",
        options.text("path")?,
        endpoint.authority()
    );
    let connections: usize = options.number("connections")?;
    let (ready, all_here) = (Barrier::new(connections + 1), Barrier::new(connections));
    let one = || -> Outcome<_> {
        ready.wait();
        let knocked = Instant::now();
        let answered = endpoint.connect().and_then(|stream| {
            let mut http = Http::on(stream);
            http.send(request.as_bytes())?;
            http.answer()?;
            Ok((knocked.elapsed(), http))
        });
        // Nobody leaves before the last is in.
        all_here.wait();
        answered.map(|(took, _open)| took)
    };
    let (mut took, seconds) = thread::scope(|scope| -> Outcome<_> {
        let all: Vec<_> = (0..connections)
            .map(|_| {
                thread::Builder::new()
                    .stack_size(STACK_BYTES)
                    .spawn_scoped(scope, one)
            })
            .collect::<Result<_, _>>()?;
        ready.wait();
        let started = Instant::now();
        let took = all
            .into_iter()
            .map(|thread| thread.join().map_err(|_| "a thread panicked")?)
            .collect::<Outcome<Vec<_>>>()?;
        Ok((took, started.elapsed()))
    })?;
    println!("{}", latency::told(&mut took, seconds));
    Ok(())
}
