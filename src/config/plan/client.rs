//! The client's files: where they are, and whether they can be served.

use std::{fs, os::unix::fs::MetadataExt, path::Path, sync::Arc};

use super::{
    super::{Config, Exposed, Problem},
    Found,
};
use crate::{
    secret,
    webapp::{Prepared, WebApp, WebAppProblem, WebAppSettings, lost_translations},
};

const CONFIG_FILE: &str = "client.config_file";
const CACHE: &str = "client.cache";

/// The bits of a file's mode by which group and others may write.
const MAY_WRITE: u32 = 0o022;

/// Reads the client's files, unless `served`, which a running gateway has, was made with the same settings.
pub(super) fn plan(found: &mut Found<'_>, served: Option<&Arc<WebApp>>) -> Option<Arc<WebApp>> {
    if found
        .config
        .is_refused(&["public_origin", "client.path", "client.mount", CONFIG_FILE, CACHE])
    {
        return None;
    }
    if found.config.client.path.is_some()
        && let Some(cache) = &found.config.client.cache
        && let Some(what) = unwise_of_cache(cache)
    {
        found.warn(CACHE, &format!("{} {what}", cache.display()));
    }
    if let Some(file) = &found.config.client.config_file
        && let Ok(script) = fs::read_to_string(file)
        && let Some(what) = lost_translations(&script, &found.config.client.mount)
    {
        found.warn(CONFIG_FILE, &format!("{} {what}", file.display()));
    }
    let files = settings(found.config, found.origin.to_string()).and_then(|settings| match served {
        Some(served) if served.is_as(&settings) => Ok(Arc::clone(served)),
        Some(served) => served.load_after(settings).map(Arc::new),
        None => WebApp::load(settings).map(Arc::new),
    });
    let config = found.config;
    found.sound(files.map_err(|problem| told(config, &problem)))
}

/// SECURITY: what lies in the cache is served, so whoever can write there can change the client.
fn unwise_of_cache(cache: &Path) -> Option<String> {
    const ANEW: &str = "so every start compresses the client anew";
    let about = match fs::metadata(cache) {
        Ok(about) if !about.is_dir() => return Some(format!("is no folder, {ANEW}")),
        Ok(about) => Some(about),
        Err(_) => None,
    };
    if let Some(about) = &about {
        let mode = about.mode() & 0o777;
        if mode & MAY_WRITE != 0 {
            return Some(format!(
                "may be written by others (mode {mode:03o}), and what lies there is served: chmod 755 it"
            ));
        }
        let owner = about.uid();
        if !secret::is_ours(owner) {
            return Some(format!(
                "belongs to another user (uid {owner}), and what lies there is served: chown it to the gateway's user"
            ));
        }
    }
    // A cache that was filled before the start, and is mounted read-only, is as it should be.
    let filled = fs::read_dir(cache).is_ok_and(|mut files| files.next().is_some());
    let error = secret::can_make_in(cache).err().filter(|_| !filled)?;
    Some(format!("can't be written, {ANEW}: {error}"))
}

fn settings(config: &Config, origin: String) -> Result<WebAppSettings, WebAppProblem> {
    let client = &config.client;
    let mut settings = WebAppSettings::new(origin, client.mount.clone(), client.config.clone())?;
    settings.path.clone_from(&client.path);
    settings.cache.clone_from(&client.cache);
    settings.keep_releases = client.keep_releases;
    settings.watch = client.watch;
    settings.config_file.clone_from(&client.config_file);
    settings.tells_of_waiting = config.upstreams.tells_of_waiting();
    settings.expose_login = config.upstreams.expose.contains(&Exposed::Login);
    Ok(settings)
}

fn told(config: &Config, problem: &WebAppProblem) -> Problem {
    config.problem(problem.key(), problem.to_string(), problem.allowed())
}

impl Config {
    /// Compresses the client's files into their cache. Blocks until all is done.
    pub fn prepare_client(&self) -> Result<Prepared, Problem> {
        let origin = self.public_origin_at(self.listen.https_port());
        settings(self, origin.to_string())
            .and_then(WebApp::prepare)
            .map_err(|problem| told(self, &problem))
    }
}
