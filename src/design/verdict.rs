//! What becomes of a design, what there is to say of it, and what is left of it.

use serde_json::Value;

use super::{Breach, Field, Judged, OnInvalid, Rule, Warning, colour, field::Kind};

/// What becomes of the parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Empty, or an object without a key: as if it were not there.
    Absent,
    /// Nothing to object to: the parameter goes on byte for byte.
    Good(Design),
    /// Another design goes on in its place.
    Stripped {
        /// This is left, if anything is.
        left: Option<Design>,
        /// The fields that were taken out, each with its rule.
        taken: Vec<Breach>,
    },
    /// Every breach that was found, at least one.
    Refused(Vec<Breach>),
}

impl Verdict {
    /// Keys that the client doesn't know go, whatever becomes of what it does know.
    pub(super) fn of(judged: Judged, on_invalid: OnInvalid) -> Self {
        let Judged {
            good,
            breaches,
            unknown,
        } = judged;
        if breaches.is_empty() && unknown.is_empty() {
            return Self::Good(good);
        }
        if on_invalid == OnInvalid::Reject && !breaches.is_empty() {
            return Self::Refused(breaches);
        }
        Self::Stripped {
            left: (!good.fields.is_empty()).then_some(good),
            taken: breaches.into_iter().chain(unknown).collect(),
        }
    }
}

/// What there is to say of a design.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Every rule that is broken; with none the design can be used.
    pub breaches: Vec<Breach>,
    /// Keys that the client doesn't know, which are taken out, and words that it doesn't know, which it ignores.
    pub unheeded: Vec<Breach>,
    /// What is allowed and hard to read.
    pub warnings: Vec<Warning>,
    /// The fields that broke no rule.
    pub left: Design,
}

/// A design that broke no rule, or is the operator's own; made in this module alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Design {
    pub(super) fields: Vec<(Field, String)>,
}

impl Design {
    /// Name and value of each field, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.fields
            .iter()
            .map(|(field, value)| (field.name(), value.as_str()))
    }

    pub(super) fn value(&self, wanted: Field) -> Option<&str> {
        self.fields
            .iter()
            .find_map(|(field, value)| (*field == wanted).then_some(value.as_str()))
    }

    /// Words that the client does not know where they stand.
    pub(super) fn unknown_words(&self) -> impl Iterator<Item = Breach> {
        let unknown = self
            .fields
            .iter()
            .filter(|(field, value)| field.kind() == Kind::Word && !field.words().contains(&value.as_str()));
        unknown.map(|(field, value)| {
            Breach::of_entry(field.name(), &Value::from(value.as_str()), Rule::UnknownWord)
        })
    }

    /// The same design with each colour in its one canonical spelling.
    #[must_use]
    pub fn canonical(&self) -> Self {
        let spelled = |(field, value): &(Field, String)| match field.kind() {
            Kind::Colour => (*field, colour::canonical(value)),
            Kind::Image | Kind::Stylesheet | Kind::Word => (*field, value.clone()),
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
