//! WebSockets: a tunnel between client and upstream, made only after a handshake in which both sides took part.
//!
//! Bytes are passed on as they are. Frames are only counted, so that at the end of a drain a Close frame (1001, "going
//! away") can be written between two of them.
//!
//! `Origin` is not judged: nothing behind this door trusts a cookie.
//!
//! Sources: RFC 6455 sections 1.3, 4, 5.2, 5.5.1, 7.4.1; RFC 9110 section 7.8.

mod frames;
mod handshake;
mod registry;
mod silence;
mod tunnel;

pub use handshake::{BadHandshake, Wanted};
pub use registry::Tunnels;
pub use tunnel::join;
