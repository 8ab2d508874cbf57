//! A running gateway hands over to a new one: its listeners, and what is remembered nowhere else.
//!
//! The old process starts the new one, whose standard input is one end of a socket pair. Over it go, each as one message:
//!
//! | from | message | with |
//! | --- | --- | --- |
//! | old | `Offer` | the listeners' descriptors (`SCM_RIGHTS`), and what a start needs already |
//! | new | `Prepared` | it has read and checked all, and could serve |
//! | old | `State` | what is remembered, as it is at this moment |
//! | new | `Serving` | it accepts |
//! | old | `Released` | the old one accepts no more, and its control socket is gone |
//! | old | `Learned` | what its last requests have brought, each time |
//!
//! Until `Serving` the old one goes on as if nothing had been: a new one that ends, says nothing in time or breaks off costs
//! nobody anything. Between `Serving` and `Released` both accept, so that no connection finds nobody.
//!
//! What goes over is a part with a name and a version. Who does not know a part, or its version, goes on without it.
//!
//! Why no descriptors by number, as in `LISTEN_FDS`: their numbers would have to be set between fork and exec. Those that a
//! service manager passes so are taken too (`crate::cli`).
//!
//! Sources: unix(7) (`SCM_RIGHTS`), `sd_listen_fds(3)`.

mod channel;
mod giving;
mod journal;
mod parts;
mod taking;

pub use giving::{NotHandedOver, Offered, Successor, hand_over};
pub use journal::{Journal, Telling};
pub use parts::{Part, Parts};
pub use taking::{Taken, Taking};
