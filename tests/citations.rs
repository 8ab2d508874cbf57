//! What sources, tests and papers cite is there: the sections of docs/plugnmeet.md, pages, and the tests that
//! docs/THREATS.md names.
//!
//! A citation is the page's path, the word "section" or "sections", and numbers: `0.9`, `4, 5 and 8`, `1 to 4`,
//! `7 (why) and 12`. It may go over the end of a line, in a comment too.
//!
//! Not seen: a citation that does not name its page, and a page in another repository, behind `://`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The page of facts, without its ending: written whole here it would be a citation itself.
const PAGE: &str = "docs/plugnmeet";

/// Folders that hold nothing of ours.
const FOREIGN: [&str; 4] = [".git", ".venv", "node_modules", "target"];

/// What is text. A file without an ending is, if it can be read as such.
const TEXTS: [&str; 15] = [
    "cfg", "conf", "css", "html", "js", "json", "lua", "md", "mjs", "py", "rs", "sh", "toml", "txt", "yaml",
];

#[test]
fn every_citation_names_a_section_that_is_there() {
    let sections = sections(&fs::read_to_string(root().join(PAGE).with_extension("md")).unwrap());
    assert!(sections.len() > 30, "{sections:?}");
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for (file, text) in texts() {
        let mut cited = citations(&text);
        if Path::new(&file) == Path::new(PAGE).with_extension("md") {
            cited.extend(own_citations(&text));
        }
        seen += cited.len();
        wrong.extend(cited.iter().flat_map(|citation| citation.wrong(&file, &sections)));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(seen > 100, "{seen}");
}

#[test]
fn every_page_that_is_named_is_there() {
    let is_there = |path: &Path| root().join(path).is_file();
    let missing: Vec<String> = texts()
        .iter()
        .flat_map(|(file, text)| missing_pages(file, text, is_there))
        .collect();
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
}

#[test]
fn every_test_that_stands_against_a_threat_is_there() {
    let tests: BTreeSet<String> = texts()
        .iter()
        .filter(|(file, _)| {
            (file.starts_with("src/") || file.starts_with("tests/"))
                && Path::new(file).extension().is_some_and(|it| it == "rs")
        })
        .flat_map(|(_, text)| tests_in(text))
        .collect();
    let threats = fs::read_to_string(root().join("docs/THREATS.md")).unwrap();
    let named = tests_named(&threats);
    assert!(named.len() > 300, "{}", named.len());
    let missing: Vec<String> = named
        .into_iter()
        .filter(|(_, name)| !tests.contains(name))
        .map(|(line, name)| format!("docs/THREATS.md:{line}: {name} is no test"))
        .collect();
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
}

/// The test of the tests above: what is wrong they find, with file and line.
#[test]
fn what_is_wrong_is_named_with_file_and_line() {
    let there =
        sections("# Facts\n\n## 0. First\n\n### 0.1 One\n\n### 0.3 Three\n\n### /api\n\n## 4. Tokens\n");
    assert_eq!(there, BTreeSet::from([(0, 0), (0, 1), (0, 3), (4, 0)]));
    let wrong = |text: &str| -> Vec<String> {
        citations(&text.replace("PAGE", &format!("{PAGE}.md")))
            .iter()
            .flat_map(|citation| citation.wrong("src/a.rs", &there))
            .collect()
    };
    for right in [
        "(PAGE section 4). Then 9 more.",
        "//! Sources: PAGE sections 0.1, 0.3 and 4; RFC 9110 section 15.4.",
        "PAGE has it, in section 9 or so.",
        "[the facts](PAGE), section 9",
    ] {
        assert_eq!(wrong(right), Vec::<String>::new(), "{right}");
    }
    for (text, expected) in [
        ("(PAGE section 5)", "src/a.rs:1: no section 5"),
        ("\n\n// PAGE section 0.2: so.", "src/a.rs:3: no section 0.2"),
        ("PAGE section 4.1", "src/a.rs:1: no section 4.1"),
        ("PAGE sections 4 and 5", "src/a.rs:1: no section 5"),
        ("PAGE sections 4 (why, how) and 7", "src/a.rs:1: no section 7"),
        ("PAGE sections 0.1 to 0.3", "src/a.rs:1: no section 0.2"),
        (
            "\n//! It is so (PAGE\n//! section 12).",
            "src/a.rs:2: no section 12",
        ),
        (
            "    /// It is so (PAGE sections 4,\n    /// 12).",
            "src/a.rs:1: no section 12",
        ),
        ("PAGE section nine", "src/a.rs:1: a section without a number"),
    ] {
        assert_eq!(wrong(text), [expected], "{text}");
    }

    let own: Vec<String> = own_citations("A section.\nSee sections 4 and\n5 (section 0.1).\n")
        .iter()
        .flat_map(|citation| citation.wrong("page", &there))
        .collect();
    assert_eq!(own, ["page:2: no section 5"]);

    let is_there = |path: &Path| {
        ["README", "docs/A"]
            .iter()
            .any(|page| path == Path::new(page).with_extension("md"))
    };
    let missing = |file: &str, text: &str| missing_pages(file, &text.replace("EXT", "md"), is_there);
    for (file, text) in [
        ("src/a.rs", "//! README.EXT, docs/A.EXT"),
        ("docs/B.txt", "[A](A.EXT#part) and `README.EXT`."),
        ("docs/B.txt", "[up](../README.EXT), https://example.org/C.EXT"),
        ("src/a.rs", "`*.EXT` and .EXT, a.EXTx"),
    ] {
        assert_eq!(missing(file, text), Vec::<String>::new(), "{text}");
    }
    assert_eq!(
        missing("src/a.rs", "\n//! A.EXT \"Limits\", docs/B.EXT:7"),
        ["A", "docs/B"].map(|page| format!("src/a.rs:2: no page {page}.{}", "md"))
    );

    assert_eq!(
        tests_in(
            "#[test]\nfn one() {}\n#[tokio::test]\nasync fn two() {}\n    #[test]\n    #[ignore]\n    fn three() {}\nfn no() {}\n#[test]\nfn"
        ),
        ["one", "two", "three"]
    );
    assert_eq!(
        tests_named(
            "| attack | file | test |\n| --- | --- | --- |\n| `a` | `b` | `one`, `two` |\nBehind `it`.\n"
        ),
        [(3, "one".to_owned()), (3, "two".to_owned())]
    );
}

/// A citation of the page of facts, and the line in which it begins.
struct Citation {
    line: usize,
    sections: Vec<Section>,
}

/// `4` is (4, 0) and `0.9` is (0, 9).
type Section = (u32, u32);

impl Citation {
    fn wrong(&self, file: &str, there: &BTreeSet<Section>) -> Vec<String> {
        if self.sections.is_empty() {
            return vec![format!("{file}:{}: a section without a number", self.line)];
        }
        let missing = self.sections.iter().filter(|section| !there.contains(section));
        missing
            .map(|section| format!("{file}:{}: no section {}", self.line, shown(*section)))
            .collect()
    }
}

fn shown((chapter, part): Section) -> String {
    match part {
        0 => chapter.to_string(),
        part => format!("{chapter}.{part}"),
    }
}

/// The sections that a page has: its headings that begin with a number.
fn sections(page: &str) -> BTreeSet<Section> {
    let headings = page
        .lines()
        .filter(|line| line.starts_with("## ") || line.starts_with("### "));
    headings
        .filter_map(|line| number(line.trim_start_matches('#').trim_start()))
        .map(|(section, _)| section)
        .collect()
}

/// What a text cites of the page.
fn citations(text: &str) -> Vec<Citation> {
    let page = format!("{PAGE}.md");
    let places = text.match_indices(&page);
    places
        .filter_map(|(at, _)| {
            let words = flowing(text.get(at + page.len()..)?);
            let numbers = words.strip_prefix(" section")?;
            Some(Citation {
                line: line_of(text, at),
                sections: cited(numbers),
            })
        })
        .collect()
}

/// What the page cites of itself.
fn own_citations(page: &str) -> Vec<Citation> {
    const WORD: &str = "section";
    let places = page.match_indices(WORD);
    places
        .filter_map(|(at, _)| {
            let sections = cited(&flowing(page.get(at + WORD.len()..)?));
            let line = line_of(page, at);
            (!sections.is_empty()).then_some(Citation { line, sections })
        })
        .collect()
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

/// What follows a place, as one line, without the marks of comments: enough of it for any citation.
fn flowing(text: &str) -> String {
    let lines = text.lines().take(4).enumerate().map(|(at, line)| match at {
        0 => line.trim_end(),
        _ => line.trim().trim_start_matches(['/', '!', '#']).trim_start(),
    });
    lines.collect::<Vec<_>>().join(" ")
}

/// The numbers behind "section": `4`, `s 0.1, 0.3 and 4`, `s 1 to 4`, `s 7 (why) and 12`.
fn cited(text: &str) -> Vec<Section> {
    let mut text = text.strip_prefix('s').unwrap_or(text).trim_start();
    let mut found: Vec<Section> = Vec::new();
    let mut range = false;
    while let Some((section, rest)) = number(text) {
        match found.last().copied() {
            Some(from) if range => found.extend(between(from, section)),
            _ => found.push(section),
        }
        let rest = match rest.strip_prefix(" (").and_then(|inside| inside.split_once(')')) {
            Some((_, behind)) => behind,
            None => rest,
        };
        range = rest.starts_with(" to ");
        let separators = [" to ", ", and ", " and ", ", "];
        let Some(next) = separators
            .iter()
            .find_map(|separator| rest.strip_prefix(separator))
        else {
            break;
        };
        text = next;
    }
    found
}

/// What is behind `from`, up to `to`, parts of one chapter or chapters.
fn between(from: Section, to: Section) -> Vec<Section> {
    if from.1 > 0 && from.0 == to.0 {
        return (from.1 + 1..=to.1).map(|part| (from.0, part)).collect();
    }
    (from.0 + 1..=to.0).map(|chapter| (chapter, 0)).collect()
}

/// The number at the beginning, and what follows. A full stop behind it is the sentence's.
fn number(text: &str) -> Option<(Section, &str)> {
    let (chapter, rest) = digits(text)?;
    match rest.strip_prefix('.').and_then(digits) {
        Some((part, rest)) => Some(((chapter, part), rest)),
        None => Some(((chapter, 0), rest)),
    }
}

fn digits(text: &str) -> Option<(u32, &str)> {
    let end = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

/// Pages are named from the root, from the folder of the file, or by an address of their own.
fn missing_pages(file: &str, text: &str, is_there: impl Fn(&Path) -> bool) -> Vec<String> {
    let folder = Path::new(file).parent().unwrap_or(Path::new(""));
    let no_part_of_a_path = |letter: char| !(letter.is_alphanumeric() || "/._-:*".contains(letter));
    let mut missing = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for word in line.split(no_part_of_a_path) {
            let word = word.trim_end_matches('.').trim_start_matches('/');
            // With a line behind it.
            let word = word.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == ':');
            let is_page = word.strip_suffix(".md").is_some_and(|name| !name.is_empty());
            if !is_page || word.contains("://") || word.contains('*') {
                continue;
            }
            if !is_there(Path::new(word)) && !is_there(&plain(&folder.join(word))) {
                missing.push(format!("{file}:{}: no page {word}", at + 1));
            }
        }
    }
    missing
}

/// A path without its `..`.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path {
        if part == ".." {
            out.pop();
        } else {
            out.push(part);
        }
    }
    out
}

/// The functions that an attribute makes a test.
fn tests_in(text: &str) -> Vec<String> {
    let mut tests = Vec::new();
    let mut attribute = false;
    for line in text.lines().map(str::trim_start) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            attribute = true;
        } else if let Some((_, name)) = line.split_once("fn ").filter(|_| attribute) {
            attribute = false;
            tests.extend(name.split_once('(').map(|(name, _)| name.to_owned()));
        }
    }
    tests
}

/// What stands between backticks in the last column of the tables, and in which line.
fn tests_named(threats: &str) -> Vec<(usize, String)> {
    let rows = threats
        .lines()
        .enumerate()
        .filter(|(_, line)| line.starts_with('|'));
    rows.flat_map(|(at, row)| {
        let last = row
            .trim_end()
            .trim_end_matches('|')
            .rsplit('|')
            .next()
            .unwrap_or_default();
        let names = last.split('`').skip(1).step_by(2);
        names
            .map(move |name| (at + 1, name.to_owned()))
            .collect::<Vec<_>>()
    })
    .collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All texts of the repository, by path from its root.
fn texts() -> Vec<(String, String)> {
    fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_symlink() || FOREIGN.contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                collect(&path, into);
            } else if path
                .extension()
                .is_none_or(|ending| TEXTS.iter().any(|text| ending == *text))
            {
                into.push(path);
            }
        }
    }
    let mut files = Vec::new();
    collect(root(), &mut files);
    files.sort();
    files
        .iter()
        .filter_map(|file| {
            let name = file.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            Some((name, fs::read_to_string(file).ok()?))
        })
        .collect()
}
