//! The configuration: one file and the environment become a `Config`, or a list of all problems.
//!
//! | file | holds |
//! | --- | --- |
//! | `shape` | what a sound configuration looks like |
//! | `sections` | every key with its default and its kind; `rules` between them |
//! | `tree`, `syntax` | the file and the environment as one tree; text that is no TOML |
//! | `reader`, `unknown` | reading tables of any depth; what is left |
//! | `rows`, `reference`, `schema` | every key as data; `docs/configuration.md`; `config/gateway.schema.json` |
//! | `in_effect` | every value with where it comes from, for `config show` |
//! | `kind`, `words`, `units`, `address`, `mount` | what a value may be |
//! | `acme`, `secrets`, `callers`, `relays`, `store`, `client_config`, `csp_sources`, `designs`, `files` | keys whose values are read in a way of their own |
//! | `plan` | from sections to the settings of every module, with what the modules find wrong |
//! | `restart` | what only a start reads; what tells one configuration from another |
//! | `problem` | file, line, key, found, allowed |
//!
//! Not here: reading the environment (`crate::cli`), starting what is planned (`crate::gateway`).
//! Relative paths begin at the working directory, as everywhere on a command line.

mod acme;
mod address;
mod callers;
mod client_config;
mod csp_sources;
mod designs;
mod files;
mod in_effect;
mod kind;
mod mount;
mod nearest;
mod plan;
mod problem;
mod reader;
mod reference;
mod relays;
mod restart;
mod rows;
mod rules;
mod schema;
mod secrets;
mod sections;
mod several;
mod shape;
mod store;
mod syntax;
mod tree;
mod units;
mod unknown;
mod words;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use self::reader::{Findings, NO_FILE, Table};
pub use self::{
    plan::{AcmePlan, Keys, NoPlan, NotListening, Plan, PortPlan, UpstreamsPlan},
    problem::{Place, Problem, Problems},
    reference::{reference, rows},
    restart::AtStart,
    rows::{Form, PREFIX, Row},
    schema::schema,
    shape::{
        Acme, Caller, CallerRates, Client, Config, Design, Headers, Issuer, Listen, Passthrough, PlugNmeet,
        PublicOrigin, Session, Sizes, Tcp, Timeouts, Tls, Trust, Turn, Upstreams,
    },
    words::{Exposed, MinVersion},
};

/// The largest configuration file that is read. A larger one is another file by mistake.
const MAX_FILE_BYTES: u64 = 1 << 20;

impl Config {
    /// Reads the file, or only defaults if there is none. `variables` are those of the environment that begin with
    /// `PNM_GATEWAY`.
    pub fn load(file: Option<&Path>, variables: &[(String, String)]) -> Result<Self, Problems> {
        Self::draft(file, variables)?.sound()
    }

    /// As `load`, for a plan: a value that is refused leaves its default, so that `Plan::of` can tell all that is
    /// wrong.
    pub fn draft(file: Option<&Path>, variables: &[(String, String)]) -> Result<Self, Problems> {
        let Some(file) = file else {
            return Self::draft_of("", NO_FILE, variables);
        };
        let name = file.display().to_string();
        let unreadable = |why: String| {
            let place = Place {
                file: name.clone(),
                line: None,
            };
            let found = format!("cannot be read: {why}");
            Problems(vec![Problem::at(place, "", found, "name a readable TOML file")])
        };
        let bytes = files::read(file, MAX_FILE_BYTES).map_err(|error| unreadable(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8".into()))?;
        Self::draft_of(&text, &name, variables)
    }

    /// Reads TOML text. `file` is the name by which problems call it. The files that the text names are read too.
    pub fn parse(text: &str, file: &str, variables: &[(String, String)]) -> Result<Self, Problems> {
        Self::draft_of(text, file, variables)?.sound()
    }

    fn draft_of(text: &str, file: &str, variables: &[(String, String)]) -> Result<Self, Problems> {
        let mut keys = tree::parse(text, file)?;
        let homeless = tree::put_variables(&mut keys, variables);
        let found = Findings::new(file);
        let config = Table::root(&found, keys).read(sections::config);
        if let Ok(config) = &config {
            rules::check(config, &found);
        }
        unknown::tell(&found, homeless);
        let refused = found.in_order();
        match config {
            Ok(config) => Ok(Self {
                refused,
                warnings: found.warnings.into_inner(),
                places: found.places.into_inner(),
                in_effect: found.in_effect.into_inner(),
                ..config
            }),
            Err(reader::Told) => Err(Problems(refused)),
        }
    }

    /// This configuration if no value was refused, else all problems.
    pub fn sound(self) -> Result<Self, Problems> {
        if self.refused.is_empty() {
            Ok(self)
        } else {
            Err(Problems(self.refused))
        }
    }

    /// The files and folders that the configuration names and the gateway reads, and the file that it is in.
    pub fn files(&self) -> Vec<PathBuf> {
        let own = self.places.values().find(|place| place.line.is_some());
        let own = own.map(|place| PathBuf::from(&place.file));
        own.into_iter().chain(in_effect::files(&self.in_effect)).collect()
    }

    /// What is in effect, as TOML with the origin of each value; secrets are `***`.
    pub fn in_effect(&self) -> String {
        in_effect::shown(&self.in_effect)
    }

    /// Is all that was written sound?
    pub fn is_sound(&self) -> bool {
        self.refused.is_empty()
    }

    /// Was one of these keys refused? Then nothing that depends on it needs to be checked.
    fn is_refused(&self, keys: &[&str]) -> bool {
        self.refused
            .iter()
            .any(|problem| keys.contains(&problem.key.as_str()))
    }

    /// Makes a problem that only a module could find, at the place of the key's value.
    pub fn problem(&self, key: &str, found: impl Into<String>, allowed: impl Into<String>) -> Problem {
        Problem::at(self.place(key), key, found, allowed)
    }

    /// Makes a warning of something that is allowed and unwise, at the place of the key's value.
    fn warning(&self, key: &str, what: &str) -> String {
        secrets::warning(&self.place(key), key, what)
    }

    fn place(&self, key: &str) -> Place {
        self.places.get(key).cloned().unwrap_or_else(|| Place {
            file: NO_FILE.to_owned(),
            line: None,
        })
    }

    /// The origin that clients see: `public_origin`, or without it `https://localhost` with the port on which the
    /// gateway listens.
    pub fn public_origin_at(&self, https_port: u16) -> PublicOrigin {
        self.public_origin.clone().unwrap_or_else(|| PublicOrigin {
            host: "localhost".to_owned(),
            port: (https_port != 443).then_some(https_port),
        })
    }
}
