//! Large bodies, one after another on each connection: uploads and recordings. Counts bytes.

use std::{
    io::Write,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Instant,
};

use crate::{Outcome, http::Http, options::Options, stream::Endpoint};

/// What is handed to a connection, and taken from it, at once.
const PIECE: usize = 64 << 10;

pub fn upload(options: &Options) -> Outcome<()> {
    let bytes: u64 = options.number("bytes")?;
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/octet-stream\r\nContent-Length: {bytes}\r\n\r\n",
        options.text("path")?,
        options.text("to")?
    );
    over_and_over(options, |http, piece| {
        http.send(head.as_bytes())?;
        let mut left = bytes;
        while left > 0 {
            let most = usize::try_from(left)?.min(piece.len());
            http.stream().write_all(&piece[..most])?;
            left -= most as u64;
        }
        http.stream().flush()?;
        http.answer()?;
        Ok(bytes)
    })
}

pub fn download(options: &Options) -> Outcome<()> {
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\n\r\n",
        options.text("path")?,
        options.text("to")?
    );
    over_and_over(options, |http, piece| {
        http.send(request.as_bytes())?;
        let head = http.head()?;
        if head.status != 200 {
            return Err(format!("answered {}", head.status).into());
        }
        let bytes = head.content_length.ok_or("an answer of unknown length")?;
        http.skip(bytes, piece)?;
        Ok(bytes)
    })
}

fn over_and_over(
    options: &Options,
    load: impl Fn(&mut Http, &mut [u8]) -> Outcome<u64> + Sync,
) -> Outcome<()> {
    let endpoint = Endpoint::of(options)?;
    let (seconds, started) = (options.seconds()?, Instant::now());
    let bytes = AtomicU64::new(0);
    let one = || -> Outcome<()> {
        let mut http = Http::on(endpoint.connect()?);
        let mut piece = vec![0x5a; PIECE];
        while started.elapsed() < seconds {
            bytes.fetch_add(load(&mut http, &mut piece)?, Ordering::Relaxed);
        }
        Ok(())
    };
    let connections: usize = options.number("connections")?;
    thread::scope(|scope| {
        let all: Vec<_> = (0..connections).map(|_| scope.spawn(one)).collect();
        all.into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })?;
    println!(
        r#"{{"bytes":{},"seconds":{}}}"#,
        bytes.into_inner(),
        started.elapsed().as_secs_f64()
    );
    Ok(())
}
