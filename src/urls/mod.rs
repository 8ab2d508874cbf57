//! The URL space: every path that the gateway knows is a row of data. A module that has to know something about a path
//! asks the path's row.
//!
//! | module | what it takes from a row |
//! | --- | --- |
//! | `crate::route` | the action, who may send requests, the form of errors, what is looked for in the answer |
//! | `crate::observe` | the name in records and metrics; the segments that logs hide |
//! | `crate::config` | the paths at which no client can be mounted |
//!
//! A new path is a new row in `rows`. A row is found before the path is checked, because a request that is refused for
//! its path is answered in the row's form and logged too.
//!
//! Not here: what is done at a path (`crate::route`).
//!
//! Source: docs/plugnmeet.md section 8.

mod auth;
mod endpoint;
#[cfg(test)]
mod examples;
mod pattern;
mod row;
mod rows;
mod secrets;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use self::examples::{SECRET, configurations, examples};
pub use self::{
    endpoint::{Endpoint, Listed, Thing},
    pattern::{Compared, Segment, is_tag},
    row::{
        Action, BbbCall, Branch, Content, Exposed, First, Form, Guard, Issues, Leads, Row, Step, Takes, To,
        Watch, When,
    },
    secrets::{secret_words, words_beside_secrets},
};
use self::{
    pattern::{begins_otherwise, below, is, matched, split, starts},
    rows::{BELOW_MOUNT, BRANCHES, MISPLACED, MISPLACED_BBB, MISSPELT, NOWHERE, ROOT},
};

/// The upstreams that the gateway serves whole, by `upstreams.expose`: also what lies behind their prefix and no
/// meeting needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Whole {
    /// NATS, below `/ws/`.
    pub nats: bool,
    /// LiveKit, below `/livekit`.
    pub livekit: bool,
    /// Etherpad, `admin` included.
    pub etherpad: bool,
}

/// The URL space for one configuration.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a row, or some, that is there or not"
)]
#[derive(Clone, Debug)]
pub struct Table {
    /// `/conference`, or nothing for the root.
    pub mount: String,
    /// Do sessions have paths of their own?
    pub session_paths: bool,
    pub check_page: bool,
    /// Is `/login…` served?
    pub login: bool,
    /// Is the server's `/metrics` served?
    pub metrics: bool,
    /// The upstreams that are served whole, not only with what meetings need.
    pub whole: Whole,
}

/// The row that matches a path, and the parts of that path which the row does not fix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    pub row: &'static Row,
    /// The segment that the pattern does not fix: a session's tag, a download's token, or an API key. Empty if there is
    /// none.
    pub variable: &'a str,
    /// The path behind the first segment, or behind the mount: empty, or beginning with a slash. The whole path if it
    /// is below neither.
    pub rest: &'a str,
}

impl Table {
    /// Finds the row of a path. The path need not be canonical.
    pub fn find<'a>(&self, path: &'a str) -> Found<'a> {
        in_branches(path, |branch, row| {
            self.has(row.when)
                // The mount's own segment is nobody's API key.
                && (!branch.has_key() || self.mount.is_empty() || below(path, &self.mount).is_none())
        })
        .map_or_else(|| self.of_client(path), |(_, found)| found)
    }

    fn of_client<'a>(&self, path: &'a str) -> Found<'a> {
        let found = |row, rest| Found {
            row,
            variable: "",
            rest,
        };
        if path == "/" && !self.mount.is_empty() {
            return found(&ROOT, path);
        }
        let Some(rest) = below(path, &self.mount) else {
            let is_misspelt = starts(path, &self.mount)
                && matches!(path.as_bytes().get(self.mount.len()), None | Some(b'/'));
            return found(if is_misspelt { &MISSPELT } else { &NOWHERE }, path);
        };
        if !self.mount.is_empty()
            && let Some((branch, _)) = in_branches(rest, |branch, _| branch.is_api)
        {
            return found(
                if branch.has_key() {
                    &MISPLACED_BBB
                } else {
                    &MISPLACED
                },
                rest,
            );
        }
        let segments = rest.strip_prefix('/').map(split);
        let of_mount = BELOW_MOUNT.iter().find_map(|row| {
            if begins_otherwise(row.pattern, segments) {
                return None;
            }
            let variable =
                matched(row.pattern, Compared::Exactly, segments).filter(|_| self.has(row.when))?;
            Some(Found { row, variable, rest })
        });
        of_mount.unwrap_or_else(|| found(&NOWHERE, path))
    }

    fn has(&self, when: When) -> bool {
        match when {
            When::Always => true,
            When::SessionPaths => self.session_paths,
            When::OnePath => !self.session_paths,
            When::CheckPage => self.check_page,
            When::Exposed(Exposed::Login) => self.login,
            When::Exposed(Exposed::Metrics) => self.metrics,
            When::Exposed(Exposed::Nats) => self.whole.nats,
            When::Exposed(Exposed::Livekit) => self.whole.livekit,
            When::Exposed(Exposed::EtherpadAdmin) => self.whole.etherpad,
        }
    }
}

impl<'a> Found<'a> {
    /// The path without the upstream's prefix, as the upstream sees it; `/` if nothing is left.
    pub fn without_prefix(&self) -> &'a str {
        if self.rest.is_empty() { "/" } else { self.rest }
    }

    /// The session's tag, if the path belongs to one session.
    pub fn tag(&self) -> Option<&'a str> {
        (!self.variable.is_empty()).then_some(self.variable)
    }

    /// The path of a client's file below the client's folder.
    pub fn file(&self) -> &'a str {
        self.rest.trim_start_matches('/')
    }
}

/// May this path contain an encoded slash?
pub fn takes_encoded_slash(path: &str) -> bool {
    in_branches(path, |_, row| row.encoded_slash).is_some()
}

/// Is a path that begins with these segments taken by a row, so that no client can be mounted there?
pub fn is_taken(first: &str, second: Option<&str>) -> bool {
    BRANCHES.iter().any(|branch| match branch.first {
        First::Word(word) => first.eq_ignore_ascii_case(word),
        First::Begins(word) => starts(first, word),
        First::KeyOf(word) => second.is_some_and(|second| second.eq_ignore_ascii_case(word)),
    })
}

/// The first row that matches the path and that `counts` accepts.
fn in_branches(path: &str, counts: impl Fn(&Branch, &Row) -> bool) -> Option<(&'static Branch, Found<'_>)> {
    let exactly = path.strip_prefix('/')?;
    // Slashes that are too many are refused elsewhere, but not before anybody asks what was meant.
    let signed = if exactly.starts_with('/') {
        exactly.trim_start_matches('/')
    } else {
        exactly
    };
    let (first, rest) = split(signed);
    for branch in BRANCHES {
        let is_first = match branch.first {
            First::Word(word) => is(first, word, branch.compared),
            First::Begins(word) => starts(first, word),
            First::KeyOf(word) => !first.is_empty() && begins_with(rest, word, branch.compared),
        };
        if !is_first {
            continue;
        }
        // Only the branch of the path looks at the rest of it: it is found by the first segment alone.
        let segments = match branch.compared {
            _ if branch.has_key() => rest.map(split).and_then(|(_, others)| others).map(split),
            Compared::Exactly if signed.len() < exactly.len() => continue,
            Compared::Exactly | Compared::AsSigned => rest.map(split),
            Compared::AsServer => rest.and_then(without_slashes_at_the_end).map(split),
        };
        for row in branch.rows {
            if !begins_otherwise(row.pattern, segments)
                && let Some(variable) = matched(row.pattern, branch.compared, segments)
                && counts(branch, row)
            {
                let found = Found {
                    row,
                    variable: if branch.has_key() { first } else { variable },
                    // A file's path is below the client's folder as it is below the root.
                    rest: if row.action == Action::File {
                        path
                    } else {
                        signed.get(first.len()..).unwrap_or_default()
                    },
                };
                return Some((branch, found));
            }
        }
    }
    None
}

/// Is this the next segment?
fn begins_with(rest: Option<&str>, word: &str, compared: Compared) -> bool {
    rest.is_some_and(|rest| is(split(rest).0, word, compared))
}

fn without_slashes_at_the_end(text: &str) -> Option<&str> {
    let text = if text.ends_with('/') {
        text.trim_end_matches('/')
    } else {
        text
    };
    (!text.is_empty()).then_some(text)
}
