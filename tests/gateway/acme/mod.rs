//! Certificates by themselves, with a real CA over real sockets.

mod checks;
mod orders;
mod refusals;
