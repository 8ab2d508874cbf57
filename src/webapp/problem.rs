//! Why the client's files can't be served: found at the start, or when others are to take their place.

use std::{io, path::PathBuf};

/// Why the client's files can't be served. The text of each follows the name of the configuration's key.
#[derive(Debug, thiserror::Error)]
pub enum WebAppProblem {
    /// The mount has characters that can't stand in an address and in the page's markup.
    #[error("{0:?} is no mount; write a path like \"/conference\", or \"\" for the root")]
    Mount(String),
    /// The public origin is not a bare origin. The client appends paths to it as text.
    #[error("{0:?} is no origin; write it like \"https://conf.example.org\"")]
    Origin(String),
    /// A second opinion on what the gateway knows; a wrong one loses all translations (docs/plugnmeet.md section 0.2).
    #[error("{0} can't be set here, it follows from the gateway's own configuration")]
    OwnKey(&'static str),
    /// The folder, or a file in it, can't be read.
    #[error("{0} can't be read: {1}")]
    Unreadable(PathBuf, io::Error),
    /// There is no `index.html`: this is most likely not the client's folder.
    #[error("{0} has no index.html")]
    NoIndex(PathBuf),
    /// The page names a file of the build that does not exist: the copy is most likely incomplete.
    #[error("{0} lacks {1}, which its page asks for")]
    Lacks(PathBuf, String),
    /// The page has no `<head>` tag, so there is no place for the `base` element.
    #[error("{0} has no <head> that a browser would see")]
    NoHead(PathBuf),
    /// The files are too large to be held in memory.
    #[error("{0} holds more than a client's files do")]
    TooLarge(PathBuf),
    /// The archive is broken, or was not made by the client's build.
    #[error("{0} is no sound archive: {1}")]
    Archive(PathBuf, String),
    /// The files were changed while the gateway read them.
    #[error("is being written at this moment")]
    Changing,
    /// Not even the newest release in a folder of releases can be served, for this reason.
    #[error("{0} has no index.html, and no release in it is sound: {1}")]
    NoRelease(PathBuf, Box<WebAppProblem>),
    /// No client is configured, so that there is nothing to prepare.
    #[error("is not set, so there is nothing to prepare")]
    NoClient,
    /// No cache is configured, so that there is no place for what is prepared.
    #[error("\"\" leaves nowhere to keep what would be prepared")]
    NoCache,
    /// A prepared form could not be written to the cache.
    #[error("{0} can't be written")]
    CacheFailed(PathBuf),
    /// The file that replaces `config.js` can't be read.
    #[error("{0} can't be read: {1}")]
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
