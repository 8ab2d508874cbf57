//! Reads in `Accept` whether a client prefers a page or JSON.
//!
//! Source: RFC 9110 section 12.5.1 (`Accept`).

use hyper::{HeaderMap, header};

/// Is a page preferred to JSON? If `Accept` gives both the same weight, it is so at a path that people visit (`by_people`),
/// and where `Accept` names pages.
pub fn is_for_people(headers: &HeaderMap, by_people: bool) -> bool {
    let page = Accepted::page(headers);
    let json = Accepted::of(headers, "application", "json");
    page.weight > json.weight
        || (page.weight == json.weight && (by_people || (page.named && page.weight > 0)))
}

/// Does the client name pages in `Accept`, without refusing them?
pub fn names_pages(headers: &HeaderMap) -> bool {
    let page = Accepted::page(headers);
    page.named && page.weight > 0
}

/// The client's preference for a media type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// The weight in thousandths: 0 means not acceptable, 1000 is the highest.
    pub weight: u16,
    /// Was the weight found at this very type, not at a range with `*`?
    pub named: bool,
}

impl Accepted {
    /// The preference for a page.
    pub fn page(headers: &HeaderMap) -> Self {
        Self::of(headers, "text", "html")
    }

    /// The most specific range counts, whatever the weight of the others. Without any range everything is welcome.
    fn of(headers: &HeaderMap, kind: &str, subtype: &str) -> Self {
        let lines = headers.get_all(header::ACCEPT).iter();
        let ranges = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
            .filter(|range| !range.trim().is_empty());
        let mut any = false;
        let mut best = None;
        for range in ranges {
            any = true;
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let (found, sub) = media.split_once('/').unwrap_or((media, ""));
            let specificity = if found.eq_ignore_ascii_case(kind) && sub.eq_ignore_ascii_case(subtype) {
                2
            } else if found.eq_ignore_ascii_case(kind) && sub == "*" {
                1
            } else if media == "*/*" {
                0
            } else {
                continue;
            };
            let weight = parts.find_map(weight).unwrap_or(1000);
            best = best.max(Some((specificity, weight)));
        }
        match best {
            Some((specificity, weight)) => Self {
                weight,
                named: specificity == 2,
            },
            None if any => Self::default(),
            None => Self {
                weight: 1000,
                named: false,
            },
        }
    }
}

/// Parses `q=0.8` into thousandths. An invalid weight is ignored (RFC 9110 section 12.4.2).
fn weight(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    if !name.trim_end().eq_ignore_ascii_case("q") {
        return None;
    }
    let (whole, fraction) = value.trim().split_once('.').unwrap_or((value.trim(), ""));
    if fraction.len() > 3 || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return Some(0);
    }
    let thousandths: u16 = format!("{fraction:0<3}").parse().unwrap_or_default();
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => Some(0),
    }
}
