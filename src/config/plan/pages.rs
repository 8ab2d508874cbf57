//! What designs may contain, and the header fields of pages, which name the hosts of designs.

use std::num::NonZeroU16;

use super::{
    super::{Config, Problem, PublicOrigin},
    Found,
};
use crate::{
    check_page::CheckPageSettings,
    design::{DesignRules, DesignSettings},
    http::with_brackets,
    route::{PageHeaders, PageSettings},
    webapp::{WebApp, waiting_script},
};

/// The operator's design of `config.js`.
const CUSTOMIZATION: &str = "designCustomization";

/// `served` is the client, whose own `config.js` may have the operator's design.
pub(super) fn design(
    config: &Config,
    origin: &PublicOrigin,
    served: Option<&WebApp>,
) -> Result<DesignRules, Problem> {
    let design = &config.design;
    let own = url::Url::parse(&origin.to_string())
        .map_err(|error| config.problem("public_origin", error.to_string(), "write https://HOST[:PORT]"))?;
    DesignSettings::new(design.on_invalid, &design.css_hosts, &design.image_hosts, &own)
        .map(|mut settings| {
            settings.from_links = design.from_links;
            settings.named.clone_from(&config.designs);
            let written = config.client.config.get(CUSTOMIZATION).cloned();
            settings.customization = written.or_else(|| served?.config(CUSTOMIZATION));
            DesignRules::new(settings.serving(&config.hosts, &config.client.mount))
        })
        .map_err(|problem| config.problem("design", problem.to_string(), "write a host, *.HOST or *"))
}

impl Config {
    /// What a design may contain, for commands that check one.
    pub fn design_rules(&self) -> Result<DesignRules, Problem> {
        design(self, &self.public_origin_at(self.listen.https_port()), None)
    }
}

pub(super) fn plan(found: &mut Found<'_>, design: &DesignRules) -> Option<PageHeaders> {
    let config = found.config;
    let headers = &config.headers;
    let pages = PageHeaders::new(&PageSettings {
        csp: headers.csp,
        csp_report: headers.csp_report.as_ref().map(ToString::to_string),
        csp_sources: headers.csp_sources.clone(),
        css_sources: design.css_sources(),
        operator_sources: design.operator_sources(),
        assets_origin: assets_origin(config, &found.origin),
        mount: config.client.mount.clone(),
        public_origin: found.origin.to_string(),
        frame_ancestors: config.session.frame_ancestors.clone(),
        scripts: config
            .upstreams
            .tells_of_waiting()
            .then(waiting_script)
            .into_iter()
            .collect(),
    });
    let allowed = "write it without ; , and quotes";
    found.sound(pages.map_err(|problem| config.problem("headers", problem.to_string(), allowed)))
}

/// What the check page looks for. TURN is at the port of HTTPS, and at its own name if it has one.
pub(super) fn check(config: &Config, origin: &PublicOrigin) -> CheckPageSettings {
    let turn_name = config.turn.as_ref().and_then(|turn| turn.names.first());
    CheckPageSettings {
        mount: config.client.mount.clone(),
        framed: !config.session.frame_ancestors.is_empty(),
        nats: config.upstreams.nats.is_some(),
        turn_host: with_brackets(turn_name.unwrap_or(&origin.host)).into_owned(),
        turn_tls_port: origin.port.unwrap_or(443),
        turn_udp_port: config.check_page.udp_port.map(NonZeroU16::get),
        livekit: config.check_page.livekit.clone(),
    }
}

/// The origin of the client's assets, if the operator has them at another one than the gateway's.
fn assets_origin(config: &Config, origin: &PublicOrigin) -> Option<String> {
    let url = url::Url::parse(config.client.config.get("staticAssetsPath")?.as_str()?).ok()?;
    // SECURITY: of our own origin only the folders of the client's files are opened.
    let is_here = |host: &str| host == origin.host || config.hosts.iter().any(|own| own == host);
    (!url.host_str().is_some_and(is_here)).then(|| url.origin().ascii_serialization())
}
