//! docs/set-ups.md: its configurations, as they stand there.

use std::{fs, path::Path};

/// All blocks of code on the page: the heading above, the language, the text.
pub fn blocks() -> Vec<(String, String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/set-ups.md");
    let page = fs::read_to_string(path).unwrap();
    let mut blocks = Vec::new();
    let (mut heading, mut open) = (String::new(), None);
    for line in page.lines() {
        open = match (open, line.strip_prefix("```")) {
            (Some((language, text)), Some(_)) => {
                blocks.push((heading.clone(), language, text));
                None
            }
            (Some((language, text)), None) => Some((language, text + line + "\n")),
            (None, Some(language)) => Some((language.to_owned(), String::new())),
            (None, None) => {
                if let Some(next) = line.strip_prefix("## ") {
                    next.clone_into(&mut heading);
                }
                None
            }
        };
    }
    blocks
}

/// The block below a heading in a language, by its number from 0.
pub fn block(heading: &str, language: &str, nth: usize) -> String {
    let mut found = blocks()
        .into_iter()
        .filter(|(of, in_language, _)| of == heading && in_language == language);
    let (_, _, text) = found
        .nth(nth)
        .unwrap_or_else(|| panic!("{heading}: no {language} {nth}"));
    text
}

/// The text with what a test has elsewhere; each of it has to be there.
pub fn changed(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from} is not in\n{text}");
        text.replace(from, to)
    })
}
