//! Gateway.
pub mod addr;
pub mod clock;
pub mod drain;
pub mod limits;
pub mod query;
pub mod reply;
pub mod secret;
pub mod token;
