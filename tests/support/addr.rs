//! Loopback addresses of a test's own.
//!
//! All tests run at once, and of 127.0.0.1 the system gives a port that one of them has given up to the next that asks for
//! any, be it for a listener or for a connection. At an address that nobody else has, a port that was given up stays free:
//! nobody listens there until the test does again.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};

const PATIENCE: Duration = Duration::from_secs(90);

/// An address that no other test has: never 127.0.0.1, from which connections come.
pub fn own_ip() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let nth = NEXT.fetch_add(1, Ordering::Relaxed);
    // The tests of two processes have other addresses too: each process has 8,192.
    let host = std::process::id().wrapping_mul(1 << 13).wrapping_add(nth) % 0x00fe_0000;
    Ipv4Addr::from_bits(0x7f01_0000 + host)
}

/// Any port of an address that no other test has.
pub fn own() -> String {
    format!("{}:0", own_ip())
}

/// Where nobody listens, until the test does.
pub fn free() -> SocketAddr {
    let listener = TcpListener::bind((own_ip(), 0)).unwrap();
    listener.local_addr().unwrap()
}

/// Waits until nobody listens there any more.
pub async fn nobody_listens(addr: SocketAddr) {
    let refused = async {
        while TcpStream::connect(addr).await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, refused).await.expect("somebody listens still");
}

/// A port at which nobody listens, whatever the address. It is none of those that the system gives to who asks for any.
pub fn free_port() -> u16 {
    loop {
        let port = u16::try_from(10_000 + own_ip().to_bits() % 20_000).unwrap();
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
}
