//! Everything that is asked of a machine's files.

use std::{cell::RefCell, collections::BTreeSet, path::PathBuf};

use super::certbot::Renewal;
use crate::official::{HaProxy, NatsConf, Yaml};

/// Everything that is asked of the files, found.
pub(super) struct Sources<'t> {
    pub(super) config: Yaml<'t>,
    pub(super) livekit: Option<Yaml<'t>>,
    pub(super) ingress: Option<Yaml<'t>>,
    pub(super) sip: Option<Yaml<'t>>,
    pub(super) nats: Option<NatsConf>,
    pub(super) compose: Option<Yaml<'t>>,
    pub(super) renewals: Vec<Renewal>,
    pub(super) hooks: Vec<PathBuf>,
    pub(super) haproxy: HaProxy,
    pub(super) haproxy_name: String,
    pub(super) host: String,
    /// The lines of HAProxy's file that were taken over.
    pub(super) used: RefCell<BTreeSet<usize>>,
}

impl Sources<'_> {
    /// The origin of a value that is taken over from HAProxy's file.
    pub(super) fn taken(&self, line: usize) -> String {
        self.used.borrow_mut().insert(line);
        format!("{}:{line}", self.haproxy_name)
    }
}
