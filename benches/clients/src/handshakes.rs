//! New connections, each with one small request: what a wave of participants costs.

use std::{
    io::Read,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Instant,
};

use crate::{Outcome, http::Http, options::Options, stream::Endpoint};

pub fn run(options: &Options) -> Outcome<()> {
    let endpoint = Endpoint::of(options)?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        options.text("path")?,
        endpoint.authority()
    );
    let (seconds, started) = (options.seconds()?, Instant::now());
    let (count, resumed) = (AtomicU64::new(0), AtomicU64::new(0));
    let one_after_another = || -> Outcome<()> {
        while started.elapsed() < seconds {
            let mut http = Http::on(endpoint.connect()?);
            http.send(request.as_bytes())?;
            http.answer()?;
            if http.stream().resumed() {
                resumed.fetch_add(1, Ordering::Relaxed);
            }
            // The server closes first, and its farewell, if it sends one, is part of its work.
            let _farewell = http.stream().read(&mut [0; 64]);
            count.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    let threads: usize = options.number("connections")?;
    thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(one_after_another)).collect();
        all.into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })?;
    println!(
        r#"{{"count":{},"resumed":{},"seconds":{}}}"#,
        count.into_inner(),
        resumed.into_inner(),
        started.elapsed().as_secs_f64()
    );
    Ok(())
}
