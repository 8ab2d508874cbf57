//! Reads the client's folder.
//!
//! SECURITY: what is not read here can't be served: nothing that begins with a dot, no link out of the folder, nothing
//! that is no file (a pipe would block the start), and `login.html`, which asks for the API secret, on demand alone.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use tracing::warn;

use super::{INDEX, WebAppProblem};

/// A file of the client: its bytes and the time of its last change.
pub(super) struct Found {
    pub content: Vec<u8>,
    pub modified: Option<SystemTime>,
}

/// Files by their path within the folder, with `/` between the parts.
pub(super) type Files = HashMap<Box<str>, Found>;

pub(super) const LOGIN: &str = "login.html";

/// The largest total size of the client's files. Client 2.4 has 30 MB, so a folder far above that is most likely
/// another folder.
pub(super) const MAX_BYTES: u64 = 512 << 20;

/// The largest number of files. Links between folders could show a few files under countless names.
pub(super) const MAX_FILES: usize = 100_000;

/// Reads all files of the folder that may be served. An `index.html` is always among them.
pub(super) fn read(path: &Path, expose_login: bool) -> Result<Files, WebAppProblem> {
    let root = fs::canonicalize(path).map_err(unreadable(path))?;
    // Asked first, as a wrong folder may be a large one.
    fs::read_dir(&root).map_err(unreadable(path))?;
    if !root.join(INDEX).is_file() {
        return Err(WebAppProblem::NoIndex(path.to_owned()));
    }
    let mut walk = Walk {
        root: &root,
        expose_login,
        left_bytes: MAX_BYTES,
        above: Vec::new(),
        files: Files::new(),
    };
    walk.folder(&root, "")?;
    let files = walk.files;
    if !files.contains_key(INDEX) {
        return Err(WebAppProblem::NoIndex(path.to_owned()));
    }
    Ok(files)
}

fn unreadable(path: &Path) -> impl Fn(io::Error) -> WebAppProblem {
    move |error| WebAppProblem::Unreadable(path.to_owned(), error)
}

struct Walk<'a> {
    root: &'a Path,
    expose_login: bool,
    left_bytes: u64,
    /// The canonical paths of the folders that are being read, from the top down to this one: no link may lead back to
    /// one of them.
    above: Vec<PathBuf>,
    files: Files,
}

impl Walk<'_> {
    /// INVARIANT: `real` is canonical and within the root.
    fn folder(&mut self, real: &Path, prefix: &str) -> Result<(), WebAppProblem> {
        self.above.push(real.to_owned());
        for entry in fs::read_dir(real).map_err(unreadable(real))? {
            let entry = entry.map_err(unreadable(real))?;
            let path = entry.path();
            let Some(name) = servable(&entry.file_name()).map(|name| format!("{prefix}{name}")) else {
                continue;
            };
            if name == LOGIN && !self.expose_login {
                continue;
            }
            let is_link = entry.file_type().map_err(unreadable(&path))?.is_symlink();
            if !is_link {
                self.entry(&path, name)?;
            } else if let Some(target) = within(&path, self.root, &self.above)
                .filter(|target| self.expose_login || *target != self.root.join(LOGIN))
            {
                self.entry(&target, name)?;
            } else {
                warn!(path = %path.display(), "Skipped a link that leads out of the client's folder, to what is not served, or nowhere");
            }
        }
        self.above.pop();
        Ok(())
    }

    fn entry(&mut self, real: &Path, name: String) -> Result<(), WebAppProblem> {
        let about = fs::metadata(real).map_err(unreadable(real))?;
        if about.is_dir() {
            return self.folder(real, &format!("{name}/"));
        }
        if !about.is_file() {
            warn!(path = %real.display(), "Skipped what is neither file nor folder");
            return Ok(());
        }
        self.left_bytes = self
            .left_bytes
            .checked_sub(about.len())
            .ok_or_else(|| WebAppProblem::TooLarge(self.root.to_owned()))?;
        if self.files.len() == MAX_FILES {
            return Err(WebAppProblem::TooLarge(self.root.to_owned()));
        }
        let found = Found {
            content: fs::read(real).map_err(unreadable(real))?,
            modified: about.modified().ok(),
        };
        self.files.insert(name.into(), found);
        Ok(())
    }
}

/// The target of a link, if it is in the folder, is not hidden, and is no folder that is being read. Folders on the way
/// may be hidden: some volumes keep their files in a hidden folder and show links to them.
pub(super) fn within(link: &Path, root: &Path, above: &[PathBuf]) -> Option<PathBuf> {
    fs::canonicalize(link)
        .ok()
        .filter(|target| target.starts_with(root) && !above.contains(target))
        .filter(|target| target.file_name().is_none_or(|name| servable(name).is_some()))
}

/// The name as text, if a request's path can contain it and it is not hidden.
pub(super) fn servable(name: &OsStr) -> Option<&str> {
    name.to_str().filter(|name| !name.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use std::os::unix::{fs::symlink, net::UnixListener};

    use tempfile::TempDir;

    use super::*;

    fn folder_of(files: &[(&str, &str)]) -> TempDir {
        let folder = TempDir::new().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }

    fn names(folder: &TempDir, expose_login: bool) -> Vec<String> {
        let mut names: Vec<String> = read(folder.path(), expose_login)
            .unwrap()
            .into_keys()
            .map(String::from)
            .collect();
        names.sort();
        names
    }

    #[test]
    fn finds_files_at_any_depth_and_nothing_hidden() {
        let folder = folder_of(&[
            ("index.html", ""),
            ("assets/locales/en/translation.json", "{}"),
            (".env", "secret"),
            (".git/config", "secret"),
            ("assets/.hidden", "secret"),
        ]);
        assert_eq!(
            names(&folder, false),
            ["assets/locales/en/translation.json", "index.html"]
        );
    }

    #[test]
    fn the_page_that_asks_for_the_api_secret_is_read_on_demand_alone() {
        let folder = folder_of(&[("index.html", ""), ("login.html", ""), ("assets/login.html", "")]);
        assert_eq!(names(&folder, false), ["assets/login.html", "index.html"]);
        assert_eq!(
            names(&folder, true),
            ["assets/login.html", "index.html", "login.html"]
        );
    }

    #[test]
    fn follows_links_within_the_folder_and_none_out_of_it() {
        let outside = folder_of(&[("secret.txt", "secret"), ("deep/secret.txt", "secret")]);
        let folder = folder_of(&[("index.html", ""), ("assets/v2/a.js", "a")]);
        let link = |to: &Path, name: &str| symlink(to, folder.path().join(name)).unwrap();
        link(&outside.path().join("secret.txt"), "file");
        link(&outside.path().join("deep"), "folder");
        link(Path::new("../../../../../../../../etc/passwd"), "assets/passwd");
        link(Path::new("nothing"), "dangling");
        link(Path::new("assets/v2/a.js"), "a.js");
        link(Path::new("v2"), "assets/current");
        let expected = ["a.js", "assets/current/a.js", "assets/v2/a.js", "index.html"];
        assert_eq!(names(&folder, false), expected);
    }

    #[test]
    fn a_link_shows_nothing_that_is_hidden_by_its_own_name() {
        let folder = folder_of(&[
            ("index.html", ""),
            ("login.html", ""),
            (".env", "secret"),
            (".git/config", "secret"),
            ("..data/a.js", "a"),
        ]);
        for (to, name) in [
            (".env", "env.txt"),
            (".git", "git"),
            ("login.html", "l.html"),
            ("..data/a.js", "a.js"),
        ] {
            symlink(to, folder.path().join(name)).unwrap();
        }
        assert_eq!(names(&folder, false), ["a.js", "index.html"]);
        assert_eq!(
            names(&folder, true),
            ["a.js", "index.html", "l.html", "login.html"]
        );
    }

    /// `/a` is no parent of `/ab`.
    #[test]
    fn a_neighbour_whose_name_begins_alike_is_outside() {
        let parent = folder_of(&[("client/index.html", ""), ("client-old/secret.txt", "secret")]);
        let client = parent.path().join("client");
        symlink("../client-old/secret.txt", client.join("x")).unwrap();
        assert_eq!(read(&client, false).unwrap().len(), 1);
    }

    #[test]
    fn links_in_a_circle_end() {
        let folder = folder_of(&[("index.html", ""), ("a/x", ""), ("b/y", "")]);
        symlink("..", folder.path().join("a/up")).unwrap();
        symlink("../b", folder.path().join("a/to_b")).unwrap();
        symlink("../a", folder.path().join("b/to_a")).unwrap();
        let expected = ["a/to_b/y", "a/x", "b/to_a/x", "b/y", "index.html"];
        assert_eq!(names(&folder, false), expected);
    }

    #[test]
    fn the_folder_itself_may_be_a_link() {
        let folder = folder_of(&[("v2/index.html", "2")]);
        symlink("v2", folder.path().join("current")).unwrap();
        let files = read(&folder.path().join("current"), false).unwrap();
        assert_eq!(files["index.html"].content, b"2");
    }

    #[test]
    fn what_is_no_file_is_skipped() {
        let folder = folder_of(&[("index.html", "")]);
        let _socket = UnixListener::bind(folder.path().join("socket")).unwrap();
        assert_eq!(names(&folder, false), ["index.html"]);
    }

    #[test]
    fn a_folder_that_is_no_clients_is_refused() {
        let problem = |path: &Path| read(path, false).err().unwrap().to_string();
        let folder = folder_of(&[("a.txt", ""), ("huge/index.html", "")]);
        let shown = folder.path().display();
        assert_eq!(
            problem(&folder.path().join("missing")),
            format!("{shown}/missing can't be read: No such file or directory (os error 2)")
        );
        assert_eq!(
            problem(&folder.path().join("a.txt")),
            format!("{shown}/a.txt can't be read: Not a directory (os error 20)")
        );
        assert_eq!(problem(folder.path()), format!("{shown} has no index.html"));
        let huge = fs::File::create(folder.path().join("huge/hole")).unwrap();
        huge.set_len(MAX_BYTES + 1).unwrap();
        assert_eq!(
            problem(&folder.path().join("huge")),
            format!("{shown}/huge holds more than a client's files do")
        );
    }
}
