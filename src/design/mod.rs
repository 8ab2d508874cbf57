//! Checks `custom_design`, the colours and pictures that a link may bring along.
//!
//! The client pastes these values unescaped into a style sheet and a `<link>`. So the author of a link could restyle
//! the page, make it send requests elsewhere, or leave it blank with `null`. Therefore the parameter is read strictly
//! here: it must be a flat object of known keys, each with a colour or a URL that can't leave its place.
//!
//! Keys that the client doesn't know are taken out, and no request is refused for them. The operator may give designs
//! names (`named`), and a link can then name one. The operator's own designs are accepted whole.
//!
//! | file | holds |
//! | --- | --- |
//! | `document`, `field` | the JSON object; which keys there are |
//! | `colour`; `link`, `hosts`, `own`, `address`, `lookalike` | a value that is a colour; one that is a URL, and where it leads |
//! | `breach`, `contrast` | broken rules; colours that are hard to read |
//! | `verdict` | the results of a check |
//! | `settings`, `named`, `operator` | the settings; the operator's own designs, and how they are recognised |
//! | `server_link` | the query of a link that plugnmeet-server wrote |
//! | `paste`, `outline` | tests: does a value stay where it is pasted? |
//!
//! Not here: finding and decoding the parameter, the page that shows a refusal.
//!
//! Source: docs/plugnmeet.md section 7 (keys and where each value goes).

mod address;
mod breach;
mod colour;
mod contrast;
mod document;
mod field;
mod hosts;
mod link;
mod lookalike;
mod named;
mod operator;
#[cfg(test)]
mod outline;
mod own;
#[cfg(test)]
mod paste;
mod server_link;
mod settings;
mod verdict;

use std::collections::BTreeSet;

use serde_json::Value;

pub use self::breach::{Breach, Rule};
pub use self::contrast::Warning;
pub use self::document::MAX_BYTES;
pub use self::field::Field;
pub use self::named::Entry;
pub use self::operator::{OperatorSources, flaws_of_customization};
pub use self::server_link::{ServerQuery, encoded as encoded_server_query};
pub use self::settings::{DesignProblem, DesignSettings, OnInvalid};
pub use self::verdict::{Design, Report, Verdict};
use self::{field::Kind, operator::OwnWords};

/// The parameter that carries a design (docs/plugnmeet.md section 7).
pub const DESIGN_PARAMETER: &str = "custom_design";

/// Checks designs by the operator's settings.
#[derive(Debug, Clone)]
pub struct DesignRules {
    settings: DesignSettings,
    own_words: Vec<OwnWords>,
}

/// A document's entries, judged.
#[derive(Default)]
struct Judged {
    good: Design,
    breaches: Vec<Breach>,
    /// Keys that the client doesn't know.
    unknown: Vec<Breach>,
}

impl DesignRules {
    pub fn new(settings: DesignSettings) -> Self {
        Self {
            own_words: operator::words_of(&settings),
            settings,
        }
    }

    /// Where style sheets may come from beside our own origin, as a content security policy has it.
    pub fn css_sources(&self) -> Vec<String> {
        let settings = &self.settings;
        settings.css_hosts.csp_sources(settings.own.host())
    }

    /// Judges the parameter's value, as it is after `URLSearchParams` has decoded it.
    pub fn check(&self, decoded: &str) -> Verdict {
        self.check_as(decoded, self.settings.on_invalid)
    }

    /// As `check`, whatever the settings say of a bad design.
    pub fn check_as(&self, decoded: &str, on_invalid: OnInvalid) -> Verdict {
        if let Some(verdict) = self.of_operator(decoded) {
            return verdict;
        }
        let refused = |rule| {
            let breaches = vec![Breach::of_document(rule)];
            Verdict::of(
                Judged {
                    breaches,
                    ..Judged::default()
                },
                on_invalid,
            )
        };
        match document::read(decoded) {
            Ok(entries) if entries.is_empty() => Verdict::Absent,
            Ok(_) if !self.settings.from_links => refused(Rule::NotFromLinks),
            Ok(entries) => Verdict::of(self.judge_all(&entries), on_invalid),
            Err(rule) => refused(rule),
        }
    }

    /// Everything there is to say of a design that is in no link yet; `design.from_links` is no matter here.
    pub fn inspect(&self, json: &[u8]) -> Report {
        let text = std::str::from_utf8(json).map_err(|_| Rule::NotJson);
        let judged = match text.and_then(document::read) {
            Ok(entries) => self.judge_all(&entries),
            Err(rule) => Judged {
                breaches: vec![Breach::of_document(rule)],
                ..Judged::default()
            },
        };
        let mut unheeded = judged.unknown;
        unheeded.extend(judged.good.unknown_words());
        Report {
            breaches: judged.breaches,
            unheeded,
            warnings: contrast::warnings(&judged.good),
            left: judged.good,
        }
    }

    /// As `inspect`, for somebody who wants to put it into a link.
    pub fn inspect_for_link(&self, json: &[u8]) -> Report {
        let mut report = self.inspect(json);
        let empty = report.breaches.is_empty() && report.left.fields.is_empty();
        if !self.settings.from_links && !empty {
            report.breaches.push(Breach::of_document(Rule::NotFromLinks));
        }
        report
    }

    fn judge_all(&self, entries: &[(String, Value)]) -> Judged {
        let mut judged = Judged::default();
        let mut seen = BTreeSet::new();
        for (name, value) in entries {
            if Field::named(name).is_none() {
                judged
                    .unknown
                    .push(Breach::of_entry(name, value, Rule::UnknownKey));
            } else if seen.insert(name.as_str()) {
                match self.judge(name, value) {
                    Ok(entry) => judged.good.fields.push(entry),
                    Err(rule) => judged.breaches.push(Breach::of_entry(name, value, rule)),
                }
            } else {
                // Which of the two was meant is anybody's guess, so neither stays.
                judged.good.fields.retain(|(field, _)| field.name() != name);
                judged
                    .breaches
                    .push(Breach::of_entry(name, value, Rule::Repeated));
            }
        }
        judged
    }

    fn judge(&self, name: &str, value: &Value) -> Result<(Field, String), Rule> {
        let field = Field::named(name).ok_or(Rule::UnknownKey)?;
        let text = value.as_str().ok_or(Rule::NotText)?;
        if text.is_empty() {
            return Err(Rule::Empty);
        }
        let DesignSettings {
            own,
            css_hosts,
            image_hosts,
            ..
        } = &self.settings;
        match field.kind() {
            Kind::Colour => colour::check(text)?,
            Kind::Stylesheet => link::check(text, own, css_hosts, Rule::ForeignStylesheet)?,
            Kind::Image => link::check(text, own, image_hosts, Rule::ForeignImage)?,
            Kind::Word => field::is_word(text).then_some(()).ok_or(Rule::NotAWord)?,
        }
        Ok((field, text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    fn rules(on_invalid: OnInvalid) -> DesignRules {
        let origin = Url::parse("https://conf.example.org").unwrap();
        DesignRules::new(DesignSettings::new(on_invalid, &[], &["*".to_owned()], &origin).unwrap())
    }

    fn breaches(decoded: &str) -> Vec<(String, Rule)> {
        match rules(OnInvalid::Reject).check(decoded) {
            Verdict::Refused(breaches) => breaches
                .into_iter()
                .map(|breach| (breach.field, breach.rule))
                .collect(),
            other @ (Verdict::Absent | Verdict::Good(_) | Verdict::Stripped { .. }) => {
                panic!("{decoded}: {other:?}")
            }
        }
    }

    fn left_of(decoded: &str) -> Option<String> {
        match rules(OnInvalid::Strip).check(decoded) {
            Verdict::Stripped { left, .. } => left.map(|design| design.to_json()),
            other @ (Verdict::Absent | Verdict::Good(_) | Verdict::Refused(_)) => {
                panic!("{decoded}: {other:?}")
            }
        }
    }

    #[test]
    fn an_empty_design_is_none() {
        for decoded in ["", "{}", " ", " {}\n", "{ \t\r\n}"] {
            assert_eq!(
                rules(OnInvalid::Reject).check(decoded),
                Verdict::Absent,
                "{decoded:?}"
            );
            assert_eq!(
                rules(OnInvalid::Strip).check(decoded),
                Verdict::Absent,
                "{decoded:?}"
            );
        }
    }

    #[test]
    fn a_good_design_keeps_its_order() {
        let decoded = r#" { "custom_logo": "https:\/\/cdn.example.net\/logo.png",
            "primary_color": "\u0023004D90", "custom_css_url": "https://conf.example.org/assets/own.css" } "#;
        for on_invalid in [OnInvalid::Reject, OnInvalid::Strip] {
            let Verdict::Good(design) = rules(on_invalid).check(decoded) else {
                panic!("not good")
            };
            let fields: Vec<_> = design.iter().collect();
            assert_eq!(
                fields,
                [
                    ("custom_logo", "https://cdn.example.net/logo.png"),
                    ("primary_color", "#004D90"),
                    ("custom_css_url", "https://conf.example.org/assets/own.css"),
                ]
            );
        }
    }

    #[test]
    fn refuses_what_is_no_json_object() {
        for (decoded, rule) in [
            ("null", Rule::NotAnObject),
            ("[]", Rule::NotAnObject),
            ("[{}]", Rule::NotAnObject),
            ("1", Rule::NotAnObject),
            ("true", Rule::NotAnObject),
            (r#""{}""#, Rule::NotAnObject),
            ("nope", Rule::NotJson),
            ("{", Rule::NotJson),
            ("{}{}", Rule::NotJson),
            ("{} x", Rule::NotJson),
            ("\u{feff}{}", Rule::NotJson),
            ("\u{a0}{}", Rule::NotJson),
            ("{'primary_color':'red'}", Rule::SingleQuotes),
            ("eyJwcmltYXJ5X2NvbG9yIjoicmVkIn0=", Rule::Base64),
            ("eyJwcmltYXJ5X2NvbG9yIjoicmVkIn0", Rule::Base64),
            ("eyJhIjoi8J+YgD8/In0", Rule::Base64),
            ("eyJhIjoi8J YgD8/In0", Rule::Base64),
            ("eyJhIjoi8J-YgD8_In0", Rule::Base64),
            ("nope", Rule::NotJson),
            ("%7B%22primary_color%22", Rule::NotJson),
            ("{'primary_color':", Rule::NotJson),
            (r#"{primary_color:"red"}"#, Rule::NotJson),
            (r#"{"primary_color":"red",}"#, Rule::NotJson),
            (r#"{"primary_color":"red"/**/}"#, Rule::NotJson),
            (r#"{"primary_color":"\udc00\ud800"}"#, Rule::NotJson),
            (r#"{"primary_color":"\x72ed"}"#, Rule::NotJson),
            (r"{'primary_color':'red'}", Rule::SingleQuotes),
            ("{primary_color:\"red\"}", Rule::NotJson),
            ("{\"primary_color\":\"red\0\"}", Rule::NotJson),
            ("{\"primary_color\":\"red\"}\0", Rule::NotJson),
            ("{\"primary_color\":\"red\"}{}", Rule::NotJson),
            ("\u{feff}{\"primary_color\":\"red\"}", Rule::NotJson),
            ("{\u{a0}\"primary_color\":\"red\"}", Rule::NotJson),
            ("%7B%22primary_color%22%3A%22red%22%7D", Rule::EncodedTwice),
            (r#"{"primary_color":NaN}"#, Rule::NotJson),
            (r#"{"primary_color":"\ud800"}"#, Rule::NotJson),
            ("{\"primary_color\":\"red\n\"}", Rule::NotJson),
        ] {
            assert_eq!(
                breaches(decoded),
                [("custom_design".to_owned(), rule)],
                "{decoded}"
            );
            assert_eq!(left_of(decoded), None, "{decoded}");
        }
        let deep = format!("{{\"primary_color\":{}1{}}}", "[".repeat(1000), "]".repeat(1000));
        assert_eq!(breaches(&deep), [("custom_design".to_owned(), Rule::NotJson)]);
    }

    #[test]
    fn takes_4096_bytes_and_not_one_more() {
        let padded = |bytes: usize| format!("{:bytes$}", r#"{"primary_color":"red"}"#);
        assert!(matches!(
            rules(OnInvalid::Reject).check(&padded(4096)),
            Verdict::Good(_)
        ));
        assert_eq!(
            breaches(&padded(4097)),
            [("custom_design".to_owned(), Rule::DocumentTooLong)]
        );
        assert_eq!(left_of(&padded(4097)), None);
        let umlauts = format!(r#"{{"x":"{}"}}"#, "ä".repeat(2045));
        assert_eq!(
            breaches(&umlauts),
            [("custom_design".to_owned(), Rule::DocumentTooLong)],
            "bytes, not characters"
        );
    }

    #[test]
    fn refuses_each_entry_by_the_rule_it_breaks() {
        for (entry, rule) in [
            (r#""primary_color":null"#, Rule::NotText),
            (r#""primary_color":true"#, Rule::NotText),
            (r#""primary_color":0"#, Rule::NotText),
            (r#""primary_color":"0""#, Rule::NotAColour),
            (r#""primary_color":"null""#, Rule::NotAColour),
            // What `URLSearchParams` makes of bytes that are no UTF-8.
            ("\"primary_color\":\"red\u{fffd}\"", Rule::NotAColour),
            (r#""primary_color":"red\u0000""#, Rule::NotAColour),
            (
                r#""custom_logo":"https://cdn.example.net/\u0022""#,
                Rule::UrlCharacter,
            ),
            (
                r#""custom_logo":"\u0000https://cdn.example.net/""#,
                Rule::UrlCharacter,
            ),
            (r#""custom_logo":null"#, Rule::NotText),
            (r#""custom_logo":["https://cdn.example.net/"]"#, Rule::NotText),
            (r#""column_camera_width":"a;b""#, Rule::NotAWord),
            (r#""column_camera_position":1"#, Rule::NotText),
            (
                r#""custom_logo":"https://conf.example.org/conference/logout""#,
                Rule::OwnPath,
            ),
            (r#""primary_color":["red"]"#, Rule::NotText),
            (r#""primary_color":{"a":"red"}"#, Rule::NotText),
            (r#""primary_color":"""#, Rule::Empty),
            (r#""custom_logo":"""#, Rule::Empty),
            (r#""primary_color":"red;}""#, Rule::NotAColour),
            (
                r#""primary_color":"https://cdn.example.net/a.png""#,
                Rule::NotAColour,
            ),
            (r#""custom_logo":"red""#, Rule::NotHttps),
            (
                r#""custom_css_url":"https://cdn.example.net/a.css""#,
                Rule::ForeignStylesheet,
            ),
            (
                r#""background_image":"https://127.0.0.1/a.png""#,
                Rule::PrivateAddress,
            ),
        ] {
            let found: Vec<Rule> = breaches(&format!("{{{entry}}}"))
                .into_iter()
                .map(|(_, rule)| rule)
                .collect();
            assert_eq!(found, [rule], "{entry}");
        }
    }

    /// plugNmeet's own guide for native apps sends `logo`.
    #[test]
    fn takes_out_what_the_client_does_not_know_and_refuses_nobody_for_it() {
        for entry in [
            r#""logo":"https://cdn.example.org/logo.png""#,
            r#""text_color":null"#,
            r#""text_color":{"a":[1]}"#,
            "\"primary\u{fffd}_color\":\"red\"",
            r#""primary_color\u0000":"red""#,
            r#""toString":"red""#,
            r#""prototype":{"custom_logo":"x"}"#,
            r#""__proto__":null"#,
            r#""\u005f_proto__":"red""#,
            r#""Primary_color":"red""#,
            r#""primary_color ":"red""#,
            r#""":"red""#,
            r#""a":1,"a":2"#,
        ] {
            for on_invalid in [OnInvalid::Reject, OnInvalid::Strip] {
                let (alone, beside) = (
                    format!("{{{entry}}}"),
                    format!(r#"{{{entry},"primary_color":"red"}}"#),
                );
                for (decoded, left) in [(alone, None), (beside, Some(r#"{"primary_color":"red"}"#))] {
                    let Verdict::Stripped { left: kept, taken } = rules(on_invalid).check(&decoded) else {
                        panic!("{decoded}")
                    };
                    assert_eq!(kept.map(|design| design.to_json()).as_deref(), left, "{decoded}");
                    assert!(
                        taken.iter().all(|breach| breach.rule == Rule::UnknownKey),
                        "{taken:?}"
                    );
                }
                let report = rules(on_invalid).inspect(format!("{{{entry}}}").as_bytes());
                assert_eq!((report.breaches, report.unheeded.is_empty()), (Vec::new(), false));
            }
        }
        let known = r#"{"column_camera_width":"medium","column_camera_position":"left","left_side_bg_color":"red","right_side_bg_color":"red"}"#;
        assert!(matches!(rules(OnInvalid::Reject).check(known), Verdict::Good(_)));
        let ignored = rules(OnInvalid::Reject).inspect(br#"{"column_camera_width":"top"}"#);
        assert_eq!(ignored.breaches, []);
        assert_eq!(
            ignored.unheeded.first().map(|breach| breach.rule),
            Some(Rule::UnknownWord)
        );
    }

    #[test]
    fn finds_every_breach_and_strips_no_more_than_these() {
        let decoded = r#"{"secondary_color":"blue","primary_color":"red;","text_color":"red",
            "custom_logo":null,"side_panel_bg_color":"hsl(120deg 50% 50%)"}"#;
        assert_eq!(
            breaches(decoded),
            [
                ("primary_color".to_owned(), Rule::NotAColour),
                ("custom_logo".to_owned(), Rule::NotText),
            ]
        );
        assert_eq!(
            left_of(decoded).as_deref(),
            Some(r#"{"secondary_color":"blue","side_panel_bg_color":"hsl(120deg 50% 50%)"}"#)
        );
        assert_eq!(left_of(r#"{"primary_color":"red;"}"#), None);
    }

    #[test]
    fn refuses_a_key_given_twice_and_strips_all_of_it() {
        let twice = r#"{"primary_color":"red","secondary_color":"blue","primary\u005fcolor":"red","primary_color":"x"}"#;
        let repeated = ("primary_color".to_owned(), Rule::Repeated);
        assert_eq!(breaches(twice), [repeated.clone(), repeated]);
        assert_eq!(left_of(twice).as_deref(), Some(r#"{"secondary_color":"blue"}"#));

        let bad_first = r#"{"primary_color":1,"primary_color":"red"}"#;
        assert_eq!(
            left_of(bad_first),
            None,
            "the good one must not win by coming last"
        );
    }

    #[test]
    fn what_is_left_reads_as_it_was_meant() {
        let decoded = r##"{"x":1,"custom_logo":"https://a.example/?q='&r=%22","header_bg_color":"#FFF8"}"##;
        let left = left_of(decoded).unwrap();
        assert!(
            matches!(rules(OnInvalid::Reject).check(&left), Verdict::Good(_)),
            "{left}"
        );
        let read: serde_json::Map<String, Value> = serde_json::from_str(&left).unwrap();
        assert_eq!(read.get("custom_logo").unwrap(), "https://a.example/?q='&r=%22");
    }
}
