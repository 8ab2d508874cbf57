//! Conditional requests: does the client have this file already, or does it want the file only in another state than
//! ours?
//!
//! Source: RFC 9110 sections 8.8.3.2 (comparison), 13.1 (the fields), 13.2.2 (their precedence).

use std::time::SystemTime;

use hyper::{
    HeaderMap,
    header::{
        HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
    },
};

use crate::http::exactly_one;

/// The validators of a file: what distinguishes one state of it from another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validators<'a> {
    /// The strong entity tag, with its quotes.
    pub etag: &'a HeaderValue,
    /// The time of the last change, in whole seconds, as in HTTP dates.
    pub modified: Option<SystemTime>,
    /// Can the same request get another coding at another time?
    pub several_forms: bool,
}

/// The result of the preconditions of a `GET` or `HEAD` request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Answer as if there were no preconditions.
    Proceed,
    /// Answer 304 (Not Modified).
    NotModified,
    /// Answer 412 (Precondition Failed).
    Failed,
}

impl Validators<'_> {
    /// Evaluates the preconditions in the order of RFC 9110 section 13.2.2, steps 1 to 4.
    pub fn verdict(&self, asked: &HeaderMap) -> Verdict {
        if asked.contains_key(IF_MATCH) {
            if !self.is_named(asked, &IF_MATCH, Comparison::Strong) {
                return Verdict::Failed;
            }
        } else if self.is_modified_since(asked, &IF_UNMODIFIED_SINCE) == Some(true) {
            return Verdict::Failed;
        }
        if asked.contains_key(IF_NONE_MATCH) {
            if self.is_named(asked, &IF_NONE_MATCH, Comparison::Weak) {
                return Verdict::NotModified;
            }
        } else if self.is_modified_since(asked, &IF_MODIFIED_SINCE) == Some(false) {
            return Verdict::NotModified;
        }
        Verdict::Proceed
    }

    /// Section 13.2.2, step 5: does `Range` count? Section 13.1.5: only for exactly this form and state of the file, and
    /// of a file with several forms a date doesn't say which.
    pub fn range_counts(&self, asked: &HeaderMap) -> bool {
        if !asked.contains_key(IF_RANGE) {
            return true;
        }
        exactly_one(asked, &IF_RANGE).is_some_and(|wanted| {
            wanted == self.etag
                || (!self.several_forms && self.modified.is_some() && date(wanted) == self.modified)
        })
    }

    /// Is this file named by `*` or by a list of tags? A comma within a foreign tag is read as the tag's end. No half
    /// of a foreign tag can equal our tag, because it lacks a quote.
    fn is_named(&self, asked: &HeaderMap, field: &HeaderName, comparison: Comparison) -> bool {
        asked.get_all(field).iter().any(|value| {
            let value = value.as_bytes().trim_ascii();
            value == b"*"
                || value.split(|b| *b == b',').any(|tag| {
                    let tag = tag.trim_ascii();
                    let tag = match comparison {
                        Comparison::Strong => tag,
                        Comparison::Weak => tag.strip_prefix(b"W/").unwrap_or(tag),
                    };
                    tag == self.etag.as_bytes()
                })
        })
    }

    /// Is our file newer than the field's date? `None` if one of the two dates is missing, repeated or invalid.
    fn is_modified_since(&self, asked: &HeaderMap, field: &HeaderName) -> Option<bool> {
        let since = date(exactly_one(asked, field)?)?;
        Some(self.modified? > since)
    }
}

/// How two entity tags are compared (RFC 9110 section 8.8.3.2). Our own tags are strong.
#[derive(Clone, Copy)]
enum Comparison {
    Strong,
    Weak,
}

fn date(value: &HeaderValue) -> Option<SystemTime> {
    httpdate::parse_http_date(value.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::{Verdict::*, *};

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const EXACTLY: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    static ETAG: HeaderValue = HeaderValue::from_static("\"a\"");

    fn ours() -> Validators<'static> {
        Validators {
            etag: &ETAG,
            modified: Some(httpdate::parse_http_date(EXACTLY).unwrap()),
            several_forms: false,
        }
    }

    fn asked(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            })
    }

    fn check(table: &[(&[(&'static str, &'static str)], Verdict)]) {
        for (fields, expected) in table {
            assert_eq!(ours().verdict(&asked(fields)), *expected, "{fields:?}");
        }
    }

    /// RFC 9110 section 13.1.2: weak comparison.
    #[test]
    fn if_none_match() {
        check(&[
            (&[("if-none-match", "\"a\"")], NotModified),
            (&[("if-none-match", "W/\"a\"")], NotModified),
            (&[("if-none-match", "*")], NotModified),
            (&[("if-none-match", "\"x\", W/\"y,\" ,\"a\"")], NotModified),
            (
                &[("if-none-match", "\"x\""), ("if-none-match", "\"a\"")],
                NotModified,
            ),
            (&[("if-none-match", "\"x\"")], Proceed),
            (&[("if-none-match", "a")], Proceed),
            (&[("if-none-match", "w/\"a\"")], Proceed),
            (&[("if-none-match", "\"x,a\"")], Proceed),
            (&[("if-none-match", "\"x\", *")], Proceed),
            (&[("if-none-match", "")], Proceed),
        ]);
    }

    /// RFC 9110 section 13.1.1: strong comparison.
    #[test]
    fn if_match() {
        check(&[
            (&[("if-match", "\"a\"")], Proceed),
            (&[("if-match", "*")], Proceed),
            (&[("if-match", "\"x\", \"a\"")], Proceed),
            (&[("if-match", "W/\"a\"")], Failed),
            (&[("if-match", "\"x\"")], Failed),
            (&[("if-match", "")], Failed),
        ]);
    }

    /// RFC 9110 sections 13.1.3 and 13.1.4; section 5.6.7: three forms of a date.
    #[test]
    fn dates() {
        check(&[
            (&[("if-modified-since", EXACTLY)], NotModified),
            (&[("if-modified-since", AFTER)], NotModified),
            (&[("if-modified-since", BEFORE)], Proceed),
            (
                &[("if-modified-since", "Sunday, 06-Nov-94 08:49:37 GMT")],
                NotModified,
            ),
            (&[("if-modified-since", "Sun Nov  6 08:49:37 1994")], NotModified),
            (&[("if-modified-since", "yesterday")], Proceed),
            (
                &[("if-modified-since", EXACTLY), ("if-modified-since", AFTER)],
                Proceed,
            ),
            (&[("if-unmodified-since", EXACTLY)], Proceed),
            (&[("if-unmodified-since", AFTER)], Proceed),
            (&[("if-unmodified-since", BEFORE)], Failed),
            (&[("if-unmodified-since", "yesterday")], Proceed),
        ]);
    }

    /// RFC 9110 section 13.2.2.
    #[test]
    fn precedence() {
        check(&[
            // A tag says more than a date.
            (
                &[("if-none-match", "\"x\""), ("if-modified-since", AFTER)],
                Proceed,
            ),
            (
                &[("if-none-match", "\"a\""), ("if-modified-since", BEFORE)],
                NotModified,
            ),
            (&[("if-match", "\"a\""), ("if-unmodified-since", BEFORE)], Proceed),
            // Whether it is the right file comes first, then whether it is known.
            (&[("if-match", "\"x\""), ("if-none-match", "\"a\"")], Failed),
            (&[("if-match", "\"a\""), ("if-none-match", "\"a\"")], NotModified),
            (
                &[("if-unmodified-since", BEFORE), ("if-modified-since", AFTER)],
                Failed,
            ),
            (
                &[("if-unmodified-since", AFTER), ("if-modified-since", AFTER)],
                NotModified,
            ),
        ]);
    }

    /// RFC 9110 section 13.1.5.
    #[test]
    fn if_range() {
        for (fields, expected) in [
            (&[][..], true),
            (&[("if-range", "\"a\"")], true),
            (&[("if-range", EXACTLY)], true),
            (&[("if-range", "W/\"a\"")], false),
            (&[("if-range", "\"x\"")], false),
            (&[("if-range", AFTER)], false),
            (&[("if-range", BEFORE)], false),
            (&[("if-range", "*")], false),
            (&[("if-range", "\"a\", \"x\"")], false),
            (&[("if-range", "\"a\""), ("if-range", "\"a\"")], false),
        ] {
            assert_eq!(ours().range_counts(&asked(fields)), expected, "{fields:?}");
        }
    }

    /// RFC 9110 section 8.8.2.2: the date is no strong validator then.
    #[test]
    fn a_date_does_not_say_which_of_several_forms_is_meant() {
        let ours = Validators {
            several_forms: true,
            ..ours()
        };
        assert!(!ours.range_counts(&asked(&[("if-range", EXACTLY)])));
        assert!(ours.range_counts(&asked(&[("if-range", "\"a\"")])));
        assert_eq!(
            ours.verdict(&asked(&[("if-modified-since", EXACTLY)])),
            NotModified
        );
    }

    #[test]
    fn without_a_date_of_ours_dates_say_nothing() {
        let ours = Validators {
            modified: None,
            ..ours()
        };
        assert_eq!(ours.verdict(&asked(&[("if-modified-since", AFTER)])), Proceed);
        assert_eq!(ours.verdict(&asked(&[("if-unmodified-since", BEFORE)])), Proceed);
        assert!(!ours.range_counts(&asked(&[("if-range", EXACTLY)])));
        assert!(!ours.range_counts(&asked(&[("if-range", "yesterday")])));
    }
}
