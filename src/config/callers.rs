//! `[[callers]]`: integrators who have a key of their own, in one table each.
//!
//! Callers are told apart by names and API keys, so no two may share one, and none may have the server's.

use super::{
    kind::{Kind, Refusal, shown},
    reader::{Shape, Table, Taken},
    rows::Form,
    secrets::{self, SecretKind},
    shape::{Caller, CallerRates},
    tree::Value,
    units::RATE,
};
use crate::issue::{CallerSettings, SERVER};

const SECRET: SecretKind = SecretKind {
    allowed: "write the secret that this caller signs with",
    file_allowed: "name a readable file that holds the secret that this caller signs with",
};

const LIMITS: Shape = Shape {
    allowed: "write limits.user = \"10/min\" and the like",
    inline: "write { user = \"10/min\" }",
};

const TABLES: &str = "write [[callers]] in the file";

const DOC: &str = "Integrators who have keys of their own, a table for each. The gateway checks their requests and signs them anew \
    for the server's key, so that each can be limited, held to its rooms, or cut off. Without any table only \
    `plugnmeet.api_key` may call.";

/// The name of a caller, which stands in logs, metrics and limits.
const NAME: Kind<String> = Kind::new("write a short name of letters, digits, - and _", |text| {
    let sound = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    match text {
        SERVER => Err(Refusal::new("is the name of plugnmeet.api_key").write("write another name")),
        _ if sound => Ok(text.to_owned()),
        _ => Err(Refusal::new("is no short name")),
    }
})
.like(r"^[A-Za-z0-9_-]{1,64}$");

/// A pattern of room ids (docs/plugnmeet.md section 3), in which `*` stands for any text.
const ROOMS: Kind<String> = Kind::new("write room ids, in which * stands for any text", |text| {
    let sound = !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'*'));
    if sound {
        Ok(text.to_owned())
    } else {
        Err(Refusal::new("is no pattern of room ids"))
    }
})
.like(r"^[A-Za-z0-9_*-]+$");

/// Reads all callers and returns those without a problem. `server` is the server's own API key.
pub(super) fn read(root: &mut Table<'_>, api_keys: &Kind<String>, server: &str) -> Vec<Caller> {
    let Some(node) = root.take("callers", None, "[[callers]] and the keys below", DOC) else {
        return Vec::new();
    };
    let node = node.expanded();
    let Value::Array(tables) = node.value else {
        root.refuse(&node.place, "callers", "is no list of tables", TABLES);
        return Vec::new();
    };
    let mut callers: Vec<Caller> = Vec::new();
    for node in tables {
        let place = node.place.clone();
        let Value::Table(keys) = node.expanded().value else {
            root.refuse(&place, "callers", "is no table", "write [[callers]]");
            continue;
        };
        let table = root.below("callers", "[[callers]]".to_owned(), place.clone(), keys);
        let Ok(caller) = table.read(|table| caller(table, api_keys)) else {
            continue;
        };
        let own = &caller.settings;
        let mut others = callers.iter().map(|other| &other.settings);
        let same_name = others.clone().any(|other| other.name == own.name);
        let same_key = own.api_key == server || others.any(|other| other.api_key == own.api_key);
        for (key, value, same) in [
            ("name", &own.name, same_name),
            ("api_key", &own.api_key, same_key),
        ] {
            if same {
                let found = format!("{} is another's already", shown(value));
                root.refuse(&place, &format!("callers.{key}"), found, "write another");
            }
        }
        callers.push(caller);
    }
    callers
}

fn caller(table: &mut Table<'_>, api_keys: &Kind<String>) -> Taken<Caller> {
    let name = table.required("name", &NAME, "The caller's name in logs, metrics and limits.");
    let api_key = table.required("api_key", api_keys, "What the caller sends as `API-KEY`.");
    let secret = secrets::signing(
        table,
        "secret",
        &SECRET,
        "What the caller signs with: 32 random bytes or more.",
    );
    let old_secret = secrets::signing(
        table,
        "old_secret",
        &SECRET,
        "Taken too, while the caller changes over to a new secret.",
    );
    let secret = secret.and_then(|secret| secret.ok_or_else(|| table.lacks("secret", SECRET.allowed)));
    let rooms = table.list(
        "rooms",
        &["*"],
        &ROOMS,
        "The ids of the rooms that the caller may use; `*` stands for any text, as in `moodle-*`. A caller that is held to \
         some rooms has their past rooms, recordings, artifacts and analytics, and their breakout rooms; endpoints that this \
         gateway does not know are closed to it.",
    );
    let may_issue_admin = table.flag(
        "may_issue_admin",
        false,
        "May the caller ask for tokens of moderators?",
    );
    let enabled = table.flag("enabled", true, "`false` cuts the caller off.");
    let limits = limits(table);
    Ok(Caller {
        settings: CallerSettings {
            name: name?,
            api_key: api_key?,
            secrets: std::iter::once(secret?).chain(old_secret?).collect(),
            rooms: rooms?,
            may_issue_admin,
            enabled,
        },
        limits,
    })
}

fn limits(table: &mut Table<'_>) -> CallerRates {
    let limits = table.table(
        "limits",
        LIMITS,
        "Limits of the caller's own: `user`, `room` and `caller`. One that is left out is as in `[limits]`.",
    );
    limits.read(|limits| {
        let mut rate = |name| {
            let node = limits.take(name, None, &RATE.allowed, "");
            let form = Form::of(&RATE, false);
            limits.found.describe(&limits.key(name), |row| row.form = form);
            let node = node?;
            limits.parsed(name, &node, false, &RATE.allowed, RATE.parse).ok()
        };
        CallerRates {
            user: rate("user"),
            room: rate("room"),
            caller: rate("caller"),
        }
    })
}

#[cfg(test)]
mod tests {
    use crate::{config::Config, limits::RateSettings};

    fn told(text: &str) -> String {
        Config::parse(text, "gateway.toml", &[])
            .map(|_| ())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_caller_has_its_keys_and_defaults() {
        let text = "[[callers]]\nname = 'moodle'\napi_key = 'k'\nsecret = '0123456789abcdef0123456789abcdef'\n\
                    old_secret = 'short'\nrooms = ['moodle-*']\n";
        let config = Config::parse(text, "gateway.toml", &[]).unwrap();
        let caller = &config.callers[0].settings;
        assert_eq!((caller.name.as_str(), caller.api_key.as_str()), ("moodle", "k"));
        assert_eq!(
            caller
                .secrets
                .iter()
                .map(|secret| secret.expose().len())
                .collect::<Vec<_>>(),
            [32, 5]
        );
        assert_eq!(caller.rooms, ["moodle-*"]);
        assert!(caller.enabled && !caller.may_issue_admin);
        let warning = "gateway.toml:5: callers.old_secret: is only 5 bytes long, and short secrets can be guessed; \
                       use 32 random bytes or more";
        assert_eq!(config.warnings, [warning]);
    }

    #[test]
    fn all_that_is_wrong_with_callers_is_told_at_its_line() {
        let text = "[[callers]]\nname = 'server'\napi_key = 'plugnmeet'\nsecrets = 1\n\
                    [[callers]]\nname = 'a'\napi_key = 'plugnmeet'\nsecret = ' '\nrooms = ['a.b']\n";
        assert_eq!(
            told(text),
            "gateway.toml:1: callers.secret: is missing; write the secret that this caller signs with\n\
             gateway.toml:2: callers.name: \"server\" is the name of plugnmeet.api_key; write another name\n\
             gateway.toml:4: callers.secrets: is no key of the gateway; perhaps callers.secret is meant: [[callers]] \
             has name, api_key, secret, secret_file, old_secret, old_secret_file, rooms, may_issue_admin, enabled, limits\n\
             gateway.toml:8: callers.secret: is empty, so anybody could sign; write the secret that this caller signs with\n\
             gateway.toml:9: callers.rooms: \"a.b\" is no pattern of room ids; write room ids, in which * stands for \
             any text"
        );
    }

    #[test]
    fn a_caller_can_have_rates_of_its_own() {
        let caller = |limits: &str| {
            format!(
                "[[callers]]\nname = 'a'\napi_key = 'k'\nsecret = '0123456789abcdef0123456789abcdef'\n{limits}"
            )
        };
        let config = Config::parse(&caller("limits.user = '5/min'\n"), "gateway.toml", &[]).unwrap();
        let limits = &config.callers[0].limits;
        assert_eq!(limits.user, RateSettings::parse("5/min").ok());
        assert_eq!((limits.room, limits.caller), (None, None));
        assert_eq!(
            told(&caller(
                "[callers.limits]\nroom = '0/min'\ncaller = 5\nfailures = '1/min'\n"
            )),
            "gateway.toml:6: callers.limits.room: \"0/min\" would refuse every request; write 1/min or more\n\
             gateway.toml:7: callers.limits.caller: 5 is no string; write a rate such as 10/min, 1/s or 500/h\n\
             gateway.toml:8: callers.limits.failures: is no key of the gateway; perhaps limits.failures is meant: \
             limits has user, room, caller"
        );
        assert_eq!(
            told(&caller("limits = '5/min'\n")),
            "gateway.toml:5: callers.limits: \"5/min\" is no table; write limits.user = \"10/min\" and the like"
        );
    }

    #[test]
    fn nobody_shares_a_key_with_another() {
        let caller = |name: &str, key: &str| {
            format!(
                "[[callers]]\nname = '{name}'\napi_key = '{key}'\nsecret = '0123456789abcdef0123456789abcdef'\n"
            )
        };
        assert_eq!(
            told(&(caller("a", "plugnmeet") + &caller("b", "k") + &caller("b", "k"))),
            "gateway.toml:1: callers.api_key: \"plugnmeet\" is another's already; write another\n\
             gateway.toml:9: callers.name: \"b\" is another's already; write another\n\
             gateway.toml:9: callers.api_key: \"k\" is another's already; write another"
        );
    }
}
