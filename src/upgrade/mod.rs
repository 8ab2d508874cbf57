//! WebSockets: a tunnel between client and upstream, made only after a handshake in which both sides took part.
//!
//! Bytes are passed on as they are. Frames are only counted, so that at the end of a drain a Close frame (1001, "going
//! away") can be written between two of them. A client of NATS says in its first words whose tunnel it is, which is read as
//! it passes; LiveKit's says so in its request.
//!
//! `Origin` is not judged: nothing behind the gateway trusts a cookie.
//!
//! Sources: RFC 6455 sections 1.3, 4, 5.2, 5.5.1, 7.4.1; RFC 9110 section 7.8.

mod direction;
mod frames;
mod handshake;
mod livekit;
mod nats;
mod opening;
mod payload;
mod registry;
mod silence;
mod tap;
mod tunnel;

pub use handshake::{BadHandshake, UpgradeRequest};
pub use livekit::whose as whose_livekit;
pub use registry::{NatsClients, Registry, RoomTunnels, Tunnels};
pub use tunnel::join;
