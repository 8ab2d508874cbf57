//! The file and the environment as one tree of tables, lists and values, each with its place.
//!
//! A variable `PNM_GATEWAY__A__B` sets `a.b`, and replaces what the file has there. `PNM_GATEWAY__A__0__B` sets `b` in
//! the first table of the list `a`. Names of variables are in capitals, so they match the keys of the file in any case.
//!
//! Not here: which keys there are (`super::sections`), what a variable's text means (`super::reader`).

use std::collections::BTreeMap;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    kind::shown,
    problem::{Place, Problems},
    rows::PREFIX,
    syntax,
};

pub(super) type Keys = BTreeMap<String, Node>;

/// A value and its place: the line of its key, or the line of the value itself in a list.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

#[derive(Clone)]
pub(super) enum Value {
    String(String),
    Integer {
        text: String,
        /// None: the number needs more than 64 bits.
        number: Option<i64>,
    },
    Float(String),
    Boolean(bool),
    Datetime(String),
    Array(Vec<Node>),
    Table(Keys),
    /// The text of a variable. Which type it has depends on the key.
    Variable(String),
}

/// A TOML text, and the name by which problems call it.
struct Text<'t> {
    text: &'t str,
    file: &'t str,
}

/// Parses the whole file. If the text is no TOML, all its errors are told, and nothing else can be.
pub(super) fn parse(text: &str, file: &str) -> Result<Keys, Problems> {
    let (root, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        Ok(Text { text, file }.keys(root.get_ref()))
    } else {
        Err(Problems(syntax::problems(&errors, text, file)))
    }
}

impl Text<'_> {
    fn place<T>(&self, part: &Spanned<T>) -> Place {
        Place {
            file: self.file.to_owned(),
            line: Some(syntax::line_of(self.text, part.span().start)),
        }
    }

    fn keys(&self, table: &DeTable<'_>) -> Keys {
        let entries = table.iter().map(|(name, value)| {
            let place = self.place(name);
            let value = self.value(value.get_ref());
            (name.get_ref().to_string(), Node { place, value })
        });
        entries.collect()
    }

    fn value(&self, value: &DeValue<'_>) -> Value {
        match value {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Integer(integer) => Value::Integer {
                text: integer.to_string(),
                number: i64::from_str_radix(integer.as_str(), integer.radix()).ok(),
            },
            DeValue::Float(float) => Value::Float(float.as_str().to_owned()),
            DeValue::Boolean(flag) => Value::Boolean(*flag),
            DeValue::Datetime(datetime) => Value::Datetime(datetime.to_string()),
            DeValue::Table(table) => Value::Table(self.keys(table)),
            DeValue::Array(items) => {
                let items = items.iter().map(|item| Node {
                    place: self.place(item),
                    value: self.value(item.get_ref()),
                });
                Value::Array(items.collect())
            }
        }
    }
}

impl Value {
    /// The value as text, or None if it is none. A bare integer is text only with `integers`.
    pub(super) fn text(&self, integers: bool) -> Option<&str> {
        match self {
            Self::String(text) | Self::Variable(text) => Some(text),
            Self::Integer { text, .. } if integers => Some(text),
            Self::Integer { .. }
            | Self::Float(_)
            | Self::Boolean(_)
            | Self::Datetime(_)
            | Self::Array(_)
            | Self::Table(_) => None,
        }
    }

    /// The value as a problem shows it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::String(text) | Self::Variable(text) => shown(text),
            Self::Integer { text, .. } | Self::Float(text) | Self::Datetime(text) => text.clone(),
            Self::Boolean(flag) => flag.to_string(),
            Self::Array(_) => "a list".into(),
            Self::Table(_) => "a table".into(),
        }
    }

    /// The name of the value's type, for problems that must not show the value.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::String(_) | Self::Variable(_) => "string",
            Self::Integer { .. } => "integer",
            Self::Float(_) => "float",
            Self::Boolean(_) => "boolean",
            Self::Datetime(_) => "datetime",
            Self::Array(_) => "array",
            Self::Table(_) => "table",
        }
    }
}

impl Node {
    /// The text of a variable as a TOML value, which is at the variable's place. None: the text is no TOML.
    pub(super) fn of_variable(text: &str, place: &Place) -> Option<Self> {
        let value = DeValue::parse(text.trim()).ok()?;
        let mut node = Self {
            place: place.clone(),
            value: Text { text, file: "" }.value(value.get_ref()),
        };
        node.place_all(place);
        Some(node)
    }

    fn place_all(&mut self, place: &Place) {
        self.place = place.clone();
        match &mut self.value {
            Value::Array(items) => items.iter_mut().for_each(|item| item.place_all(place)),
            Value::Table(keys) => keys.values_mut().for_each(|node| node.place_all(place)),
            Value::String(_)
            | Value::Integer { .. }
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_)
            | Value::Variable(_) => {}
        }
    }

    /// The inline table or the list that a variable holds. Any other value stays as it is.
    pub(super) fn expanded(self) -> Self {
        if let Value::Variable(text) = &self.value
            && text.trim_start().starts_with(['{', '['])
        {
            return Self::of_variable(text, &self.place).unwrap_or(self);
        }
        self
    }

    /// The names of all variables of which this value is made.
    pub(super) fn variables(&self) -> Vec<&str> {
        match &self.value {
            Value::Array(items) => items.iter().flat_map(Self::variables).collect(),
            Value::Table(keys) => keys.values().flat_map(Self::variables).collect(),
            Value::Variable(_) => self.place.variable().into_iter().collect(),
            Value::String(_)
            | Value::Integer { .. }
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_) => Vec::new(),
        }
    }
}

/// Puts variables into the tree. Returns the names of those for which there is no place.
pub(super) fn put_variables(root: &mut Keys, variables: &[(String, String)]) -> Vec<String> {
    let sorted: BTreeMap<&String, &String> = variables.iter().map(|(name, text)| (name, text)).collect();
    let mut homeless = Vec::new();
    for (name, text) in sorted {
        let node = Node {
            place: Place::of_variable(name),
            value: Value::Variable(text.clone()),
        };
        let path: Vec<&str> = name
            .strip_prefix(PREFIX)
            .unwrap_or_default()
            .split("__")
            .collect();
        let placed = !path.contains(&"")
            && path
                .split_first()
                .is_some_and(|(first, rest)| put(root, first, rest, node));
        if !placed {
            homeless.push(name.clone());
        }
    }
    homeless
}

fn put(keys: &mut Keys, name: &str, rest: &[&str], node: Node) -> bool {
    let known = keys.keys().find(|known| known.eq_ignore_ascii_case(name));
    let name = known.cloned().unwrap_or_else(|| name.to_ascii_lowercase());
    let Some((next, rest)) = rest.split_first() else {
        keys.insert(name, node);
        return true;
    };
    let is_index = next.bytes().all(|byte| byte.is_ascii_digit());
    let new = || Node {
        place: node.place.clone(),
        value: if is_index {
            Value::Array(Vec::new())
        } else {
            Value::Table(Keys::new())
        },
    };
    let below = keys.remove(&name).map_or_else(new, Node::expanded);
    let below = keys.entry(name).or_insert(below);
    match &mut below.value {
        Value::Table(keys) => put(keys, next, rest, node),
        Value::Array(items) => put_item(items, next, rest, node),
        Value::String(_)
        | Value::Integer { .. }
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Variable(_) => false,
    }
}

/// Puts a value at an item of a list, which may be the next after the last. Returns false if there is no place for it.
fn put_item(items: &mut Vec<Node>, index: &str, rest: &[&str], node: Node) -> bool {
    let Some(index) = index.parse::<usize>().ok().filter(|index| *index <= items.len()) else {
        return false;
    };
    if index == items.len() {
        items.push(Node {
            place: node.place.clone(),
            value: Value::Table(Keys::new()),
        });
    }
    match (items.get_mut(index), rest.split_first()) {
        (Some(item), None) => {
            *item = node;
            true
        }
        (
            Some(Node {
                value: Value::Table(keys),
                ..
            }),
            Some((name, rest)),
        ) => put(keys, name, rest, node),
        (_, _) => false,
    }
}
