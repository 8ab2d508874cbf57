//! The files of an official installation, read: each value with the line on which it stands. Nothing of them is executed.
//!
//! | file | reads |
//! | --- | --- |
//! | `file` | any of them, as text |
//! | `yaml` | the YAML of plugNmeet's parts |
//! | `nats` | nats-server.conf |
//! | `haproxy` | haproxy.cfg |
//!
//! Not here: what becomes of them (`crate::adopt`), and what is wrong with them (`crate::doctor`).
//!
//! Source: docs/plugnmeet.md sections 0, 9 and 12.

mod file;
pub mod haproxy;
mod nats;
mod yaml;

pub use self::{
    file::{Unreadable, text},
    haproxy::{Bound, HaProxy},
    nats::NatsConf,
    yaml::{Found, Yaml},
};
