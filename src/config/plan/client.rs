//! The client's files: where they are, and whether they can be served.

use super::{
    super::{Config, Exposed, Problem},
    Found,
};
use crate::files::{ClientFiles, FilesProblem, FilesSettings, Prepared};

pub(super) fn plan(found: &mut Found<'_>) -> Option<ClientFiles> {
    let files = settings(found.config, found.origin.to_string()).and_then(ClientFiles::load);
    let config = found.config;
    found.sound(files.map_err(|problem| told(config, &problem)))
}

fn settings(config: &Config, origin: String) -> Result<FilesSettings, FilesProblem> {
    let client = &config.client;
    let mut settings = FilesSettings::new(origin, client.mount.clone(), client.config.clone())?;
    settings.path.clone_from(&client.path);
    settings.cache.clone_from(&client.cache);
    settings.keep_releases = client.keep_releases;
    settings.watch = client.watch;
    settings.config_file.clone_from(&client.config_file);
    settings.expose_login = config.upstreams.expose.contains(&Exposed::Login);
    Ok(settings)
}

fn told(config: &Config, problem: &FilesProblem) -> Problem {
    config.problem(problem.key(), problem.to_string(), problem.allowed())
}

impl Config {
    /// Compresses the client's files into their cache. Blocks until all is done.
    pub fn prepare_client(&self) -> Result<Prepared, Problem> {
        let origin = self.public_origin_at(self.listen.https.port());
        settings(self, origin.to_string())
            .and_then(ClientFiles::prepare)
            .map_err(|problem| told(self, &problem))
    }
}
