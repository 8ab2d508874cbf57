//! The client's page, in each language in which somebody may wait for it, with the `Link` field for each kind of browser.
//!
//! The pages of two languages differ in one line and have a kilobyte each. All are made at the load, as their forms are:
//! then a reader of any language gets a page that is compressed, with a strong `ETag` of its own. Pages that differ in their
//! `Link` field alone share their content.

use super::{browser::Browser, index, known::Known, preload::Link, stored::Stored};
use crate::reply::Language;

/// For each kind of browser one page for each language, or a single page for all languages.
pub(super) struct Pages {
    for_chromium: Vec<Stored>,
    for_others: Vec<Stored>,
}

impl Pages {
    /// Makes the pages from the build's `index.html`. `link` is the field that names the files that the page needs
    /// first.
    pub fn of(html: &str, tells_of_waiting: bool, link: Option<&Link>, known: &Known) -> Self {
        let in_languages = index::place_of_line(html).and_then(|at| {
            let pages = Language::ALL
                .into_iter()
                .map(|language| index::with_line(html, at, language, tells_of_waiting));
            pages.collect::<Option<Vec<_>>>()
        });
        let (pages, languages) = match in_languages {
            Some(pages) => (pages, true),
            None => (vec![html.to_owned()], false),
        };
        let contents: Vec<_> = pages.into_iter().map(|page| known.content(page.into())).collect();
        let browsers = link.is_some_and(|link| !link.is_same_for_all());
        let chosen_by = [(languages, "Accept-Language"), (browsers, "Sec-CH-UA")];
        let chosen_by: Vec<_> = chosen_by
            .into_iter()
            .filter_map(|(chooses, field)| chooses.then_some(field))
            .collect();
        let pages_for = |browser| {
            let link = link.map(|link| link.of(browser).clone());
            let page = |content| Stored::page(content, link.clone(), &chosen_by);
            contents.iter().cloned().map(page).collect()
        };
        Self {
            for_chromium: pages_for(Browser::Chromium),
            for_others: pages_for(Browser::Other),
        }
    }

    /// The page in the reader's language, for the reader's browser.
    pub fn for_reader(&self, language: Language, browser: Browser) -> Option<&Stored> {
        let pages = match browser {
            Browser::Chromium => &self.for_chromium,
            Browser::Other => &self.for_others,
        };
        pages.get(language as usize).or(pages.first())
    }

    /// All pages, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Stored> {
        self.for_others.iter().chain(&self.for_chromium)
    }
}
