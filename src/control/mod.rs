//! The control socket: how an operator speaks to a running gateway.
//!
//! A Unix socket. One line of JSON asks, a line of JSON answers, and the connection ends:
//!
//! ```text
//! {"command":"status"}    {"ok":true,"status":{…}}
//! {"command":"reload"}    {"ok":false,"error":"…","problems":["…"]}
//! ```
//!
//! SECURITY: the file is the gateway's user's alone (0600), and whoever connects has to be that user or root, by what the
//! system says of the other end. A question is bounded in size and time, and so is the number of those who ask.
//!
//! | file | holds |
//! | --- | --- |
//! | `command` | what can be asked, and the form of answers |
//! | `place` | where the socket is; making its file, and taking it away |
//! | `serve` | the gateway's side |
//! | `ask` | the operator's side |
//! | `old` | gateways that have handed over or stop: where their sockets are, and asking them all |
//!
//! A new command is a variant of `Command`, and an arm in the `Operator` that acts (`crate::gateway`).
//!
//! Sources: unix(7) (`SO_PEERCRED`, stale files).

mod ask;
mod command;
mod old;
mod place;
mod serve;

pub use ask::{AskError, ask};
pub use command::{Answer, Command};
pub use old::{ask_old, old_place};
pub use place::{NotOpen, Socket, SocketSetting};
pub use serve::{Operator, serve};
