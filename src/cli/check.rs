//! `check`: is this configuration sound?
//!
//! What the file says wrong has been told by then; left are problems that only the rooms can find, such as a folder of
//! certificates without a key.

use super::Refused;
use crate::config::{Config, IssuerMode, Problem, Problems};

/// The "Custom CSS URL" of a learning platform lies on the platform's own host (docs/plugnmeet.md section 7).
const NO_CSS_HOSTS: &str = "note: design.css_hosts is empty, so that the style sheet of a learning platform, its \
                            \"Custom CSS URL\", is taken out of designs; name the platform's host there";

/// `warnings` are those of the rooms; those of the configuration come first.
pub(super) fn answer(config: &Config, warnings: &[String], problems: &[Problem]) -> Result<String, Refused> {
    for warning in config.warnings.iter().chain(warnings) {
        eprintln!("warning: {warning}");
    }
    let design = &config.design;
    if config.issuer.mode == IssuerMode::Upstream && design.from_links && design.css_hosts.is_empty() {
        eprintln!("{NO_CSS_HOSTS}");
    }
    if problems.is_empty() {
        Ok("configuration is sound".to_owned())
    } else {
        Err(Problems(problems.to_vec()).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_rooms_find_is_told_in_full() {
        let config = Config::load(None, &[]).unwrap();
        assert_eq!(answer(&config, &[], &[]), Ok("configuration is sound".into()));
        let problems = [
            config.problem("tls.certs", "a", "b"),
            config.problem("design", "c", "d"),
        ];
        let told = "built-in defaults: tls.certs: a; b\nbuilt-in defaults: design: c; d";
        assert_eq!(answer(&config, &[], &problems), Err(told.into()));
    }
}
