//! Everything that is asked of a machine's files.

use super::{haproxy::HaProxy, yaml::Yaml};

/// Everything that is asked of the files, found.
pub(super) struct Sources<'t> {
    pub(super) config: Yaml<'t>,
    pub(super) livekit: Option<Yaml<'t>>,
    pub(super) ingress: Option<Yaml<'t>>,
    pub(super) haproxy: HaProxy,
    pub(super) haproxy_name: String,
    pub(super) host: String,
}
