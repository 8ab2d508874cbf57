//! Files at addresses that name their release, `r/RELEASE/…` below the mount. What is there never changes, so that a browser
//! may keep it for good, whatever its name.
//!
//! The release is a hash of all its files. So replicas with the same build have the same addresses, and a restart keeps them.
//! `config.js` is not in it, as it follows from the configuration: it has a hash in its own name here.
//!
//! Not here: how the page is changed (`super::addresses`), how many releases are kept (`super::snapshot`).
//!
//! Sources: docs/plugnmeet.md section 12 "Hashed names" and "Style sheets"; RFC 8246 (`immutable`).

use std::sync::Arc;

use memchr::memmem;

use super::{
    CONFIG_JS, INDEX, addresses::Instead, content::Hash, folder::LOGIN, known::Served, media, stored::Stored,
};

/// The folder of all releases.
const FOLDER: &str = "r/";

/// The name of the page's `config.js` is its hash between these two.
const CONFIG: (&str, &str) = ("assets/config.", ".js");

/// The files of one release, by their names in the build.
pub(super) struct Released {
    id: String,
    files: Served,
    /// The `config.js` of the page. None: the release is not the newest, and was not when it was read.
    config: Option<Arc<Stored>>,
}

impl Released {
    /// Takes the files of a build, without its page, its `config.js`, and the page that asks for a secret.
    pub fn of(files: &Served) -> Self {
        let files: Served = files
            .iter()
            .filter(|(name, _)| !matches!(&***name, INDEX | LOGIN | CONFIG_JS))
            .map(|(name, file)| (name.clone(), Arc::clone(file)))
            .collect();
        let mut lines: Vec<String> = files
            .iter()
            .map(|(name, file)| format!("{} {name}\n", file.content().hash.text()))
            .collect();
        lines.sort_unstable();
        Self {
            id: Hash::of(lines.concat().as_bytes()).text(),
            files,
            config: None,
        }
    }

    pub fn with_config(self, config: Arc<Stored>) -> Self {
        Self {
            config: Some(config),
            ..self
        }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// The path of a file of this release, below the mount.
    pub fn path(&self, name: &str) -> String {
        format!("{FOLDER}{}/{name}", self.id)
    }

    /// What is at this name for good.
    pub fn get(&self, name: &str) -> Option<&Stored> {
        let config = || self.config.as_ref().filter(|config| config_name(config) == name);
        self.files.get(name).or_else(config).map(|file| &**file)
    }

    pub fn config(&self) -> Option<&Stored> {
        self.config.as_deref()
    }

    /// The files with a content hash in their names: a page that was opened before an update may still ask for them.
    pub fn hashed(&self) -> Served {
        let files = self.files.iter();
        files
            .filter(|(name, _)| media::has_content_hash(name))
            .map(|(name, file)| (name.clone(), Arc::clone(file)))
            .collect()
    }

    pub fn files(&self) -> impl Iterator<Item = &Stored> {
        self.files.values().chain(&self.config).map(|file| &**file)
    }

    /// What the page asks for in a file's place. None: for the file by its own name.
    ///
    /// A file with a hash in its name is kept for good where it is, and over releases. A style sheet has another path all the
    /// same, as the fonts that it names are beside it.
    pub fn instead_of(&self, name: &str) -> Option<Instead> {
        if name == CONFIG_JS {
            let config = config_name(self.config.as_ref()?);
            return Some(Instead {
                path: self.path(&config),
                is_looked_for: false,
            });
        }
        let is_sheet = has_type(name, "text/css");
        let is_moved = self.files.contains_key(name) && (is_sheet || !media::has_content_hash(name));
        is_moved.then(|| Instead {
            path: self.path(name),
            is_looked_for: is_sheet && self.is_named_by_a_script(name),
        })
    }

    /// The bundler's script loads the style sheets of what it imports later. It names those that the page has, too, and adds
    /// each to the page unless it is there at that very address: its rules would come twice, and after those of others.
    fn is_named_by_a_script(&self, name: &str) -> bool {
        let base_name = name.rsplit_once('/').map_or(name, |(_, base_name)| base_name);
        let finder = memmem::Finder::new(base_name);
        let mut scripts = self
            .files
            .iter()
            .filter(|(name, _)| has_type(name, "text/javascript"));
        scripts.any(|(_, script)| finder.find(&script.content().plain().bytes).is_some())
    }
}

/// The release and the file that a path below the mount names.
pub(super) fn split(path: &str) -> Option<(&str, &str)> {
    let (id, name) = path.strip_prefix(FOLDER)?.split_once('/')?;
    Hash::parse(id).map(|_| (id, name))
}

/// Is this the name of a page's `config.js`, of whatever configuration?
pub(super) fn is_config(name: &str) -> bool {
    let (before, after) = CONFIG;
    let hash = name
        .strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(after));
    hash.and_then(Hash::parse).is_some()
}

fn has_type(name: &str, essence: &str) -> bool {
    media::content_type(name)
        .as_bytes()
        .starts_with(essence.as_bytes())
}

fn config_name(config: &Stored) -> String {
    let (before, after) = CONFIG;
    format!("{before}{}{after}", config.content().hash.text())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webapp::content::Content;

    fn release(files: &[(&str, &str)]) -> Released {
        let stored = |name: &str, text: &str| {
            let content = Content::new(text.as_bytes().to_vec());
            (name.into(), Arc::new(Stored::asset(name, content, None)))
        };
        Released::of(&files.iter().map(|(name, text)| stored(name, text)).collect())
    }

    #[test]
    fn a_release_is_known_by_all_its_files_and_by_nothing_else() {
        let id = |files: &[(&str, &str)]| release(files).id;
        let files = [("a", "1"), ("b", "2")];
        let this = id(&files);
        assert_eq!(this, id(&[("b", "2"), ("a", "1")]));
        for other in [
            &[("a", "1")][..],
            &[("a", "1"), ("b", "3")],
            &[("a", "1"), ("c", "2")],
            &[("a", "2"), ("b", "1")],
            &[("a", "1"), ("b", "2"), ("c", "")],
        ] {
            assert_ne!(this, id(other));
        }
        for not_below in [CONFIG_JS, LOGIN, INDEX] {
            let with = release(&[files[0], files[1], (not_below, "x")]);
            assert_eq!(with.id, this);
            assert!(with.get(not_below).is_none());
        }
        assert_eq!(split(&release(&files).path("x/y")), Some((&*this, "x/y")));
    }

    #[test]
    fn a_page_asks_by_the_release_for_what_has_no_hash_and_for_style_sheets() {
        let release = release(&[
            ("assets/imgs/favicon.ico", ""),
            ("assets/js/old.js", ""),
            ("assets/js/main-module.DO3cY-5Y.js", "import './x'"),
            (
                "assets/chunks/vendor.BOr-qw-q.js",
                "m.f=['../css/vendor.CZnR2ujB.css','./x']",
            ),
            ("assets/css/main.CwAhzGqq.css", ""),
            ("assets/css/vendor.CZnR2ujB.css", ""),
        ]);
        for (name, is_looked_for) in [
            ("assets/imgs/favicon.ico", Some(false)),
            ("assets/js/old.js", Some(false)),
            ("assets/css/main.CwAhzGqq.css", Some(false)),
            ("assets/css/vendor.CZnR2ujB.css", Some(true)),
            ("assets/js/main-module.DO3cY-5Y.js", None),
            ("assets/imgs/missing.png", None),
            ("assets/css/missing.css", None),
            (CONFIG_JS, None),
        ] {
            let expected = is_looked_for.map(|is_looked_for| Instead {
                path: format!("r/{}/{name}", release.id),
                is_looked_for,
            });
            assert_eq!(release.instead_of(name), expected, "{name}");
        }
    }

    #[test]
    fn a_configuration_has_a_name_of_its_own() {
        let config = |text: &str| {
            Arc::new(Stored::asset(
                CONFIG_JS,
                Content::new(text.as_bytes().to_vec()),
                None,
            ))
        };
        let name = "assets/config.hNiYd_DUBB77a_kaFvAkjw.js";
        let release = release(&[]).with_config(config("0123456789"));
        assert_eq!(release.instead_of(CONFIG_JS).unwrap().path, release.path(name));
        assert!(release.get(name).is_some() && release.get(CONFIG_JS).is_none());
        assert!(is_config(name));
        for other in [
            CONFIG_JS,
            "assets/config..js",
            "assets/config.hNiYd_DUBB77a_kaFvAkj.js",
            "config.js",
        ] {
            assert!(!is_config(other) && release.get(other).is_none(), "{other}");
        }
    }

    #[test]
    fn only_what_has_the_form_of_a_release_is_one() {
        assert_eq!(
            split("r/hNiYd_DUBB77a_kaFvAkjw/a/b"),
            Some(("hNiYd_DUBB77a_kaFvAkjw", "a/b"))
        );
        for path in [
            "r/hNiYd_DUBB77a_kaFvAkjw",
            "r/hNiYd_DUBB77a_kaFvAkj/a",
            "r//a",
            "r/../a",
            "R/hNiYd_DUBB77a_kaFvAkjw/a",
            "a/r/hNiYd_DUBB77a_kaFvAkjw/a",
        ] {
            assert_eq!(split(path), None, "{path}");
        }
    }
}
