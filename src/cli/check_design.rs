//! `check-design`: tells whether a design can be used.
//!
//! The rules come from the configuration that is read, so that the verdict is the one for a link. The design is JSON,
//! as in a file; not the encoded form of a link.
//!
//! Standard error has a line for everything that is wrong, unknown to the client or hard to read; standard output has the verdict or, if asked
//! for, the design as it would be used: without what is wrong, each colour in its canonical spelling.

use std::path::Path;

use super::{Refused, output, read_or_input};
use crate::config::Config;

pub(super) fn answer(config: &Config, file: &Path, canonical: bool) -> Result<String, Refused> {
    let rules = config.design_rules().map_err(|problem| problem.to_string())?;
    let report = rules.inspect(&read_or_input(Some(file))?);
    for breach in &report.unheeded {
        let (field, told) = (&breach.field, breach.told());
        output::remark(format_args!("check-design: {field}: warning: {told}"));
    }
    for warning in &report.warnings {
        let field = &warning.field;
        output::remark(format_args!("check-design: {field}: warning: {warning}"));
    }
    let cleaned = canonical.then(|| report.left.canonical().to_json());
    if report.breaches.is_empty() {
        return Ok(cleaned.unwrap_or_else(|| "design can be used".to_owned()));
    }
    if let Some(cleaned) = cleaned {
        output::answer(cleaned)?;
    }
    let lines = report.breaches.iter();
    let lines = lines.map(|breach| format!("check-design: {}: {}", breach.field, breach.told()));
    Err(lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(design: &str, toml: &str, canonical: bool) -> Result<String, Refused> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("design.json");
        std::fs::write(&file, design).unwrap();
        answer(
            &Config::parse(toml, "gateway.toml", &[]).unwrap(),
            &file,
            canonical,
        )
    }

    #[test]
    fn a_good_design_is_told_so_or_written_canonically() {
        let design = "{ \"primary_color\": \"RED\", \"custom_logo\": \"https://cdn.example.org/a.png\" }\n";
        assert_eq!(told(design, "", false), Ok("design can be used".into()));
        assert_eq!(
            told(design, "design.from_links = false", true),
            Ok(r##"{"primary_color":"#ff0000","custom_logo":"https://cdn.example.org/a.png"}"##.into())
        );
        assert_eq!(told("{}", "", true), Ok("{}".into()));
        let unknown = r#"{"logo":"https://cdn.example.org/logo.png","primary_color":"red"}"#;
        assert_eq!(
            told(unknown, "", true),
            Ok(r##"{"primary_color":"#ff0000"}"##.into())
        );
    }

    #[test]
    fn a_bad_one_has_a_line_for_each_field_by_the_rules_of_the_configuration() {
        let design =
            r#"{"primary_color":"red;","text_color":"red","custom_css_url":"https://a.example/a.css"}"#;
        assert_eq!(
            told(design, "", true).unwrap_err(),
            "check-design: primary_color: `red;` is not a CSS colour\n\
             check-design: custom_css_url: `https://a.example/a.css` host is not in design.css_hosts"
        );
        assert_eq!(
            told(design, "design.css_hosts = ['*.example']\n", false).unwrap_err(),
            "check-design: primary_color: `red;` is not a CSS colour"
        );
        assert_eq!(
            told("custom_design=%7B%7D", "", false).unwrap_err(),
            "check-design: custom_design: is not valid JSON"
        );
    }
}
