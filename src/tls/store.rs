//! All certificates of the folder: checked against the calendar and against the names we answer to.
//!
//! A pair that can't be used (another's key, unreadable) stops the start, and all such pairs are named at once. One that is
//! past its days does not: the clients of its names refuse it, and a gateway that does not start would keep all others
//! out too.
//!
//! A set is never changed; a newer one takes its place (`super::watch`).
//!
//! Not here: reading the folder (`super::folder`), which certificate a client gets (`super::sni`), making one
//! (`super::development`).

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{server::ClientHello, sign::CertifiedKey};

use super::{
    age::{Stage, stage},
    folder::Folder,
    pair::Pair,
    problem::{Fault, TlsProblem, TlsWarning},
    sni::ByName,
};

/// The hosts for which there should be a certificate: names in lower case, or addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoveredNames {
    /// The host of `public_origin`.
    pub public: String,
    /// Others that the gateway answers to.
    pub hosts: Vec<String>,
}

impl CoveredNames {
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.public)
            .chain(&self.hosts)
            .map(String::as_str)
    }
}

/// All certificates of the folder, checked.
pub struct CertStore {
    by_name: ByName,
    pairs: Vec<Pair>,
    warnings: Vec<TlsWarning>,
    /// Is what clients of the public host get of our own making?
    self_made: bool,
}

/// A certificate that is served, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFile {
    pub file: PathBuf,
    /// The names and addresses that it covers.
    pub names: Vec<String>,
    /// Its last day, as in `2027-01-31`.
    pub last_day: String,
}

impl fmt::Display for CertificateFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, names) = (self.file.display(), self.names.join(", "));
        write!(f, "{file} for {names}, until {}", self.last_day)
    }
}

impl CertStore {
    /// Reads the folder; `now` is in seconds since 1970.
    /// `acme` is the folder of those that were ordered by the gateway.
    pub fn load(
        dir: &Path,
        acme: Option<&Path>,
        names: &CoveredNames,
        now: i64,
    ) -> Result<Self, Vec<TlsProblem>> {
        Ok(Self::of(pairs(dir, acme)?, names, now))
    }

    /// The set that takes this one's place, and what of the folder is left aside: a file that is worse than what it replaces
    /// (past its days, or older) keeps the old one.
    pub(super) fn next(
        &self,
        dir: &Path,
        acme: Option<&Path>,
        names: &CoveredNames,
        now: i64,
    ) -> Result<(Self, Vec<TlsProblem>), Vec<TlsProblem>> {
        Ok(self.followed_by(pairs(dir, acme)?, Vec::new(), names, now))
    }

    /// As `next`, for a gateway that runs: each folder fails for itself, and what is served of one that has failed stays.
    pub(super) fn next_of_each(
        &self,
        dir: &Path,
        acme: Option<&Path>,
        names: &CoveredNames,
        now: i64,
    ) -> Result<(Self, Vec<TlsProblem>), Vec<TlsProblem>> {
        let Folder { mut pairs, problems } = Folder::read(dir);
        let is_ordered = |pair: &&Pair| acme.is_some_and(|acme| pair.file.starts_with(acme));
        let mut aside = problems;
        if !aside.is_empty() {
            pairs = self
                .pairs
                .iter()
                .filter(|pair| !is_ordered(pair))
                .cloned()
                .collect();
        }
        if let Some(acme) = acme {
            let ordered = Folder::read(acme);
            let is_gone =
                |pair: &&Pair| ordered.pairs.iter().all(|new| new.file != pair.file) && pair.file.exists();
            pairs.extend(self.pairs.iter().filter(is_ordered).filter(is_gone).cloned());
            if acme.exists() {
                aside.extend(ordered.problems);
            }
            pairs.extend(ordered.pairs);
            if !dir.exists() {
                aside.retain(|problem| !problem.file.starts_with(dir));
            }
        }
        if pairs.is_empty() {
            aside.push(TlsProblem::new(dir, Fault::Empty));
            return Err(aside);
        }
        pairs.sort_by(|one, other| one.file.cmp(&other.file));
        Ok(self.followed_by(pairs, aside, names, now))
    }

    fn followed_by(
        &self,
        next: Vec<Pair>,
        mut aside: Vec<TlsProblem>,
        names: &CoveredNames,
        now: i64,
    ) -> (Self, Vec<TlsProblem>) {
        let next = next
            .into_iter()
            .map(|new| {
                let Some(old) = self.pairs.iter().find(|old| old.file == new.file) else {
                    return new;
                };
                let fault = match new.leaf.fault(now) {
                    Some(fault) if old.leaf.is_valid_at(now) => fault,
                    _ if new.leaf.begins() < old.leaf.begins() => Fault::Older(old.leaf.last_day()),
                    _ => return new,
                };
                aside.push(TlsProblem::new(&new.file, fault));
                old.clone()
            })
            .collect();
        (Self::of(next, names, now), aside)
    }

    /// Makes it of pairs in the order of their file names.
    fn of(mut pairs: Vec<Pair>, names: &CoveredNames, now: i64) -> Self {
        let mut warnings = Vec::new();
        let is_alone = pairs.len() == 1;
        pairs.retain(|pair| {
            // Whoever has certificates by now should not be bothered by the one from the first day.
            let is_left_over = !is_alone && pair.leaf.self_made && !pair.leaf.is_valid_at(now);
            if is_left_over {
                warnings.push(TlsWarning::LeftOver {
                    file: pair.file.clone(),
                });
            }
            !is_left_over
        });
        let (valid, invalid): (Vec<Pair>, Vec<Pair>) =
            pairs.into_iter().partition(|pair| pair.leaf.is_valid_at(now));
        let is_covered = |host: &str| valid.iter().any(|pair| pair.leaf.covers(host));
        let mut pairs = valid.clone();
        for pair in invalid {
            let shown_to: Vec<String> = names
                .iter()
                .filter(|host| pair.leaf.covers(host) && !is_covered(host))
                .map(str::to_owned)
                .collect();
            if let Some(fault) = pair.leaf.fault(now) {
                warnings.push(TlsWarning::NotValid {
                    file: pair.file.clone(),
                    fault: fault.to_string(),
                    shown_to,
                });
            }
            // An exact name would come before a wildcard that is valid.
            if valid.is_empty() || !pair.leaf.dns.iter().all(|name| is_covered(name)) {
                pairs.push(pair);
            }
        }
        pairs.sort_by(|one, other| one.file.cmp(&other.file));
        let is_old = |pair: &&Pair| {
            !matches!(
                stage(pair.leaf.begins(), pair.leaf.ends(), now),
                Stage::Young | Stage::Over(_)
            )
        };
        warnings.extend(pairs.iter().filter(is_old).map(|pair| TlsWarning::ExpiresSoon {
            file: pair.file.clone(),
            day: pair.leaf.last_day(),
        }));
        let exposed = pairs.iter().filter_map(|pair| pair.exposed.clone());
        warnings.extend(exposed.map(|(file, how)| TlsWarning::Exposed { file, how }));

        let mut preferred: Vec<&Pair> = pairs.iter().collect();
        preferred.sort_by_key(|pair| pair.preference(now));
        let covers_public = |pair: &&Pair| pair.leaf.covers(&names.public);
        let mut fallback: Vec<&Pair> = preferred.iter().copied().filter(covers_public).collect();
        if fallback.is_empty() {
            let first = pairs
                .iter()
                .min_by_key(|pair| (pair.leaf.self_made, !pair.leaf.is_valid_at(now), &pair.file));
            fallback.extend(first);
        }
        if let Some(served) = fallback.first() {
            let uncovered = names
                .iter()
                .filter(|host| !pairs.iter().any(|pair| pair.leaf.covers(host)));
            warnings.extend(uncovered.map(|host| TlsWarning::NotCovered {
                host: host.to_owned(),
                served: served.file.clone(),
            }));
        }
        Self {
            self_made: fallback.first().is_some_and(|served| served.leaf.self_made),
            by_name: ByName::new(&preferred, &fallback),
            pairs,
            warnings,
        }
    }

    /// What is served, by file name.
    pub fn files(&self) -> Vec<CertificateFile> {
        self.pairs.iter().map(CertificateFile::of).collect()
    }

    /// What is served, and how old it is.
    pub(super) fn stages(&self, now: i64) -> impl Iterator<Item = (&Pair, Stage)> {
        let stage = move |pair: &Pair| stage(pair.leaf.begins(), pair.leaf.ends(), now);
        self.pairs.iter().map(move |pair| (pair, stage(pair)))
    }

    /// The last second, since 1970, of what the clients of each name get.
    pub(super) fn ends(&self, now: i64) -> BTreeMap<String, i64> {
        let mut worst_first: Vec<&Pair> = self.pairs.iter().collect();
        worst_first.sort_by_key(|pair| std::cmp::Reverse(pair.preference(now)));
        let mut ends = BTreeMap::new();
        for pair in worst_first {
            let names = CertificateFile::of(pair).names;
            ends.extend(names.into_iter().map(|name| (name, pair.leaf.ends())));
        }
        ends
    }

    /// Are these the same certificates?
    pub(super) fn is_as(&self, other: &Self) -> bool {
        let leaves = |store: &Self| -> Vec<Vec<u8>> {
            store.pairs.iter().map(|pair| pair.leaf_der().to_vec()).collect()
        };
        leaves(self) == leaves(other)
    }

    /// What somebody should look at.
    pub fn warnings(&self) -> &[TlsWarning] {
        &self.warnings
    }

    /// Likewise, where nothing else is wanted.
    pub fn into_warnings(self) -> Vec<TlsWarning> {
        self.warnings
    }

    /// Do clients of the public host get a certificate of our own making?
    pub fn is_self_made(&self) -> bool {
        self.self_made
    }

    pub(super) fn resolve(&self, hello: &ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.by_name.resolve(hello)
    }
}

/// Are there certificates that the gateway has ordered?
pub(super) fn has_pairs(acme: Option<&Path>) -> bool {
    acme.is_some_and(|acme| !Folder::read(acme).pairs.is_empty())
}

/// The pairs of the folders, if nothing is wrong with any of the first one's. What can't be used of those that the gateway
/// has ordered is ordered again.
fn pairs(dir: &Path, acme: Option<&Path>) -> Result<Vec<Pair>, Vec<TlsProblem>> {
    let Folder {
        mut pairs,
        mut problems,
    } = Folder::read(dir);
    let ordered = acme.map(|acme| Folder::read(acme).pairs).unwrap_or_default();
    if !ordered.is_empty() {
        if !dir.exists() {
            problems.clear();
        }
        pairs.extend(ordered);
        pairs.sort_by(|one, other| one.file.cmp(&other.file));
    }
    if pairs.is_empty() && problems.is_empty() {
        problems.push(TlsProblem::new(dir, Fault::Empty));
    }
    if problems.is_empty() {
        Ok(pairs)
    } else {
        Err(problems)
    }
}

impl fmt::Debug for CertStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertStore")
            .field("files", &self.files())
            .finish_non_exhaustive()
    }
}

impl CertificateFile {
    pub(super) fn of(pair: &Pair) -> Self {
        let addresses = pair.leaf.ips.iter().map(ToString::to_string);
        Self {
            file: pair.file.clone(),
            names: pair.leaf.dns.iter().cloned().chain(addresses).collect(),
            last_day: pair.leaf.last_day(),
        }
    }
}

#[cfg(test)]
mod tests;
