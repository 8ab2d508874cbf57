//! The language in which a page is written: the reader's, if it is one of ours.
//!
//! Sources: RFC 9110 sections 12.4.2 (weights) and 12.5.4 (`Accept-Language`); RFC 5646 section 2.1 (primary subtags).

use std::cmp::Reverse;

use hyper::{
    HeaderMap,
    header::{ACCEPT_LANGUAGE, HeaderValue},
};

/// A language that our pages speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English, which everybody gets who asks for nothing that we have.
    #[default]
    En,
    /// Spanish.
    Es,
    /// German.
    De,
    /// French.
    Fr,
}

impl Language {
    /// All of them; the first is for those who don't care.
    pub const ALL: [Self; 4] = [Self::En, Self::Es, Self::De, Self::Fr];

    /// As in `<html lang>` and `Content-Language`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Es => "es",
            Self::De => "de",
            Self::Fr => "fr",
        }
    }

    /// What a reader likes best: the highest weight, then what is named before what `*` stands for, then what comes
    /// first.
    pub fn of(headers: &HeaderMap) -> Self {
        Self::among(headers.get_all(ACCEPT_LANGUAGE))
    }

    /// The same, of the lines of `Accept-Language`.
    pub fn among<'l>(lines: impl IntoIterator<Item = &'l HeaderValue>) -> Self {
        let asked: Vec<(&str, u16)> = lines
            .into_iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
            .filter_map(range_and_weight)
            .collect();
        let best_of = |range: &str| {
            let members = asked.iter().enumerate();
            let matching = members.filter(|(_, (of, _))| of.eq_ignore_ascii_case(range));
            matching.map(|(nth, (_, weight))| (*weight, Reverse(nth))).max()
        };
        // From the last, as of equals the last is the maximum.
        let ranked = Self::ALL.into_iter().rev().filter_map(|language| {
            let named = best_of(language.tag()).map(|(weight, at)| (weight, true, at));
            let rank = named.or_else(|| best_of("*").map(|(weight, at)| (weight, false, at)))?;
            (rank.0 > 0).then_some((rank, language))
        });
        ranked
            .max_by_key(|(rank, _)| *rank)
            .map_or(Self::En, |(_, language)| language)
    }
}

/// One member of the list: its primary subtag, and its weight in thousandths. What can't be read was not said.
fn range_and_weight(member: &str) -> Option<(&str, u16)> {
    let (range, weight) = match member.split_once(';') {
        None => (member, 1000),
        Some((range, parameter)) => {
            let (name, value) = parameter.split_once('=')?;
            let is_weight = name.trim().eq_ignore_ascii_case("q");
            (range, is_weight.then(|| thousandths(value.trim())).flatten()?)
        }
    };
    Some((range.trim().split('-').next()?, weight))
}

/// RFC 9110 section 12.4.2: from 0 to 1, with three digits at most.
fn thousandths(weight: &str) -> Option<u16> {
    let (whole, digits) = weight.split_once('.').unwrap_or((weight, ""));
    if digits.len() > 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let fraction: u16 = format!("{digits:0<3}").parse().ok()?;
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    fn of(lines: &[&'static str]) -> &'static str {
        let headers = lines
            .iter()
            .map(|line| (ACCEPT_LANGUAGE, HeaderValue::from_static(line)))
            .collect();
        Language::of(&headers).tag()
    }

    #[test]
    fn the_highest_weight_wins() {
        assert_eq!(of(&["fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5"]), "fr");
        assert_eq!(of(&["en;q=0.2, de-AT;q=0.801, es;q=0.8"]), "de");
        assert_eq!(of(&["ES-419 ; Q=0.5,en ; q=0.4"]), "es");
        assert_eq!(of(&["de;q=0.3", "es;q=0.4", "de-CH;q=0.5"]), "de");
    }

    #[test]
    fn of_equals_the_first_wins_and_a_named_one_before_any() {
        assert_eq!(of(&["de, es"]), "de");
        assert_eq!(of(&["es", "de"]), "es");
        assert_eq!(of(&["*, fr"]), "fr");
    }

    #[test]
    fn what_is_weighed_with_nothing_is_not_wanted() {
        assert_eq!(of(&["de;q=0, fr;q=0.001"]), "fr");
        assert_eq!(of(&["en;q=0, *"]), "es");
        assert_eq!(of(&["en;q=0, es;q=0.000, *;q=0.1"]), "de");
    }

    #[test]
    fn english_is_for_all_others() {
        for line in [
            "",
            "ja",
            "ja, *;q=0.5",
            "*",
            "en;q=0",
            "*;q=0",
            "deu",
            "english",
            ",,;,",
        ] {
            assert_eq!(of(&[line]), "en", "{line}");
        }
        assert_eq!(of(&[]), "en");
    }

    #[test]
    fn what_can_not_be_read_was_not_said() {
        for line in [
            "de;q=2",
            "de;q=1.001",
            "de;q=0.1234",
            "de;q=-1",
            "de;q=",
            "de;q=.5",
            "de;x=1",
            "de;q",
        ] {
            assert_eq!(of(&[line, "fr;q=0.1"]), "fr", "{line}");
        }
    }
}
