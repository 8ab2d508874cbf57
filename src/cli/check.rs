//! `check`: is this configuration sound?
//!
//! It is if there is a plan. Nothing is made or opened.

use super::Refused;
use crate::{
    clock::Clock,
    config::{Config, NoPlan, Plan, Problems},
    issue::Mode,
};

/// The "Custom CSS URL" of a learning platform lies on the platform's own host (docs/plugnmeet.md section 7).
const NO_CSS_HOSTS: &str = "note: design.css_hosts is empty, so that the style sheet of a learning platform, its \
                            \"Custom CSS URL\", is taken out of designs; name the platform's host there";

pub(super) fn answer(config: &Config, clock: &Clock) -> Result<String, Refused> {
    let (warnings, problems) = match Plan::of(config, config.listen.https.port(), clock) {
        Ok(plan) => (plan.warnings, Vec::new()),
        Err(NoPlan { problems, warnings }) => (warnings, problems),
    };
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    let design = &config.design;
    if matches!(config.issuer.mode, Mode::Upstream) && design.from_links && design.css_hosts.is_empty() {
        eprintln!("{NO_CSS_HOSTS}");
    }
    if problems.is_empty() {
        Ok("configuration is sound".to_owned())
    } else {
        Err(Problems(problems).to_string())
    }
}
