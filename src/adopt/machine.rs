//! The files of a machine that the official installer has set up, as text.

use std::{fs, io, path::Path};

use super::{AdoptProblem, Wish};

/// More than any of these files has.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// What lies there. A file that is missing is none; one that is there has to be readable.
#[derive(Debug, Default)]
pub(super) struct Machine {
    pub(super) config: String,
    pub(super) config_name: String,
    pub(super) livekit: Option<String>,
    pub(super) ingress: Option<String>,
    pub(super) sip: Option<String>,
    pub(super) nats: Option<String>,
    pub(super) compose: Option<String>,
    pub(super) haproxy: Option<String>,
}

impl Machine {
    pub(super) fn read(wish: &Wish) -> Result<Self, AdoptProblem> {
        let config_name = wish.from.join("config.yaml").display().to_string();
        let config = text(&wish.from.join("config.yaml"))?.ok_or_else(|| {
            AdoptProblem::Unreadable(
                config_name.clone(),
                "is not there; name the installation by --from".into(),
            )
        })?;
        Ok(Self {
            config,
            config_name,
            livekit: text(&wish.from.join("livekit.yaml"))?,
            ingress: text(&wish.from.join("ingress.yaml"))?,
            sip: text(&wish.from.join("sip.yaml"))?,
            nats: text(&wish.from.join("nats-server.conf"))?,
            compose: text(&wish.from.join("docker-compose.yaml"))?,
            haproxy: text(&wish.haproxy.join("haproxy.cfg"))?,
        })
    }
}

/// A file's text; none if it is not there.
pub(super) fn text(file: &Path) -> Result<Option<String>, AdoptProblem> {
    let told = |why: String| AdoptProblem::Unreadable(file.display().to_string(), why);
    let about = match fs::metadata(file) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(told(format!("cannot be read: {error}"))),
    };
    if !about.is_file() || about.len() > MAX_FILE_BYTES {
        return Err(told("is no file of ordinary size".into()));
    }
    fs::read_to_string(file)
        .map(Some)
        .map_err(|error| told(format!("cannot be read: {error}")))
}
