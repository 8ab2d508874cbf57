//! `[designs.NAME]`: the operator's own designs, one table each, with the keys of `custom_design`.
//!
//! Any host may be named, as that is the operator's affair. No value may get out of its place in the page.

use std::collections::BTreeMap;

use super::{
    kind::shown,
    nearest::nearest,
    reader::Table,
    rows::Form,
    tree::{Keys, Node, Value},
};
use crate::design::{Design, Entry, Field, Rule};

const NAMES: &str = "write [designs.NAME] in the file";

const DOC: &str = "A design of your own, with the keys of `custom_design`; a link names it with `&design=NAME` and stays short. \
    A table for each. Its hosts are not held to `design.css_hosts` and `design.image_hosts`, and are opened in the policy of \
    pages. A key that the client does not know is an error.";

/// Reads all designs and returns those without a problem, by name.
pub(super) fn read(root: &mut Table<'_>) -> BTreeMap<String, Design> {
    let Some(node) = root.take(
        "designs",
        None,
        "[designs.NAME] and keys of custom_design below it",
        DOC,
    ) else {
        return BTreeMap::new();
    };
    let node = node.expanded();
    let Value::Table(tables) = node.value else {
        root.refuse(&node.place, "designs", "is no table of designs", NAMES);
        return BTreeMap::new();
    };
    let designs = root.below("designs", String::new(), node.place, Keys::new());
    let design = |(name, node): (String, Node)| {
        let node = node.expanded();
        Some((name.clone(), design(&designs, &name, node)?))
    };
    tables.into_iter().filter_map(design).collect()
}

fn design(designs: &Table<'_>, name: &str, node: Node) -> Option<Design> {
    let place = node.place;
    if !is_name(name) {
        let allowed = "write a short name of letters, digits, - and _, as links have it";
        designs.refuse(&place, name, format!("{} is no short name", shown(name)), allowed);
        return None;
    }
    let Value::Table(keys) = node.value else {
        let found = format!("{} is no table", node.value.shown());
        designs.refuse(&place, name, found, "write [designs.NAME]");
        return None;
    };
    let mut table = designs.below(name, format!("[designs.{name}]"), place.clone(), keys);
    let mut entries = Vec::new();
    let mut all_sound = true;
    // Fields are read in the order of their names, as the file's tables are.
    let mut fields: Vec<&Field> = Field::ALL.iter().collect();
    fields.sort_by_key(|field| field.name());
    for field in fields {
        let node = table.take(field.name(), None, "", "");
        let form = Form::Text {
            integers: false,
            optional: false,
            pattern: Some("."),
            words: field.words().to_vec(),
        };
        table
            .found
            .describe(&table.key(field.name()), |row| row.form = form);
        if let Some(node) = node {
            match entry(&table, field.name(), &node) {
                Some(entry) => entries.push(entry),
                None => all_sound = false,
            }
        }
    }
    for (key, node) in std::mem::take(&mut table.keys) {
        let known: Vec<&str> = Field::ALL.iter().map(|field| field.name()).collect();
        let near = nearest(&key, known.iter().copied());
        let near = near.map_or_else(String::new, |near| format!("perhaps {near} is meant: "));
        let allowed = format!("{near}a design has {}", known.join(", "));
        table.refuse(&node.place, &key, Rule::UnknownKey.to_string(), &allowed);
        all_sound = false;
    }
    if !all_sound {
        return None;
    }
    let design = Design::of(entries).map_err(|rule| {
        let allowed = "write some keys of custom_design, of ordinary length";
        designs.refuse(&place, name, rule.to_string(), allowed)
    });
    design.ok()
}

fn entry(table: &Table<'_>, key: &str, node: &Node) -> Option<Entry> {
    let Some(text) = node.value.text(false) else {
        let found = format!("{} is no string", node.value.shown());
        table.refuse(&node.place, key, found, "write it in quotes");
        return None;
    };
    let entry = Entry::new(key, text).map_err(|rule| {
        let words = Field::named(key).map(Field::words).unwrap_or_default();
        let allowed = if key.ends_with("_color") {
            "write a CSS colour, such as #004d90".to_owned()
        } else if words.is_empty() {
            "write an address, such as https://cdn.example.org/logo.png".to_owned()
        } else {
            format!("write {}", words.join(", "))
        };
        table.refuse(&node.place, key, format!("{} {rule}", shown(text)), &allowed)
    });
    entry.ok()
}

/// Can this be the name of a design? Links contain it without any encoding.
fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Problems};

    fn parse(text: &str) -> Result<Config, Problems> {
        Config::parse(text, "gateway.toml", &[])
    }

    #[test]
    fn a_design_has_a_name_and_the_keys_of_custom_design() {
        let text = "[designs.dark]\nprimary_color = '#00a1f2'\ncustom_logo = 'https://10.0.0.7/logo.png'\n\
                    [designs.light]\nheader_bg_color = 'white'\n";
        let designs = parse(text).unwrap().designs;
        let named: Vec<(&str, String)> = designs
            .iter()
            .map(|(name, design)| (name.as_str(), design.to_json()))
            .collect();
        assert_eq!(
            named,
            [
                (
                    "dark",
                    r##"{"custom_logo":"https://10.0.0.7/logo.png","primary_color":"#00a1f2"}"##.into()
                ),
                ("light", r#"{"header_bg_color":"white"}"#.into()),
            ]
        );
        assert!(parse("[designs]").unwrap().designs.is_empty());
    }

    #[test]
    fn everything_wrong_is_told_with_its_line() {
        let text = "\
[designs]
plain = 7
[designs.'a b']
primary_color = 'red'
[designs.empty]
[designs.dark]
primary_color = 'red;}'
secondary_color = 7
text_color = 'red'
custom_logo = 'http://cdn.example.org/'
custom_css_url = 'https://u:hunter2@cdn.example.org/'
";
        let problems: Vec<String> = parse(text)
            .map(|_| ())
            .unwrap_err()
            .0
            .iter()
            .map(ToString::to_string)
            .collect();
        let address = "write an address, such as https://cdn.example.org/logo.png";
        let keys = "a design has primary_color, secondary_color, background_color, background_image, header_bg_color, \
                    footer_bg_color, footer_icon_bg_color, footer_icon_color, primary_btn_bg_color, \
                    primary_btn_text_color, secondary_btn_bg_color, secondary_btn_text_color, side_panel_bg_color, \
                    left_side_bg_color, right_side_bg_color, custom_css_url, custom_logo, column_camera_width, \
                    column_camera_position";
        assert_eq!(
            problems,
            [
                "gateway.toml:2: designs.plain: 7 is no table; write [designs.NAME]".to_owned(),
                "gateway.toml:3: designs.a b: \"a b\" is no short name; write a short name of letters, digits, - and _, \
                 as links have it"
                    .into(),
                "gateway.toml:5: designs.empty: must not be empty; write some keys of custom_design, of ordinary length"
                    .into(),
                "gateway.toml:7: designs.dark.primary_color: \"red;}\" is not a CSS colour; write a CSS colour, such as \
                 #004d90"
                    .into(),
                "gateway.toml:8: designs.dark.secondary_color: 7 is no string; write it in quotes".into(),
                format!("gateway.toml:9: designs.dark.text_color: is not a known key; {keys}"),
                format!(
                    "gateway.toml:10: designs.dark.custom_logo: \"http://cdn.example.org/\" must be an https URL; {address}"
                ),
                format!(
                    "gateway.toml:11: designs.dark.custom_css_url: \"https://***@cdn.example.org/\" must not have a user \
                     name or password; {address}"
                ),
            ]
        );
    }
}
