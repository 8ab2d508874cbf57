//! From the files of a machine to the gateway's configuration.

use std::{cell::RefCell, path::PathBuf};

use url::Url;

use super::{
    AdoptProblem, AdoptSettings, Wanted, certbot,
    files::Kind,
    losses::losses,
    machine::Machine,
    parts::Parts,
    rows::{self, Row},
    sections::{acme, listen, redis, relays, shown, turn, upstreams},
    sources::Sources,
    system,
    toml_writer::TomlWriter,
};
use crate::{
    config::Config,
    official::{self, Found, HaProxy, NatsConf, Yaml},
    webapp::{ConfigScript, read_config_script},
};

/// What comes of a machine.
pub struct Adoption {
    /// What becomes of each part of the old front.
    pub rows: Vec<Row>,
    /// What the new front would not do, and somebody may rely on.
    pub losses: Vec<String>,
    /// What no file tells, and a person has to decide.
    pub questions: Vec<String>,
    /// The files to write; the secrets come first.
    pub files: Vec<Wanted>,
}

/// Reads a machine and plans its gateway. Nothing is written.
pub fn adopt(settings: &AdoptSettings) -> Result<Adoption, AdoptProblem> {
    if settings.acme.is_none() && !system::can_stand_in_a_script(&settings.letsencrypt) {
        return Err(AdoptProblem::Unreadable(
            settings.letsencrypt.display().to_string(),
            "has characters that cannot stand in certbot's hook".into(),
        ));
    }
    let machine = Machine::read(settings)?;
    let config = Yaml::parse(&machine.config, &machine.config_name)?;
    let beside = |name: &str| settings.from.join(name).display().to_string();
    let livekit = yaml(machine.livekit.as_deref(), &beside("livekit.yaml"))?;
    let ingress = yaml(machine.ingress.as_deref(), &beside("ingress.yaml"))?;
    let (host, origin) = public_host(&config, livekit.as_ref())?;
    let sources = Sources {
        host,
        haproxy: HaProxy::parse(machine.haproxy.as_deref().unwrap_or_default()),
        haproxy_name: settings.haproxy.join("haproxy.cfg").display().to_string(),
        config,
        livekit,
        ingress,
        sip: yaml(machine.sip.as_deref(), &beside("sip.yaml"))?,
        nats: machine
            .nats
            .as_deref()
            .map(|text| NatsConf::parse(text, &beside("nats-server.conf")))
            .transpose()?,
        compose: yaml(machine.compose.as_deref(), &beside("docker-compose.yaml"))?,
        renewals: certbot::renewals(&settings.letsencrypt)?,
        hooks: certbot::hooks_of_haproxy(&settings.letsencrypt),
        used: RefCell::default(),
    };
    let client = client_folder(settings, &sources)?;
    let script = official::text(&client.value.join("assets/config.js"))?;
    let script = script.as_deref().map(read_config_script);
    let parts = Parts::of(&sources);
    let mut questions = questions(settings, script.as_ref());
    questions.extend(parts.questions);
    let files = files(settings, &sources, &origin, &client, script.flatten().as_ref())?;
    // After the files: only then it is known what was taken over.
    let used = sources.used.borrow();
    let lost = losses(&sources.haproxy, &used);
    let mut rows = rows::of(settings, &sources, &lost);
    rows.extend(parts.rows);
    let mut losses = rows::told(&sources, &lost);
    losses.extend(parts.losses);
    Ok(Adoption {
        rows,
        losses,
        questions,
        files,
    })
}

fn yaml<'t>(text: Option<&'t str>, name: &str) -> Result<Option<Yaml<'t>>, AdoptProblem> {
    Ok(text.map(|text| Yaml::parse(text, name)).transpose()?)
}

/// The host of the public address, which all files have to share.
fn public_host(config: &Yaml<'_>, livekit: Option<&Yaml<'_>>) -> Result<(String, String), AdoptProblem> {
    let mut said: Vec<Found<String>> = Vec::new();
    said.extend(config.text(&["client", "bbb_join_host"]));
    said.extend(config.text(&["livekit_info", "host"]));
    said.extend(config.texts(&["nats_info", "nats_ws_urls"]));
    said.extend(
        livekit
            .iter()
            .flat_map(|livekit| livekit.texts(&["webhook", "urls"])),
    );
    let hosts = said.into_iter().filter_map(|found| {
        let url = Url::parse(&found.value).ok()?;
        let host = url.host_str()?.to_owned();
        // A part that calls another on this machine says nothing of the public name.
        (!matches!(host.as_str(), "localhost" | "127.0.0.1")).then(|| found.map(|_| host))
    });
    let hosts: Vec<Found<String>> = hosts.collect();
    let Some(first) = hosts.first() else {
        return Err(AdoptProblem::Lacks("config.yaml".into(), "client.bbb_join_host"));
    };
    if hosts.iter().any(|found| found.value != first.value) {
        let said = hosts
            .iter()
            .map(|found| format!("{} says {}", found.origin, found.value));
        return Err(AdoptProblem::Disagree(said.collect()));
    }
    Ok((first.value.clone(), first.origin.clone()))
}

fn client_folder(settings: &AdoptSettings, sources: &Sources<'_>) -> Result<Found<PathBuf>, AdoptProblem> {
    let found = sources
        .config
        .text(&["client", "path"])
        .ok_or_else(|| AdoptProblem::Lacks("config.yaml".into(), "client.path"))?;
    let folder = settings.from.join(found.value.trim_start_matches("./"));
    Ok(found.map(|_| folder))
}

fn questions(settings: &AdoptSettings, script: Option<&Option<ConfigScript>>) -> Vec<String> {
    let mut questions = Vec::new();
    if settings.frame_ancestors.is_empty() {
        questions.push(
            "does a learning platform show meetings in a frame? Name its site: --frame-ancestors https://lms.example.org".to_owned(),
        );
    }
    if settings.css_hosts.is_empty() {
        questions.push(
            "does a learning platform set a \"Custom CSS URL\"? Name its host: --css-hosts lms.example.org"
                .to_owned(),
        );
    }
    match script {
        None => questions.push("the client has no assets/config.js: its own defaults are used".to_owned()),
        Some(None) => questions.push(
            "assets/config.js has no object window.plugNmeetConfig, so nothing of it was carried over: write what matters into \
             [client.config]"
                .to_owned(),
        ),
        Some(Some(script)) => questions.extend(script.left.iter().map(|key| {
            format!("{key} of assets/config.js is no literal and was not carried over: write its value into [client.config]")
        })),
    }
    questions
}

fn files(
    settings: &AdoptSettings,
    sources: &Sources<'_>,
    public: &str,
    client: &Found<PathBuf>,
    script: Option<&ConfigScript>,
) -> Result<Vec<Wanted>, AdoptProblem> {
    let config = &sources.config;
    let lacks = |key: &'static str| AdoptProblem::Lacks("config.yaml".into(), key);
    let api_key = config
        .text(&["client", "api_key"])
        .ok_or_else(|| lacks("client.api_key"))?;
    let secret = config
        .text(&["client", "secret"])
        .ok_or_else(|| lacks("client.secret"))?;
    let secret_file = settings.to.join("plugnmeet-secret");
    let redis = redis(config);
    let redis_file = redis
        .as_ref()
        .filter(|redis| redis.value.contains('@'))
        .map(|_| settings.to.join("limits-store"));
    let mut toml = TomlWriter::default();
    toml.note(
        "What plugnmeet-gateway adopt found on this machine. Everything that is not here has its default.",
    );
    toml.note("Once this file is edited, adopt leaves it alone.");
    toml.text("public_origin", &format!("https://{}", sources.host), public);
    let https = listen(settings, sources, &mut toml);
    toml.section("[plugnmeet]");
    toml.text("api_key", &api_key.value, &api_key.origin);
    toml.text("secret_file", &shown(&secret_file), &secret.origin);
    upstreams(sources, &mut toml);
    toml.section("[client]");
    toml.text("path", &shown(&client.value), &client.origin);
    toml.text("cache", "/var/cache/plugnmeet-gateway", "the gateway's own");
    if let Some(script) = script {
        let origin = format!("{}/assets/config.js", shown(&client.value));
        toml.section("[client.config]");
        if let Some(assets) = script.assets.elsewhere() {
            toml.text("staticAssetsPath", assets, &origin);
        }
        let left = toml.members(&script.keys, &origin);
        for name in left {
            toml.note(&format!("{name} is null there, which TOML has not"));
        }
    }
    toml.section("[issuer]");
    toml.text("mode", "upstream", "plugnmeet-server makes the tokens");
    if !settings.frame_ancestors.is_empty() {
        toml.section("[session]");
        toml.texts("frame_ancestors", &settings.frame_ancestors, "--frame-ancestors");
    }
    toml.section("[design]");
    toml.text(
        "on_invalid",
        "strip",
        "as the client, which ignores what it can't use",
    );
    if !settings.css_hosts.is_empty() {
        toml.texts("css_hosts", &settings.css_hosts, "--css-hosts");
    }
    toml.section("[sizes]");
    let max = config.number(&["upload_file_settings", "max_size"]);
    let max = max.unwrap_or_else(|| Found {
        value: 50,
        origin: "the server's default upload_file_settings.max_size".to_owned(),
    });
    toml.text("body", &format!("{}MiB", max.value), &max.origin);
    if let Some(redis) = &redis {
        toml.section("[limits]");
        match &redis_file {
            Some(file) => toml.text("store_file", &shown(file), &redis.origin),
            None => toml.text("store", &redis.value, &redis.origin),
        }
    }
    if !settings.behind_haproxy {
        acme(settings, sources, &mut toml);
        turn(sources, &mut toml);
        relays(sources, &mut toml);
    }
    let toml = Wanted {
        path: settings.to.join("gateway.toml"),
        text: toml.into_text(),
        kind: Kind::Text,
    };
    sound(&toml.text, [&secret_file].into_iter().chain(&redis_file))?;
    let secrets = [
        Some((secret_file, secret.value)),
        redis_file.zip(redis.map(|redis| redis.value)),
    ];
    let secrets = secrets.into_iter().flatten().map(|(path, text)| Wanted {
        path,
        text: format!("{text}\n"),
        kind: Kind::Secret,
    });
    let system = system::units(settings, &https)
        .into_iter()
        .chain(system::hook(settings, sources));
    Ok(secrets.chain([toml]).chain(system).collect())
}

/// Would it be read? The files of secrets are not there yet, and the client may be on another machine's disk.
fn sound<'a>(toml: &str, secrets: impl Iterator<Item = &'a PathBuf>) -> Result<(), AdoptProblem> {
    let secrets: Vec<String> = secrets.map(|file| shown(file)).collect();
    let Err(problems) = Config::parse(toml, "gateway.toml", &[]) else {
        return Ok(());
    };
    let ours = |found: &str| secrets.iter().any(|file| found.contains(file.as_str()));
    let told: Vec<String> = problems
        .0
        .iter()
        .filter(|problem| !problem.key.ends_with("_file") && !ours(&problem.found))
        .map(ToString::to_string)
        .collect();
    if told.is_empty() {
        Ok(())
    } else {
        Err(AdoptProblem::Unsound(told.join("\n")))
    }
}
