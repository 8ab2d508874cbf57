//! Problems with what nobody has read: misspelled keys, sections and variables.
//!
//! They are refused, because a misspelled key would leave a default in force that the operator believes changed.

use super::{
    nearest::nearest,
    problem::{Place, Problem},
    reader::{Findings, Unknown},
    rows::{PREFIX, Row},
};

/// Adds a problem for everything that is left. `homeless` are the variables that have no place in the tree.
pub(super) fn tell(found: &Findings, homeless: Vec<String>) {
    let known = Known {
        rows: found.rows.borrow().clone(),
    };
    let mut variables = homeless;
    for unknown in found.unknown.take() {
        variables.extend(unknown.node.variables().into_iter().map(str::to_owned));
        if unknown.node.place.variable().is_none() {
            found.tell(known.unknown_key(unknown));
        }
    }
    variables.sort();
    for name in variables {
        found.tell(known.unknown_variable(name));
    }
}

struct Known {
    rows: Vec<Row>,
}

impl Known {
    fn keys(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().map(|row| row.key.as_str())
    }

    /// The names of all sections, once each. A key that is a list of tables is no section.
    fn sections(&self) -> Vec<&str> {
        let sections = self.keys().filter_map(|key| Some(key.split_once('.')?.0));
        let mut sections: Vec<_> = sections
            .filter(|section| self.keys().all(|key| key != *section))
            .collect();
        sections.dedup();
        sections
    }

    fn unknown_key(&self, unknown: Unknown) -> Problem {
        let Unknown {
            table,
            heading,
            name,
            node,
        } = unknown;
        let key = if table.is_empty() {
            name
        } else {
            format!("{table}.{name}")
        };
        let names = self.keys().chain(self.sections());
        let near = nearest(&key, names).map_or_else(String::new, |near| format!("perhaps {near} is meant: "));
        let keys_of: Vec<&str> = self.keys_of(&table).collect();
        let allowed = if table.is_empty() {
            format!("there are {}", self.top_level().join(", "))
        } else {
            format!("{heading} has {}", keys_of.join(", "))
        };
        Problem::at(node.place, key, "is no key of the gateway", near + &allowed)
    }

    fn keys_of<'k>(&'k self, table: &'k str) -> impl Iterator<Item = &'k str> {
        let names = self
            .keys()
            .filter_map(move |key| key.strip_prefix(table)?.strip_prefix('.'));
        names.filter(|name| !name.contains('.'))
    }

    fn top_level(&self) -> Vec<String> {
        let keys = self.keys().filter(|key| !key.contains('.'));
        let keys = keys.map(ToString::to_string);
        keys.chain(self.sections().iter().map(|section| format!("[{section}]")))
            .collect()
    }

    fn unknown_variable(&self, name: String) -> Problem {
        let place = Place {
            file: "environment".into(),
            line: None,
        };
        let known = self.rows.iter().map(|row| row.variable.as_str());
        let allowed = match nearest(&name, known) {
            Some(near) => format!("perhaps {near} is meant"),
            None => format!("write {PREFIX}SECTION__KEY, or {PREFIX}KEY for a key outside of all sections"),
        };
        Problem::at(place, name, "is no variable of the gateway", allowed)
    }
}
