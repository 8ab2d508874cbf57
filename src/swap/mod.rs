//! `swap`: the gateway takes HAProxy's place on a machine, and gives it back.
//!
//! The old front stays as it is on disk, so that one command undoes all. What was running and enabled before is written down
//! before the first step; every step may be the last, and whoever comes next undoes what is written. After the swap each route
//! is asked for as a client would ask; a route that does not answer, and did so behind HAProxy, brings HAProxy back at once:
//! meetings have 20 seconds (docs/plugnmeet.md section 5) before their clients give up.
//!
//! | file | holds |
//! | --- | --- |
//! | `services` | systemd's units, started and stopped within a time |
//! | `record` | what was before, on disk; one swap at a time |
//! | `routes`, `exchange` | what each route has to answer; one exchange over TLS |
//! | `steps` | there and back |
//!
//! Not here: whether the configuration is sound, the words of the command (`crate::cli`).
//!
//! Source: docs/plugnmeet.md sections 0, 5 and 9.

mod exchange;
mod record;
mod routes;
mod services;
mod steps;

pub use self::{
    exchange::Front,
    record::RecordError,
    routes::Routes,
    steps::{Hooks, Swap, SwapError, Wanted},
};
