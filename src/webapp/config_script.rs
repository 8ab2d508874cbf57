//! The host's own `config.js`: an object literal on `window.plugNmeetConfig`, with comments and what else a script may have
//! around it.
//!
//! Nothing is executed. The assignment is found between comments and strings, and each member's value is read by itself, so
//! that one that is more than a literal (`window.location.origin`) costs no other.
//!
//! Not here: what is served (`super::config_js`).
//!
//! Source: docs/plugnmeet.md section 12.

use serde_json::{Map, Value};

use super::settings::{SERVER_URL, STATIC_ASSETS_PATH};

/// No value in a client's file is nested as deep; reading one goes down as deep.
const MAX_DEPTH: usize = 32;

#[derive(Debug, Default, PartialEq)]
pub struct ConfigScript {
    /// The keys that can be carried over, without the two that follow from the gateway's own configuration.
    pub keys: Map<String, Value>,
    /// The keys whose values are no literals.
    pub left: Vec<String>,
    /// `serverUrl`, if it is written as a text.
    pub server: Option<String>,
    /// Where the client is to find its files.
    pub assets: AssetsPath,
}

/// `staticAssetsPath`, as it is written.
#[derive(Debug, Default, PartialEq)]
pub enum AssetsPath {
    #[default]
    Absent,
    Written(String),
    /// The script works it out.
    Computed,
}

impl AssetsPath {
    /// An address on another host.
    pub fn elsewhere(&self) -> Option<&str> {
        match self {
            Self::Written(path) if path.starts_with("https://") => Some(path),
            Self::Written(_) | Self::Absent | Self::Computed => None,
        }
    }
}

/// Reads the file. None: it has no such object.
pub fn read(script: &str) -> Option<ConfigScript> {
    let object = object(script)?;
    let mut found = ConfigScript::default();
    for member in members(object) {
        let Some((name, text)) = named(member) else {
            if !bare(member).is_empty() {
                found.left.push(bare(member).chars().take(40).collect());
            }
            continue;
        };
        match name.as_str() {
            SERVER_URL => found.server = json5::from_str(text).ok(),
            STATIC_ASSETS_PATH => {
                let address = json5::from_str::<String>(text);
                found.assets = address.map_or(AssetsPath::Computed, AssetsPath::Written);
            }
            _ => match literal(text) {
                Some(value) => drop(found.keys.insert(name, value)),
                None => found.left.push(name),
            },
        }
    }
    Some(found)
}

fn literal(text: &str) -> Option<Value> {
    let mut depth = 0_usize;
    let mut steps = Steps::of(text);
    while let Some((_, char)) = steps.next_code() {
        match char {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return None;
        }
    }
    json5::from_str(text).ok()
}

/// Where a step of `steps` stands: in code, or in what is none.
struct Steps<'s> {
    text: &'s str,
    at: usize,
}

impl<'s> Steps<'s> {
    fn of(text: &'s str) -> Self {
        Self { text, at: 0 }
    }

    /// The next character of code and where it is; strings and comments are stepped over.
    fn next_code(&mut self) -> Option<(usize, char)> {
        loop {
            let rest = self.text.get(self.at..)?;
            let char = rest.chars().next()?;
            let at = self.at;
            if rest.starts_with("//") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                self.at += rest.find("*/").map_or(rest.len(), |end| end + 2);
            } else if matches!(char, '"' | '\'' | '`') {
                self.at += string_end(rest, char);
                return Some((at, char));
            } else {
                self.at += char.len_utf8();
                return Some((at, char));
            }
        }
    }
}

/// The length of the string at the beginning of a text.
fn string_end(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, char) in text.char_indices().skip(1) {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if char == quote => return at + char.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// What stands between the braces of `plugNmeetConfig = { … }`.
fn object(script: &str) -> Option<&str> {
    let mut word = String::new();
    let mut steps = Steps::of(script);
    let mut last = String::new();
    let mut after_equals = false;
    while let Some((at, char)) = steps.next_code() {
        if char.is_alphanumeric() || char == '_' || char == '$' {
            word.push(char);
            continue;
        }
        if !word.is_empty() {
            last = std::mem::take(&mut word);
            after_equals = false;
        }
        match char {
            '=' => after_equals = last == "plugNmeetConfig",
            '{' if after_equals => {
                let inside = at + 1;
                return script.get(inside..closing(script, inside)?);
            }
            char if char.is_whitespace() => {}
            _ => {
                after_equals = false;
                last.clear();
            }
        }
    }
    None
}

/// Where the brace closes that was opened just before.
fn closing(script: &str, inside: usize) -> Option<usize> {
    let mut steps = Steps {
        text: script,
        at: inside,
    };
    let mut depth = 0_usize;
    while let Some((at, char)) = steps.next_code() {
        match char {
            '{' | '[' | '(' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' | ']' | ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// The members of an object, with the comments around them.
fn members(object: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut begin, mut depth) = (0, 0_usize);
    let mut steps = Steps::of(object);
    while let Some((at, char)) = steps.next_code() {
        match char {
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                found.extend(object.get(begin..at));
                begin = at + 1;
            }
            _ => {}
        }
    }
    found.extend(object.get(begin..));
    found
}

/// A member's name and the text of its value.
fn named(member: &str) -> Option<(String, &str)> {
    let mut steps = Steps::of(member);
    let colon =
        std::iter::from_fn(|| steps.next_code()).find_map(|(at, char)| (char == ':').then_some(at))?;
    let (name, value) = member.split_at_checked(colon)?;
    let name = bare(name);
    let name = match name.chars().next()? {
        '"' | '\'' => json5::from_str::<String>(&name).ok()?,
        _ => name,
    };
    let plain = |char: char| char.is_alphanumeric() || matches!(char, '_' | '$' | '-');
    (name.chars().all(plain)).then_some((name, value.get(1..)?))
}

/// Without comments and white space around it.
fn bare(text: &str) -> String {
    let mut steps = Steps::of(text);
    let mut bare = String::new();
    while let Some((at, _)) = steps.next_code() {
        bare.push_str(text.get(at..steps.at).unwrap_or_default());
    }
    bare.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SCRIPT: &str = r#"// plugNmeetConfig = { enableSimulcast: false };
/* window.plugNmeetConfig = {}; */
var s = "plugNmeetConfig = { a: 1 }";
window.plugNmeetConfig = {
  // The server.
  serverUrl: window.location.origin,
  // staticAssetsPath: '',
  /*customLogo: {
    main_logo_light: 'https://example.org/logo_light.png',
  },*/
  enableDynacast: true, /* , } */
  'enableSimulcast' : true,
  videoCodec: 'vp8', // 'h264' | "it's"
  designCustomization: { primary_color: '#004D90', nested: [1, { a: "},{" }] },
  dbMaxAgeMs: 6 * 60 * 60 * 1000,
  staticAssetsPath: 'https://cdn.example.org/assets',
};
window.ENABLE_SIMULCAST = window.plugNmeetConfig.enableSimulcast;
"#;

    #[test]
    fn literals_are_carried_over_and_the_rest_is_told() {
        let found = read(SCRIPT).unwrap();
        assert_eq!(
            Value::Object(found.keys),
            json!({
                "enableDynacast": true,
                "enableSimulcast": true,
                "videoCodec": "vp8",
                "designCustomization": { "primary_color": "#004D90", "nested": [1, { "a": "},{" }] },
            })
        );
        assert_eq!(found.left, ["dbMaxAgeMs"]);
        assert_eq!(found.assets.elsewhere(), Some("https://cdn.example.org/assets"));
    }

    #[test]
    fn where_the_files_are_is_told_from_what_is_worked_out() {
        let assets = |member: &str| {
            read(&format!("window.plugNmeetConfig = {{ a: 1, {member} }}"))
                .unwrap()
                .assets
        };
        assert_eq!(assets(""), AssetsPath::Absent);
        assert_eq!(
            assets("staticAssetsPath: './assets'"),
            AssetsPath::Written("./assets".into())
        );
        assert_eq!(assets("staticAssetsPath: base + '/assets'"), AssetsPath::Computed);
        assert_eq!(assets("staticAssetsPath: './assets'").elsewhere(), None);
    }

    #[test]
    fn a_value_that_is_nested_without_end_is_left() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let found = read(&format!("window.plugNmeetConfig = {{ deep: {deep}, b: 1 }}")).unwrap();
        assert_eq!(found.left, ["deep"]);
        assert_eq!(Value::Object(found.keys), json!({ "b": 1 }));
    }

    #[test]
    fn a_script_without_the_object_is_none() {
        for script in [
            "",
            "window.ENABLE_SIMULCAST = true;",
            "// window.plugNmeetConfig = { a: 1 }",
            "window.plugNmeetConfig = other; x = { a: 1 };",
            "window.plugNmeetConfig = { a: 1",
            "window.myplugNmeetConfig = { a: 1 }",
        ] {
            assert_eq!(read(script), None, "{script}");
        }
        assert_eq!(read("window.plugNmeetConfig={}"), Some(ConfigScript::default()));
    }
}
