//! Every value that is in effect, and where it comes from: a line of the file, a variable, or the gateway's own default.
//!
//! Kept while the keys are read (`super::reader`), so that no key is read and not shown. What is printed is TOML again.
//!
//! SECURITY: a secret is kept as `***` from the beginning, and so are credentials in an address.

use std::{borrow::Cow, collections::BTreeSet, fmt::Write as _, path::PathBuf};

use super::{
    problem::Place,
    rows::LISTS,
    tree::{Node, Value},
};

/// What stands for a secret.
const HIDDEN: &str = "\"***\"";

/// Tables whose keys are kept one by one, as they are read.
const OF_ROWS: [&str; 3] = ["designs", "headers.csp_sources", "callers.limits"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InEffect {
    key: String,
    /// As TOML. None: there is no value, and no default.
    value: Option<String>,
    /// `None` for a default.
    origin: Option<Place>,
}

/// Keeps what stands at a key, or its default.
pub(super) fn keep(kept: &mut Vec<InEffect>, key: &str, node: Option<&Node>, default: Option<&str>) {
    if LISTS.contains(&key) || OF_ROWS.contains(&key) {
        return;
    }
    match node {
        None if key.starts_with("designs.") => {}
        None => kept.push(InEffect {
            key: key.to_owned(),
            value: default.map(str::to_owned),
            origin: None,
        }),
        Some(node) => keep_node(kept, key, node, default),
    }
}

/// Keeps that a secret is there, or that it is not.
pub(super) fn keep_secret(kept: &mut Vec<InEffect>, key: &str, place: Option<&Place>) {
    kept.push(InEffect {
        key: key.to_owned(),
        value: place.map(|_| HIDDEN.to_owned()),
        origin: place.cloned(),
    });
}

/// A table's keys have lines of their own.
fn keep_node(kept: &mut Vec<InEffect>, key: &str, node: &Node, default: Option<&str>) {
    if let Value::Table(keys) = &node.value {
        for (name, node) in keys {
            keep_node(kept, &format!("{key}.{}", quoted(name)), node, None);
        }
        return;
    }
    kept.push(InEffect {
        key: key.to_owned(),
        value: Some(toml_of(&node.value, default)),
        origin: Some(node.place.clone()),
    });
}

/// A name that is no bare key of TOML stands in quotes.
fn quoted(name: &str) -> Cow<'_, str> {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !name.is_empty() && name.bytes().all(bare) {
        return name.into();
    }
    text_of(name).into()
}

fn toml_of(value: &Value, default: Option<&str>) -> String {
    match value {
        Value::String(text) => text_of(text),
        Value::Variable(text) => of_variable(text, default),
        Value::Integer { text, .. } | Value::Float(text) | Value::Datetime(text) => text.clone(),
        Value::Boolean(flag) => flag.to_string(),
        Value::Array(items) => {
            let items = items.iter().map(|item| toml_of(&item.value, None));
            format!("[{}]", items.collect::<Vec<_>>().join(", "))
        }
        Value::Table(keys) => {
            let keys = keys.iter();
            let keys = keys.map(|(name, node)| format!("{} = {}", quoted(name), toml_of(&node.value, None)));
            format!("{{ {} }}", keys.collect::<Vec<_>>().join(", "))
        }
    }
}

/// What a variable's text is, follows from what its key's default is.
fn of_variable(text: &str, default: Option<&str>) -> String {
    let trimmed = text.trim();
    if trimmed.starts_with(['[', '{']) {
        return trimmed.to_owned();
    }
    let is = |first| default.is_some_and(|default| default.starts_with(first));
    if is('[') {
        let texts = trimmed.split(',').filter(|_| !trimmed.is_empty());
        let texts = texts.map(|text| text_of(text.trim()));
        format!("[{}]", texts.collect::<Vec<_>>().join(", "))
    } else if !is('"') && matches!(trimmed, "true" | "false") {
        trimmed.to_owned()
    } else {
        text_of(text)
    }
}

/// A text in quotes, without the credentials of an address.
fn text_of(text: &str) -> String {
    let public = match text.split_once("://") {
        Some((scheme, rest)) => {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            match authority.rsplit_once('@') {
                Some((credentials, _)) => {
                    let rest = rest.get(credentials.len()..).unwrap_or_default();
                    Cow::Owned(format!("{scheme}://***{rest}"))
                }
                None => Cow::Borrowed(text),
            }
        }
        None => Cow::Borrowed(text),
    };
    toml::Value::from(public.as_ref()).to_string()
}

/// The files and folders that are read.
pub(super) fn files(kept: &[InEffect]) -> impl Iterator<Item = PathBuf> {
    let named = kept.iter().filter(|entry| {
        let key = entry.key.as_str();
        key.ends_with("_file") || matches!(key, "tls.certs" | "client.path" | "acme.roots")
    });
    named.filter_map(|entry| {
        let written = format!("v = {}", entry.value.as_ref()?);
        let text = written
            .parse::<toml::Table>()
            .ok()?
            .get("v")?
            .as_str()?
            .to_owned();
        (!text.is_empty()).then(|| PathBuf::from(text))
    })
}

/// All of it as TOML, with the origin of each value behind it.
pub(super) fn shown(kept: &[InEffect]) -> String {
    let mut page = String::new();
    let mut section = "";
    let mut seen = BTreeSet::new();
    for entry in kept {
        let (of, name) = entry.key.split_once('.').unwrap_or(("", &entry.key));
        let is_list = LISTS.contains(&of);
        let again = is_list && !seen.insert(entry.key.as_str());
        if of != section || again {
            if again {
                seen.retain(|key| !key.starts_with(of));
                seen.insert(entry.key.as_str());
            }
            section = of;
            let heading = if is_list {
                format!("[[{of}]]")
            } else {
                format!("[{of}]")
            };
            write!(page, "\n{heading}\n").ok();
        }
        let Some(value) = &entry.value else {
            writeln!(page, "# {name} is not set").ok();
            continue;
        };
        let origin = match &entry.origin {
            None => "default".to_owned(),
            Some(Place { file, line: None }) => file.clone(),
            Some(Place {
                file,
                line: Some(line),
            }) => format!("{file}:{line}"),
        };
        writeln!(
            page,
            "{name} = {value}  # {}",
            origin.replace(char::is_control, " ")
        )
        .ok();
    }
    page
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    fn shown(text: &str, variables: &[(&str, &str)]) -> String {
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (format!("PNM_GATEWAY__{name}"), (*value).to_owned()))
            .collect();
        Config::parse(text, "gateway.toml", &variables)
            .unwrap()
            .in_effect()
    }

    fn line<'s>(shown: &'s str, name: &str) -> &'s str {
        let beginning = format!("{name} ");
        let mut lines = shown
            .lines()
            .filter(|line| line.trim_start_matches("# ").starts_with(&beginning));
        lines
            .next()
            .unwrap_or_else(|| panic!("{name} is not in\n{shown}"))
    }

    #[test]
    fn each_value_has_its_origin() {
        let text = "hosts = ['a.example']\n[limits]\nuser = '5/min'\n[client.config]\nmyOwn = [1, 'x']\n'a b' = 1\n\
                    [designs.dark]\nprimary_color = '#000'\n";
        let shown = shown(
            text,
            &[
                ("TRUST__PROXIES", "127.0.0.1, ::1"),
                ("LOG__ACCESS", "false"),
                ("LIMITS__ROOM", "7/s"),
            ],
        );
        for (name, expected) in [
            ("hosts", "hosts = [\"a.example\"]  # gateway.toml:1"),
            ("user", "user = \"5/min\"  # gateway.toml:3"),
            ("room", "room = \"7/s\"  # environment: PNM_GATEWAY__LIMITS__ROOM"),
            ("caller", "caller = \"6000/min\"  # default"),
            (
                "proxies",
                "proxies = [\"127.0.0.1\", \"::1\"]  # environment: PNM_GATEWAY__TRUST__PROXIES",
            ),
            (
                "access",
                "access = false  # environment: PNM_GATEWAY__LOG__ACCESS",
            ),
            ("config.myOwn", "config.myOwn = [1, \"x\"]  # gateway.toml:5"),
            ("config.\"a b\"", "config.\"a b\" = 1  # gateway.toml:6"),
            (
                "dark.primary_color",
                "dark.primary_color = \"#000\"  # gateway.toml:8",
            ),
            ("secret", "# secret is not set"),
        ] {
            assert_eq!(line(&shown, name), expected, "{shown}");
        }
        // It can be read again, and is the same configuration.
        let again = Config::parse(&shown, "gateway.toml", &[]).unwrap();
        assert_eq!(
            again.limits.rates.user,
            Config::parse(text, "", &[]).unwrap().limits.rates.user
        );
        assert_eq!(again.client.config["myOwn"][1], "x");
    }

    #[test]
    fn no_secret_is_shown() {
        let text = "[plugnmeet]\nsecret = 'hidden-value-0123456789abcdef0123'\n[limits]\n\
                    store = 'redis://ann:hidden-value@127.0.0.1:6379'\n\
                    [[callers]]\nname = 'a'\napi_key = 'k1'\nsecret = 'hidden-value-2-0123456789abcdef012'\n\
                    [[callers]]\nname = 'b'\napi_key = 'k2'\nsecret = 'hidden-value-3-0123456789abcdef012'\n";
        let shown = shown(text, &[("CALLERS__0__OLD_SECRET", "hidden-value-4")]);
        assert!(!shown.contains("hidden-value"), "{shown}");
        assert_eq!(shown.matches("\"***\"").count(), 5, "{shown}");
        assert_eq!(shown.matches("[[callers]]").count(), 2, "{shown}");
        assert_eq!(line(&shown, "secret"), "secret = \"***\"  # gateway.toml:2");
    }
}
