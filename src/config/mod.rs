//! The configuration: one file and the environment -> `Config`, or every problem there is at once.
//!
//! | file | holds |
//! | --- | --- |
//! | `shape` | what a sound configuration looks like |
//! | `sections` | every key with its default and its kind; `rules` between them |
//! | `source`, `reader`, `unknown` | the file as TOML; taking keys out of it and the environment; what is left |
//! | `kind`, `words`, `units`, `address`, `mount` | what a value may be |
//! | `secrets`, `callers`, `store`, `client_config`, `csp_sources`, `designs`, `files` | values with a story of their own |
//! | `plan` | from sections to the settings of every module, with what the modules find wrong |
//! | `problem` | file, line, key, found, allowed |
//!
//! Not here: reading the environment (`crate::cli`), starting what is planned (`crate::gateway`).
//! Paths are those of the working directory, as everywhere on a command line.

mod address;
mod callers;
mod client_config;
mod csp_sources;
mod designs;
mod files;
mod kind;
mod mount;
mod nearest;
mod plan;
mod problem;
mod reader;
mod rules;
mod secrets;
mod sections;
mod shape;
mod source;
mod store;
mod units;
mod unknown;
mod words;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use self::{
    plan::{Keys, NoPlan, NotListening, Plan, UpstreamsPlan},
    problem::{Place, Problem, Problems},
    reader::PREFIX,
    shape::{
        Caller, CallerRates, Client, Config, Design, Headers, Issuer, Listen, PlugNmeet, PublicOrigin,
        Session, Sizes, Timeouts, Tls, Trust, Upstreams,
    },
    words::Exposed,
};
use self::{
    reader::{NO_FILE, Reader},
    rules::Facts,
};

/// A megabyte of configuration is another file by mistake.
const MAX_FILE_BYTES: u64 = 1 << 20;

impl Config {
    /// From a file, or from the defaults alone; `variables` are those of the environment that begin with
    /// `PNM_GATEWAY__`.
    pub fn load(file: Option<&Path>, variables: &[(String, String)]) -> Result<Self, Problems> {
        let Some(file) = file else {
            return Self::parse("", NO_FILE, variables);
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
        Self::parse(&text, &name, variables)
    }

    /// From TOML; `file` is what problems call it. Files that it names are read.
    pub fn parse(text: &str, file: &str, variables: &[(String, String)]) -> Result<Self, Problems> {
        let mut reader = Reader::new(text, file, variables)?;
        let mut facts = Facts::default();
        let config = sections::config(&mut reader, &mut facts);
        rules::check(&mut reader, &facts);
        let (mut config, places) = reader.finish(config)?;
        config.places = places;
        Ok(config)
    }

    /// A problem that only a room could find, at the place of the key's value.
    pub fn problem(&self, key: &str, found: impl Into<String>, allowed: impl Into<String>) -> Problem {
        Problem::at(self.place(key), key, found, allowed)
    }

    /// Likewise what is allowed and still unwise.
    fn warning(&self, key: &str, what: &str) -> String {
        secrets::warning(&self.place(key), key, what)
    }

    fn place(&self, key: &str) -> Place {
        self.places.get(key).cloned().unwrap_or_else(|| Place {
            file: NO_FILE.to_owned(),
            line: None,
        })
    }

    /// Where clients see us: as configured, or `https://localhost` with the port on which we listen.
    pub fn public_origin_at(&self, https_port: u16) -> PublicOrigin {
        self.public_origin.clone().unwrap_or_else(|| PublicOrigin {
            host: "localhost".to_owned(),
            port: (https_port != 443).then_some(https_port),
        })
    }
}
