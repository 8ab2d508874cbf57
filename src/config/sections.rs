//! Every key: its name, its default as it would be written in the file, and what it may be.
//!
//! In each section all keys are taken before the first `?`, so that all that are wrong are told.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    address::{
        CSP_REPORT, DESIGN_HOST, FRAME_ANCESTOR, HOST, INTERNAL, LOGIN_URL, PROXY, PUBLIC_ORIGIN, SOCKET,
        UPSTREAM,
    },
    callers, client_config, csp_sources, designs, files,
    kind::{Kind, Refusal, shown, word},
    mount::MOUNT,
    problem::Places,
    reader::{Reader, Taken},
    rules::Facts,
    secrets,
    shape::{
        Client, Config, Design, Headers, Issuer, Listen, PlugNmeet, PublicOrigin, Session, Sizes, Timeouts,
        Tls, Trust, Upstreams,
    },
    store,
    units::{
        BODY, BYTE_RATE, CONNECTIONS, DAYS, DEADLINE, DURATION, HEADER, RATE, RELEASES, SILENCE, THREADS,
        TOKEN_BODY, UPSTREAM_CONNECTIONS, VALIDITY,
    },
    words::Issuers,
};
use crate::{
    addr::Networks,
    issue::{EmbeddedSettings, Mode},
    limits::{LimitsSettings, Rates},
    observe::LogSettings,
};

/// More than any `config.js` has.
const MAX_CONFIG_FILE_BYTES: u64 = 1 << 20;

const PATH: Kind<PathBuf> = Kind::new("write a path", |text| {
    if text.is_empty() {
        Err(Refusal::new("is no path"))
    } else {
        Ok(text.into())
    }
});

/// It goes into a header and into the server's paths.
const API_KEY: Kind<String> = Kind::new("write the server's client_info.api_key", |text| {
    match text.bytes().all(|b| b.is_ascii_graphic()) {
        true if text.is_empty() => Err(Refusal::new("is empty")),
        true => Ok(text.to_owned()),
        false => Err(Refusal::new("can't be sent in a header")),
    }
});

/// Takes every key there is.
pub(super) fn config(reader: &mut Reader<'_>, facts: &mut Facts) -> Taken<Config> {
    let mut warnings = Vec::new();
    let public_origin = reader.optional("public_origin", "", &PUBLIC_ORIGIN);
    if let Ok(Some(PublicOrigin { port: Some(port), .. })) = &public_origin {
        let what = format!(
            "has port {port}, and LTI launches work on 443 alone: a learning platform signs the address with its port, \
             plugnmeet-server checks it without one"
        );
        warnings.push(secrets::warning(
            &reader.place("public_origin"),
            "public_origin",
            &what,
        ));
    }
    let hosts = reader.list("hosts", &[], &HOST);
    let listen = listen(reader, facts);
    let certs = reader.text("tls.certs", "certs", &PATH);
    let log = log(reader);
    let plugnmeet = plugnmeet(reader, facts, &mut warnings);
    let upstreams = upstreams(reader, facts);
    let client = client(reader, &mut warnings);
    let issuer = issuer(reader, facts);
    let api_key = plugnmeet.as_ref().map_or("", |plugnmeet| &plugnmeet.api_key);
    let callers = callers::read(reader, &mut warnings, &API_KEY, api_key);
    let session = session(reader);
    facts.login_is_the_client = login_is_the_client(&public_origin, &client, &session);
    let design = design(reader);
    let headers = headers(reader);
    let designs = designs::read(reader);
    let connections = reader.text("limits.connections", "4000", &CONNECTIONS);
    let limits = limits(reader, &mut warnings);
    let trust = trust(reader, facts);
    let timeouts = timeouts(reader);
    let sizes = sizes(reader);
    Ok(Config {
        public_origin: public_origin?,
        hosts: hosts?,
        listen: listen?,
        tls: Tls { certs: certs? },
        log: log?,
        plugnmeet: plugnmeet?,
        upstreams: upstreams?,
        client: client?,
        issuer: issuer?,
        callers: callers?,
        session: session?,
        design: design?,
        headers: headers?,
        designs: designs?,
        limits: limits?,
        connections: connections?,
        trust: trust?,
        timeouts: timeouts?,
        sizes: sizes?,
        warnings,
        places: Places::new(),
    })
}

fn listen(reader: &mut Reader<'_>, facts: &mut Facts) -> Taken<Listen> {
    let https = reader.text("listen.https", "127.0.0.1:8443", &SOCKET);
    let http = reader.optional("listen.http", "127.0.0.1:8880", &SOCKET);
    let admin = reader.optional("listen.admin", "127.0.0.1:9180", &SOCKET);
    let admin_hosts = reader.list("listen.admin_hosts", &[], &HOST);
    let proxy_protocol = reader.flag("listen.proxy_protocol", false);
    let threads = reader.text("listen.threads", "auto", &THREADS);
    let listeners = [
        ("listen.https", https.ok()),
        ("listen.http", http.ok().flatten()),
        ("listen.admin", admin.ok().flatten()),
    ];
    facts.listeners = listeners
        .into_iter()
        .filter_map(|(key, addr)| Some((key, addr?)))
        .collect();
    facts.proxy_protocol = proxy_protocol == Ok(true);
    Ok(Listen {
        https: https?,
        http: http?,
        admin: admin?,
        admin_hosts: admin_hosts?,
        proxy_protocol: proxy_protocol?,
        threads: threads?,
    })
}

fn log(reader: &mut Reader<'_>) -> Taken<LogSettings> {
    let level = reader.text("log.level", "info", &word());
    let format = reader.text("log.format", "auto", &word());
    let access = reader.flag("log.access", true);
    Ok(LogSettings {
        level: level?,
        format: format?,
        access: access?,
    })
}

fn plugnmeet(reader: &mut Reader<'_>, facts: &mut Facts, warnings: &mut Vec<String>) -> Taken<PlugNmeet> {
    let api_key = reader.text("plugnmeet.api_key", "plugnmeet", &API_KEY);
    let secret = secrets::plugnmeet(reader, warnings);
    facts.no_secret = matches!(secret, Ok(None));
    Ok(PlugNmeet {
        api_key: api_key?,
        secret: secret?,
    })
}

fn upstreams(reader: &mut Reader<'_>, facts: &mut Facts) -> Taken<Upstreams> {
    let server = reader.list("upstreams.server", &["http://127.0.0.1:8080"], &UPSTREAM);
    let livekit = reader.optional("upstreams.livekit", "", &UPSTREAM);
    let nats = reader.optional("upstreams.nats", "", &UPSTREAM);
    let etherpad = reader.optional("upstreams.etherpad", "", &UPSTREAM);
    let ingress = reader.optional("upstreams.ingress", "", &UPSTREAM);
    let expose = reader.list("upstreams.expose", &[], &word());
    let max_connections = reader.text("upstreams.max_connections", "4096", &UPSTREAM_CONNECTIONS);
    facts.no_server = matches!(&server, Ok(servers) if servers.is_empty());
    Ok(Upstreams {
        server: server?,
        livekit: livekit?,
        nats: nats?,
        etherpad: etherpad?,
        ingress: ingress?,
        expose: expose?,
        max_connections: max_connections?,
    })
}

fn client(reader: &mut Reader<'_>, warnings: &mut Vec<String>) -> Taken<Client> {
    let path = client_path(reader);
    let cache = reader.optional("client.cache", "cache/variants", &PATH);
    let keep_releases = reader.text("client.keep_releases", "3", &RELEASES);
    let watch = reader.text("client.watch", "5s", &DURATION);
    let mount = reader.text("client.mount", "/conference", &MOUNT);
    let config = client_config::read(reader);
    warnings.extend(config.iter().flat_map(client_config::warnings));
    let config_file = config_file(reader);
    if let (Ok(config), Ok(Some(file))) = (&config, &config_file)
        && !config.is_empty()
    {
        let file = shown(&file.to_string_lossy());
        warnings.push(format!(
            "client.config has no effect, as client.config_file serves {file} instead"
        ));
    }
    Ok(Client {
        path: path?,
        cache: cache?,
        keep_releases: keep_releases?,
        watch: Some(watch?).filter(|every| !every.is_zero()),
        mount: mount?,
        config: config?,
        config_file: config_file?,
    })
}

fn client_path(reader: &mut Reader<'_>) -> Taken<Option<PathBuf>> {
    let key = "client.path";
    let path = reader.optional(key, "", &PATH)?;
    if let Some(path) = &path
        && let Err(error) = readable(path)
    {
        let found = format!("{} cannot be read: {error}", shown(&path.to_string_lossy()));
        return Err(reader.refuse(
            key,
            found,
            "name the folder of the client's build, or its client.zip",
        ));
    }
    Ok(path)
}

/// A folder or a file; a pipe would wait for somebody.
fn readable(path: &Path) -> io::Result<()> {
    if fs::metadata(path)?.is_dir() {
        fs::read_dir(path).map(drop)
    } else {
        fs::File::open(path).map(drop)
    }
}

fn config_file(reader: &mut Reader<'_>) -> Taken<Option<PathBuf>> {
    let key = "client.config_file";
    let Some(path) = reader.optional(key, "", &PATH)? else {
        return Ok(None);
    };
    match files::read(&path, MAX_CONFIG_FILE_BYTES) {
        Ok(_) => Ok(Some(path)),
        Err(error) => {
            let found = format!("{} cannot be read: {error}", shown(&path.to_string_lossy()));
            Err(reader.refuse(key, found, "name a readable config.js"))
        }
    }
}

fn issuer(reader: &mut Reader<'_>, facts: &mut Facts) -> Taken<Issuer> {
    let mode = reader.text("issuer.mode", "embedded", &word());
    let token_validity = reader.text("issuer.token_validity", "10m", &VALIDITY);
    // It was a time once, for which answers were kept.
    let coalesce = reader.flag_or(
        "issuer.coalesce",
        true,
        "write true, or false for what was \"0s\"; no answer is kept any more, so there is no time to write",
    );
    facts.issuer_is_upstream = mode == Ok(Issuers::Upstream);
    let token_validity = token_validity?;
    Ok(Issuer {
        mode: match mode? {
            Issuers::Embedded => Mode::Embedded(EmbeddedSettings { token_validity }),
            Issuers::Upstream => Mode::Upstream,
        },
        coalesce: coalesce?,
    })
}

/// Who is sent there has no session, and would be sent there again.
fn login_is_the_client(
    origin: &Taken<Option<PublicOrigin>>,
    client: &Taken<Client>,
    session: &Taken<Session>,
) -> bool {
    let (Ok(Some(origin)), Ok(client), Ok(session)) = (origin, client, session) else {
        return false;
    };
    let Some(login) = &session.login_url else {
        return false;
    };
    let below = login.path().strip_prefix(client.mount.as_str());
    login.host_str() == Some(&origin.host)
        && below.is_some_and(|below| matches!(below, "" | "/" | "/index.html") || below.starts_with("/s/"))
}

fn session(reader: &mut Reader<'_>) -> Taken<Session> {
    let scope = reader.text("session.scope", "session", &word());
    let renew_grace = reader.text("session.renew_grace", "3h", &DURATION);
    let max_age = reader.text("session.max_age", "12h", &DURATION);
    let login_url = reader.optional("session.login_url", "", &LOGIN_URL);
    let frame_ancestors = reader.list("session.frame_ancestors", &[], &FRAME_ANCESTOR);
    Ok(Session {
        scope: scope?,
        renew_grace: renew_grace?,
        max_age: max_age?,
        login_url: login_url?,
        frame_ancestors: frame_ancestors?,
    })
}

fn design(reader: &mut Reader<'_>) -> Taken<Design> {
    let on_invalid = reader.text("design.on_invalid", "strip", &word());
    let css_hosts = reader.list("design.css_hosts", &[], &DESIGN_HOST);
    let image_hosts = reader.list("design.image_hosts", &["*"], &DESIGN_HOST);
    let from_links = reader.flag("design.from_links", true);
    Ok(Design {
        on_invalid: on_invalid?,
        css_hosts: css_hosts?,
        image_hosts: image_hosts?,
        from_links: from_links?,
    })
}

fn headers(reader: &mut Reader<'_>) -> Taken<Headers> {
    let csp = reader.text("headers.csp", "enforce", &word());
    let csp_report = reader.optional("headers.csp_report", "", &CSP_REPORT);
    let csp_sources = csp_sources::read(reader);
    let hsts = reader.text("headers.hsts", "180d", &DAYS);
    Ok(Headers {
        hsts: Some(hsts?).filter(|time| !time.is_zero()),
        csp: csp?,
        csp_report: csp_report?,
        csp_sources: csp_sources?,
    })
}

fn limits(reader: &mut Reader<'_>, warnings: &mut Vec<String>) -> Taken<LimitsSettings> {
    let user = reader.text("limits.user", "10/min", &RATE);
    let room = reader.text("limits.room", "1200/min", &RATE);
    let caller = reader.text("limits.caller", "6000/min", &RATE);
    let failures = reader.text("limits.failures", "20/min", &RATE);
    let renewal = reader.text("limits.renewal", "30/min", &RATE);
    let design = reader.text("limits.design", "60/min", &RATE);
    let store = store::limits(reader, warnings);
    Ok(LimitsSettings {
        rates: Rates {
            user: user?,
            room: room?,
            caller: caller?,
        },
        failures: failures?,
        renewal: renewal?,
        design: design?,
        store: store?,
    })
}

fn trust(reader: &mut Reader<'_>, facts: &mut Facts) -> Taken<Trust> {
    let proxies = reader.list("trust.proxies", &[], &PROXY);
    let internal = reader.list("trust.internal", &[], &INTERNAL);
    facts.no_proxies = matches!(&proxies, Ok(proxies) if proxies.is_empty());
    // Each entry has been judged alone, where its line is known; together they are what they were.
    Ok(Trust {
        proxies: Networks::parse(&proxies?, false).unwrap_or_default(),
        internal: Networks::parse(&internal?, true).unwrap_or_default(),
    })
}

fn timeouts(reader: &mut Reader<'_>) -> Taken<Timeouts> {
    let handshake = reader.text("timeouts.handshake", "10s", &DEADLINE);
    let header = reader.text("timeouts.header", "10s", &DEADLINE);
    let idle = reader.text("timeouts.idle", "75s", &DEADLINE);
    let connect = reader.text("timeouts.connect", "5s", &DEADLINE);
    let upgrade = reader.text("timeouts.upgrade", "12s", &DEADLINE);
    let response = reader.text("timeouts.response", "50s", &DEADLINE);
    let drain = reader.text("timeouts.drain", "30s", &DURATION);
    let tunnel_silence = reader.text("timeouts.tunnel_silence", "50s", &SILENCE);
    Ok(Timeouts {
        handshake: handshake?,
        header: header?,
        idle: idle?,
        connect: connect?,
        upgrade: upgrade?,
        response: response?,
        drain: drain?,
        tunnel_silence: tunnel_silence?,
    })
}

fn sizes(reader: &mut Reader<'_>) -> Taken<Sizes> {
    let header = reader.text("sizes.header", "32KiB", &HEADER);
    let token_body = reader.text("sizes.token_body", "256KiB", &TOKEN_BODY);
    let body = reader.text("sizes.body", "50MiB", &BODY);
    let least_rate = reader.text("sizes.least_rate", "1KiB/s", &BYTE_RATE);
    Ok(Sizes {
        header_bytes: header?,
        token_body_bytes: token_body?,
        body_bytes: body?,
        least_bytes_per_second: least_rate?,
    })
}
