//! The running gateway, over real sockets: everything that needs the parts of `tests/support`, in one program, so that it is
//! linked once. `cargo test --test gateway tls::` runs one file of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod acme;
mod addresses;
mod callers;
mod callers_rooms;
mod check_and_serve;
mod check_page;
mod client_cache;
mod client_files;
mod client_load;
mod client_releases;
mod client_semantics;
mod commands;
mod control;
mod deadlines;
mod design;
mod doctor;
mod doctor_here;
mod doctor_outside;
mod forwarding;
mod handoff;
mod handshakes;
mod host_config;
mod hostile;
mod issuing;
mod joining;
mod other_joins;
mod page_headers;
mod pages;
mod places;
mod port;
mod real_components;
mod real_exchanges;
mod release_paths;
mod reload;
mod removals;
mod rtmp;
mod sessions;
mod sessions_in_browser;
mod set_ups;
mod shared_limits;
mod targets;
mod tls;
mod token_kinds;
mod tunnels_of_rooms;
mod turn;
mod turn_with_coturn;
mod upgrades;
mod websockets;
