//! The doors: HTTPS for everyone, plain HTTP that leads there, and the admin listener for the operator.
//!
//! Source: RFC 9110 section 15.4.9 (308).

mod accept;
mod admin;
mod https;
mod plain;
mod proxy_header;
mod redirect;

pub use accept::{Door, accept, bind};
pub use admin::Admin;
pub use https::{Https, HttpsSettings};
pub use plain::Plain;
pub use redirect::Redirect;
