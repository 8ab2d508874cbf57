//! The YAML files of plugNmeet's parts, with the line of each value.
//!
//! A text is taken as it is written: a secret of digits alone is no number, and keeps its zeros.

use saphyr::{MarkedYaml, YamlData, YamlLoader};
use saphyr_parser::Parser;

use super::Unreadable;

/// A value and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<T> {
    pub value: T,
    /// Such as `config.yaml:12 client.port`.
    pub origin: String,
}

impl<T> Found<T> {
    /// The same place, another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Found<U> {
        Found {
            value: change(self.value),
            origin: self.origin,
        }
    }
}

pub struct Yaml<'t> {
    file: String,
    root: Option<MarkedYaml<'t>>,
}

impl<'t> Yaml<'t> {
    /// A file of which nothing is known.
    pub fn empty(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            root: None,
        }
    }

    pub fn parse(text: &'t str, file: &str) -> Result<Self, Unreadable> {
        let broken = |why: String| Unreadable {
            file: file.to_owned(),
            why,
        };
        let mut loader = YamlLoader::<MarkedYaml<'t>>::default();
        loader.early_parse(false);
        let mut parser = Parser::new_from_str(text);
        parser
            .load(&mut loader, true)
            .map_err(|error| broken(error.to_string()))?;
        if let Some(error) = loader.error() {
            return Err(broken(error.to_string()));
        }
        Ok(Self {
            file: file.to_owned(),
            root: loader.into_documents().into_iter().next(),
        })
    }

    /// A text that is not empty.
    pub fn text(&self, path: &[&str]) -> Option<Found<String>> {
        let node = self.node(path)?;
        let text = raw(node).filter(|text| !matches!(*text, "" | "~" | "null"))?;
        Some(self.found(node, path, text.to_owned()))
    }

    pub fn number(&self, path: &[&str]) -> Option<Found<u64>> {
        let found = self.text(path)?;
        let value = found.value.parse().ok()?;
        Some(found.map(|_| value))
    }

    /// Is it written, and as `true`?
    pub fn is_true(&self, path: &[&str]) -> bool {
        self.text(path).is_some_and(|found| found.value == "true")
    }

    pub fn texts(&self, path: &[&str]) -> Vec<Found<String>> {
        let Some(node) = self.node(path) else {
            return Vec::new();
        };
        let YamlData::Sequence(items) = &node.data else {
            return Vec::new();
        };
        let texts = items.iter().filter_map(|item| Some((item, raw(item)?)));
        texts
            .map(|(item, text)| self.found(item, path, text.to_owned()))
            .collect()
    }

    /// The names of a map's members.
    pub fn names(&self, path: &[&str]) -> Vec<String> {
        let Some(YamlData::Mapping(members)) = self.node(path).map(|node| &node.data) else {
            return Vec::new();
        };
        let names = members.iter().filter_map(|(key, _)| raw(key));
        names.map(str::to_owned).collect()
    }

    /// Where something stands, or would stand.
    pub fn place(&self, path: &[&str]) -> String {
        match self.node(path) {
            Some(node) => self.found(node, path, String::new()).origin,
            None => format!("{} {}", self.file, path.join(".")),
        }
    }

    pub fn has(&self, path: &[&str]) -> bool {
        self.node(path).is_some()
    }

    fn node(&self, path: &[&str]) -> Option<&MarkedYaml<'t>> {
        let mut node = self.root.as_ref()?;
        for name in path {
            let YamlData::Mapping(members) = &node.data else {
                return None;
            };
            node = members
                .iter()
                .find_map(|(key, value)| (raw(key) == Some(*name)).then_some(value))?;
        }
        Some(node)
    }

    fn found(&self, node: &MarkedYaml<'_>, path: &[&str], value: String) -> Found<String> {
        Found {
            value,
            origin: format!("{}:{} {}", self.file, node.span.start.line(), path.join(".")),
        }
    }
}

fn raw<'n>(node: &'n MarkedYaml<'_>) -> Option<&'n str> {
    if let YamlData::Representation(text, ..) = &node.data {
        Some(text)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_its_line_and_is_as_it_is_written() {
        let text = "client:\n  port: 8080\n  secret: 0123 # no number\n  empty: \"\"\n  on: true\nurls:\n  - \"a\"\n  - b\n";
        let yaml = Yaml::parse(text, "config.yaml").unwrap();
        assert_eq!(
            yaml.text(&["client", "secret"]),
            Some(Found {
                value: "0123".into(),
                origin: "config.yaml:3 client.secret".into()
            })
        );
        assert_eq!(yaml.number(&["client", "port"]).unwrap().value, 8080);
        assert_eq!(yaml.text(&["client", "empty"]), None);
        assert!(yaml.is_true(&["client", "on"]) && yaml.has(&["urls"]) && !yaml.has(&["other"]));
        let urls: Vec<_> = yaml
            .texts(&["urls"])
            .into_iter()
            .map(|found| found.origin)
            .collect();
        assert_eq!(yaml.names(&["client"]), ["port", "secret", "empty", "on"]);
        assert_eq!(yaml.place(&["client", "empty"]), "config.yaml:4 client.empty");
        assert_eq!(yaml.place(&["client", "path"]), "config.yaml client.path");
        assert_eq!(urls, ["config.yaml:7 urls", "config.yaml:8 urls"]);
        assert!(yaml.names(&["urls"]).is_empty() && yaml.names(&["other"]).is_empty());
    }

    #[test]
    fn what_is_no_yaml_is_told_with_its_file() {
        let error = Yaml::parse("a: [1", "config.yaml").map(|_| ()).unwrap_err();
        assert!(error.to_string().starts_with("config.yaml: "), "{error}");
        assert!(Yaml::parse("", "empty.yaml").unwrap().text(&["a"]).is_none());
    }
}
