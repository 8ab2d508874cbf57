//! The rules that a design can break, and messages by which its author can mend it.
//!
//! Characters that could hide or reorder text on a page or in a log line are made visible here.
//!
//! Not here: escaping for HTML (`crate::reply`).

use std::fmt;

use serde_json::Value;

use super::{colour, document, link};

/// The largest number of characters that are shown of a value: enough to recognise it, and a page of breaches stays
/// readable.
const MAX_SHOWN_CHARS: usize = 64;

/// One rule that a design breaks in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// The key, shortened and with invisible characters escaped; `custom_design` if it is about the whole document.
    pub field: String,
    /// The value, shortened and with invisible characters escaped. Empty if the rule is about the whole document.
    pub value: String,
    pub rule: Rule,
}

impl Breach {
    pub(super) fn of_document(rule: Rule) -> Self {
        Self {
            field: "custom_design".to_owned(),
            value: String::new(),
            rule,
        }
    }

    pub(super) fn of_name(name: &str) -> Self {
        Self {
            field: "design".to_owned(),
            value: visible(name),
            rule: Rule::UnknownDesign,
        }
    }

    pub(super) fn of_entry(name: &str, value: &Value, rule: Rule) -> Self {
        let value = value
            .as_str()
            .map_or_else(|| visible(&value.to_string()), visible);
        Self {
            field: visible(name),
            value,
            rule,
        }
    }
}

impl Breach {
    /// The value and the rule, without the field's name.
    pub fn told(&self) -> String {
        if self.value.is_empty() {
            self.rule.to_string()
        } else {
            format!("`{}` {}", self.value, self.rule)
        }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.told())
    }
}

/// A rule that a design can break. Its text continues a sentence that begins with the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    DocumentTooLong,
    NotJson,
    /// The document would be JSON, had it been percent-encoded once.
    EncodedTwice,
    /// The document is the base64 of JSON.
    Base64,
    /// The document would be JSON with `"` in place of `'`.
    SingleQuotes,
    NotAnObject,
    /// The client knows no such key.
    UnknownKey,
    /// The document has the key more than once.
    Repeated,
    /// The value is of another JSON type than text.
    NotText,
    Empty,
    /// The value is not a colour, or one that could end its declaration in the style sheet.
    NotAColour,
    /// The colour is longer than any real one.
    ColourTooLong,
    /// The URL is longer than browsers and servers reliably accept.
    UrlTooLong,
    /// The URL has a character that is not ASCII, or that could end its declaration in the style sheet.
    UrlCharacter,
    /// The URL's scheme is not https, or it has none.
    NotHttps,
    /// The URL standard's parser refuses the value.
    NotAUrl,
    /// The URL has a user name or a password, even an empty one.
    Credentials,
    /// The host is written in another way than the URL parser reads it.
    HostSpelling,
    /// The host is an address or a name that is not on the public internet.
    PrivateAddress,
    /// The host's letters imitate another host's name.
    LookAlike,
    /// The host is not on the list for style sheets.
    ForeignStylesheet,
    /// The host is not on the list for images.
    ForeignImage,
    /// The URL is on the gateway's own host, and not below the folders of the client's files.
    OwnPath,
    /// The value has other characters than those of a word.
    NotAWord,
    /// The client does not know this word in this field, and ignores it.
    UnknownWord,
    /// Links may bring no designs of their own (`design.from_links`).
    NotFromLinks,
    /// The operator has no design of this name.
    UnknownDesign,
}

impl Rule {
    /// Does the rule say that the document is no JSON?
    pub const fn is_not_json(self) -> bool {
        matches!(
            self,
            Self::NotJson | Self::EncodedTwice | Self::Base64 | Self::SingleQuotes
        )
    }

    /// The mistake that was probably made, in a word or two for the log.
    pub const fn mistake(self) -> Option<&'static str> {
        if matches!(self, Self::EncodedTwice) {
            Some("encoded twice")
        } else if matches!(self, Self::Base64) {
            Some("base64")
        } else if matches!(self, Self::SingleQuotes) {
            Some("single quotes")
        } else {
            None
        }
    }

    /// The rule's name in answers, logs and metrics. It never changes.
    pub const fn code(self) -> &'static str {
        match self {
            Self::DocumentTooLong => "document_too_long",
            Self::NotJson | Self::EncodedTwice | Self::Base64 | Self::SingleQuotes => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::UnknownKey => "unknown_key",
            Self::Repeated => "repeated",
            Self::NotText => "not_text",
            Self::Empty => "empty",
            Self::NotAColour => "not_a_colour",
            Self::ColourTooLong => "colour_too_long",
            Self::UrlTooLong => "url_too_long",
            Self::UrlCharacter => "url_character",
            Self::NotHttps => "not_https",
            Self::NotAUrl => "not_a_url",
            Self::Credentials => "credentials",
            Self::HostSpelling => "host_spelling",
            Self::PrivateAddress => "private_address",
            Self::LookAlike => "look_alike",
            Self::ForeignStylesheet => "foreign_stylesheet",
            Self::ForeignImage => "foreign_image",
            Self::OwnPath => "own_path",
            Self::NotAWord => "not_a_word",
            Self::UnknownWord => "unknown_word",
            Self::NotFromLinks => "not_from_links",
            Self::UnknownDesign => "unknown_design",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at_most = |f: &mut fmt::Formatter<'_>, bytes: usize| write!(f, "must be at most {bytes} bytes");
        f.write_str(match self {
            Self::DocumentTooLong => return at_most(f, document::MAX_BYTES),
            Self::NotJson => "is not valid JSON",
            Self::EncodedTwice => "is not valid JSON: it is percent-encoded twice",
            Self::Base64 => "is not valid JSON: it is base64, and only percent-encoding is read",
            Self::SingleQuotes => "is not valid JSON: its names and texts stand in single quotes",
            Self::NotAnObject => "must be a JSON object",
            Self::UnknownKey => "is not a known key",
            Self::Repeated => "appears more than once",
            Self::NotText => "must be a string",
            Self::Empty => "must not be empty",
            Self::NotAColour => "is not a CSS colour",
            Self::ColourTooLong => return at_most(f, colour::MAX_BYTES),
            Self::UrlTooLong => return at_most(f, link::MAX_BYTES),
            Self::UrlCharacter => "has a character that must be percent-encoded in a URL here",
            Self::NotHttps => "must be an https URL",
            Self::NotAUrl => "is not a valid URL",
            Self::Credentials => "must not have a user name or password",
            Self::HostSpelling => "must spell its host in the usual way",
            Self::PrivateAddress => "must not lead to a private address",
            Self::LookAlike => "must not name a host whose letters imitate another's",
            Self::ForeignStylesheet => "host is not in design.css_hosts",
            Self::ForeignImage => "host is not in design.image_hosts",
            Self::OwnPath => "must be below /assets/ or MOUNT/assets/ on this host",
            Self::NotAWord => "must be a short word of letters, digits, - and _",
            Self::UnknownWord => "is not a word that the client knows here",
            Self::NotFromLinks => "is not taken from links here",
            Self::UnknownDesign => "is not one of the designs here",
        })
    }
}

/// Escapes control, formatting and other invisible characters, and shortens the text.
fn visible(text: &str) -> String {
    let mut chars = text.chars().flat_map(|char| {
        // `escape_debug` also escapes what delimits a Rust literal; these are plain to see.
        let plain = matches!(char, '"' | '\'' | '\\').then_some(char);
        let escaped = plain.is_none().then(|| char.escape_debug());
        plain.into_iter().chain(escaped.into_iter().flatten())
    });
    let mut shown: String = chars.by_ref().take(MAX_SHOWN_CHARS).collect();
    if chars.next().is_some() {
        shown.pop();
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn shows_what_would_hide() {
        assert_eq!(visible("a\0\n\t\u{1b}[31m\u{7f}"), r"a\0\n\t\u{1b}[31m\u{7f}");
        assert_eq!(
            visible("\u{202e}\u{200b}\u{feff}\u{85}"),
            r"\u{202e}\u{200b}\u{feff}\u{85}"
        );
        assert_eq!(visible(r#"rot "grün" '\'"#), r#"rot "grün" '\'"#);
    }

    #[test]
    fn shortens_to_64_characters() {
        assert_eq!(visible(&"ä".repeat(64)), "ä".repeat(64));
        assert_eq!(visible(&"ä".repeat(65)), format!("{}…", "ä".repeat(63)));
        assert_eq!(visible(&"\0".repeat(65)), format!("{}\\…", "\\0".repeat(31)));
    }

    #[test]
    fn reads_as_a_sentence() {
        let breach = Breach::of_entry("primary_color", &json!("red;}"), Rule::NotAColour);
        assert_eq!(breach.to_string(), "primary_color `red;}` is not a CSS colour");
        let nested = Breach::of_entry("a\n", &json!({"b": [null]}), Rule::UnknownKey);
        assert_eq!(nested.to_string(), r#"a\n `{"b":[null]}` is not a known key"#);
        assert_eq!(
            Breach::of_document(Rule::NotJson).to_string(),
            "custom_design is not valid JSON"
        );
        let long = Breach::of_document(Rule::DocumentTooLong);
        assert_eq!(long.to_string(), "custom_design must be at most 4096 bytes");
    }
}
