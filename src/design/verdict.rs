//! The results of checking a design: the verdict on a link's parameter, the report for its author, and the fields that
//! are left.

use serde_json::Value;

use super::{Breach, Field, Judged, OnInvalid, Rule, Warning, colour, field::Kind};

/// What happens to the parameter with a design.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// There is no design: the parameter is empty, or an object without keys.
    Absent,
    /// The design breaks no rule: the parameter stays as it is, byte for byte.
    Good(Design),
    /// The parameter gets another value.
    Stripped {
        /// The remaining design; none if no field is left.
        left: Option<Design>,
        /// The fields that were taken out, each with its rule.
        taken: Vec<Breach>,
    },
    /// The design is refused for these breaches, at least one.
    Refused(Vec<Breach>),
}

impl Verdict {
    /// Decides by the setting. A key that the client doesn't know is taken out under either value of the setting.
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

/// All that the check found in a design.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The rules that are broken. If there are none the design can be used.
    pub breaches: Vec<Breach>,
    /// Keys that the client doesn't know, which are taken out, and words that it doesn't know, which it ignores.
    pub unheeded: Vec<Breach>,
    /// Combinations of colours that are allowed but hard to read.
    pub warnings: Vec<Warning>,
    /// The fields that broke no rule.
    pub left: Design,
}

/// A design that broke no rule, or is the operator's own. Only this module makes one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Design {
    pub(super) fields: Vec<(Field, String)>,
}

impl Design {
    /// The name and the value of each field, in the order of the document.
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

    /// A breach for each word that the client does not know in its field.
    pub(super) fn unknown_words(&self) -> impl Iterator<Item = Breach> {
        let unknown = self
            .fields
            .iter()
            .filter(|(field, value)| field.kind() == Kind::Word && !field.words().contains(&value.as_str()));
        unknown.map(|(field, value)| {
            Breach::of_entry(field.name(), &Value::from(value.as_str()), Rule::UnknownWord)
        })
    }

    /// The same design with each colour in its canonical spelling.
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
