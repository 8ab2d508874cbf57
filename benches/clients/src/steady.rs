//! Requests at a fixed rate, and how long each takes from when it was due.
//!
//! A client that waits for an answer before it asks again asks less often of whoever is slow, and so leaves out of its
//! figures what the others would have suffered ("coordinated omission"). Here each request has its point in time,
//! whatever became of the one before it.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{Outcome, http::Http, latency, options::Options, stream::Endpoint};

pub fn run(options: &Options) -> Outcome<()> {
    let endpoint = Endpoint::of(options)?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\n\r\n",
        options.text("path")?,
        endpoint.authority()
    );
    let rate: f64 = options.number("rate")?;
    let connections: u32 = options.number("connections")?;
    let seconds = options.seconds()?;
    // All connections stand before the first request is due.
    let started = Instant::now() + Duration::from_millis(200);
    let one = |at: u32| -> Outcome<Vec<Duration>> {
        let mut http = Http::on(endpoint.connect()?);
        let mut took = Vec::new();
        for turn in 0.. {
            let after = f64::from(at + turn * connections) / rate;
            if after >= seconds.as_secs_f64() {
                break;
            }
            let due = started + Duration::from_secs_f64(after);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            http.send(request.as_bytes())?;
            http.answer()?;
            took.push(due.elapsed());
        }
        Ok(took)
    };
    let mut took = thread::scope(|scope| {
        let all: Vec<_> = (0..connections).map(|at| scope.spawn(move || one(at))).collect();
        all.into_iter()
            .map(|thread| thread.join().map_err(|_| "a thread panicked")?)
            .collect::<Outcome<Vec<_>>>()
    })?
    .concat();
    println!("{}", latency::told(&mut took, started.elapsed()));
    Ok(())
}
