//! The operator's own designs, `[designs.NAME]` and `designCustomization` in `[client.config]`: they are recognised
//! when a link brings them back, and their hosts are allowed in the page's policy.
//!
//! A recorder's link brings them back. The client passes on the design of the admin's page either as it is, if it is an
//! object, or without any white space, also within values (`rgb(0 77 144)` becomes `rgb(077144)`). Both forms are
//! accepted byte for byte. With white space in other places it is still the same design, but the operator's own text
//! replaces it, because white space within a value may have a meaning.
//!
//! Source: docs/plugnmeet.md section 7 (what recorders bring).

use serde_json::{Map, Value};
use url::{Host, Url};

use super::{
    Breach, Design, DesignRules, DesignSettings, Field, Rule, Verdict, colour, field::Kind, field::is_word,
    link,
};

/// A design of the operator's in the two texts in which a link may bring it back.
#[derive(Debug, Clone)]
pub(super) struct OwnWords {
    design: Design,
    written: Map<String, Value>,
    bare: Map<String, Value>,
}

/// The hosts that the operator's designs name, as sources of a content security policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperatorSources {
    /// The origins of style sheets.
    pub styles: Vec<String>,
    pub images: Vec<String>,
}

pub(super) fn words_of(settings: &DesignSettings) -> Vec<OwnWords> {
    let named = settings.named.values().map(|design| {
        let members = design
            .iter()
            .map(|(name, value)| (name.to_owned(), Value::from(value)));
        OwnWords::new(design.clone(), members.collect())
    });
    let customization = settings
        .customization
        .as_ref()
        .and_then(object_of)
        .map(|written| {
            let known = written
                .iter()
                .filter_map(|(name, value)| Some((Field::named(name)?, value.as_str()?.to_owned())));
            let design = Design {
                fields: known.collect(),
            };
            OwnWords::new(design, written)
        });
    named.chain(customization).collect()
}

impl OwnWords {
    fn new(design: Design, written: Map<String, Value>) -> Self {
        Self {
            design,
            bare: bare(&written),
            written,
        }
    }
}

/// The object in `designCustomization`, which is an object or the text of one. The client ignores anything else.
fn object_of(customization: &Value) -> Option<Map<String, Value>> {
    let object = match customization {
        Value::Object(object) => object.clone(),
        Value::String(text) => serde_json::from_str(text).ok()?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => return None,
    };
    (!object.is_empty()).then_some(object)
}

fn bare(object: &Map<String, Value>) -> Map<String, Value> {
    object
        .iter()
        .map(|(name, value)| (without_white_space(name), bare_value(value)))
        .collect()
}

fn bare_value(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(without_white_space(text)),
        Value::Object(object) => Value::Object(bare(object)),
        Value::Array(items) => items.iter().map(bare_value).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// The text without white space, as the client's `replace(/\s/g, '')` makes it.
fn without_white_space(text: &str) -> String {
    let is_white = |c: char| (c.is_whitespace() && c != '\u{85}') || c == '\u{feff}';
    text.chars().filter(|&c| !is_white(c)).collect()
}

impl DesignRules {
    /// The verdict on a link's design that is one of the operator's in one of its two texts; none for any other design.
    pub(super) fn of_operator(&self, decoded: &str) -> Option<Verdict> {
        if self.own_words.is_empty() {
            return None;
        }
        let given: Map<String, Value> = serde_json::from_str(decoded).ok()?;
        let is_one = |words: &&OwnWords| words.written == given || words.bare == given;
        if let Some(words) = self.own_words.iter().find(is_one) {
            return Some(Verdict::Good(words.design.clone()));
        }
        let given = bare(&given);
        let words = self.own_words.iter().find(|words| words.bare == given)?;
        Some(Verdict::Stripped {
            left: Some(words.design.clone()),
            taken: Vec::new(),
        })
    }

    /// The hosts that the operator's own designs name, without the gateway's own host.
    pub fn operator_sources(&self) -> OperatorSources {
        let mut sources = OperatorSources::default();
        for (field, value) in self.own_words.iter().flat_map(|words| &words.design.fields) {
            let list = match field.kind() {
                Kind::Stylesheet => &mut sources.styles,
                Kind::Image => &mut sources.images,
                Kind::Colour | Kind::Word => continue,
            };
            let source = Url::parse(value).ok().and_then(|url| self.source_of(&url));
            if let Some(source) = source.filter(|source| !list.contains(source)) {
                list.push(source);
            }
        }
        sources
    }

    fn source_of(&self, url: &Url) -> Option<String> {
        let nameable = match url.host()? {
            // CSP has no way to write one.
            Host::Ipv6(_) => false,
            Host::Domain(_) | Host::Ipv4(_) => !self.settings.own.is_origin_of(url),
        };
        (nameable && url.scheme() == "https").then(|| url.origin().ascii_serialization())
    }
}

/// What the client would make nothing of, or could be harmed by, in `designCustomization`: which key, and why.
pub fn flaws_of_customization(customization: &Value) -> Vec<Breach> {
    let document = |rule| vec![Breach::of_document(rule)];
    let object = match customization {
        Value::Object(object) => object.clone(),
        Value::String(text) if text.is_empty() => return Vec::new(),
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(object)) => object,
            Ok(_) => return document(Rule::NotAnObject),
            Err(_) => return document(Rule::NotJson),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            return document(Rule::NotAnObject);
        }
    };
    let flaws = object.iter().filter_map(|(name, value)| {
        let rule = flaw(name, value).err()?;
        Some(Breach::of_entry(name, value, rule))
    });
    flaws.collect()
}

fn flaw(name: &str, value: &Value) -> Result<(), Rule> {
    let field = Field::named(name).ok_or(Rule::UnknownKey)?;
    let text = value.as_str().ok_or(Rule::NotText)?;
    match field.kind() {
        // The client takes an empty value for none.
        _ if text.is_empty() => Ok(()),
        Kind::Colour => colour::check(text),
        Kind::Image | Kind::Stylesheet => link::check_of_operator(text),
        Kind::Word if !is_word(text) => Err(Rule::NotAWord),
        Kind::Word if !field.words().contains(&text) => Err(Rule::UnknownWord),
        Kind::Word => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::design::{Entry, OnInvalid};

    fn rules(customization: Value) -> DesignRules {
        let origin = Url::parse("https://conf.example.org").unwrap();
        let mut settings = DesignSettings::new(OnInvalid::Reject, &[], &[], &origin).unwrap();
        let entries = [
            ("primary_color", "rgb(0 77 144)"),
            ("custom_css_url", "https://cdn.example.org/a b.css".trim()),
        ];
        let entries = entries.map(|(name, value)| {
            Entry::new(
                name,
                &value.replace(' ', if name == "primary_color" { " " } else { "%20" }),
            )
            .unwrap()
        });
        settings
            .named
            .insert("dark".to_owned(), Design::of(entries.to_vec()).unwrap());
        settings.customization = Some(customization);
        DesignRules::new(settings)
    }

    #[test]
    fn the_operators_words_are_known_again_with_all_white_space_aside() {
        let customization = json!({"header_bg_color": "rgb(0 77 144)", "own": {"a b": 1}, "custom_logo": "https://10.0.0.7/l.png"});
        let text = Value::from(
            " { \"header_bg_color\" : \"rgb(0 77 144)\", \"own\": {\"a b\": 1}, \"custom_logo\": \"https://10.0.0.7/l.png\" }",
        );
        for customization in [customization, text] {
            let rules = rules(customization);
            for (written, passes) in [
                (
                    r#"{"primary_color":"rgb(0 77 144)","custom_css_url":"https://cdn.example.org/a%20b.css"}"#,
                    true,
                ),
                ("{\u{a0}}", false),
                (
                    r#"{"custom_css_url" : "https://cdn.example.org/a%20b.css", "primary_color":"rgb(077144)"}"#,
                    true,
                ),
                (
                    r#"{"header_bg_color":"rgb(077144)","own":{"ab":1},"custom_logo":"https://10.0.0.7/l.png"}"#,
                    true,
                ),
                (
                    r#"{"header_bg_color":"rgb(0 77 144)","own":{"a b":1},"custom_logo":"https://10.0.0.7/l.png"}"#,
                    true,
                ),
                (
                    r#"{"header_bg_color":"rgb(077145)","own":{"ab":1},"custom_logo":"https://10.0.0.7/l.png"}"#,
                    false,
                ),
                (r#"{"custom_logo":"https://10.0.0.7/l.png"}"#, false),
            ] {
                let verdict = rules.check(written);
                assert_eq!(
                    matches!(verdict, Verdict::Good(_)),
                    passes,
                    "{written}: {verdict:?}"
                );
            }
            // White space in places of its own: the operator's own text, not this one.
            let odd = r#"{"header_bg_color":"r gb(0 77\t144)","own":{"ab":1},"custom_logo":"https://10.0.0.7/l.png"}"#;
            let Verdict::Stripped {
                left: Some(left),
                taken,
            } = rules.check(odd)
            else {
                panic!("not known")
            };
            assert_eq!(left.value(Field::HeaderBackground), Some("rgb(0 77 144)"));
            assert!(taken.is_empty());
        }
    }

    #[test]
    fn their_hosts_are_sources_once_each() {
        let sources = |customization| rules(customization).operator_sources();
        assert_eq!(
            sources(json!({
                "custom_css_url": "https://cdn.example.org/b.css",
                "custom_logo": "https://img.example.org:8443/l.png",
                "background_image": "https://conf.example.org/assets/b.png",
            })),
            OperatorSources {
                styles: vec!["https://cdn.example.org".to_owned()],
                images: vec!["https://img.example.org:8443".to_owned()],
            }
        );
        let unnameable =
            sources(json!({"custom_logo": "https://[2001:db8::1]/l.png", "background_image": "./b.png"}));
        assert!(unnameable.images.is_empty());
    }

    #[test]
    fn what_is_wrong_with_a_customization_is_told() {
        let rules = |customization: Value| -> Vec<Rule> {
            flaws_of_customization(&customization)
                .iter()
                .map(|flaw| flaw.rule)
                .collect()
        };
        assert_eq!(
            rules(
                json!({"primary_color": "rgb(0 77 144)", "custom_css_url": "https://10.0.0.7/a.css", "secondary_color": ""})
            ),
            []
        );
        assert_eq!(rules(json!("")), []);
        assert_eq!(rules(json!("null")), [Rule::NotAnObject]);
        assert_eq!(rules(json!("{")), [Rule::NotJson]);
        assert_eq!(rules(json!(7)), [Rule::NotAnObject]);
        assert_eq!(
            rules(
                json!({"primary_color": "red;", "logo": "x", "custom_logo": null, "column_camera_width": "top"})
            ),
            [
                Rule::NotAColour,
                Rule::UnknownKey,
                Rule::NotText,
                Rule::UnknownWord
            ]
        );
    }
}
