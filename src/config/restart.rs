//! A new configuration for a running gateway: which of its keys wait for a restart, and how it is told from the one
//! before.
//!
//! A key that only a start reads has a row in `Config::keep`. A reload takes up all others (`crate::gateway`).

use std::{net::SocketAddr, num::NonZeroUsize};

use aws_lc_rs::digest;

use super::{Acme, Config, MinVersion, Passthrough, Tcp, Turn};
use crate::{control::SocketSetting, observe::LogFormat};

/// The values that only a start reads.
#[derive(Clone, Debug, PartialEq)]
pub struct AtStart {
    https: Vec<SocketAddr>,
    http: Vec<SocketAddr>,
    plain: Vec<SocketAddr>,
    admin: Vec<SocketAddr>,
    threads: Option<NonZeroUsize>,
    format: LogFormat,
    control: SocketSetting,
    min_version: MinVersion,
    acme: Acme,
    turn: Option<Turn>,
    passthrough: Vec<Passthrough>,
    tcp: Vec<Tcp>,
}

impl Config {
    /// The values of this configuration that only a start reads.
    pub fn at_start(&self) -> AtStart {
        AtStart {
            https: self.listen.https.clone(),
            http: self.listen.http.clone(),
            plain: self.listen.plain.clone(),
            admin: self.listen.admin.clone(),
            threads: self.listen.threads,
            format: self.log.format,
            control: self.control.clone(),
            min_version: self.tls.min_version,
            acme: self.acme.clone(),
            turn: self.turn.clone(),
            passthrough: self.passthrough.clone(),
            tcp: self.tcp.clone(),
        }
    }

    /// Puts the values with which the gateway started in place of those that it can't change while it runs. Returns the
    /// keys whose new values wait for a restart.
    pub fn keep(&mut self, started: &AtStart) -> Vec<&'static str> {
        let mut waiting = Vec::new();
        let listen = &mut self.listen;
        kept("listen.https", &mut listen.https, &started.https, &mut waiting);
        kept("listen.http", &mut listen.http, &started.http, &mut waiting);
        kept("listen.plain", &mut listen.plain, &started.plain, &mut waiting);
        kept("listen.admin", &mut listen.admin, &started.admin, &mut waiting);
        kept(
            "listen.threads",
            &mut listen.threads,
            &started.threads,
            &mut waiting,
        );
        kept("log.format", &mut self.log.format, &started.format, &mut waiting);
        kept(
            "control.socket",
            &mut self.control,
            &started.control,
            &mut waiting,
        );
        let tls = &mut self.tls;
        kept(
            "tls.min_version",
            &mut tls.min_version,
            &started.min_version,
            &mut waiting,
        );
        // Names and where checks go follow a reload.
        let mut acme = started.acme.clone();
        acme.settings.names.clone_from(&self.acme.settings.names);
        acme.pass_to.clone_from(&self.acme.pass_to);
        kept("acme", &mut self.acme, &acme, &mut waiting);
        kept("turn", &mut self.turn, &started.turn, &mut waiting);
        kept(
            "passthrough",
            &mut self.passthrough,
            &started.passthrough,
            &mut waiting,
        );
        kept("tcp", &mut self.tcp, &started.tcp, &mut waiting);
        waiting
    }

    /// A hash of all values, 16 hexadecimal digits. It does not depend on where and how the values are written.
    ///
    /// SECURITY: of what is shown for debugging, as no secret is (`crate::secret`).
    pub fn hash(&self) -> String {
        let values = Self {
            warnings: Vec::new(),
            refused: Vec::new(),
            places: super::problem::Places::new(),
            in_effect: Vec::new(),
            ..self.clone()
        };
        let hash = digest::digest(&digest::SHA256, format!("{values:?}").as_bytes());
        let shown = hash.as_ref().first_chunk().copied().unwrap_or_default();
        format!("{:016x}", u64::from_be_bytes(shown))
    }
}

fn kept<T: Clone + PartialEq>(
    key: &'static str,
    value: &mut T,
    started: &T,
    waiting: &mut Vec<&'static str>,
) {
    if value != started {
        waiting.push(key);
        value.clone_from(started);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        Config::parse(text, "gateway.toml", &[]).unwrap()
    }

    #[test]
    fn what_waits_for_a_restart_is_named_and_the_rest_is_as_it_is_written() {
        let started = config("").at_start();
        let mut same = config("limits.user = '20/min'");
        assert!(same.keep(&started).is_empty());
        let mut other = config(
            "listen = { https = ['127.0.0.1:8443', '[::1]:8443'], http = '', admin = '127.0.0.1:2', threads = 3, admin_hosts = ['a.example'] }\n\
             log = { format = 'text', access = false }\ncontrol.socket = ''",
        );
        assert_eq!(
            other.keep(&started),
            [
                "listen.https",
                "listen.http",
                "listen.admin",
                "listen.threads",
                "log.format",
                "control.socket"
            ]
        );
        assert_eq!(other.at_start(), started);
        assert_eq!(other.listen.admin_hosts, ["a.example"]);
        assert!(!other.log.access);
    }

    #[test]
    fn a_hash_is_of_values_and_of_no_secret() {
        let hash = |text: &str| config(text).hash();
        assert_eq!(hash(""), hash("# nothing\n\n[limits]\nuser = '10/min'"));
        assert_eq!(hash("").len(), 16);
        for other in [
            "limits.user = '11/min'",
            "hosts = ['a.example']",
            "upstreams.nats = 'http://127.0.0.1:1'",
            "[[callers]]\nname = 'a'\napi_key = 'k'\nsecret = 's3cret'",
            "designs.blue.primary_color = '#00f'",
        ] {
            assert_ne!(hash(other), hash(""), "{other}");
        }
        let with = |secret: &str| {
            hash(&format!(
                "plugnmeet.secret = '{secret}'\nlimits.store = 'redis://:{secret}@127.0.0.1'\n\
                 [[callers]]\nname = 'a'\napi_key = 'k'\nsecret = '{secret}2'"
            ))
        };
        assert_eq!(
            with("zumyyYWqv7KR2kUqvYdq4z4sXg7XTBD2ljT6"),
            with("AnotherSecretOfMoreThan32BytesInAll")
        );
    }

    /// The hash is made of the text that is shown for debugging.
    #[test]
    fn no_secret_is_in_what_is_shown_for_debugging() {
        let config = config(
            "plugnmeet.secret = 'zumyyYWqv7KR1'\nlimits.store = 'redis://ann:zumyyYWqv7KR2@127.0.0.1'\n\
             [[callers]]\nname = 'a'\napi_key = 'k'\nsecret = 'zumyyYWqv7KR3'",
        );
        let shown = format!("{config:?}");
        assert!(
            !shown.contains("zumyyYWqv7KR") && shown.contains("***"),
            "{shown}"
        );
    }
}
