//! `swap`: the gateway takes HAProxy's place, or gives it back; each step is said before it is done.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::pki_types::{CertificateDer, ServerName};
use tokio::runtime::Runtime;

use super::{Refused, arguments::Swapped, ask, check, join_link::reachable, keys};
use crate::{
    adopt,
    clock::Clock,
    config::Config,
    doctor::{self, DoctorSettings, Finding, Ours, Places, Standpoint, Verdict},
    secret::Secret,
    swap::{Front, Hooks, Routes, Swap, SwapError, Wanted},
    token::{Claims, TokenKeys},
};

/// A room that nobody is in.
const ROOM: &str = "plugnmeet-gateway-swap";
/// How long the token of the probe is good for, in seconds.
const TOKEN_SECONDS: i64 = 120;

/// `file` is where the configuration lies.
pub(super) fn answer(config: &Config, file: &Path, arguments: &Swapped) -> Result<String, Refused> {
    let clock = Clock::system();
    say(&check::answer(config, &clock, false)?);
    if config.listen.proxy_protocol {
        return Err(
            "listen.proxy_protocol is on, so that this configuration is for a gateway behind another front; run adopt without \
             --behind-haproxy first"
                .into(),
        );
    }
    runtime()?.block_on(looked_at(config, arguments, &clock))?;
    let wanted = Wanted {
        front: front(config)?,
        routes: routes(config, &clock)?,
        hooks: Hooks {
            ours: Some(adopt::hook_in(&arguments.letsencrypt)).filter(|hook| hook.is_file()),
            of_haproxy: adopt::hooks_of_haproxy(&arguments.letsencrypt),
        },
    };
    let swap = swap(file, arguments, clock)?;
    done(arguments, runtime()?.block_on(swap.go(&wanted)))
}

/// What the swap itself changes, or has looked at already: HAProxy has its ports, and the configuration is sound.
const OF_THE_SWAP: [&str; 5] = [
    "gateway.configuration",
    "front.hook",
    "front.boot",
    "machine.ports",
    "machine.haproxy",
];

/// What would not work in HAProxy's place does not work after a swap either, and is easier to mend before it.
async fn looked_at(config: &Config, arguments: &Swapped, clock: &Clock) -> Result<(), Refused> {
    doctor::known(arguments.despite.iter().map(String::as_str))?;
    let asked = DoctorSettings {
        places: Places {
            from: arguments.from.clone(),
            haproxy: arguments.haproxy.clone(),
            root: "/".into(),
        },
        only: None,
        without: OF_THE_SWAP.to_vec(),
        from: Standpoint::Here,
    };
    let ours = Ours {
        config: Ok(Some(config)),
        checked: Vec::new(),
        running: Vec::new(),
    };
    let findings = doctor::look(&asked, &ours, clock).await?;
    let wrong = findings.0.iter().filter(|finding| {
        finding.said.verdict >= Verdict::Warn && !hook_gives(finding, &arguments.letsencrypt)
    });
    let mut fails = Vec::new();
    for finding in wrong {
        say(&finding.to_string());
        let regardless = arguments.despite.iter().any(|name| finding.is_of(name));
        if finding.said.verdict == Verdict::Fail && !regardless {
            fails.push(finding.id);
        }
    }
    fails.dedup();
    if fails.is_empty() {
        return Ok(());
    }
    Err(format!(
        "nothing was changed: doctor finds what would fail in HAProxy's place ({}); mend it, or go on regardless by --despite ID",
        fails.join(", ")
    ))
}

/// Is it a certificate that the gateway's user can't read yet? certbot's hook of ours, which runs before the first start, gives it
/// the right to those below certbot's folder.
fn hook_gives(finding: &Finding, letsencrypt: &Path) -> bool {
    let certificate = || {
        let place = fs::canonicalize(finding.said.place.as_deref()?).ok()?;
        Some(place.starts_with(fs::canonicalize(letsencrypt).ok()?))
    };
    finding.id == "machine.readable"
        && adopt::hook_in(letsencrypt).is_file()
        && certificate().unwrap_or(false)
}

/// Back, for which the configuration need not be sound.
pub(super) fn back(config: Option<&Config>, file: &Path, arguments: &Swapped) -> Result<String, Refused> {
    let front = config.and_then(|config| front(config).ok());
    let swap = swap(file, arguments, Clock::system())?;
    done(arguments, runtime()?.block_on(swap.back(front.as_ref())))
}

fn swap(file: &Path, arguments: &Swapped, clock: Clock) -> Result<Swap, Refused> {
    Ok(Swap {
        folder: folder_of(file)?,
        clock,
        dry_run: arguments.dry_run,
        tell: say,
    })
}

fn runtime() -> Result<Runtime, Refused> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())
}

fn done(arguments: &Swapped, done: Result<(), SwapError>) -> Result<String, Refused> {
    done.map_err(|why| why.to_string())?;
    Ok(if arguments.dry_run {
        "Nothing was changed: this was a dry run.".to_owned()
    } else {
        "Done.".to_owned()
    })
}

fn say(what: &str) {
    // Whoever reads only the first lines may close the pipe; a swap that is under way goes on.
    writeln!(io::stdout(), "{what}").ok();
}

fn folder_of(file: &Path) -> Result<PathBuf, Refused> {
    let whole = std::path::absolute(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let folder = whole.parent().filter(|folder| folder.is_dir());
    folder
        .map(Path::to_owned)
        .ok_or_else(|| format!("{}: its folder is not there", file.display()))
}

fn front(config: &Config) -> Result<Front, Refused> {
    let origin = config.public_origin_at(config.listen.https_port());
    let https = config.listen.https.first().copied();
    let https = https.ok_or("listen.https has no address")?;
    let mut trusted: Vec<CertificateDer<'static>> =
        ask::certificates(&config.tls.certs).map_err(|error| error.to_string())?;
    trusted.extend(rustls_native_certs::load_native_certs().certs);
    Ok(Front {
        https: reachable(https),
        http: config.listen.http.first().copied().map(reachable),
        tls: Arc::new(ask::client(trusted).map_err(|error| error.to_string())?),
        name: name(&origin.host)?,
        authority: origin.authority(),
    })
}

fn name(host: &str) -> Result<ServerName<'static>, Refused> {
    ServerName::try_from(host.to_owned()).map_err(|_| format!("{host} is no name that TLS knows"))
}

fn routes(config: &Config, clock: &Clock) -> Result<Routes, Refused> {
    let upstreams = &config.upstreams;
    let origin = config.public_origin_at(config.listen.https_port());
    let turn = config.turn.as_ref().map(|turn| {
        let host = turn.names.first().unwrap_or(&origin.host);
        name(host)
    });
    Ok(Routes {
        mount: config.client.mount.clone(),
        token: Some(token(&keys::of(config)?, clock)?),
        server: !upstreams.server.is_empty(),
        nats: upstreams.nats.is_some(),
        livekit: upstreams.livekit.is_some(),
        ingress: upstreams.ingress.is_some(),
        etherpad: upstreams.etherpad.is_some(),
        acme: config.acme.accept_terms || config.acme.pass_to.is_some(),
        turn: turn.transpose()?,
        tcp: config
            .tcp
            .iter()
            .flat_map(|tcp| &tcp.listen)
            .copied()
            .map(reachable)
            .collect(),
    })
}

/// SECURITY: it opens a page, and no room: no server has added this participant.
fn token(keys: &TokenKeys, clock: &Clock) -> Result<Secret<String>, Refused> {
    let now = clock.unix();
    let claims = Claims {
        client_type: 0,
        exp: now + TOKEN_SECONDS,
        is_admin: false,
        is_hidden: false,
        iss: keys.api_key().to_owned(),
        name: "swap".to_owned(),
        nbf: now,
        room_id: ROOM.to_owned(),
        sub: ROOM.to_owned(),
        user_id: ROOM.to_owned(),
    };
    keys.sign(&claims).map_err(|error| error.to_string())
}
