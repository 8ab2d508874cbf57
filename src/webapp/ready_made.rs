//! Codings that lie beside a file already, as a build makes them: `x.js.br`, `x.js.zst`, `x.js.gz`.
//!
//! They are forms of that file and are not served under their own names. A form that does not decode to exactly that
//! file is not used: after a build that forgot to make them anew, an old script would be served under a new name.

use std::collections::HashMap;

use tracing::warn;

use super::{CONFIG_JS, INDEX, coding::Coding, content::Content, folder::Files};

/// The codings that were found for each file, by the file's name.
pub(super) type ReadyMade = HashMap<Box<str>, Vec<(Coding, Vec<u8>)>>;

/// Removes the ready-made codings from the files and returns them.
pub(super) fn split_off(files: &mut Files) -> ReadyMade {
    let names: Vec<(Box<str>, Box<str>, Coding)> = files
        .keys()
        .filter_map(|name| {
            let (of, coding) = whose(name)?;
            files.contains_key(of).then(|| (name.clone(), of.into(), coding))
        })
        .collect();
    let mut found = ReadyMade::new();
    for (name, of, coding) in names {
        // These two are served otherwise than they lie there, so theirs fit to nothing.
        if let Some(file) = files.remove(&name)
            && !matches!(&*of, INDEX | CONFIG_JS)
        {
            found.entry(of).or_default().push((coding, file.content));
        }
    }
    found
}

fn whose(name: &str) -> Option<(&str, Coding)> {
    Coding::ALL
        .into_iter()
        .find_map(|coding| Some((name.strip_suffix(coding.suffix())?, coding)))
}

/// Gives the content those of its ready-made codings that decode to exactly its bytes.
pub(super) fn teach(name: &str, found: Vec<(Coding, Vec<u8>)>, content: &Content) {
    for (coding, coded) in found {
        if coding.decodes_to(&coded, &content.plain().bytes) {
            content.learn(coding, Some(coded.into()));
        } else {
            warn!(
                "Ignored {name}{}, as browsers would not make {name} of it",
                coding.suffix()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webapp::folder::Found;

    fn files(names: &[&str]) -> Files {
        let found = |name: &&str| Found {
            content: name.as_bytes().to_vec(),
            modified: None,
        };
        names.iter().map(|name| ((*name).into(), found(name))).collect()
    }

    #[test]
    fn a_coding_belongs_to_the_file_beside_it() {
        let mut all = files(&[
            "a.js",
            "a.js.br",
            "a.js.gz",
            "a.js.zst",
            "b.js",
            "c.gz",
            "d.js.br",
            "e/a.js.br",
            "index.html",
            "index.html.gz",
            "assets/config.js",
            "assets/config.js.br",
        ]);
        let found = split_off(&mut all);
        let mut left: Vec<_> = all.keys().map(|name| &**name).collect();
        left.sort_unstable();
        assert_eq!(
            left,
            [
                "a.js",
                "assets/config.js",
                "b.js",
                "c.gz",
                "d.js.br",
                "e/a.js.br",
                "index.html"
            ]
        );
        assert_eq!(found.len(), 1);
        let mut codings: Vec<_> = found["a.js"].iter().map(|(coding, _)| coding.name()).collect();
        codings.sort_unstable();
        assert_eq!(codings, ["br", "gzip", "zstd"]);
    }

    #[test]
    fn what_is_not_that_very_file_is_not_used() {
        let (today, yesterday) = (b"today".repeat(100), b"yesterday".repeat(100));
        let content = Content::new(today.clone());
        let found = vec![
            (Coding::Brotli, Coding::Brotli.encode(&yesterday).unwrap()),
            (Coding::Gzip, Coding::Gzip.encode(&today).unwrap()),
            (Coding::Zstd, Coding::Gzip.encode(&today).unwrap()),
        ];
        teach("x.js", found, &content);
        assert!(content.lacks(Coding::Brotli) && content.lacks(Coding::Zstd));
        assert!(!content.lacks(Coding::Gzip));
    }
}
