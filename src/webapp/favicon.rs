//! `/favicon.ico`: browsers ask for it wherever a page names no icon, and so do people who look at a download.
//!
//! The server answers with the client's icon (docs/plugnmeet.md section 8), and so does the gateway. The client's own
//! page names its icon itself and needs no such path.

use super::{content::Content, stored::Stored};

/// The names of the icon in a build: at the root, where an operator may put one, and where the client has its own.
pub(super) const NAMES: [&str; 2] = ["favicon.ico", "assets/imgs/favicon.ico"];

/// The gateway's icon, for its own page and for builds without an icon.
pub(super) fn own() -> Stored {
    let [name, _] = NAMES;
    Stored::asset(name, Content::new(include_bytes!("favicon.ico").to_vec()), None)
}
