//! Certificates by themselves: for which names, and whether they can be kept.

use std::net::IpAddr;

use super::{
    super::{
        Config,
        acme::{LETS_ENCRYPT, staging_of},
    },
    Found,
};
use crate::{acme::AcmeSettings, tls};

/// Certificates by themselves.
#[derive(Clone, Debug, Default)]
pub struct AcmePlan {
    /// None: nothing is ordered.
    pub settings: Option<AcmeSettings>,
    /// The host and port where checks go that are not our own.
    pub pass_to: Option<(String, u16)>,
}

pub(super) fn plan(found: &mut Found<'_>) -> AcmePlan {
    let config = found.config;
    let pass_to = config.acme.pass_to.clone();
    if !config.acme.accept_terms {
        if is_begun(config) {
            found.problem(config.problem(
                "acme.accept_terms",
                "is false, and nothing is ordered without",
                "read the terms of service of the CA at acme.directory and write true, or leave [acme] out",
            ));
        }
        return AcmePlan {
            settings: None,
            pass_to,
        };
    }
    let settings = settings(config, &found.origin.host);
    let is_sound = !config.is_refused(&[
        "public_origin",
        "hosts",
        "turn.names",
        "acme.directory",
        "acme.names",
        "acme.storage",
        "acme.roots",
        "acme.profile",
    ]);
    if is_sound {
        judge(found, &settings);
    }
    AcmePlan {
        settings: Some(settings),
        pass_to,
    }
}

/// Is more written than where checks go?
fn is_begun(config: &Config) -> bool {
    let acme = &config.acme.settings;
    acme.email.is_some()
        || acme.profile.is_some()
        || acme.roots.is_some()
        || !acme.names.is_empty()
        || acme.directory != LETS_ENCRYPT
        || acme.staging != staging_of(LETS_ENCRYPT)
}

fn judge(found: &mut Found<'_>, settings: &AcmeSettings) {
    let config = found.config;
    let is_public = settings.directory == LETS_ENCRYPT;
    if settings.names.is_empty() {
        found.problem(config.problem(
            "acme.names",
            "there is no name to order a certificate for",
            "write public_origin, or the names here",
        ));
    }
    for name in settings
        .names
        .iter()
        .filter(|name| is_public && tls::is_local(name))
    {
        found.problem(config.problem(
            "acme.names",
            format!("{name:?} is known to this machine or its network alone, and no public CA gives a certificate for it"),
            "write names that the world calls",
        ));
    }
    for name in settings.names.iter().filter(|name| name.contains('*')) {
        found.problem(config.problem(
            "acme.names",
            format!("{name:?} stands for many names, which are proved by DNS alone"),
            "write each name",
        ));
    }
    for problem in settings.look() {
        found.problem(config.problem(problem.key(), problem.to_string(), problem.allowed()));
    }
    for failing in settings.failing() {
        found.warn("acme.names", &format!("no certificate was issued for {failing}"));
    }
    if config.listen.http.is_empty() && config.acme.accept_terms {
        let what = "is empty, so that a CA can check names by port 443 alone";
        found.warn("listen.http", what);
    }
}

fn settings(config: &Config, public: &str) -> AcmeSettings {
    AcmeSettings {
        names: names(config, public),
        ..config.acme.settings.clone()
    }
}

/// Each once, in this order.
fn names(config: &Config, public: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let of_turn = config.turn.iter().flat_map(|turn| &turn.names);
    let acme = &config.acme.settings;
    let all: Vec<&str> = if acme.names.is_empty() {
        let ours = std::iter::once(public)
            .chain(config.hosts.iter().map(String::as_str))
            .chain(of_turn.map(String::as_str));
        let is_wanted =
            |name: &&str| !tls::is_local(name) && (name.parse::<IpAddr>().is_err() || acme.profile.is_some());
        ours.filter(is_wanted).collect()
    } else {
        acme.names.iter().map(String::as_str).collect()
    };
    for name in all {
        let name = crate::http::without_brackets(name).to_ascii_lowercase();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
