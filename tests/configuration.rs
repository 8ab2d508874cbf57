//! `docs/configuration.md` is what the program says of its own keys.
//!
//! `UPDATE_DOCS=1 cargo test --test configuration` writes it anew.

use std::{env, fs, path::Path};

use plugnmeet_gateway::config::reference;

#[test]
fn the_page_of_all_keys_is_current() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&page, reference()).unwrap_or_else(|error| panic!("{error}"));
    }
    let written = fs::read_to_string(&page).unwrap_or_default();
    assert!(
        written == reference(),
        "docs/configuration.md is stale: write it with UPDATE_DOCS=1 cargo test --test configuration"
    );
}
