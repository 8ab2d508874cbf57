//! The listeners: HTTPS for everyone, plain HTTP that redirects to it, and the admin listener for the operator.
//!
//! Source: RFC 9110 section 15.4.9 (308).

mod accept;
mod admin;
mod beside;
mod checks;
mod handshakes;
mod https;
mod plain;
mod proxy_header;
mod redirect;
mod replay;
mod tcp;

pub use accept::{Serve, accept, bind};
pub use admin::Admin;
pub use beside::{Beside, Onward, OnwardSettings};
pub use checks::Checks;
pub use https::{Https, HttpsSettings};
pub use plain::Plain;
pub use redirect::Redirect;
pub use tcp::Tcp;
