//! The addresses in the client's page: which files they name.
//!
//! Source: WHATWG URL, section 4.4 "URL parsing".

use percent_encoding::percent_decode_str;
use url::{Position, Url};

/// An origin for resolving addresses. Only the paths of the results are used.
const SOMEWHERE: &str = "https://gateway.invalid";

/// The mount, to which all addresses in the page are relative.
pub(super) struct Base(Url);

/// The address of something below the mount.
pub(super) struct Address {
    url: Url,
    /// The name of the file.
    pub name: String,
}

impl Base {
    pub fn of(mount: &str) -> Option<Self> {
        Url::parse(&format!("{SOMEWHERE}{mount}/")).ok().map(Self)
    }

    /// Reads an address as a browser does. None: it leads elsewhere than below the mount.
    pub fn resolve(&self, text: &str) -> Option<Address> {
        let url = self.0.join(text).ok()?;
        let below = url.path().strip_prefix(self.0.path())?;
        let name = percent_decode_str(below).decode_utf8().ok()?.into_owned();
        (url.origin() == self.0.origin()).then_some(Address { url, name })
    }
}

impl Address {
    /// The path below our origin, with the query.
    pub fn path(&self) -> &str {
        &self.url[Position::BeforePath..Position::AfterQuery]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_a_browser_reads_it() {
        let base = Base::of("").unwrap();
        for (text, name) in [
            (" ./a/../b%20c.js\n", Some("b c.js")),
            ("/b.js?x#y", Some("b.js")),
            ("https://gateway.invalid.example/b.js", None),
        ] {
            let found = base.resolve(text).map(|address| address.name);
            assert_eq!(found.as_deref(), name, "{text}");
        }
    }
}
