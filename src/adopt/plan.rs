//! From the files of a machine to the gateway's configuration.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
};

use url::Url;

use super::{
    AdoptProblem, Wanted, Wish,
    losses::losses,
    machine::Machine,
    rows::{self, Row},
    sheet::Sheet,
    sources::Sources,
};
use crate::{
    config::Config,
    official::{self, Bound, Found, HaProxy, Yaml},
    webapp::{ConfigScript, read_config_script},
};

/// What comes of a machine.
pub struct Adoption {
    /// What becomes of each part of the old front.
    pub rows: Vec<Row>,
    /// What the new front would not do, and somebody may rely on.
    pub losses: Vec<String>,
    /// What no file tells.
    pub questions: Vec<String>,
    /// The files to write; the secrets come first.
    pub files: Vec<Wanted>,
}

/// Reads a machine and plans its gateway. Nothing is written.
pub fn adopt(wish: &Wish) -> Result<Adoption, AdoptProblem> {
    let machine = Machine::read(wish)?;
    let config = Yaml::parse(&machine.config, &machine.config_name)?;
    let beside = |name: &str| wish.from.join(name).display().to_string();
    let livekit = match &machine.livekit {
        Some(text) => Some(Yaml::parse(text, &beside("livekit.yaml"))?),
        None => None,
    };
    let ingress = match &machine.ingress {
        Some(text) => Some(Yaml::parse(text, &beside("ingress.yaml"))?),
        None => None,
    };
    let (host, origin) = public_host(&config, livekit.as_ref())?;
    let sources = Sources {
        host,
        haproxy: HaProxy::parse(machine.haproxy.as_deref().unwrap_or_default()),
        haproxy_name: wish.haproxy.join("haproxy.cfg").display().to_string(),
        config,
        livekit,
        ingress,
        used: RefCell::default(),
    };
    let client = client_folder(wish, &sources)?;
    let script = official::text(&client.value.join("assets/config.js"))?;
    let script = script.as_deref().map(read_config_script);
    let questions = questions(wish, script.as_ref());
    let files = files(wish, &sources, &origin, &client, script.flatten().as_ref())?;
    // After the files: only then it is known what was taken over.
    let used = sources.used.borrow();
    let lost = losses(&sources.haproxy, &used);
    Ok(Adoption {
        rows: rows::of(wish, &sources, &lost),
        losses: rows::told(&sources, &lost),
        questions,
        files,
    })
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

fn client_folder(wish: &Wish, sources: &Sources<'_>) -> Result<Found<PathBuf>, AdoptProblem> {
    let found = sources
        .config
        .text(&["client", "path"])
        .ok_or_else(|| AdoptProblem::Lacks("config.yaml".into(), "client.path"))?;
    let folder = wish.from.join(found.value.trim_start_matches("./"));
    Ok(found.map(|_| folder))
}

fn questions(wish: &Wish, script: Option<&Option<ConfigScript>>) -> Vec<String> {
    let mut questions = Vec::new();
    if wish.frame_ancestors.is_empty() {
        questions.push(
            "does a learning platform show meetings in a frame? Name its site: --frame-ancestors https://lms.example.org".to_owned(),
        );
    }
    if wish.css_hosts.is_empty() {
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
    wish: &Wish,
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
    let secret_file = wish.to.join("plugnmeet-secret");
    let redis = redis(config);
    let redis_file = redis
        .as_ref()
        .filter(|redis| redis.value.contains('@'))
        .map(|_| wish.to.join("limits-store"));
    let mut sheet = Sheet::default();
    sheet.note(
        "What plugnmeet-gateway adopt found on this machine. Everything that is not here has its default.",
    );
    sheet.note("Once this file is edited, adopt leaves it alone.");
    sheet.text("public_origin", &format!("https://{}", sources.host), public);
    listen(wish, sources, &mut sheet);
    sheet.section("[plugnmeet]");
    sheet.text("api_key", &api_key.value, &api_key.origin);
    sheet.text("secret_file", &shown(&secret_file), &secret.origin);
    upstreams(sources, &mut sheet);
    sheet.section("[client]");
    sheet.text("path", &shown(&client.value), &client.origin);
    sheet.text("cache", "/var/cache/plugnmeet-gateway", "the gateway's own");
    if let Some(script) = script {
        let origin = format!("{}/assets/config.js", shown(&client.value));
        sheet.section("[client.config]");
        if let Some(assets) = script.assets.elsewhere() {
            sheet.text("staticAssetsPath", assets, &origin);
        }
        let left = sheet.members(&script.keys, &origin);
        for name in left {
            sheet.note(&format!("{name} is null there, which TOML has not"));
        }
    }
    sheet.section("[issuer]");
    sheet.text("mode", "upstream", "plugnmeet-server makes the tokens");
    if !wish.frame_ancestors.is_empty() {
        sheet.section("[session]");
        sheet.texts("frame_ancestors", &wish.frame_ancestors, "--frame-ancestors");
    }
    sheet.section("[design]");
    sheet.text(
        "on_invalid",
        "strip",
        "as the client, which ignores what it can't use",
    );
    if !wish.css_hosts.is_empty() {
        sheet.texts("css_hosts", &wish.css_hosts, "--css-hosts");
    }
    sheet.section("[sizes]");
    let max = config.number(&["upload_file_settings", "max_size"]);
    let max = max.unwrap_or_else(|| Found {
        value: 50,
        origin: "the server's default upload_file_settings.max_size".to_owned(),
    });
    sheet.text("body", &format!("{}MiB", max.value), &max.origin);
    if let Some(redis) = &redis {
        sheet.section("[limits]");
        match &redis_file {
            Some(file) => sheet.text("store_file", &shown(file), &redis.origin),
            None => sheet.text("store", &redis.value, &redis.origin),
        }
    }
    if !wish.behind_haproxy {
        turn(sources, &mut sheet);
        relays(sources, &mut sheet);
    }
    let toml = Wanted {
        path: wish.to.join("gateway.toml"),
        text: sheet.into_text(),
        secret: false,
    };
    sound(&toml.text, [&secret_file].into_iter().chain(&redis_file))?;
    let secrets = [
        Some((secret_file, secret.value)),
        redis_file.zip(redis.map(|redis| redis.value)),
    ];
    let secrets = secrets.into_iter().flatten().map(|(path, text)| Wanted {
        path,
        text: format!("{text}\n"),
        secret: true,
    });
    Ok(secrets.chain([toml]).collect())
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

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn listen(wish: &Wish, sources: &Sources<'_>, sheet: &mut Sheet) {
    sheet.section("[listen]");
    if wish.behind_haproxy {
        sheet.text("https", "127.0.0.1:8443", "--behind-haproxy");
        sheet.text("http", "", "--behind-haproxy: HAProxy answers on port 80");
        sheet.raw(
            "proxy_protocol",
            "true",
            "--behind-haproxy: HAProxy's send-proxy-v2",
        );
        sheet.section("[trust]");
        sheet.texts("proxies", &["127.0.0.1".to_owned()], "--behind-haproxy");
    } else {
        let official = |port: u16| (format!("0.0.0.0:{port}"), "the official installer's".to_owned());
        for (key, tls, port) in [("https", true, 443), ("http", false, 80)] {
            let found = sources.haproxy.listens(tls);
            if found.is_empty() {
                let (addr, origin) = official(port);
                sheet.text(key, &addr, &origin);
            } else {
                bound(sources, sheet, key, &found);
            }
        }
    }
    sheet.section("[tls]");
    match sources.haproxy.certificates() {
        Some((path, line)) => sheet.text("certs", path, &sources.taken(line)),
        None => sheet.text("certs", &shown(&wish.to.join("certs")), "the gateway's own"),
    }
}

fn upstreams(sources: &Sources<'_>, sheet: &mut Sheet) {
    let haproxy = &sources.haproxy;
    let of_path = |prefix: &str| {
        let (server, line) = haproxy.server(haproxy.backend_of_path(prefix)?)?;
        Some((server, sources.taken(line)))
    };
    let of_port = |found: Option<Found<u64>>| {
        let found = found?;
        Some((format!("127.0.0.1:{}", found.value), found.origin))
    };
    let port = |yaml: Option<&Yaml<'_>>, key: &str| yaml.and_then(|yaml| yaml.number(&[key]));
    sheet.section("[upstreams]");
    let server = of_port(sources.config.number(&["client", "port"]));
    let (server, origin) =
        server.unwrap_or_else(|| ("127.0.0.1:8080".into(), "plugnmeet-server's default".into()));
    if let Some((same, line)) = haproxy.server("bk_plugnmeet_server")
        && same.replace("localhost:", "127.0.0.1:") == server
    {
        sources.taken(line);
    }
    sheet.texts("server", &[format!("http://{server}")], &origin);
    let livekit = of_path("/livekit").or_else(|| of_port(port(sources.livekit.as_ref(), "port")));
    let nats = of_path("/ws").or_else(|| Some(("127.0.0.1:8222".into(), "the official installer's".into())));
    let has_etherpad = sources.config.has(&["shared_notepad", "etherpad_hosts"]);
    let etherpad = has_etherpad.then(|| of_path("/etherpad")).flatten();
    let ingress = of_path("/whip").or_else(|| of_port(port(sources.ingress.as_ref(), "whip_port")));
    for (key, found) in [
        ("livekit", livekit),
        ("nats", nats),
        ("etherpad", etherpad),
        ("ingress", ingress),
    ] {
        if let Some((server, origin)) = found {
            sheet.text(key, &format!("http://{server}"), &origin);
        }
    }
    let mut expose = vec!["login".to_owned()];
    let mut origin =
        "/login.html, which the installer prints; it asks for the API secret: take it out if nobody uses it"
            .to_owned();
    if sources.config.is_true(&["client", "prometheus", "enable"]) {
        expose.push("metrics".to_owned());
        origin.push_str("; client.prometheus.enable");
    }
    sheet.texts("expose", &expose, &origin);
}

/// Does LiveKit take TURN over TLS from somebody who ends TLS?
fn turn(sources: &Sources<'_>, sheet: &mut Sheet) {
    let Some(livekit) = &sources.livekit else { return };
    if !livekit.is_true(&["turn", "enabled"]) || !livekit.is_true(&["turn", "external_tls"]) {
        return;
    }
    let Some(port) = livekit.number(&["turn", "tls_port"]) else {
        return;
    };
    let of_haproxy = sources.haproxy.backend_of_name().and_then(|(backend, _)| {
        let (server, line) = sources.haproxy.server(backend)?;
        Some((server, sources.taken(line)))
    });
    let (server, origin) = of_haproxy.unwrap_or_else(|| (format!("127.0.0.1:{}", port.value), port.origin));
    sheet.section("[turn]");
    sheet.text("upstream", &server, &origin);
    if let Some(domain) = livekit
        .text(&["turn", "domain"])
        .filter(|domain| domain.value != sources.host)
    {
        sheet.texts("names", &[domain.value], &domain.origin);
    }
}

fn relays(sources: &Sources<'_>, sheet: &mut Sheet) {
    for (listen, (server, of_server)) in sources.haproxy.relays() {
        sources.taken(of_server);
        sheet.section("[[tcp]]");
        let origin = bound(sources, sheet, "listen", &listen);
        sheet.text("upstream", &server, &origin);
    }
}

/// The addresses of a listener, each once; where the first stands comes back.
fn bound(sources: &Sources<'_>, sheet: &mut Sheet, key: &str, found: &[Bound]) -> String {
    let mut addrs: Vec<String> = Vec::new();
    let mut origins = Vec::new();
    for (addr, line) in found {
        let origin = sources.taken(*line);
        if !addrs.contains(addr) {
            addrs.push(addr.clone());
        }
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
    let origin = origins.join(", ");
    match addrs.as_slice() {
        [one] => sheet.text(key, one, &origin),
        several => sheet.texts(key, several, &origin),
    }
    origins.into_iter().next().unwrap_or_default()
}

/// plugNmeet's own Redis, as an address. Sentinels with words of their own for a password can't be asked.
fn redis(config: &Yaml<'_>) -> Option<Found<String>> {
    let text = |key: &str| config.text(&["redis_info", key]);
    let scheme = if config.is_true(&["redis_info", "use_tls"]) {
        "rediss"
    } else {
        "redis"
    };
    let encoded = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let user = text("username")
        .map(|user| encoded(&user.value))
        .unwrap_or_default();
    let credentials = match text("password") {
        Some(password) => format!("{user}:{}@", encoded(&password.value)),
        None => String::new(),
    };
    if let Some(master) = text("sentinel_master_name") {
        let hosts = config.texts(&["redis_info", "sentinel_addresses"]);
        let hosts: Vec<String> = hosts.into_iter().map(|found| found.value).collect();
        let unreachable = hosts.is_empty() || text("sentinel_password").is_some();
        let address = format!(
            "redis+sentinel://{credentials}{}/{}",
            hosts.join(","),
            master.value
        );
        return (!unreachable).then(|| master.map(|_| address));
    }
    let host = text("host")?;
    let db = config
        .number(&["redis_info", "db"])
        .filter(|db| db.value > 0)
        .map_or_else(String::new, |db| format!("/{}", db.value));
    let address = format!("{scheme}://{credentials}{}{db}", host.value);
    Some(host.map(|_| address))
}
