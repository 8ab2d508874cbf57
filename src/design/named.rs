//! Named designs: the operator gives a design a name, so that links stay short and need no design of their own.
//!
//! The rules that keep a value in its place on the page apply to named designs too, but they may name any hosts. The
//! client knows no names: it gets the named design as `custom_design`. So a design that equals a named one is treated
//! as that one, wherever it comes from (`operator`).
//!
//! Not here: the parameter `design` (`crate::session`), `[designs.NAME]` in the configuration (`crate::config`).

use super::{
    Breach, Design, DesignRules, Field, Judged, OnInvalid, Rule, Verdict, colour,
    field::{Kind, is_word},
    link,
};

/// A key and a value of an operator's design. Hosts in it are not checked against the lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry(Field, String);

impl Entry {
    /// Checks one key of an operator's design.
    pub fn new(name: &str, value: &str) -> Result<Self, Rule> {
        let field = Field::named(name).ok_or(Rule::UnknownKey)?;
        if value.is_empty() {
            return Err(Rule::Empty);
        }
        match field.kind() {
            Kind::Colour => colour::check(value)?,
            Kind::Image | Kind::Stylesheet => link::check_of_operator(value)?,
            Kind::Word if !is_word(value) => return Err(Rule::NotAWord),
            Kind::Word if !field.words().contains(&value) => return Err(Rule::UnknownWord),
            Kind::Word => {}
        }
        Ok(Self(field, value.to_owned()))
    }
}

impl Design {
    /// Makes an operator's design. Each key may occur once.
    pub fn of(entries: Vec<Entry>) -> Result<Self, Rule> {
        if entries.is_empty() {
            return Err(Rule::Empty);
        }
        let design = Self {
            fields: entries
                .into_iter()
                .map(|Entry(field, value)| (field, value))
                .collect(),
        };
        if design.to_json().len() > super::MAX_BYTES {
            return Err(Rule::DocumentTooLong);
        }
        Ok(design)
    }
}

impl DesignRules {
    pub fn has_named(&self) -> bool {
        !self.settings.named.is_empty()
    }

    /// The verdict on a link that names a design. `on_invalid` replaces the settings' value, if given.
    pub fn named(&self, name: &str, on_invalid: Option<OnInvalid>) -> Verdict {
        if let Some(design) = self.settings.named.get(name) {
            return Verdict::Good(design.clone());
        }
        let judged = Judged {
            breaches: vec![Breach::of_name(name)],
            ..Judged::default()
        };
        Verdict::of(judged, on_invalid.unwrap_or(self.settings.on_invalid))
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::design::{DesignSettings, OnInvalid};

    fn dark() -> Design {
        Design::of(vec![
            Entry::new("primary_color", "#00a1f2").unwrap(),
            Entry::new("custom_css_url", "https://10.0.0.7/dark.css").unwrap(),
        ])
        .unwrap()
    }

    fn rules(on_invalid: OnInvalid, from_links: bool) -> DesignRules {
        let origin = Url::parse("https://conf.example.org").unwrap();
        let mut settings = DesignSettings::new(on_invalid, &[], &[], &origin).unwrap();
        settings.named.insert("dark".to_owned(), dark());
        settings.from_links = from_links;
        DesignRules::new(settings)
    }

    #[test]
    fn the_operator_chooses_hosts_and_leaves_no_place() {
        for (name, value, rule) in [
            ("text_color", "red", Rule::UnknownKey),
            ("primary_color", "", Rule::Empty),
            ("primary_color", "red;", Rule::NotAColour),
            ("custom_logo", "/logo.png", Rule::NotHttps),
            ("custom_logo", "http://cdn.example.org/a.png", Rule::NotHttps),
            (
                "custom_logo",
                "https://a@cdn.example.org/a.png",
                Rule::Credentials,
            ),
            ("custom_logo", "https://cdn.example.org/a\")", Rule::UrlCharacter),
            ("custom_css_url", "https://0x7f.1/a.css", Rule::HostSpelling),
            ("custom_css_url", "https://a b/", Rule::UrlCharacter),
        ] {
            assert_eq!(Entry::new(name, value), Err(rule), "{name} {value}");
        }
        for host in [
            "cdn.example.org",
            "10.0.0.7",
            "logos",
            "printer.local:8443",
            "[fd00::1]",
        ] {
            assert!(
                Entry::new("custom_css_url", &format!("https://{host}/a")).is_ok(),
                "{host}"
            );
        }
    }

    #[test]
    fn a_named_design_has_something_and_not_too_much() {
        assert_eq!(Design::of(Vec::new()), Err(Rule::Empty));
        let url = format!("{:a<2000}", "https://cdn.example.org/");
        let entries =
            ["custom_logo", "background_image", "custom_css_url"].map(|name| Entry::new(name, &url).unwrap());
        assert_eq!(Design::of(entries.to_vec()), Err(Rule::DocumentTooLong));
    }

    #[test]
    fn a_name_is_found_exactly_or_is_a_breach() {
        let reject = rules(OnInvalid::Reject, true);
        assert_eq!(reject.named("dark", None), Verdict::Good(dark()));
        for name in ["Dark", "dark ", "", "__proto__"] {
            let Verdict::Refused(breaches) = reject.named(name, None) else {
                panic!("{name} is nobody's")
            };
            let [breach] = breaches.as_slice() else {
                panic!("one")
            };
            assert_eq!(
                (breach.field.as_str(), breach.rule),
                ("design", Rule::UnknownDesign)
            );
        }
        assert_eq!(
            reject.named("Dark", Some(OnInvalid::Strip)),
            rules(OnInvalid::Strip, true).named("Dark", None)
        );
        let stripped = rules(OnInvalid::Strip, true).named("Dark", None);
        let taken = vec![Breach::of_name("Dark")];
        assert_eq!(stripped, Verdict::Stripped { left: None, taken });
    }

    /// Or else the operator's own design would be refused on the page that it was sent to.
    #[test]
    fn the_text_of_a_named_design_is_that_design() {
        let text = r##"{"primary_color":"#00a1f2","custom_css_url":"https://10.0.0.7/dark.css"}"##;
        for from_links in [true, false] {
            let rules = rules(OnInvalid::Reject, from_links);
            assert_eq!(rules.check(text), Verdict::Good(dark()));
            let other = text.replace("a1f2", "a1f3");
            assert!(matches!(rules.check(&other), Verdict::Refused(_)));
        }
    }

    #[test]
    fn links_bring_no_design_where_the_operator_says_so() {
        let own = r#"{"primary_color":"red"}"#;
        let refused = |decoded| match rules(OnInvalid::Reject, false).check(decoded) {
            Verdict::Refused(breaches) => breaches.iter().map(|breach| breach.rule).collect(),
            Verdict::Absent | Verdict::Good(_) | Verdict::Stripped { .. } => Vec::new(),
        };
        assert_eq!(refused(own), [Rule::NotFromLinks]);
        assert_eq!(refused("null"), [Rule::NotAnObject]);
        let taken = vec![Breach::of_document(Rule::NotFromLinks)];
        assert_eq!(
            rules(OnInvalid::Strip, false).check(own),
            Verdict::Stripped { left: None, taken }
        );
        for nothing in ["", "{}"] {
            assert_eq!(rules(OnInvalid::Reject, false).check(nothing), Verdict::Absent);
        }
    }
}
