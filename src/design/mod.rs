//! Checks `custom_design`, the colours and pictures that a link may bring along.
//!
//! The client pastes these values unescaped into a style sheet and a `<link>`, so whoever writes the link could restyle
//! the page, have it call home, or blank it with `null`. The parameter is therefore read here as strictly as the client
//! reads it loosely: a flat object of known keys, each value a colour or a URL that can't leave its place.
//!
//! The operator may give designs names (`named`); a link then names one and needs to bring none.
//!
//! | file | holds |
//! | --- | --- |
//! | `document`, `field` | the JSON object; which keys there are |
//! | `colour`; `link`, `hosts`, `address`, `lookalike` | a value that is a colour; one that is a URL, and where it leads |
//! | `breach`, `contrast` | what is wrong; what can't be read |
//! | `settings`, `named` | what the operator decides; the operator's own designs |
//! | `paste`, `outline` | tests: does a value stay where it is pasted? |
//!
//! Not here: finding and decoding the parameter, the page that shows a refusal.
//!
//! Sources: contract.md section 7 (keys and where each value goes), product.md "`custom_design`".

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
#[cfg(test)]
mod outline;
#[cfg(test)]
mod paste;
mod settings;

use std::collections::BTreeSet;

use serde_json::Value;

pub use self::breach::{Breach, Rule};
pub use self::contrast::Warning;
pub use self::document::MAX_BYTES;
pub use self::field::Field;
use self::field::Kind;
pub use self::named::Entry;
pub use self::settings::{DesignProblem, DesignSettings, OnInvalid};

/// The running checker.
#[derive(Debug, Clone)]
pub struct DesignRules {
    settings: DesignSettings,
}

impl DesignRules {
    /// Checks by these settings.
    pub fn new(settings: DesignSettings) -> Self {
        Self { settings }
    }

    /// Where style sheets may come from beside our own origin, as a content security policy has it.
    pub fn css_sources(&self) -> Vec<String> {
        let settings = &self.settings;
        settings.css_hosts.csp_sources(settings.own.host())
    }

    /// Judges the parameter's value, as it is after `URLSearchParams` has decoded it.
    pub fn check(&self, decoded: &str) -> Verdict {
        if let Some(design) = self.named_of_text(decoded) {
            return Verdict::Good(design);
        }
        match document::read(decoded) {
            Ok(entries) if entries.is_empty() => Verdict::Absent,
            Ok(_) if !self.settings.from_links => self.refused(Rule::NotFromLinks),
            Ok(entries) => {
                let (good, breaches) = self.judge_all(&entries);
                self.verdict(good, breaches)
            }
            Err(rule) => self.refused(rule),
        }
    }

    /// Everything there is to say of a design that is in no link yet; `design.from_links` is no matter here.
    pub fn inspect(&self, json: &[u8]) -> Report {
        let text = std::str::from_utf8(json).map_err(|_| Rule::NotJson);
        let (left, breaches) = match text.and_then(document::read) {
            Ok(entries) => self.judge_all(&entries),
            Err(rule) => (Design::default(), vec![Breach::of_document(rule)]),
        };
        Report {
            breaches,
            warnings: contrast::warnings(&left),
            left,
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

    fn judge_all(&self, entries: &[(String, Value)]) -> (Design, Vec<Breach>) {
        let mut good = Design::default();
        let mut breaches = Vec::new();
        let mut seen = BTreeSet::new();
        for (name, value) in entries {
            if seen.insert(name.as_str()) {
                match self.judge(name, value) {
                    Ok(entry) => good.fields.push(entry),
                    Err(rule) => breaches.push(Breach::of_entry(name, value, rule)),
                }
            } else {
                // Which of the two was meant is anybody's guess, so neither stays.
                good.fields.retain(|(field, _)| field.name() != name);
                breaches.push(Breach::of_entry(name, value, Rule::Repeated));
            }
        }
        (good, breaches)
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
        }
        Ok((field, text.to_owned()))
    }

    fn verdict(&self, good: Design, breaches: Vec<Breach>) -> Verdict {
        if breaches.is_empty() {
            return Verdict::Good(good);
        }
        match self.settings.on_invalid {
            OnInvalid::Reject => Verdict::Refused(breaches),
            OnInvalid::Strip => Verdict::Stripped((!good.fields.is_empty()).then_some(good)),
        }
    }

    fn refused(&self, rule: Rule) -> Verdict {
        self.verdict(Design::default(), vec![Breach::of_document(rule)])
    }
}

/// What becomes of the parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Empty, or an object without a key: as if it were not there.
    Absent,
    /// Nothing to object to: the parameter goes on byte for byte.
    Good(Design),
    /// Something was wrong and is gone; this is left, if anything is.
    Stripped(Option<Design>),
    /// Every breach that was found, at least one.
    Refused(Vec<Breach>),
}

/// What there is to say of a design.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Every rule that is broken; with none the design can be used.
    pub breaches: Vec<Breach>,
    /// What is allowed and hard to read.
    pub warnings: Vec<Warning>,
    /// The fields that broke no rule.
    pub left: Design,
}

/// A design that broke no rule; made in this room alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Design {
    fields: Vec<(Field, String)>,
}

impl Design {
    /// Name and value of each field, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.fields
            .iter()
            .map(|(field, value)| (field.name(), value.as_str()))
    }

    fn value(&self, wanted: Field) -> Option<&str> {
        self.fields
            .iter()
            .find_map(|(field, value)| (*field == wanted).then_some(value.as_str()))
    }

    /// The same design with each colour in its one canonical spelling.
    #[must_use]
    pub fn canonical(&self) -> Self {
        let spelled = |(field, value): &(Field, String)| match field.kind() {
            Kind::Colour => (*field, colour::canonical(value)),
            Kind::Image | Kind::Stylesheet => (*field, value.clone()),
        };
        Self {
            fields: self.fields.iter().map(spelled).collect(),
        }
    }

    /// The design as the JSON object that the client reads.
    pub fn to_json(&self) -> String {
        let members: Vec<String> = self
            .iter()
            .map(|(name, value)| format!("{}:{}", Value::from(name), Value::from(value)))
            .collect();
        format!("{{{}}}", members.join(","))
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
            other @ (Verdict::Absent | Verdict::Good(_) | Verdict::Stripped(_)) => {
                panic!("{decoded}: {other:?}")
            }
        }
    }

    fn left_of(decoded: &str) -> Option<String> {
        match rules(OnInvalid::Strip).check(decoded) {
            Verdict::Stripped(design) => design.map(|design| design.to_json()),
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
            "primary_color": "\u0023004D90", "custom_css_url": "https://conf.example.org/own.css" } "#;
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
                    ("custom_css_url", "https://conf.example.org/own.css"),
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
            ("{'primary_color':'red'}", Rule::NotJson),
            (r#"{primary_color:"red"}"#, Rule::NotJson),
            (r#"{"primary_color":"red",}"#, Rule::NotJson),
            (r#"{"primary_color":"red"/**/}"#, Rule::NotJson),
            (r#"{"primary_color":"\udc00\ud800"}"#, Rule::NotJson),
            (r#"{"primary_color":"\x72ed"}"#, Rule::NotJson),
            (r"{'primary_color':'red'}", Rule::NotJson),
            ("{primary_color:\"red\"}", Rule::NotJson),
            ("{\"primary_color\":\"red\0\"}", Rule::NotJson),
            ("{\"primary_color\":\"red\"}\0", Rule::NotJson),
            ("{\"primary_color\":\"red\"}{}", Rule::NotJson),
            ("\u{feff}{\"primary_color\":\"red\"}", Rule::NotJson),
            ("{\u{a0}\"primary_color\":\"red\"}", Rule::NotJson),
            ("%7B%22primary_color%22%3A%22red%22%7D", Rule::NotJson),
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
            ("\"primary\u{fffd}_color\":\"red\"", Rule::UnknownKey),
            (r#""primary_color\u0000":"red""#, Rule::UnknownKey),
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
            (r#""toString":"red""#, Rule::UnknownKey),
            (r#""prototype":{"custom_logo":"x"}"#, Rule::UnknownKey),
            (r#""__proto__":null"#, Rule::UnknownKey),
            (r#""\u005f_proto__":"red""#, Rule::UnknownKey),
            (r#""primary_color":["red"]"#, Rule::NotText),
            (r#""primary_color":{"a":"red"}"#, Rule::NotText),
            (r#""primary_color":"""#, Rule::Empty),
            (r#""custom_logo":"""#, Rule::Empty),
            (r#""Primary_color":"red""#, Rule::UnknownKey),
            (r#""primary_color ":"red""#, Rule::UnknownKey),
            (r#""__proto__":"red""#, Rule::UnknownKey),
            (r#""constructor":"red""#, Rule::UnknownKey),
            (r#""":"red""#, Rule::UnknownKey),
            (r#""__proto__":{}"#, Rule::UnknownKey),
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

    #[test]
    fn finds_every_breach_and_strips_no_more_than_these() {
        let decoded = r#"{"secondary_color":"blue","primary_color":"red;","text_color":"red",
            "custom_logo":null,"side_panel_bg_color":"hsl(120deg 50% 50%)"}"#;
        assert_eq!(
            breaches(decoded),
            [
                ("primary_color".to_owned(), Rule::NotAColour),
                ("text_color".to_owned(), Rule::UnknownKey),
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
