//! Any bytes in front of a connection: a PROXY header, read to its last byte and not further, or none, and never a panic.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

/// What the reader names of the library.
mod addr {
    pub use plugnmeet_gateway::addr::{Ends, unmapped};
}

#[allow(dead_code, reason = "the listener uses all of it")]
#[path = "../../src/listen/proxy_header.rs"]
mod proxy_header;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime"));

fuzz_target!(|data: &[u8]| {
    let own = addr::Ends {
        peer: "192.0.2.1:1".parse().expect("an address"),
        local: "192.0.2.2:2".parse().expect("an address"),
    };
    for start in [&b""[..], b"PROXY TCP4 ", b"\r\n\r\n\0\r\nQUIT\n"] {
        let bytes = [start, data].concat();
        let mut stream = bytes.as_slice();
        match RUNTIME.block_on(proxy_header::read(&mut stream, own)) {
            Ok(_ends) => {
                let used = bytes.len() - stream.len();
                assert!(used >= 15 && used <= 16 + 4096, "{bytes:?}");
                // What follows changes nothing.
                let mut alone = &bytes[..used];
                assert!(RUNTIME.block_on(proxy_header::read(&mut alone, own)).is_ok());
                assert!(alone.is_empty());
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
});
