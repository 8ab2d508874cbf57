//! The texts of the gateway's pages, in each language.
//!
//! The words stand in `words/`, one file a language, for translators to edit. A key that is new goes into `Topic` or
//! `Label`, or is the code of a failure, and into every file: a test names what is missing where. What stands in braces
//! is put in when the page is written.
//!
//! An English page shows a failure's own message, which is the most exact text. `details` of `words/en.json` are for
//! translators alone. For a code without a sentence the English message is shown, marked as English.

use std::{borrow::Cow, collections::HashMap, sync::OnceLock};

use serde::Deserialize;

use super::Language;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// The heading, which says what has happened.
    pub title: &'static str,
    pub advice: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    Expired,
    /// The token is not valid yet.
    NotYetValid,
    /// The token is not genuine, or was damaged.
    NotGenuine,
    /// The request has neither a link's token nor a session.
    NoSession,
    /// The browser stores no cookie, as in some frames.
    CookiesBlocked,
    RoomClosed,
    /// The session has been renewed for as long as it may be.
    SessionOver,
    /// The reader has logged out.
    Left,
    /// The link is for another session than the running one. Buttons follow.
    Switch,
    /// Asks whether to end the session. Buttons follow.
    Leave,
    /// An upstream does not answer.
    ServerDown,
    OverLimit,
    /// `custom_design` breaks a rule. The page says which.
    BadDesign,
    /// There is nothing at this address.
    NotFound,
    /// The request is refused for this reader, or for the way in which it was sent.
    NotAllowed,
    /// The request is malformed.
    BadRequest,
    /// The link is refused for a reason that the page tells.
    UnusableLink,
}

impl Topic {
    pub fn words(self, language: Language) -> Words {
        let texts = book(language)
            .topics
            .get(&self)
            .or_else(|| book(Language::En).topics.get(&self));
        texts.map_or(
            Words {
                title: "",
                advice: "",
            },
            |texts| Words {
                title: &texts.title,
                advice: &texts.advice,
            },
        )
    }
}

/// The text of a button, a link or a line in small print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// The label of the request's id.
    Request,
    /// The label of the link to `session.login_url`.
    LogIn,
    /// On a page about `Topic::Switch`: the label of the running session.
    Now,
    /// On a page about `Topic::Switch`: the label of the link's session.
    ByThisLink,
    /// The button of a page that asks: stay in the session.
    Stay,
    /// On a page about `Topic::Switch`: the button to leave the one meeting and join the other.
    JoinInstead,
    /// On a page about `Topic::Leave`: the button to end the session.
    Leave,
    /// On a page about `Topic::CookiesBlocked`: the link that opens the page outside of the frame.
    OwnWindow,
    /// The line on the client's page while the client loads.
    Loading,
    /// The message on the client's page while somebody waits to be let in. `{n}` is how many are let in before.
    ManyJoining,
}

impl Label {
    pub fn text(self, language: Language) -> &'static str {
        let label = book(language)
            .labels
            .get(&self)
            .or_else(|| book(Language::En).labels.get(&self));
        label.map_or("", String::as_str)
    }
}

/// A value in a sentence, with the name that stands for it in braces.
pub type Value = (&'static str, String);

/// The sentence about a failure with this code, if the language has one.
pub(super) fn detail(language: Language, code: &str, values: &[Value]) -> Option<Cow<'static, str>> {
    let sentence = book(language).details.get(code)?.as_str();
    if values.is_empty() {
        return Some(sentence.into());
    }
    let mut whole = sentence.to_owned();
    for (name, value) in values {
        whole = whole.replace(&format!("{{{name}}}"), value);
    }
    Some(whole.into())
}

/// All texts of one language.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    topics: HashMap<Topic, Texts>,
    labels: HashMap<Label, String>,
    /// The sentences about failures, by code.
    details: HashMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Texts {
    title: String,
    advice: String,
}

/// The texts of a language, which are parsed at their first use.
fn book(language: Language) -> &'static Book {
    static BOOKS: [OnceLock<Book>; Language::ALL.len()] = [const { OnceLock::new() }; Language::ALL.len()];
    static NONE: OnceLock<Book> = OnceLock::new();
    BOOKS
        .get(language as usize)
        .unwrap_or(&NONE)
        .get_or_init(|| serde_json::from_str(language.file()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of each part, with the names in braces of each text.
    fn shape(text: &str) -> Vec<(String, Vec<String>)> {
        let file: serde_json::Value = serde_json::from_str(text).unwrap();
        let mut found = Vec::new();
        let mut left = vec![(String::new(), file)];
        while let Some((path, value)) = left.pop() {
            match value {
                serde_json::Value::Object(members) => {
                    left.extend(
                        members
                            .into_iter()
                            .map(|(name, value)| (format!("{path}/{name}"), value)),
                    );
                }
                serde_json::Value::String(text) => {
                    assert!(text.trim() == text && !text.is_empty(), "{path}");
                    let mut names: Vec<_> = text
                        .split('{')
                        .skip(1)
                        .map(|rest| rest.split_once('}').unwrap().0.to_owned())
                        .collect();
                    names.sort();
                    found.push((path, names));
                }
                other @ (serde_json::Value::Null
                | serde_json::Value::Bool(_)
                | serde_json::Value::Number(_)
                | serde_json::Value::Array(_)) => panic!("{path}: {other}"),
            }
        }
        found.sort();
        found
    }

    #[test]
    fn every_language_has_every_key_and_every_name_in_braces() {
        let english = shape(Language::En.file());
        for language in Language::ALL {
            assert_eq!(shape(language.file()), english, "{language:?}");
            serde_json::from_str::<Book>(language.file()).unwrap();
        }
        // What is in the code and not in the files would be an empty heading.
        for topic in TOPICS {
            assert!(!topic.words(Language::En).title.is_empty(), "{topic:?}");
        }
        for label in LABELS {
            assert!(!label.text(Language::En).is_empty(), "{label:?}");
        }
    }

    #[test]
    fn a_sentence_begins_and_ends_as_one_and_a_heading_has_no_full_stop() {
        for language in Language::ALL {
            let Book { topics, details, .. } = book(language);
            let advices = topics.values().map(|texts| &texts.advice);
            for sentence in details.values().chain(advices) {
                let first = sentence.chars().next().unwrap();
                assert!(!first.is_lowercase(), "{language:?}: {sentence}");
                assert!(sentence.ends_with(STOPS), "{language:?}: {sentence}");
            }
            for Texts { title, .. } in topics.values() {
                let first = title.chars().next().unwrap();
                assert!(
                    !first.is_lowercase() && !title.ends_with(['.', '。', '।']),
                    "{language:?}: {title}"
                );
            }
        }
    }

    const FOUR: [Language; 4] = [Language::En, Language::Es, Language::De, Language::Fr];

    const STOPS: [char; 5] = ['.', '。', '।', ':', '：'];

    const TOPICS: [Topic; 17] = [
        Topic::Expired,
        Topic::NotYetValid,
        Topic::NotGenuine,
        Topic::NoSession,
        Topic::CookiesBlocked,
        Topic::RoomClosed,
        Topic::SessionOver,
        Topic::Left,
        Topic::Switch,
        Topic::Leave,
        Topic::ServerDown,
        Topic::OverLimit,
        Topic::BadDesign,
        Topic::NotFound,
        Topic::NotAllowed,
        Topic::BadRequest,
        Topic::UnusableLink,
    ];
    const LABELS: [Label; 10] = [
        Label::ManyJoining,
        Label::Request,
        Label::LogIn,
        Label::Now,
        Label::ByThisLink,
        Label::Stay,
        Label::JoinInstead,
        Label::Leave,
        Label::OwnWindow,
        Label::Loading,
    ];

    #[test]
    fn what_stands_in_braces_is_put_in() {
        let seconds = [("seconds", "7".to_owned())];
        assert_eq!(
            detail(Language::De, "over_limit", &seconds).unwrap(),
            "Zu viele Anfragen: Versuchen Sie es in 7 s erneut."
        );
        assert_eq!(detail(Language::De, "no_such_code", &seconds), None);
    }

    /// As users and their helpers know them.
    #[test]
    fn a_reload_and_a_wrong_link_are_told_apart_in_every_language() {
        let titles = |topic: Topic| FOUR.map(|language| topic.words(language).title);
        assert_eq!(
            titles(Topic::Expired),
            [
                "This link has expired",
                "Este enlace ha caducado",
                "Dieser Link ist abgelaufen",
                "Ce lien a expiré"
            ]
        );
        assert_eq!(
            titles(Topic::NotGenuine),
            [
                "This link is not genuine",
                "Este enlace no es auténtico",
                "Dieser Link ist nicht echt",
                "Ce lien n’est pas authentique"
            ]
        );
    }

    #[test]
    fn labels_are_in_the_readers_language() {
        let labels = FOUR.map(|language| Label::LogIn.text(language));
        assert_eq!(
            labels,
            [
                "Go to the login page",
                "Ir a la página de inicio de sesión",
                "Zur Anmeldeseite",
                "Aller à la page de connexion"
            ]
        );
    }
}
