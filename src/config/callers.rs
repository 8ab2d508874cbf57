//! `[[callers]]`: integrators with keys of their own, each in a table of its own.
//!
//! Names and API keys tell callers apart, so no two may share one, nor may any take the server's.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    kind::{Kind, Refusal, shown},
    problem::Problem,
    reader::{Given, Reader, Taken, Told},
    secrets,
    shape::{Caller, CallerRates},
    source::{shown_value, text_of},
    units::RATE,
};
use crate::{
    issue::{CallerSettings, SERVER},
    secret::Secret,
    token::KeyProblem,
};

const ALLOWED: &str = "write the secret that this caller signs with";

const FILE_ALLOWED: &str = "name a readable file that holds the secret that this caller signs with";

const KEYS: [&str; 10] = [
    "name",
    "api_key",
    "secret",
    "secret_file",
    "old_secret",
    "old_secret_file",
    "rooms",
    "may_issue_admin",
    "enabled",
    "limits",
];

/// Keys of `limits`.
const RATES: [&str; 3] = ["user", "room", "caller"];

/// It stands in logs, metrics and limits.
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
});

/// A room id (docs/plugnmeet.md section 3), in which `*` stands for any text.
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
});

/// All of them; `api_key` is the server's own.
pub(super) fn read(
    reader: &mut Reader<'_>,
    warnings: &mut Vec<String>,
    api_key_kind: &Kind<String>,
    api_key: &str,
) -> Taken<Vec<Caller>> {
    let tables = match reader.take("callers") {
        None => return Ok(Vec::new()),
        Some(Given::File(DeValue::Array(tables))) => tables,
        Some(Given::File(_) | Given::Variable(_)) => {
            return Err(reader.refuse("callers", "is no list of tables", "write [[callers]] in the file"));
        }
    };
    let mut callers: Vec<Caller> = Vec::new();
    let mut sound = Ok(());
    for table in &tables {
        let mut table = Table {
            reader,
            warnings,
            at: table,
        };
        match table.caller(api_key_kind) {
            Ok(caller) => {
                let taken = |what: &str| format!("{what} is another's already");
                let same_name = callers
                    .iter()
                    .any(|other| other.settings.name == caller.settings.name);
                let same_key = caller.settings.api_key == api_key
                    || callers
                        .iter()
                        .any(|other| other.settings.api_key == caller.settings.api_key);
                for (key, value, same) in [
                    ("name", &caller.settings.name, same_name),
                    ("api_key", &caller.settings.api_key, same_key),
                ] {
                    if same {
                        sound = Err(table.refuse(table.at, key, taken(&shown(value)), "write another"));
                    }
                }
                callers.push(caller);
            }
            Err(told) => sound = Err(told),
        }
    }
    sound.map(|()| callers)
}

/// One caller's table.
struct Table<'t, 'i> {
    reader: &'t mut Reader<'i>,
    warnings: &'t mut Vec<String>,
    at: &'t Spanned<DeValue<'i>>,
}

impl<'t, 'i> Table<'t, 'i> {
    fn caller(&mut self, api_key: &Kind<String>) -> Taken<Caller> {
        let known = self.only_known_keys();
        let name = self.text("name", &NAME);
        let api_key = self.text("api_key", api_key);
        let secret = self.secret("secret", "secret_file");
        let old_secret = self.secret("old_secret", "old_secret_file");
        let rooms = self.rooms();
        let may_issue_admin = self.flag("may_issue_admin", false);
        let enabled = self.flag("enabled", true);
        let limits = self.limits();
        let secret = secret
            .and_then(|secret| secret.ok_or_else(|| self.refuse(self.at, "secret", "is missing", ALLOWED)));
        known?;
        Ok(Caller {
            settings: CallerSettings {
                name: name?,
                api_key: api_key?,
                secrets: std::iter::once(secret?)
                    .chain(old_secret?)
                    .map(Secret::new)
                    .collect(),
                rooms: rooms?,
                may_issue_admin: may_issue_admin?,
                enabled: enabled?,
            },
            limits: limits?,
        })
    }

    fn refuse<T>(&mut self, at: &Spanned<T>, key: &str, found: impl Into<String>, allowed: &str) -> Told {
        let mut place = self.reader.place("callers");
        place.line = Some(self.reader.line_at(at));
        let key = if key.is_empty() {
            "callers".to_owned()
        } else {
            format!("callers.{key}")
        };
        self.reader.tell(Problem::at(place, key, found, allowed))
    }

    fn get(&self, key: &str) -> Option<&'t Spanned<DeValue<'i>>> {
        let DeValue::Table(keys) = self.at.get_ref() else {
            return None;
        };
        keys.get(key)
    }

    fn only_known_keys(&mut self) -> Taken<()> {
        let DeValue::Table(keys) = self.at.get_ref() else {
            return Err(self.refuse(self.at, "", "is no table", "write [[callers]]"));
        };
        self.only("", "[[callers]]", keys, &KEYS)
    }

    /// `within` is what stands before a key, `table` what has it.
    fn only(&mut self, within: &str, table: &str, keys: &DeTable<'_>, known: &[&str]) -> Taken<()> {
        let mut all_known = Ok(());
        for name in keys
            .keys()
            .filter(|name| !known.contains(&name.get_ref().as_ref()))
        {
            let key = format!("{within}{}", name.get_ref());
            let allowed = format!("{table} has {}", known.join(", "));
            all_known = Err(self.refuse(name, &key, "is no key of the gateway", &allowed));
        }
        all_known
    }

    fn limits(&mut self) -> Taken<CallerRates> {
        let Some(value) = self.get("limits") else {
            return Ok(CallerRates::default());
        };
        let DeValue::Table(rates) = value.get_ref() else {
            let found = format!("{} is no table", shown_value(value.get_ref()));
            return Err(self.refuse(
                value,
                "limits",
                found,
                "write limits.user = \"10/min\" and the like",
            ));
        };
        let known = self.only("limits.", "limits", rates, &RATES);
        let [user, room, caller] = RATES.map(|name| {
            let value = rates.get(name)?;
            Some(self.judged(value, &format!("limits.{name}"), &RATE))
        });
        known?;
        Ok(CallerRates {
            user: user.transpose()?,
            room: room.transpose()?,
            caller: caller.transpose()?,
        })
    }

    fn text<T>(&mut self, key: &str, kind: &Kind<T>) -> Taken<T> {
        match self.get(key) {
            Some(value) => self.judged(value, key, kind),
            None => Err(self.refuse(self.at, key, "is missing", &kind.allowed)),
        }
    }

    fn judged<T>(&mut self, value: &Spanned<DeValue<'_>>, key: &str, kind: &Kind<T>) -> Taken<T> {
        let Some(text) = text_of(value.get_ref(), false) else {
            let found = format!("{} is no string", shown_value(value.get_ref()));
            return Err(self.refuse(value, key, found, &kind.allowed));
        };
        (kind.parse)(&text).map_err(|refusal| {
            let allowed = refusal.allowed.unwrap_or(&kind.allowed);
            self.refuse(value, key, format!("{} {}", shown(&text), refusal.why), allowed)
        })
    }

    fn rooms(&mut self) -> Taken<Vec<String>> {
        let Some(value) = self.get("rooms") else {
            return Ok(vec!["*".to_owned()]);
        };
        let DeValue::Array(patterns) = value.get_ref() else {
            let found = format!("{} is no list", shown_value(value.get_ref()));
            return Err(self.refuse(value, "rooms", found, "write a list: [\"…\", \"…\"]"));
        };
        let judged: Vec<Taken<String>> = patterns
            .iter()
            .map(|pattern| self.judged(pattern, "rooms", &ROOMS))
            .collect();
        judged.into_iter().collect()
    }

    fn flag(&mut self, key: &str, default: bool) -> Taken<bool> {
        let Some(value) = self.get(key) else {
            return Ok(default);
        };
        if let DeValue::Boolean(flag) = value.get_ref() {
            return Ok(*flag);
        }
        let found = format!("{} is neither true nor false", shown_value(value.get_ref()));
        Err(self.refuse(value, key, found, "write true or false"))
    }

    /// SECURITY: no problem shows what was written.
    fn secret(&mut self, key: &str, file_key: &str) -> Taken<Option<String>> {
        let (value, key, allowed, in_file) = match (self.get(key), self.get(file_key)) {
            (None, None) => return Ok(None),
            (Some(_), Some(file)) => {
                return Err(self.refuse(
                    file,
                    file_key,
                    format!("is given beside {key}"),
                    "write one of the two",
                ));
            }
            (Some(value), None) => (value, key, ALLOWED, false),
            (None, Some(value)) => (value, file_key, FILE_ALLOWED, true),
        };
        let DeValue::String(text) = value.get_ref() else {
            let found = format!("is no string but {}", value.get_ref().type_str());
            return Err(self.refuse(value, key, found, allowed));
        };
        let mut place = self.reader.place("callers");
        place.line = Some(self.reader.line_at(value));
        let full_key = format!("callers.{key}");
        let secret = if in_file {
            let found = secrets::of_file(text)
                .map_err(|why| self.refuse(value, key, why.found, why.allowed.unwrap_or(allowed)))?;
            let exposed = found.exposed;
            self.warnings
                .extend(exposed.map(|what| secrets::warning(&place, &full_key, &what)));
            found.secret
        } else {
            text.clone().into_owned()
        };
        if secret.trim().is_empty() {
            return Err(self.refuse(value, key, KeyProblem::EmptySecret.to_string(), allowed));
        }
        self.warnings.extend(secrets::short(&place, &full_key, &secret));
        Ok(Some(secret))
    }
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
             gateway.toml:4: callers.secrets: is no key of the gateway; [[callers]] has name, api_key, secret, \
             secret_file, old_secret, old_secret_file, rooms, may_issue_admin, enabled, limits\n\
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
             gateway.toml:8: callers.limits.failures: is no key of the gateway; limits has user, room, caller"
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
