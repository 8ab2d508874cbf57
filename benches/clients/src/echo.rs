//! WebSockets that send a message, wait for it to come back, and send the next.

use std::{
    io::{Read, Write},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Instant,
};

use crate::{Outcome, http::Http, options::Options, stream::Endpoint};

/// RFC 6455 section 5.3: clients mask; whom it is not for need not know by what.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub fn run(options: &Options) -> Outcome<()> {
    let endpoint = Endpoint::of(options)?;
    let (path, bytes) = (options.text("path")?, options.number("bytes")?);
    let (seconds, started) = (options.seconds()?, Instant::now());
    let count = AtomicU64::new(0);
    let one = || -> Outcome<()> {
        let mut stream = Http::on(endpoint.connect()?).upgrade(endpoint.authority(), path)?;
        let (sent, expected) = (frame(bytes, Some(MASK))?, frame(bytes, None)?);
        let mut echoed = vec![0; expected.len()];
        while started.elapsed() < seconds {
            stream.write_all(&sent)?;
            stream.flush()?;
            stream.read_exact(&mut echoed)?;
            if echoed != expected {
                return Err("not what was sent".into());
            }
            count.fetch_add(1, Ordering::Relaxed);
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
        r#"{{"count":{},"seconds":{}}}"#,
        count.into_inner(),
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

/// A binary message in one frame, RFC 6455 section 5.2.
fn frame(bytes: u16, mask: Option<[u8; 4]>) -> Outcome<Vec<u8>> {
    let masked = if mask.is_some() { 0x80 } else { 0 };
    let mut frame = vec![0x82];
    if let Ok(short @ 0..=0x7d) = u8::try_from(bytes) {
        frame.push(masked | short);
    } else {
        frame.push(masked | 0x7e);
        frame.extend(bytes.to_be_bytes());
    }
    frame.extend(mask.into_iter().flatten());
    let mask = mask.unwrap_or_default();
    for at in 0..usize::from(bytes) {
        frame.push(u8::try_from(at % 251)? ^ mask[at % 4]);
    }
    Ok(frame)
}
