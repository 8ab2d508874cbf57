//! `doctor`: is everything around the gateway as it has to be? Looks, says what it found and what to do, and changes nothing.
//!
//! Three places are looked at: the files of plugNmeet's parts, against each other and against ours; this machine; and, from
//! another machine, what people get who come to the public address.
//!
//! | file | holds |
//! | --- | --- |
//! | `table` | every check, with its id and what it needs |
//! | `finding` | what a check says, as a line and as JSON |
//! | `files` | the files that are compared |
//! | `server`, `media`, `relays`, `nats`, `front` | checks of files, by part; `nkey`: keys of NATS |
//! | `machine/`, `outside/` | checks of this machine, and of the public address |
//!
//! Not here: what is wrong with our own configuration (`crate::config`), the command (`crate::cli`).
//!
//! Source: docs/doctor.md says of each check what it means.

mod files;
mod finding;
mod front;
mod machine;
mod media;
mod nats;
mod nkey;
mod outside;
mod relays;
mod server;
mod table;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::timeout};

pub use self::{
    files::Places,
    finding::{Finding, Findings, Said, Verdict},
    outside::OutsideSettings,
    table::{CHECKS, Check, Look},
};
use self::{
    files::{Files, Texts},
    finding::means,
    machine::Machine,
    outside::Outside,
    table::{Looking, Needs},
};
use crate::{
    clock::Clock,
    config::{Config, Problems},
};

/// The most time for one check, beside the time that it has to wait for.
const LIMIT: Duration = Duration::from_secs(60);

/// What is to be looked at.
#[derive(Clone, Debug)]
pub struct DoctorSettings {
    pub places: Places,
    /// An id or an area; all without it.
    pub only: Option<String>,
    /// Ids of what is left out.
    pub without: Vec<&'static str>,
    pub from: Standpoint,
}

/// What is looked at, and from where.
#[derive(Clone, Debug)]
pub enum Standpoint {
    Files,
    /// Files and this machine.
    Here,
    /// The public address, from another machine.
    Outside(Box<OutsideSettings>),
}

/// What is known of the gateway itself.
pub struct Ours<'c> {
    /// None: there is no configuration of a gateway here.
    pub config: Result<Option<&'c Config>, &'c Problems>,
    /// What `check` says of it.
    pub checked: Vec<Said>,
    /// Where the gateway listens that runs here already, if any is known.
    pub running: Vec<SocketAddr>,
}

/// Is there a check or an area of each name?
pub fn known<'n>(mut names: impl Iterator<Item = &'n str>) -> Result<(), String> {
    let Some(unknown) = names.find(|name| !CHECKS.iter().any(|check| means(name, check.id))) else {
        return Ok(());
    };
    let mut areas: Vec<&str> = CHECKS.iter().map(Check::area).collect();
    areas.dedup();
    Err(format!(
        "there is no check {unknown}; the areas are {}, and docs/doctor.md has all checks",
        areas.join(", ")
    ))
}

/// The checks that are meant; why there are none.
fn chosen(settings: &DoctorSettings) -> Result<Vec<&'static Check>, String> {
    known(settings.only.iter().map(String::as_str))?;
    let only = settings.only.as_ref();
    let wanted = CHECKS
        .iter()
        .filter(|check| only.is_none_or(|only| means(only, check.id)));
    let named: Vec<&Check> = wanted
        .filter(|check| !settings.without.contains(&check.id))
        .collect();
    let seen_from = |check: &&&Check| match (&check.look, &settings.from) {
        (Look::Outside(..), from) => matches!(from, Standpoint::Outside(_)),
        (Look::Files(..) | Look::Configuration, from) => !matches!(from, Standpoint::Outside(_)),
        (Look::Machine(_), from) => matches!(from, Standpoint::Here),
    };
    let seen: Vec<&Check> = named.iter().filter(seen_from).copied().collect();
    if seen.is_empty() {
        return Err(
            "it can't be looked at from here: checks of outside need --from-outside, and others none".into(),
        );
    }
    Ok(seen)
}

/// Looks at all that is chosen. What waits for others is done at once, and each within a time.
pub async fn look(settings: &DoctorSettings, ours: &Ours<'_>, clock: &Clock) -> Result<Findings, String> {
    let chosen = chosen(settings)?;
    let texts = Texts::read(settings.places.clone());
    let files = Files::of(&texts, ours.config, clock.unix()).ok_or("the defaults are not sound")?;
    let machine = Arc::new(Machine::of(&files, &ours.running, clock));
    let mut limit = LIMIT;
    let outside = match &settings.from {
        Standpoint::Outside(settings) => {
            limit += settings.silence;
            Some(Arc::new(Outside::reach(OutsideSettings::clone(settings)).await?))
        }
        Standpoint::Files | Standpoint::Here => None,
    };
    let mut waiting = JoinSet::new();
    let mut said: Vec<(usize, Vec<Said>)> = Vec::new();
    for (nth, check) in chosen.iter().enumerate() {
        let begun = match (&check.look, &outside) {
            (Look::Machine(look), _) => Begun::Looking(look(Arc::clone(&machine))),
            (Look::Outside(needs, look), Some(outside)) => match missing(*needs, outside) {
                Some(why) => Begun::Said(vec![Said::skip(why)]),
                None => Begun::Looking(look(Arc::clone(outside))),
            },
            (Look::Outside(..), None) => Begun::Said(Vec::new()),
            (Look::Files(needs, look), _) => {
                Begun::Said(match needs.iter().find(|part| !files.has(**part)) {
                    Some(missing) => vec![Said::skip(format!("there is no {}", missing.name()))],
                    None => look(&files),
                })
            }
            (Look::Configuration, _) if ours.checked.is_empty() => {
                Begun::Said(vec![Said::skip("there is no configuration; name it by --config")])
            }
            (Look::Configuration, _) => Begun::Said(ours.checked.clone()),
        };
        match begun {
            Begun::Said(all) => said.push((nth, all)),
            Begun::Looking(looking) => {
                waiting.spawn(async move {
                    let late = format!("nothing is known after {} s", limit.as_secs());
                    let looked = timeout(limit, looking).await;
                    (
                        nth,
                        looked.unwrap_or_else(|_| vec![Said::fail(late, "try again")]),
                    )
                });
            }
        }
    }
    while let Some(ended) = waiting.join_next().await {
        said.push(ended.map_err(|error| format!("a check has failed: {error}"))?);
    }
    said.sort_by_key(|(nth, _)| *nth);
    let findings = said.into_iter().zip(chosen).flat_map(|((_, all), check)| {
        let findings = all.into_iter();
        findings.map(|said| Finding { id: check.id, said })
    });
    Ok(Findings(findings.collect()))
}

/// A check that has ended, or one that waits.
enum Begun {
    Said(Vec<Said>),
    Looking(Looking),
}

/// Why it can't be looked at from outside.
fn missing(needs: Needs, outside: &Outside) -> Option<&'static str> {
    match needs {
        Needs::Tls | Needs::Keys if !outside.is_reached() => {
            Some("there is no TLS that is trusted; see outside.tls")
        }
        Needs::Keys if !outside.has_keys() => Some("needs --api-key and --secret-file"),
        Needs::Address | Needs::Tls | Needs::Keys => None,
    }
}
