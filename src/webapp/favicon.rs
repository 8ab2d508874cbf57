//! `/favicon.ico`: browsers ask for it wherever a page names no icon, and so do people who look at a download.
//!
//! The server takes the client's icon (docs/plugnmeet.md section 8), and so does this. The client's own page names its
//! icon by itself.

use super::{content::Content, stored::Stored};

/// Where a build has it: at its root, if an operator put one there, else where the client has its own.
pub(super) const NAMES: [&str; 2] = ["favicon.ico", "assets/imgs/favicon.ico"];

/// Ours, for the page in the client's place and for builds without an icon.
pub(super) fn own() -> Stored {
    let [name, _] = NAMES;
    Stored::asset(name, Content::new(include_bytes!("favicon.ico").to_vec()), None)
}
