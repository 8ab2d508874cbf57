//! The content of a file: its bytes, uncoded and in each coding that has been made.
//!
//! Codings are added while the gateway runs, each once. Reading takes no lock and copies nothing: answers share the
//! bytes.

use std::{
    cmp::Reverse,
    sync::{Arc, OnceLock},
};

use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use hyper::header::HeaderValue;

use super::{accept::Accepted, coding::Coding};

/// The first half of a SHA-256, which is enough to tell any two contents apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Hash([u8; 16]);

impl Hash {
    pub fn of(bytes: &[u8]) -> Self {
        let mut half = [0; 16];
        let whole = digest::digest(&digest::SHA256, bytes);
        half.iter_mut()
            .zip(whole.as_ref())
            .for_each(|(to, from)| *to = *from);
        Self(half)
    }

    /// The hash as 22 characters that are safe in a header and in a path.
    pub fn text(self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Parses an entity tag that was made from `text`.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

/// One form of a content: its bytes in one coding, or uncoded.
pub(super) struct Form {
    pub coding: Option<Coding>,
    pub bytes: Bytes,
    /// The entity tag. It is strong, and each form has its own (RFC 9110 section 8.8.3.3).
    pub etag: HeaderValue,
}

/// The content of a file with all its forms.
pub(super) struct Content {
    pub hash: Hash,
    plain: Form,
    /// The coded forms by `Coding::index`. `None` inside the cell: the coding was tried and saves too little.
    coded: [OnceLock<Option<Form>>; 3],
}

impl Content {
    pub fn new(bytes: Vec<u8>) -> Arc<Self> {
        let hash = Hash::of(&bytes);
        Arc::new(Self {
            hash,
            plain: form(hash, None, bytes.into()),
            coded: Default::default(),
        })
    }

    pub fn plain(&self) -> &Form {
        &self.plain
    }

    /// The form with the highest weight; of several with the same weight the smallest.
    pub fn best(&self, accepted: Accepted) -> &Form {
        let plain = (accepted.identity(), &self.plain);
        self.forms()
            .filter_map(|form| Some((accepted.weight(form.coding?), form)))
            .chain([plain])
            .filter(|(weight, _)| *weight > 0)
            .max_by_key(|(weight, form)| (*weight, Reverse(form.bytes.len())))
            // RFC 9110 section 12.5.3 leaves open what to do when nothing is acceptable; this can be read at least.
            .map_or(&self.plain, |(_, form)| form)
    }

    pub fn tagged(&self, etag: &HeaderValue) -> Option<&Form> {
        self.forms().chain([&self.plain]).find(|form| form.etag == etag)
    }

    /// All coded forms that exist by now.
    pub fn forms(&self) -> impl Iterator<Item = &Form> {
        self.coded.iter().filter_map(|form| form.get()?.as_ref())
    }

    /// Has this coding not been tried yet?
    pub fn lacks(&self, coding: Coding) -> bool {
        self.slot(coding).is_some_and(|slot| slot.get().is_none())
    }

    /// Stores the content's form in this coding, or `None` if the coding saves too little. `coded` must be right. Only
    /// the first call for a coding counts.
    pub fn learn(&self, coding: Coding, coded: Option<Bytes>) {
        if let Some(slot) = self.slot(coding) {
            slot.get_or_init(|| coded.map(|bytes| form(self.hash, Some(coding), bytes)));
        }
    }

    fn slot(&self, coding: Coding) -> Option<&OnceLock<Option<Form>>> {
        self.coded.get(coding.index())
    }
}

#[expect(
    clippy::expect_used,
    reason = "at a load alone, and base64url is always a valid value"
)]
fn form(hash: Hash, coding: Option<Coding>, bytes: Bytes) -> Form {
    let hash = hash.text();
    let etag = coding.map_or_else(
        || format!("\"{hash}\""),
        |coding| format!("\"{hash}-{}\"", coding.name()),
    );
    Form {
        coding,
        bytes,
        etag: HeaderValue::try_from(etag).expect("visible ASCII"),
    }
}

#[cfg(test)]
mod tests {
    use hyper::{HeaderMap, header::ACCEPT_ENCODING};

    use super::*;

    /// Content of ten bytes; gzip makes 6 of them, zstd 5, brotli 4.
    fn content() -> Arc<Content> {
        let content = Content::new(b"0123456789".to_vec());
        for (coding, coded) in [
            (Coding::Gzip, "gzip.."),
            (Coding::Zstd, "zstd."),
            (Coding::Brotli, "br.."),
        ] {
            content.learn(coding, Some(coded.into()));
        }
        content
    }

    fn best(content: &Content, accept: &'static str) -> (Option<&'static str>, usize) {
        let asked = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(accept))]);
        let form = content.best(Accepted::of(&asked));
        (form.coding.map(Coding::name), form.bytes.len())
    }

    #[test]
    fn the_most_welcome_form_is_sent_and_of_several_the_smallest() {
        let content = content();
        for (accept, expected) in [
            ("", None),
            ("gzip", Some("gzip")),
            ("gzip, br", Some("br")),
            ("gzip, zstd, br", Some("br")),
            ("gzip, zstd", Some("zstd")),
            ("gzip, br;q=0.9", Some("gzip")),
            ("*", Some("br")),
            ("*, br;q=0", Some("zstd")),
            ("gzip;q=0.5, identity", None),
            ("gzip;q=0.5, identity;q=0.5", Some("gzip")),
            ("gzip;q=0.001", Some("gzip")),
            ("identity;q=0", None),
            ("*;q=0", None),
            ("deflate", None),
        ] {
            assert_eq!(best(&content, accept).0, expected, "{accept}");
        }
    }

    #[test]
    fn a_form_is_sent_as_soon_as_it_is_there_and_stays() {
        let content = Content::new(b"0123456789".to_vec());
        assert_eq!(best(&content, "gzip, br"), (None, 10));
        content.learn(Coding::Brotli, None);
        assert!(!content.lacks(Coding::Brotli) && content.lacks(Coding::Gzip));
        assert_eq!(best(&content, "gzip, br"), (None, 10));
        content.learn(Coding::Gzip, Some("gzip..".into()));
        content.learn(Coding::Gzip, Some("later".into()));
        assert_eq!(best(&content, "gzip, br"), (Some("gzip"), 6));
    }

    #[test]
    fn each_form_has_a_tag_of_its_own() {
        let content = content();
        let tags: Vec<_> = content
            .forms()
            .chain([content.plain()])
            .map(|form| form.etag.clone())
            .collect();
        let hash = "hNiYd_DUBB77a_kaFvAkjw";
        let expected = ["-br", "-zstd", "-gzip", ""].map(|end| format!("\"{hash}{end}\""));
        assert_eq!(tags, expected);
        for tag in &tags {
            assert_eq!(content.tagged(tag).unwrap().etag, tag);
        }
        assert!(content.tagged(&HeaderValue::from_static("\"x\"")).is_none());
    }
}
