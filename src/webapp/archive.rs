//! Reads the client out of its archive, as it is published: `client.zip`, with the build a folder or two below its top.
//!
//! SECURITY: nothing is unpacked: a name is a key in a map and never a path. An archive with a name that leads out of
//! it, or with a link, was not made by the client's build, so all of it is refused. What is read is counted as it
//! comes, as an archive of a kilobyte can say of itself what it likes.

use std::{
    collections::HashSet,
    fmt,
    fs::File,
    io::{BufReader, Read},
    path::Path,
    time::SystemTime,
};

use zip::ZipArchive;

use super::{
    INDEX, WebAppProblem,
    folder::{Files, Found, LOGIN, MAX_BYTES},
};

/// The largest number of entries in an archive. The archive of client 2.4 has about a hundred.
const MAX_ENTRIES: usize = 10_000;

/// Reads all files that may be served, by their path relative to `index.html`.
pub(super) fn read(path: &Path, expose_login: bool) -> Result<Files, WebAppProblem> {
    let unreadable = |error| WebAppProblem::Unreadable(path.to_owned(), error);
    let file = File::open(path).map_err(unreadable)?;
    // Of the archive: the times in it are of no known zone.
    let modified = file.metadata().and_then(|about| about.modified()).ok();
    Archive {
        path,
        zip: ZipArchive::new(BufReader::new(file)).map_err(|error| unsound(path, &error))?,
    }
    .files(modified, expose_login)
}

fn unsound(path: &Path, reason: &dyn fmt::Display) -> WebAppProblem {
    WebAppProblem::Archive(path.to_owned(), reason.to_string())
}

struct Archive<'a> {
    path: &'a Path,
    zip: ZipArchive<BufReader<File>>,
}

impl Archive<'_> {
    fn files(mut self, modified: Option<SystemTime>, expose_login: bool) -> Result<Files, WebAppProblem> {
        let entries = self.entries()?;
        let top = top(&entries)
            .map_err(|reason| unsound(self.path, &reason))?
            .ok_or_else(|| WebAppProblem::NoIndex(self.path.to_owned()))?;
        let mut files = Files::new();
        let mut left_bytes = MAX_BYTES;
        for (nth, name) in &entries {
            let Some(name) = name.strip_prefix(top.as_str()) else {
                continue;
            };
            if name.split('/').any(|part| part.starts_with('.')) || (name == LOGIN && !expose_login) {
                continue;
            }
            let content = self.content(*nth, left_bytes)?;
            left_bytes = left_bytes.saturating_sub(content.len() as u64);
            files.insert(name.into(), Found { content, modified });
        }
        Ok(files)
    }

    /// The files in the archive by their index. A name that can mean more than one path is refused.
    fn entries(&mut self) -> Result<Vec<(usize, String)>, WebAppProblem> {
        if self.zip.len() > MAX_ENTRIES {
            return Err(WebAppProblem::TooLarge(self.path.to_owned()));
        }
        if self.zip.has_duplicate_names() {
            return Err(unsound(self.path, &"it has two files of one name"));
        }
        let mut entries = Vec::new();
        for nth in 0..self.zip.len() {
            let entry = self
                .zip
                .by_index_raw(nth)
                .map_err(|error| unsound(self.path, &error))?;
            let name = entry
                .name()
                .map_err(|error| unsound(self.path, &error))?
                .into_owned();
            if entry.is_symlink() {
                return Err(unsound(self.path, &format!("{name:?} is a link")));
            }
            // Some programs begin every name with the folder in which they were called.
            let inner = name.strip_prefix("./").unwrap_or(&name);
            if inner.is_empty() {
                continue;
            }
            let path = inner.strip_suffix('/').unwrap_or(inner);
            if path.contains(['\\', '\0']) || path.split('/').any(|part| matches!(part, "" | "." | "..")) {
                return Err(unsound(self.path, &format!("{name:?} leads elsewhere")));
            }
            if entry.is_file() {
                entries.push((nth, inner.to_owned()));
            }
        }
        let names: HashSet<_> = entries.iter().map(|(_, name)| name).collect();
        if names.len() < entries.len() {
            return Err(unsound(self.path, &"it has two files of one name"));
        }
        Ok(entries)
    }

    fn content(&mut self, nth: usize, left_bytes: u64) -> Result<Vec<u8>, WebAppProblem> {
        let entry = self
            .zip
            .by_index(nth)
            .map_err(|error| unsound(self.path, &error))?;
        let mut content = Vec::new();
        entry
            .take(left_bytes + 1)
            .read_to_end(&mut content)
            .map_err(|error| unsound(self.path, &error))?;
        if content.len() as u64 > left_bytes {
            return Err(WebAppProblem::TooLarge(self.path.to_owned()));
        }
        Ok(content)
    }
}

/// The folder of the `index.html` nearest to the archive's top, with a slash at its end.
fn top(entries: &[(usize, String)]) -> Result<Option<String>, &'static str> {
    let folder = |name: &str| {
        let folder = name.strip_suffix(INDEX)?;
        (folder.is_empty() || folder.ends_with('/')).then(|| folder.to_owned())
    };
    let depth = |folder: &String| folder.matches('/').count();
    let mut folders: Vec<_> = entries.iter().filter_map(|(_, name)| folder(name)).collect();
    folders.sort_by_key(depth);
    match folders.as_slice() {
        [first, second, ..] if depth(first) == depth(second) => Err("it has two clients"),
        folders => Ok(folders.first().cloned()),
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, path::PathBuf};

    use tempfile::TempDir;
    use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

    use super::*;

    fn archive(entries: &[(&str, &[u8])]) -> (TempDir, PathBuf) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("client.zip");
        let mut zip = ZipWriter::new(File::create(&path).unwrap());
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        for (name, content) in entries {
            if name.ends_with('/') {
                zip.add_directory(*name, options).unwrap();
            } else {
                zip.start_file(*name, options).unwrap();
                zip.write_all(content).unwrap();
            }
        }
        zip.finish().unwrap();
        (folder, path)
    }

    fn names(entries: &[(&str, &[u8])], expose_login: bool) -> Vec<String> {
        let (_folder, path) = archive(entries);
        let files = read(&path, expose_login).unwrap();
        let mut names: Vec<_> = files.into_keys().map(String::from).collect();
        names.sort();
        names
    }

    fn problem(entries: &[(&str, &[u8])]) -> String {
        let (folder, path) = archive(entries);
        let problem = read(&path, false).err().unwrap().to_string();
        problem.replace(&format!("{}/", folder.path().display()), "")
    }

    #[test]
    fn the_build_is_where_its_page_is() {
        for top in ["", "client/", "client/dist/"] {
            let name = |name: &str| format!("{top}{name}");
            let all = [
                name("index.html"),
                name("login.html"),
                name("assets/js/a.js"),
                name("assets/lti/index.html"),
                name(".env"),
                name("assets/.git/config"),
            ];
            let mut entries: Vec<(&str, &[u8])> = all.iter().map(|name| (&**name, &b"x"[..])).collect();
            if !top.is_empty() {
                entries.extend([("client/", &b""[..]), ("README.md", b"x"), ("client.js", b"x")]);
            }
            assert_eq!(
                names(&entries, false),
                ["assets/js/a.js", "assets/lti/index.html", "index.html"]
            );
            assert_eq!(names(&entries, true).len(), 4);
        }
    }

    #[test]
    fn files_are_what_they_were_when_they_were_packed() {
        let script = b"export const a = 1;\n".repeat(5000);
        let (_folder, path) = archive(&[("index.html", b"<head>"), ("a.js", &script)]);
        let files = read(&path, false).unwrap();
        assert_eq!(files["a.js"].content, script);
        assert_eq!(
            files["a.js"].modified,
            std::fs::metadata(path).unwrap().modified().ok()
        );
    }

    #[test]
    fn what_no_build_makes_is_refused() {
        assert_eq!(problem(&[]), "client.zip has no index.html");
        assert_eq!(problem(&[("xindex.html", b"")]), "client.zip has no index.html");
        assert_eq!(
            problem(&[("a/index.html", b""), ("b/index.html", b"")]),
            "client.zip is no sound archive: it has two clients"
        );
        for name in ["../x", "a/../../x", "a//x", "a/./x", "././x", ".//x", "a\\x"] {
            assert_eq!(
                problem(&[("index.html", b""), (name, b"")]),
                format!("client.zip is no sound archive: {name:?} leads elsewhere")
            );
        }
    }

    #[test]
    fn names_may_begin_with_the_folder_itself() {
        assert_eq!(
            names(
                &[
                    ("./", b""),
                    ("./assets/", b""),
                    ("./index.html", b"x"),
                    ("./assets/a.js", b"x"),
                    ("./.env", b"x")
                ],
                false
            ),
            ["assets/a.js", "index.html"]
        );
        assert_eq!(
            problem(&[("index.html", b""), ("./index.html", b"")]),
            "client.zip is no sound archive: it has two files of one name"
        );
    }

    #[test]
    fn a_link_is_refused() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("client.zip");
        let mut zip = ZipWriter::new(File::create(&path).unwrap());
        zip.add_symlink("a", "/etc/passwd", SimpleFileOptions::default())
            .unwrap();
        zip.finish().unwrap();
        let problem = read(&path, false).err().unwrap().to_string();
        assert!(
            problem.ends_with("is no sound archive: \"a\" is a link"),
            "{problem}"
        );
    }

    #[test]
    fn half_an_archive_or_a_bent_one_is_refused() {
        let (_folder, path) = archive(&[("index.html", b"<head>"), ("a.js", &b"0123456789".repeat(100))]);
        let good = std::fs::read(&path).unwrap();
        for len in [0, 10, good.len() / 2, good.len() - 1] {
            std::fs::write(&path, &good[..len]).unwrap();
            assert!(
                matches!(read(&path, false), Err(WebAppProblem::Archive(..))),
                "{len}"
            );
        }
        let mut bent = good.clone();
        let at = good.windows(4).position(|four| four == b"a.js").unwrap() + 8;
        bent[at] ^= 0xff;
        std::fs::write(&path, &bent).unwrap();
        assert!(matches!(read(&path, false), Err(WebAppProblem::Archive(..))));
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_read() {
        let hole = vec![0; 64 << 20];
        let names: Vec<String> = (0..9).map(|n| format!("{n}.bin")).collect();
        let mut entries: Vec<(&str, &[u8])> = names.iter().map(|name| (&**name, &hole[..])).collect();
        entries.push(("index.html", b""));
        assert_eq!(
            problem(&entries),
            "client.zip holds more than a client's files do"
        );
        let names: Vec<String> = (0..=MAX_ENTRIES).map(|n| n.to_string()).collect();
        let entries: Vec<(&str, &[u8])> = names.iter().map(|name| (&**name, &b""[..])).collect();
        assert_eq!(
            problem(&entries),
            "client.zip holds more than a client's files do"
        );
    }
}
