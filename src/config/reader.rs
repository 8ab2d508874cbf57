//! Reads tables of any depth, key by key, and collects all problems.
//!
//! A value that is refused becomes a problem, and its default takes its place. So the rest is checked too, also by the
//! modules. A key that nobody has read at the end of a table is unknown, which is a problem (`super::unknown`). Each
//! key that is asked for leaves a row (`super::rows`), from which the documentation is made.
//!
//! Not here: what a key may hold (`super::kind`), which keys there are (`super::sections`), secrets (`super::secrets`).

use std::cell::RefCell;

use super::{
    in_effect::{self, InEffect},
    kind::{Kind, Refusal, shown},
    problem::{Place, Places, Problem},
    rows::{Form, Row},
    tree::{Keys, Node, Value},
};

/// A value, or the sign that a problem has been collected in its place.
pub(super) type Taken<T> = Result<T, Told>;

/// The sign that a problem is in `Findings::problems`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told;

/// The name that problems have for the file if there is none.
pub(super) const NO_FILE: &str = "built-in defaults";

/// All that reading has found; all tables of a configuration share it.
pub(super) struct Findings {
    file: String,
    pub(super) problems: RefCell<Vec<Problem>>,
    pub(super) warnings: RefCell<Vec<String>>,
    pub(super) places: RefCell<Places>,
    pub(super) rows: RefCell<Vec<Row>>,
    pub(super) unknown: RefCell<Vec<Unknown>>,
    pub(super) in_effect: RefCell<Vec<InEffect>>,
}

/// A key that nobody has read.
pub(super) struct Unknown {
    /// The path of its table; empty for the file as a whole.
    pub(super) table: String,
    /// The table as it is written in the file, such as `[limits]`.
    pub(super) heading: String,
    pub(super) name: String,
    pub(super) node: Node,
}

/// A table, without the keys that have been read.
pub(super) struct Table<'f> {
    pub(super) found: &'f Findings,
    pub(super) path: String,
    heading: String,
    pub(super) place: Place,
    pub(super) keys: Keys,
}

/// What to write for a table, told to whoever wrote something else.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// What to write in the file; it follows "…; " in a problem.
    pub(super) allowed: &'static str,
    /// What to write in a variable.
    pub(super) inline: &'static str,
}

impl Findings {
    pub(super) fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            problems: RefCell::default(),
            warnings: RefCell::default(),
            places: RefCell::default(),
            rows: RefCell::default(),
            unknown: RefCell::default(),
            in_effect: RefCell::default(),
        }
    }

    /// Adds to the row of a key.
    pub(super) fn describe(&self, key: &str, add: impl FnOnce(&mut Row)) {
        if let Some(row) = self.rows.borrow_mut().iter_mut().find(|row| row.key == key) {
            add(row);
        }
    }

    /// Adds a problem to the list.
    pub(super) fn tell(&self, problem: Problem) -> Told {
        self.problems.borrow_mut().push(problem);
        Told
    }

    /// Adds a problem with a key's value to the list.
    pub(super) fn refuse(&self, key: &str, found: impl Into<String>, allowed: impl Into<String>) -> Told {
        self.tell(Problem::at(self.place(key), key, found, allowed))
    }

    /// Adds a warning to the list.
    pub(super) fn warn(&self, warning: String) {
        self.warnings.borrow_mut().push(warning);
    }

    /// Is there a problem with this key?
    pub(super) fn is_refused(&self, key: &str) -> bool {
        self.problems.borrow().iter().any(|problem| problem.key == key)
    }

    /// The place of a key's value, or the file as a whole if the key has not been read.
    pub(super) fn place(&self, key: &str) -> Place {
        let place = self.places.borrow().get(key).cloned();
        place.unwrap_or_else(|| Place {
            file: self.file.clone(),
            line: None,
        })
    }

    /// All problems in the order of the file, then those of the environment.
    pub(super) fn in_order(&self) -> Vec<Problem> {
        let mut problems = self.problems.borrow().clone();
        problems.sort_by_key(|problem| (problem.file != self.file, problem.line));
        problems
    }
}

impl<'f> Table<'f> {
    /// The table of all keys of the file.
    pub(super) fn root(found: &'f Findings, keys: Keys) -> Self {
        Self {
            found,
            path: String::new(),
            heading: String::new(),
            place: found.place(""),
            keys,
        }
    }

    /// Reads a text. If the key is not there, or its value is refused, `default` counts; it is text as in the file.
    pub(super) fn text<T>(
        &mut self,
        name: &str,
        default: &str,
        kind: &Kind<T>,
        doc: &'static str,
    ) -> Taken<T> {
        self.judged(name, default, kind, kind.parse, "", doc)
    }

    /// As `text`, but an empty text means None.
    pub(super) fn optional<T>(
        &mut self,
        name: &str,
        default: &str,
        kind: &Kind<T>,
        doc: &'static str,
    ) -> Taken<Option<T>> {
        let parse = |text: &str| (!text.is_empty()).then(|| (kind.parse)(text)).transpose();
        self.judged(name, default, kind, parse, ", or \"\" for none", doc)
    }

    /// Reads a text that must be there. It has no default, so a refusal leaves no value.
    pub(super) fn required<T>(&mut self, name: &str, kind: &Kind<T>, doc: &'static str) -> Taken<T> {
        let node = self.take(name, None, &kind.allowed, doc);
        self.found.describe(&self.key(name), |row| {
            row.form = Form::of(kind, false);
            row.required = true;
        });
        match node {
            Some(node) => self.parsed(name, &node, kind.integers, &kind.allowed, kind.parse),
            None => Err(self.lacks(name, &kind.allowed)),
        }
    }

    /// Adds the problem that a key is missing.
    pub(super) fn lacks(&self, name: &str, allowed: &str) -> Told {
        self.refuse(&self.place, name, "is missing", allowed)
    }

    fn judged<T, U>(
        &mut self,
        name: &str,
        default: &str,
        kind: &Kind<T>,
        parse: impl Fn(&str) -> Result<U, Refusal>,
        or_else: &str,
        doc: &'static str,
    ) -> Taken<U> {
        let allowed = format!("{}{or_else}", kind.allowed);
        let node = self.take(name, Some(format!("{default:?}")), &allowed, doc);
        let form = Form::of(kind, !or_else.is_empty());
        self.found.describe(&self.key(name), |row| row.form = form);
        if let Some(node) = node
            && let Ok(value) = self.parsed(name, &node, kind.integers, &allowed, &parse)
        {
            return Ok(value);
        }
        parse(default).map_err(|refusal| {
            let found = format!("{} {}", shown(default), refusal.why);
            self.refuse(&self.place, name, found, &allowed)
        })
    }

    /// Parses the text of a value, or adds a problem.
    pub(super) fn parsed<U>(
        &self,
        name: &str,
        node: &Node,
        integers: bool,
        allowed: &str,
        parse: impl Fn(&str) -> Result<U, Refusal>,
    ) -> Taken<U> {
        let Some(text) = node.value.text(integers) else {
            let found = format!("{} is no string", node.value.shown());
            return Err(self.refuse(&node.place, name, found, allowed));
        };
        parse(text).map_err(|refusal| {
            let found = format!("{} {}", shown(text), refusal.why);
            self.refuse(&node.place, name, found, refusal.allowed.unwrap_or(allowed))
        })
    }

    /// Reads a list of texts. A variable holds a TOML array, or texts with commas between them. An item that is refused
    /// is left out, and the others stay.
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        default: &[&str],
        kind: &Kind<T>,
        doc: &'static str,
    ) -> Taken<Vec<T>> {
        let node = self.take(name, Some(format!("{default:?}")), &kind.allowed, doc);
        let form = Form::List(Box::new(Form::of(kind, false)));
        self.found.describe(&self.key(name), |row| row.form = form);
        let Some(node) = node else {
            let default: Result<Vec<T>, Refusal> = default.iter().map(|text| (kind.parse)(text)).collect();
            return default.map_err(|refusal| self.refuse(&self.place, name, refusal.why, &kind.allowed));
        };
        let judge = |item: &Node| self.parsed(name, item, false, &kind.allowed, kind.parse).ok();
        Ok(self.items(name, node).iter().filter_map(judge).collect())
    }

    /// The items of a list. If the value is refused as a whole there are no items.
    pub(super) fn items(&self, name: &str, node: Node) -> Vec<Node> {
        let text = match node.value {
            Value::Array(items) => return items,
            Value::Variable(text) => text,
            other @ (Value::String(_)
            | Value::Integer { .. }
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_)
            | Value::Table(_)) => {
                let found = format!("{} is no list", other.shown());
                let allowed = "write a list: [\"…\", \"…\"], or [] for none";
                self.refuse(&node.place, name, found, allowed);
                return Vec::new();
            }
        };
        if text.trim_start().starts_with('[') {
            if let Some(Node {
                value: Value::Array(items),
                ..
            }) = Node::of_variable(&text, &node.place)
            {
                return items;
            }
            let found = format!("{} is no TOML array", shown(&text));
            let allowed = "write [\"…\", \"…\"], or texts with commas between them";
            self.refuse(&node.place, name, found, allowed);
            return Vec::new();
        }
        let texts = text.split(',').filter(|_| !text.trim().is_empty());
        texts
            .map(|text| Node {
                place: node.place.clone(),
                value: Value::Variable(text.trim().to_owned()),
            })
            .collect()
    }

    /// Reads a value that is true or false.
    pub(super) fn flag(&mut self, name: &str, default: bool, doc: &'static str) -> bool {
        self.flag_or(name, default, "write true or false", doc)
    }

    /// As `flag`, with the text that says what to write instead of a value that is refused.
    pub(super) fn flag_or(&mut self, name: &str, default: bool, allowed: &str, doc: &'static str) -> bool {
        let node = self.take(name, Some(default.to_string()), allowed, doc);
        self.found.describe(&self.key(name), |row| row.form = Form::Flag);
        let Some(node) = node else {
            return default;
        };
        match (&node.value, node.value.text(false)) {
            (Value::Boolean(flag), _) => return *flag,
            (Value::Variable(_), Some("true")) => return true,
            (Value::Variable(_), Some("false")) => return false,
            (other, _) => {
                let found = format!("{} is neither true nor false", other.shown());
                self.refuse(&node.place, name, found, allowed);
            }
        }
        default
    }

    /// Reads a section, which is a table at the top of the file. `read` has to read all of its keys.
    pub(super) fn section<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> Taken<T>) -> Taken<T> {
        let keys = match self.keys.remove(name).map(|node| (node.place, node.value)) {
            None => Keys::new(),
            Some((place, value)) => {
                let value = Node {
                    place: place.clone(),
                    value,
                }
                .expanded()
                .value;
                if let Value::Table(keys) = value {
                    keys
                } else {
                    // The value is not shown: it could be a secret that stands one level too high.
                    let found = format!("is no section but {}", value.type_name());
                    let allowed = format!("write [{name}] and its keys below it");
                    self.refuse(&place, name, found, &allowed);
                    Keys::new()
                }
            }
        };
        self.below(name, format!("[{name}]"), self.place.clone(), keys)
            .read(read)
    }

    /// The table at a name below this one. It is empty if there is none, or if the value is no table.
    pub(super) fn table(&mut self, name: &str, shape: Shape, doc: &'static str) -> Self {
        let node = self.take(name, None, shape.allowed, doc);
        let (place, keys) = match node {
            None => (self.place.clone(), Keys::new()),
            Some(node) => (node.place.clone(), self.keys_of(name, node, shape)),
        };
        self.below(name, name.to_owned(), place, keys)
    }

    fn keys_of(&self, name: &str, node: Node, shape: Shape) -> Keys {
        let node = node.expanded();
        match node.value {
            Value::Table(keys) => return keys,
            Value::Variable(text) if text.trim().is_empty() => {}
            Value::Variable(text) => {
                let found = format!("{} is no TOML table", shown(&text));
                self.refuse(&node.place, name, found, shape.inline);
            }
            other @ (Value::String(_)
            | Value::Integer { .. }
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_)
            | Value::Array(_)) => {
                self.refuse(
                    &node.place,
                    name,
                    format!("{} is no table", other.shown()),
                    shape.allowed,
                );
            }
        }
        Keys::new()
    }

    /// Makes a table below this one from keys that are here already.
    pub(super) fn below(&self, name: &str, heading: String, place: Place, keys: Keys) -> Self {
        Self {
            found: self.found,
            path: self.key(name),
            heading,
            place,
            keys,
        }
    }

    /// Reads this table with `read`. The keys that are left are unknown.
    pub(super) fn read<T>(mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let value = read(&mut self);
        self.done();
        value
    }

    /// Records the keys that are left as unknown.
    pub(super) fn done(self) {
        let unknown = self.keys.into_iter().map(|(name, node)| Unknown {
            table: self.path.clone(),
            heading: self.heading.clone(),
            name,
            node,
        });
        self.found.unknown.borrow_mut().extend(unknown);
    }

    /// Whatever stands at a name; a row of it is kept, and what is in effect.
    pub(super) fn take(
        &mut self,
        name: &str,
        default: Option<String>,
        allowed: &str,
        doc: &'static str,
    ) -> Option<Node> {
        let key = self.key(name);
        in_effect::keep(
            &mut self.found.in_effect.borrow_mut(),
            &key,
            self.keys.get(name),
            default.as_deref(),
        );
        self.taken(&key, name, default, allowed, doc)
    }

    /// As `take`, of what nothing may show.
    pub(super) fn take_secret(&mut self, name: &str, allowed: &str, doc: &'static str) -> Option<Node> {
        let key = self.key(name);
        let place = self.keys.get(name).map(|node| &node.place);
        in_effect::keep_secret(&mut self.found.in_effect.borrow_mut(), &key, place);
        let node = self.taken(&key, name, None, allowed, doc);
        self.found.describe(&key, |row| row.form = Form::Secret);
        node
    }

    fn taken(
        &mut self,
        key: &str,
        name: &str,
        default: Option<String>,
        allowed: &str,
        doc: &'static str,
    ) -> Option<Node> {
        Row::keep(&mut self.found.rows.borrow_mut(), key, default, allowed, doc);
        let node = self.keys.remove(name)?;
        self.found
            .places
            .borrow_mut()
            .insert(key.to_owned(), node.place.clone());
        Some(node)
    }

    /// The full name of a key of this table, such as `limits.user`.
    pub(super) fn key(&self, name: &str) -> String {
        match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        }
    }

    /// Adds a problem with a key of this table to the list. An empty name means the table itself.
    pub(super) fn refuse(&self, place: &Place, name: &str, found: impl Into<String>, allowed: &str) -> Told {
        let key = match name {
            "" => self.path.clone(),
            name => self.key(name),
        };
        self.found.tell(Problem::at(place.clone(), key, found, allowed))
    }
}
