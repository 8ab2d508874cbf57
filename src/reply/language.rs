//! Chooses the language of a page: the reader's, if the gateway has it, else English.
//!
//! Sources: RFC 9110 sections 12.4.2 (weights) and 12.5.4 (`Accept-Language`); RFC 5646 section 2.1 (subtags).

use std::cmp::Reverse;

use hyper::{
    HeaderMap,
    header::{ACCEPT_LANGUAGE, HeaderValue},
};

/// The languages in the order in which `*` takes them, with the tag of `<html lang>`, the direction of writing, and the
/// file of their words.
macro_rules! languages {
    ($($language:ident $tag:literal $direction:literal $about:literal,)*) => {
        /// A language of the gateway's pages. They are the client's languages.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Language {
            $(#[doc = $about] $language,)*
        }

        impl Language {
            /// All languages. The first one is for readers without a preference.
            pub const ALL: [Self; [$($tag),*].len()] = [$(Self::$language),*];

            /// The language's tag, as in `<html lang>` and `Content-Language`.
            pub fn tag(self) -> &'static str {
                match self {
                    $(Self::$language => $tag,)*
                }
            }

            /// The direction of the script, as in `<html dir>`: `ltr` or `rtl`.
            pub fn direction(self) -> &'static str {
                match self {
                    $(Self::$language => $direction,)*
                }
            }

            /// The content of the file that translators edit.
            pub(super) fn file(self) -> &'static str {
                match self {
                    $(Self::$language => include_str!(concat!("words/", $tag, ".json")),)*
                }
            }
        }
    };
}

languages! {
    En "en" "ltr" "English, which everybody gets who asks for nothing that we have.",
    Es "es" "ltr" "Spanish.",
    De "de" "ltr" "German.",
    Fr "fr" "ltr" "French.",
    Ar "ar" "rtl" "Arabic.",
    Bn "bn" "ltr" "Bengali.",
    Cs "cs" "ltr" "Czech.",
    Da "da" "ltr" "Danish.",
    El "el" "ltr" "Greek.",
    Et "et" "ltr" "Estonian.",
    Fa "fa" "rtl" "Persian.",
    Fi "fi" "ltr" "Finnish.",
    He "he" "rtl" "Hebrew.",
    Hr "hr" "ltr" "Croatian.",
    Hu "hu" "ltr" "Hungarian.",
    Id "id" "ltr" "Indonesian.",
    It "it" "ltr" "Italian.",
    Ja "ja" "ltr" "Japanese.",
    Ko "ko" "ltr" "Korean.",
    Lv "lv" "ltr" "Latvian.",
    Nl "nl" "ltr" "Dutch.",
    No "no" "ltr" "Norwegian.",
    Pl "pl" "ltr" "Polish.",
    Pt "pt" "ltr" "Portuguese.",
    Ro "ro" "ltr" "Romanian.",
    Ru "ru" "ltr" "Russian.",
    Sv "sv" "ltr" "Swedish.",
    Tr "tr" "ltr" "Turkish.",
    Uk "uk" "ltr" "Ukrainian.",
    Vi "vi" "ltr" "Vietnamese.",
    ZhCn "zh-CN" "ltr" "Chinese in simplified characters.",
    ZhTw "zh-TW" "ltr" "Chinese in traditional characters.",
}

impl Default for Language {
    fn default() -> Self {
        let [first, ..] = Self::ALL;
        first
    }
}

impl Language {
    /// What a reader likes best: the highest weight, then what is named before what `*` stands for, then what comes
    /// first.
    pub fn of(headers: &HeaderMap) -> Self {
        Self::among(headers.get_all(ACCEPT_LANGUAGE))
    }

    /// The reader's language, by the lines of `Accept-Language`.
    pub fn among<'l>(lines: impl IntoIterator<Item = &'l HeaderValue>) -> Self {
        let asked: Vec<(&str, u16)> = lines
            .into_iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
            .filter_map(range_and_weight)
            .take(MAX_LANGUAGES)
            .collect();
        let mut named: [Option<(u16, bool, Reverse<usize>)>; Self::ALL.len()] = [None; Self::ALL.len()];
        for (nth, (range, weight)) in asked.iter().enumerate() {
            let rank = Some((*weight, true, Reverse(nth)));
            for (place, language) in named.iter_mut().zip(Self::ALL) {
                if language.is_named_by(range) && *place < rank {
                    *place = rank;
                }
            }
        }
        let any = asked.iter().enumerate().filter(|(_, (range, _))| *range == "*");
        let any = any.map(|(nth, (_, weight))| (*weight, false, Reverse(nth))).max();
        // From the last, as of equals the last is the maximum.
        let ranked = Self::ALL
            .into_iter()
            .zip(named)
            .rev()
            .filter_map(|(language, named)| {
                let rank = named.or(any)?;
                (rank.0 > 0).then_some((rank, language))
            });
        ranked
            .max_by_key(|(rank, _)| *rank)
            .map_or(Self::default(), |(_, language)| language)
    }

    /// RFC 4647 section 3.4 says to look a range up from its end; a language that has one form here is meant by all of its
    /// forms.
    fn is_named_by(self, range: &str) -> bool {
        let mut subtags = range.split('-');
        let primary = subtags.next().unwrap_or_default();
        let (of_own, script) = self.tag().split_once('-').unwrap_or((self.tag(), ""));
        let other = OTHER_TAGS
            .iter()
            .find(|(other, _)| primary.eq_ignore_ascii_case(other));
        if !primary.eq_ignore_ascii_case(of_own) && other.is_none_or(|(_, tag)| *tag != of_own) {
            return false;
        }
        // Chinese alone is written in two ways here. A script comes before a region, and says more.
        let traditional = subtags.find_map(|subtag| {
            let is = |names: &[&str]| names.iter().any(|name| subtag.eq_ignore_ascii_case(name));
            if is(&["Hans", "CN", "SG"]) {
                Some(false)
            } else {
                is(&["Hant", "TW", "HK", "MO"]).then_some(true)
            }
        });
        let traditional = traditional.unwrap_or(false);
        script.is_empty() || traditional == (script == "TW")
    }
}

/// RFC 5646 section 2.2.1 knows older tags of two languages, and two forms of a third.
const OTHER_TAGS: [(&str, &str); 4] = [("iw", "he"), ("in", "id"), ("nb", "no"), ("nn", "no")];

/// The largest number of languages that are looked at: more than any browser sends.
const MAX_LANGUAGES: usize = 64;

/// One member of the list: its range, and its weight in thousandths. What can't be read was not said.
fn range_and_weight(member: &str) -> Option<(&str, u16)> {
    let (range, weight) = match member.split_once(';') {
        None => (member, 1000),
        Some((range, parameter)) => {
            let (name, value) = parameter.split_once('=')?;
            let is_weight = name.trim().eq_ignore_ascii_case("q");
            (range, is_weight.then(|| thousandths(value.trim())).flatten()?)
        }
    };
    Some((range.trim(), weight))
}

/// Parses a weight from 0 to 1 with at most three decimals into thousandths (RFC 9110 section 12.4.2).
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
    fn a_language_goes_by_all_its_tags_and_chinese_by_its_script() {
        for (asked, expected) in [
            ("pt-BR", "pt"),
            ("ar-SA", "ar"),
            ("iw, en;q=0.5", "he"),
            ("in-ID", "id"),
            ("nb-NO, en;q=0.5", "no"),
            ("nn", "no"),
            ("zh", "zh-CN"),
            ("zh-CN", "zh-CN"),
            ("zh-Hans-HK;q=0.9", "zh-CN"),
            ("zh-SG", "zh-CN"),
            ("zh-TW", "zh-TW"),
            ("ZH-hant-hk", "zh-TW"),
            ("zh-mo, zh;q=0.9, en;q=0.8", "zh-TW"),
            ("zh-CN, zh;q=0.9, zh-TW;q=0.95", "zh-CN"),
        ] {
            assert_eq!(of(&[asked]), expected, "{asked}");
        }
        assert_eq!(Language::ALL.len(), 32);
        let rtl = Language::ALL
            .iter()
            .filter(|language| language.direction() == "rtl");
        assert_eq!(
            rtl.map(|language| language.tag()).collect::<Vec<_>>(),
            ["ar", "fa", "he"]
        );
    }

    #[test]
    fn english_is_for_all_others() {
        for line in [
            "",
            "sw",
            "sw, *;q=0.5",
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
