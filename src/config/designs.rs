//! `[designs.NAME]`: the operator's own designs, a table for each, with the keys of `custom_design`.
//!
//! Whose hosts they name is the operator's affair; that no value leaves its place on the page is not.

use std::collections::BTreeMap;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    kind::shown,
    problem::Problem,
    reader::{Reader, Taken, Told},
    source::{shown_value, text_of},
};
use crate::design::{Design, Entry, Field, Rule};

const KEY: &str = "designs";

/// All of them, by name.
pub(super) fn read(reader: &mut Reader<'_>) -> Taken<BTreeMap<String, Design>> {
    if reader.take(KEY).is_some() {
        return Err(reader.refuse(KEY, "is no table of designs", "write [designs.NAME] in the file"));
    }
    let tables = reader.section(KEY);
    let designs: Vec<Taken<(String, Design)>> = tables
        .into_iter()
        .map(|(name, entry)| {
            let mut table = Table {
                key: format!("{KEY}.{name}"),
                reader,
                line: entry.line,
            };
            Ok((name.clone(), table.design(&name, &entry.value)?))
        })
        .collect();
    designs.into_iter().collect()
}

/// One design's table.
struct Table<'r, 'i> {
    reader: &'r mut Reader<'i>,
    key: String,
    line: usize,
}

impl Table<'_, '_> {
    fn design(&mut self, name: &str, value: &DeValue<'_>) -> Taken<Design> {
        if !is_name(name) {
            let allowed = "write a short name of letters, digits, - and _, as links have it";
            return Err(self.refuse(
                self.line,
                "",
                format!("{} is no short name", shown(name)),
                allowed,
            ));
        }
        let DeValue::Table(keys) = value else {
            let found = format!("{} is no table", shown_value(value));
            return Err(self.refuse(self.line, "", found, "write [designs.NAME]"));
        };
        Design::of(self.entries(keys)?).map_err(|rule| {
            let allowed = "write some keys of custom_design, of ordinary length";
            self.refuse(self.line, "", rule.to_string(), allowed)
        })
    }

    fn entries(&mut self, keys: &DeTable<'_>) -> Taken<Vec<Entry>> {
        let entries: Vec<Taken<Entry>> = keys
            .iter()
            .map(|(key, value)| self.entry(key.get_ref(), value))
            .collect();
        entries.into_iter().collect()
    }

    fn entry(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Taken<Entry> {
        let line = self.reader.line_at(value);
        let Some(text) = text_of(value.get_ref(), false) else {
            let found = format!("{} is no string", shown_value(value.get_ref()));
            return Err(self.refuse(line, key, found, "write it in quotes"));
        };
        Entry::new(key, &text).map_err(|rule| {
            if rule == Rule::UnknownKey {
                let known: Vec<&str> = Field::ALL.iter().map(|field| field.name()).collect();
                let allowed = format!("a design has {}", known.join(", "));
                return self.refuse(line, key, rule.to_string(), &allowed);
            }
            let words = Field::named(key).map(Field::words).unwrap_or_default();
            let allowed = if key.ends_with("_color") {
                "write a CSS colour, such as #004d90".to_owned()
            } else if words.is_empty() {
                "write an address, such as https://cdn.example.org/logo.png".to_owned()
            } else {
                format!("write {}", words.join(", "))
            };
            self.refuse(line, key, format!("{} {rule}", shown(&text)), &allowed)
        })
    }

    fn refuse(&mut self, line: usize, key: &str, found: String, allowed: &str) -> Told {
        let place = self.reader.source.place(Some(line));
        let key = match key {
            "" => self.key.clone(),
            key => format!("{}.{key}", self.key),
        };
        self.reader.tell(Problem::at(place, key, found, allowed))
    }
}

/// It stands in links as it is.
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
