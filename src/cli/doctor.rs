//! `doctor`: looks at everything around the gateway, and prints what it found.

use std::{
    env,
    net::{IpAddr, SocketAddr},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use tokio::time::timeout;

use super::{
    Refused,
    arguments::{DoctorOf, Looked},
    check, output,
};
use crate::{
    check_page::explain,
    clock::Clock,
    config::{Config, Problem, Problems},
    control::{self, Command},
    doctor::{self, DoctorSettings, Ours, OutsideSettings, Places, Said, Standpoint},
    official::{Yaml, text},
    secret::{self, Secret},
};

/// A WebSocket has to stay open for longer than 60 s, after which proxies that cut them do so.
const SILENCE: Duration = Duration::from_secs(75);
const MAX_SECRET_BYTES: u64 = 4096;
/// The most time for a gateway on this machine to say where it listens.
const STATUS_WITHIN: Duration = Duration::from_secs(5);
/// The default of `sizes.body`.
const BODY_BYTES: u64 = 50 << 20;

/// The first server of DNS that this machine asks.
fn resolver() -> Option<SocketAddr> {
    let text = text(Path::new("/etc/resolv.conf")).ok()??;
    let servers = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"));
    let mut found = servers.filter_map(|server| server.trim().parse::<IpAddr>().ok());
    Some((found.next()?, 53).into())
}

/// Looks, prints, and tells by the status: 0 nothing, 1 something to look at, 2 a failure or no answer at all.
pub(super) fn run(looked: &Looked, config: Result<Option<&Config>, &Problems>) -> ExitCode {
    told(looked, config).unwrap_or_else(|why| {
        output::remark(why);
        ExitCode::from(2)
    })
}

fn told(looked: &Looked, config: Result<Option<&Config>, &Problems>) -> Result<ExitCode, Refused> {
    if let Some(id) = &looked.explain {
        output::answer(of_check(id)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(DoctorOf::Explain { what }) = &looked.what {
        // No code has a dot, and each check has one.
        if what.contains('.') {
            output::answer(of_check(what)?)?;
        } else {
            output::answer(explain(what).map_err(|bad| format!("{what:?} {bad}"))?)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let findings = findings(looked, config)?;
    if looked.json {
        output::answer(findings.json())?;
    } else {
        output::answer(&findings)?;
    }
    Ok(ExitCode::from(findings.status()))
}

/// What the page says of a check that is there.
fn of_check(id: &str) -> Result<&'static str, String> {
    let none = || format!("there is no check {id}; plugnmeet-gateway doctor --files shows their ids");
    explained(id).ok_or_else(none)
}

/// The page of all checks.
const PAGE: &str = include_str!("../../docs/doctor.md");

/// What the page says of a check.
fn explained(id: &str) -> Option<&'static str> {
    let rows = PAGE
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let mut meant = rows.filter(|(one, _)| *one == id);
    meant.next().map(|(_, text)| text.trim_end_matches(" |"))
}

fn findings(
    looked: &Looked,
    config: Result<Option<&Config>, &Problems>,
) -> Result<doctor::Findings, Refused> {
    let clock = Clock::system();
    let asked = DoctorSettings {
        places: Places {
            from: looked.from.clone(),
            haproxy: looked.haproxy.clone(),
            root: "/".into(),
        },
        only: looked.only.clone(),
        without: Vec::new(),
        from: match &looked.from_outside {
            Some(url) => Standpoint::Outside(Box::new(outside_settings(looked, url, config, &clock)?)),
            None if looked.files => Standpoint::Files,
            None => Standpoint::Here,
        },
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let is_outside = matches!(asked.from, Standpoint::Outside(_));
    let running = match config {
        Ok(Some(config)) if !is_outside => runtime.block_on(running(config)),
        Ok(_) | Err(_) => Vec::new(),
    };
    let ours = Ours {
        checked: if is_outside {
            Vec::new()
        } else {
            checked(config, &clock, &running)
        },
        config,
        running,
    };
    runtime.block_on(doctor::look(&asked, &ours, &clock))
}

/// Where the gateway listens that answers at the control socket; nowhere, where none does, or not to this user.
async fn running(config: &Config) -> Vec<SocketAddr> {
    let places = config.control.places(|name| env::var_os(name));
    let asking = timeout(STATUS_WITHIN, control::ask(&places, &Command::Status));
    let Ok(Ok(answer)) = asking.await else {
        return Vec::new();
    };
    let listeners = answer
        .member("status")
        .and_then(|status| status.get("listeners")?.as_object());
    let each = listeners.into_iter().flat_map(|by_name| by_name.values());
    let addrs = each.flat_map(|one| {
        let several = one.as_array().map(Vec::as_slice);
        several.unwrap_or(std::slice::from_ref(one))
    });
    addrs.filter_map(|addr| addr.as_str()?.parse().ok()).collect()
}

/// The address, with the keys that the command line names; without them those that lie here.
fn outside_settings(
    looked: &Looked,
    url: &url::Url,
    config: Result<Option<&Config>, &Problems>,
    clock: &Clock,
) -> Result<OutsideSettings, Refused> {
    let ours = config.ok().flatten();
    let named = looked.secret_file.as_ref().map(|file| {
        let shown = file.display();
        let read = secret::read_file(file, MAX_SECRET_BYTES).map_err(|error| format!("{shown}: {error}"))?;
        let text = String::from_utf8(read.bytes).map_err(|_| format!("{shown}: is not UTF-8"))?;
        Ok::<_, Refused>(Secret::new(secret::trimmed(&text).to_owned()))
    });
    let named = named.transpose()?;
    let api_key = looked.api_key.clone();
    if named.is_some() != api_key.is_some() {
        return Err("--api-key and --secret-file go together".into());
    }
    let known = ours.map(|config| config.plugnmeet.api_key.clone());
    let file = looked.from.join("livekit.yaml");
    let livekit = text(&file).map_err(|problem| problem.to_string())?;
    let livekit = livekit.unwrap_or_default();
    let livekit =
        Yaml::parse(&livekit, &file.display().to_string()).map_err(|problem| problem.to_string())?;
    let key = livekit.names(&["keys"]).into_iter().next();
    let udp = livekit
        .number(&["turn", "udp_port"])
        .map_or(443, |port| port.value);
    let livekit_key = key.and_then(|key| {
        let secret = livekit.text(&["keys", &key])?.value;
        Some((key, Secret::new(secret)))
    });
    let domain = livekit.text(&["turn", "domain"]).map(|found| found.value);
    Ok(OutsideSettings {
        url: url.clone(),
        roots: looked.roots.clone(),
        api_key: api_key.or(known).unwrap_or_default(),
        secret: named.or_else(|| ours.and_then(|config| config.plugnmeet.secret.clone())),
        livekit: livekit_key,
        frame: looked.frame.clone(),
        turn: looked.turn.clone().or(domain),
        turn_udp: u16::try_from(udp).unwrap_or(443),
        http: 80,
        body_bytes: ours.map_or(BODY_BYTES, |config| config.sizes.body_bytes),
        resolver: resolver(),
        silence: SILENCE,
        now: clock.unix(),
    })
}

/// What `check` says; nothing where there is no configuration.
fn checked(config: Result<Option<&Config>, &Problems>, clock: &Clock, running: &[SocketAddr]) -> Vec<Said> {
    let failed = |problems: &[Problem]| -> Vec<Said> {
        let said = problems.iter().map(|problem| {
            let line = problem.line.map_or(String::new(), |line| format!(":{line}"));
            let place = format!("{}{line} {}", problem.file, problem.key);
            Said::fail(problem.found.clone(), problem.allowed.clone()).at(place.trim_end())
        });
        said.collect()
    };
    let report = match config {
        Ok(None) => return Vec::new(),
        Ok(Some(config)) => check::report(config, clock, false, running),
        Err(problems) => return failed(&problems.0),
    };
    match report {
        Ok(report) => {
            let mut said = failed(&report.problems);
            let look = "plugnmeet-gateway check says the same";
            said.extend(
                report
                    .warnings
                    .into_iter()
                    .map(|warning| Said::warn(warning, look)),
            );
            if said.is_empty() {
                said.push(Said::ok("sound"));
            }
            said
        }
        Err(why) => vec![Said::fail(why, "try plugnmeet-gateway check")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_is_explained() {
        for check in doctor::CHECKS {
            assert!(
                explained(check.id).is_some_and(|text| text.len() > 20),
                "{}",
                check.id
            );
        }
        assert_eq!(explained("check"), None);
    }
}
