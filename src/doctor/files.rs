//! The files that are compared: those of plugNmeet's parts, of the old front, and ours.

use std::path::{Path, PathBuf};

use url::Url;

use super::finding::Said;
use crate::{
    config::{Config, Problems},
    official::{self, Found, HaProxy, NatsConf, Unreadable, Yaml},
    webapp::{ConfigScript, read_config_script},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Config,
    Livekit,
    Ingress,
    Sip,
    Nats,
    Compose,
    HaProxy,
    /// The client's `assets/config.js`.
    Script,
    /// The gateway's own configuration.
    Gateway,
}

impl Part {
    pub fn name(self) -> &'static str {
        match self {
            Self::Config => "config.yaml",
            Self::Livekit => "livekit.yaml",
            Self::Ingress => "ingress.yaml",
            Self::Sip => "sip.yaml",
            Self::Nats => "nats-server.conf",
            Self::Compose => "docker-compose.yaml",
            Self::HaProxy => "haproxy.cfg",
            Self::Script => "assets/config.js",
            Self::Gateway => "gateway.toml",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Places {
    /// The folder of the official installation.
    pub from: PathBuf,
    pub haproxy: PathBuf,
    /// The root of the file system.
    pub root: PathBuf,
}

pub struct Texts {
    places: Places,
    found: Vec<(Part, String, String)>,
    broken: Vec<Unreadable>,
    /// In the place of a configuration that is not there.
    none: Option<Config>,
}

impl Texts {
    pub fn read(places: Places) -> Self {
        let mut texts = Self {
            found: Vec::new(),
            broken: Vec::new(),
            none: Config::parse("", "gateway.toml", &[]).ok(),
            places,
        };
        for part in [
            Part::Config,
            Part::Livekit,
            Part::Ingress,
            Part::Sip,
            Part::Nats,
            Part::Compose,
        ] {
            texts.take(part, &texts.places.from.join(part.name()));
        }
        texts.take(Part::HaProxy, &texts.places.haproxy.join("haproxy.cfg"));
        if let Some(client) = texts.client_folder() {
            texts.take(Part::Script, &client.join("assets/config.js"));
        }
        texts
    }

    fn take(&mut self, part: Part, file: &Path) {
        match official::text(file) {
            Ok(Some(text)) => self.found.push((part, file.display().to_string(), text)),
            Ok(None) => {}
            Err(unreadable) => self.broken.push(unreadable),
        }
    }

    fn of(&self, part: Part) -> Option<(&str, &str)> {
        let mut all = self.found.iter();
        all.find(|(one, ..)| *one == part)
            .map(|(_, name, text)| (name.as_str(), text.as_str()))
    }

    /// Where the server's client lies.
    fn client_folder(&self) -> Option<PathBuf> {
        let (name, text) = self.of(Part::Config)?;
        let path = Yaml::parse(text, name).ok()?.text(&["client", "path"])?;
        Some(self.places.from.join(path.value.trim_start_matches("./")))
    }
}

/// The files, read. What is not there is empty, and `there` lacks it.
pub struct Files<'t> {
    pub places: &'t Places,
    pub config: Yaml<'t>,
    pub livekit: Yaml<'t>,
    pub ingress: Yaml<'t>,
    pub sip: Yaml<'t>,
    pub compose: Yaml<'t>,
    pub nats: NatsConf,
    pub haproxy: HaProxy,
    pub script: Option<ConfigScript>,
    pub script_name: String,
    pub gateway: &'t Config,
    pub there: Vec<Part>,
    pub broken: Vec<Unreadable>,
    pub client_folder: Option<PathBuf>,
    /// Unix time in seconds.
    pub now: i64,
}

impl<'t> Files<'t> {
    /// None: not even a configuration of defaults can be made.
    pub fn of(texts: &'t Texts, gateway: Result<Option<&'t Config>, &Problems>, now: i64) -> Option<Self> {
        let mut there: Vec<Part> = texts.found.iter().map(|(part, ..)| *part).collect();
        let mut broken = texts.broken.clone();
        let mut lost = Vec::new();
        let mut yaml = |part: Part| {
            let Some((name, text)) = texts.of(part) else {
                return Yaml::empty(part.name());
            };
            Yaml::parse(text, name).unwrap_or_else(|unreadable| {
                broken.push(unreadable);
                lost.push(part);
                Yaml::empty(name)
            })
        };
        let (config, livekit) = (yaml(Part::Config), yaml(Part::Livekit));
        let (ingress, sip, compose) = (yaml(Part::Ingress), yaml(Part::Sip), yaml(Part::Compose));
        let nats = match texts.of(Part::Nats) {
            Some((name, text)) => NatsConf::parse(text, name).unwrap_or_else(|unreadable| {
                broken.push(unreadable);
                lost.push(Part::Nats);
                NatsConf::empty(name)
            }),
            None => NatsConf::empty(Part::Nats.name()),
        };
        there.retain(|part| !lost.contains(part));
        let gateway = match gateway {
            Ok(Some(config)) => {
                there.push(Part::Gateway);
                config
            }
            Ok(None) | Err(_) => texts.none.as_ref()?,
        };
        let haproxy = texts.of(Part::HaProxy).map(|(_, text)| HaProxy::parse(text));
        let script = texts.of(Part::Script);
        Some(Self {
            places: &texts.places,
            config,
            livekit,
            ingress,
            sip,
            compose,
            nats,
            haproxy: haproxy.unwrap_or_default(),
            script: script.and_then(|(_, text)| read_config_script(text)),
            script_name: script.map_or_else(|| Part::Script.name().to_owned(), |(name, _)| name.to_owned()),
            gateway,
            there,
            broken,
            client_folder: texts.client_folder(),
            now,
        })
    }

    pub fn has(&self, part: Part) -> bool {
        self.there.contains(&part)
    }

    /// Where a key of our own configuration stands.
    pub fn ours(&self, key: &str) -> String {
        let problem = self.gateway.problem(key, "", "");
        match problem.line {
            Some(line) => format!("{}:{line} {key}", problem.file),
            None => format!("{} {key}", Part::Gateway.name()),
        }
    }

    /// Where a folder of NATS' container is on this machine, by the volumes of docker-compose.yaml.
    pub fn on_this_machine(&self, inside: &Path) -> PathBuf {
        let services = self.compose.names(&["services"]);
        let volumes = services.iter().flat_map(|service| {
            let key = ["services", service.as_str(), "volumes"];
            self.compose.texts(&key)
        });
        let outside = volumes.into_iter().find_map(|found| {
            let (outside, rest) = found.value.split_once(':')?;
            let mounted = rest.split(':').next().unwrap_or(rest);
            let below = inside.strip_prefix(mounted).ok()?;
            // Others are volumes with a name, which Docker keeps.
            (mounted.len() > 1 && outside.starts_with(['.', '/'])).then(|| {
                self.places
                    .from
                    .join(outside.trim_start_matches("./"))
                    .join(below)
            })
        });
        outside.unwrap_or_else(|| inside.to_owned())
    }

    /// The public origin: ours, else the one that the server knows.
    pub fn origin(&self) -> Option<Url> {
        if self.has(Part::Gateway)
            && let Some(origin) = &self.gateway.public_origin
        {
            return Url::parse(&origin.to_string()).ok();
        }
        let known = self.config.text(&["client", "bbb_join_host"])?;
        Url::parse(&known.value).ok()
    }

    /// Does an address lead to the public origin, to this path?
    pub fn leads_to_us(
        &self,
        found: Option<Found<String>>,
        place: String,
        (schemes, path): (&[&str], &str),
    ) -> Vec<Said> {
        let Some(origin) = self.origin() else {
            return vec![Said::skip("no file says what the public origin is")];
        };
        let mut wanted = origin.clone();
        wanted.set_path(path);
        let wanted = wanted.as_str().trim_end_matches('/').to_owned();
        let Some(found) = found else {
            return vec![Said::fail("is not set", format!("write {wanted}")).at(place)];
        };
        let advice = format!("write {wanted}");
        let Ok(url) = Url::parse(&found.value) else {
            return vec![Said::fail("is no address", advice).at(found.origin)];
        };
        let port = |url: &Url| {
            url.port_or_known_default()
                .filter(|port| !matches!(port, 80 | 443))
        };
        let leads = schemes.contains(&url.scheme())
            && url.host_str() == origin.host_str()
            && port(&url) == port(&origin)
            && url.path().trim_end_matches('/') == path;
        if leads {
            vec![Said::ok(found.value)]
        } else {
            let text = found.value;
            vec![Said::fail(format!("is {text}, which does not lead here"), advice).at(found.origin)]
        }
    }
}

/// Is it an address of this machine alone?
pub fn is_local(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Is it an address that nobody reaches from outside?
pub fn is_private(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(is_private_ip)
}

pub fn is_private_ip(ip: std::net::IpAddr) -> bool {
    match ip.to_canonical() {
        std::net::IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        std::net::IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}
