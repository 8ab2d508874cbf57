//! The client's page, in each language in which somebody may wait for it.
//!
//! The pages differ in one line and have a kilobyte each. All are made at the load, as their forms are: then a reader
//! of any language gets a page that is compressed, with a strong `ETag` of its own.

use hyper::header::HeaderValue;

use super::{index, known::Known, stored::Stored};
use crate::reply::Language;

/// One page for each language, or a single page for all.
pub(super) struct Pages(Vec<Stored>);

impl Pages {
    /// Makes the pages from the build's `index.html`. `link` is the `Link` field that names the files that the page
    /// needs first.
    pub fn of(html: &str, tells_of_waiting: bool, link: Option<&HeaderValue>, known: &Known) -> Self {
        let stored =
            |html: String, languages| Stored::page(known.content(html.into()), link.cloned(), languages);
        let in_languages = index::place_of_line(html).and_then(|at| {
            let pages = Language::ALL
                .into_iter()
                .map(|language| index::with_line(html, at, language, tells_of_waiting));
            pages.collect::<Option<Vec<_>>>()
        });
        Self(match in_languages {
            Some(pages) => pages.into_iter().map(|page| stored(page, true)).collect(),
            None => vec![stored(html.to_owned(), false)],
        })
    }

    /// The page in the reader's language.
    pub fn in_language(&self, language: Language) -> Option<&Stored> {
        self.0.get(language as usize).or(self.0.first())
    }

    /// All pages, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Stored> {
        self.0.iter()
    }
}
