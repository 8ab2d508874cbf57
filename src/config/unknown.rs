//! What nobody has taken: misspelled keys, sections and variables.
//!
//! They are refused, as a misspelled key would leave a default in force that the operator believes changed.

use std::mem;

use super::{
    nearest::nearest,
    problem::{Place, Problem},
    reader::{PREFIX, Reader, variable},
};

/// Tells of everything that is left.
pub(super) fn tell(reader: &mut Reader<'_>) {
    let known = Known {
        keys: mem::take(&mut reader.known),
    };
    for (name, entry) in mem::take(&mut reader.source.root) {
        let place = reader.source.place(Some(entry.line));
        reader.tell(if known.is_section(&name) {
            // The value is not shown: it could be a secret that stands one level too high.
            let found = format!("is no section but {}", entry.value.type_str());
            let allowed = format!("write [{name}] and its keys below it");
            Problem::at(place, name, found, allowed)
        } else {
            known.unknown_key(place, name)
        });
    }
    for (name, section) in mem::take(&mut reader.source.sections) {
        if known.is_section(&name) {
            for (key, entry) in section.keys {
                let place = reader.source.place(Some(entry.line));
                reader.tell(known.unknown_key(place, format!("{name}.{key}")));
            }
        } else {
            let place = reader.source.place(Some(section.line));
            reader.tell(known.unknown_key(place, name));
        }
    }
    for name in mem::take(&mut reader.variables).into_keys() {
        reader.tell(known.unknown_variable(name));
    }
}

struct Known {
    keys: Vec<&'static str>,
}

impl Known {
    /// The names of all sections, once each: a section's keys are taken together.
    fn sections(&self) -> Vec<&'static str> {
        let sections = self.keys.iter().filter_map(|key| Some(key.split_once('.')?.0));
        let mut sections: Vec<_> = sections.collect();
        sections.dedup();
        sections
    }

    fn is_section(&self, name: &str) -> bool {
        self.sections().contains(&name)
    }

    fn unknown_key(&self, place: Place, key: String) -> Problem {
        let names = self.keys.iter().copied().chain(self.sections());
        let near = nearest(&key, names).map_or_else(String::new, |near| format!("perhaps {near} is meant: "));
        let allowed = match key.split_once('.') {
            Some((section, _)) => format!("[{section}] has {}", self.keys_of(section).join(", ")),
            None => format!("there are {}", self.top_level().join(", ")),
        };
        Problem::at(place, key, "is no key of the gateway", near + &allowed)
    }

    fn keys_of(&self, section: &str) -> Vec<&str> {
        let keys = self.keys.iter();
        keys.filter_map(|key| key.strip_prefix(section)?.strip_prefix('.'))
            .collect()
    }

    fn top_level(&self) -> Vec<String> {
        let keys = self.keys.iter().filter(|key| !key.contains('.'));
        let keys = keys.map(ToString::to_string);
        keys.chain(self.sections().iter().map(|section| format!("[{section}]")))
            .collect()
    }

    fn unknown_variable(&self, name: String) -> Problem {
        let place = Place {
            file: "environment".into(),
            line: None,
        };
        let variables: Vec<String> = self.keys.iter().map(|key| variable(key)).collect();
        let allowed = match nearest(&name, variables.iter().map(String::as_str)) {
            Some(near) => format!("perhaps {near} is meant"),
            None => format!("write {PREFIX}SECTION__KEY, or {PREFIX}KEY for a key outside of all sections"),
        };
        Problem::at(place, name, "is no variable of the gateway", allowed)
    }
}
