//! Why the client's files can't be served: found at the start, or when others are to take their place.

use std::{error::Error, fmt, io, path::PathBuf};

/// Why the client's files can't be served. The text of each follows the name of the configuration's key.
#[derive(Debug)]
pub enum WebAppProblem {
    /// The mount has characters that can't stand in an address and in the page's markup.
    Mount(String),
    /// The public origin is not a bare origin. The client appends paths to it as text.
    Origin(String),
    /// A second opinion on what the gateway knows; a wrong one loses all translations (docs/plugnmeet.md section 0.2).
    OwnKey(&'static str),
    /// The folder, or a file in it, can't be read.
    Unreadable(PathBuf, io::Error),
    /// There is no `index.html`: this is most likely not the client's folder.
    NoIndex(PathBuf),
    /// The page names a file of the build that does not exist: the copy is most likely incomplete.
    Lacks(PathBuf, String),
    /// The page has no `<head>` tag, so there is no place for the `base` element.
    NoHead(PathBuf),
    /// The files are too large to be held in memory.
    TooLarge(PathBuf),
    /// The archive is broken, or was not made by the client's build.
    Archive(PathBuf, String),
    /// The files were changed while the gateway read them.
    Changing,
    /// Not even the newest release in a folder of releases can be served, for this reason.
    NoRelease(PathBuf, Box<WebAppProblem>),
    /// No client is configured, so that there is nothing to prepare.
    NoClient,
    /// No cache is configured, so that there is no place for what is prepared.
    NoCache,
    /// A prepared form could not be written to the cache.
    CacheFailed(PathBuf),
    /// The file that replaces `config.js` can't be read.
    ConfigFile(PathBuf, io::Error),
}

impl WebAppProblem {
    /// The configuration's key that the problem is about.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Mount(_) => "client.mount",
            Self::Origin(_) => "public_origin",
            Self::OwnKey(_) => "client.config",
            Self::Unreadable(..)
            | Self::NoIndex(_)
            | Self::Lacks(..)
            | Self::NoHead(_)
            | Self::TooLarge(_)
            | Self::Archive(..)
            | Self::Changing
            | Self::NoRelease(..)
            | Self::NoClient => "client.path",
            Self::NoCache | Self::CacheFailed(_) => "client.cache",
            Self::ConfigFile(..) => "client.config_file",
        }
    }
}

impl WebAppProblem {
    /// What the operator should change, as text for the message.
    pub fn allowed(&self) -> &'static str {
        match self {
            Self::NoCache | Self::CacheFailed(_) => "name a folder that can be written",
            Self::NoClient => "name the client's folder",
            Self::Mount(_)
            | Self::Origin(_)
            | Self::OwnKey(_)
            | Self::Unreadable(..)
            | Self::NoIndex(_)
            | Self::Lacks(..)
            | Self::NoHead(_)
            | Self::TooLarge(_)
            | Self::Archive(..)
            | Self::Changing
            | Self::NoRelease(..)
            | Self::ConfigFile(..) => "name the client's folder, or leave it out",
        }
    }
}

impl fmt::Display for WebAppProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mount(found) => write!(
                f,
                "{found:?} is no mount; write a path like \"/conference\", or \"\" for the root"
            ),
            Self::Origin(found) => {
                write!(
                    f,
                    "{found:?} is no origin; write it like \"https://conf.example.org\""
                )
            }
            Self::OwnKey(key) => write!(
                f,
                "{key} can't be set here, it follows from the gateway's own configuration"
            ),
            Self::Unreadable(path, error) | Self::ConfigFile(path, error) => {
                write!(f, "{} can't be read: {error}", path.display())
            }
            Self::NoIndex(path) => write!(f, "{} has no index.html", path.display()),
            Self::Lacks(path, name) => write!(f, "{} lacks {name}, which its page asks for", path.display()),
            Self::NoHead(path) => write!(f, "{} has no <head> that a browser would see", path.display()),
            Self::Archive(path, reason) => write!(f, "{} is no sound archive: {reason}", path.display()),
            Self::Changing => f.write_str("is being written at this moment"),
            Self::NoRelease(path, newest) => {
                write!(
                    f,
                    "{} has no index.html, and no release in it is sound: {newest}",
                    path.display()
                )
            }
            Self::NoClient => f.write_str("is not set, so there is nothing to prepare"),
            Self::NoCache => f.write_str("\"\" leaves nowhere to keep what would be prepared"),
            Self::CacheFailed(path) => write!(f, "{} can't be written", path.display()),
            Self::TooLarge(path) => write!(f, "{} holds more than a client's files do", path.display()),
        }
    }
}

impl Error for WebAppProblem {}
