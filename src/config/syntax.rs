//! Text that is no TOML: the place of each error, and the usual slip where one can be recognised.
//!
//! SECURITY: nothing of a value is shown, as it may be a secret.

use super::problem::{Place, Problem};

/// The line in which a byte of the text is, from 1.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
}

/// One problem for each line with errors.
pub(super) fn problems(errors: &[toml::de::Error], text: &str, file: &str) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    for error in errors {
        let problem = problem(error, text, file);
        // Further errors on a line follow from its first one.
        if problems.last().is_none_or(|last| last.line != problem.line) {
            problems.push(problem);
        }
    }
    problems
}

/// The problem for one error. The parser's message says what was expected, and shows nothing of the text. A key that is
/// given twice is named.
fn problem(error: &toml::de::Error, text: &str, file: &str) -> Problem {
    let span = error.span().unwrap_or_default();
    let line = line_of(text, span.start);
    let place = Place {
        file: file.to_owned(),
        line: Some(line),
    };
    if error.message() == "duplicate key" {
        let key = text.get(span).unwrap_or_default();
        return Problem::at(place, key, "is given twice", "write it once");
    }
    let whole = text.lines().nth(line - 1).unwrap_or_default();
    if let Some(Slip {
        key,
        at,
        found,
        allowed,
    }) = Slip::of(whole)
    {
        let column = 1 + whole.get(..at).unwrap_or_default().chars().count();
        return Problem::at(place, key, format!("column {column}: {found}"), allowed);
    }
    let before = text.get(..span.start).unwrap_or_default();
    let column = 1 + before.rsplit('\n').next().unwrap_or_default().chars().count();
    let found = format!("column {column}: no TOML: {}", error.message());
    Problem::at(place, "", found, "write KEY = VALUE below [SECTION]")
}

/// A usual slip of people who write TOML for the first time.
struct Slip<'l> {
    key: &'l str,
    /// The offset of the slip in the line, in bytes.
    at: usize,
    found: &'static str,
    allowed: String,
}

impl<'l> Slip<'l> {
    fn of(line: &'l str) -> Option<Self> {
        let line = line.trim_end();
        let bare = line.trim_start();
        if bare.starts_with('[') {
            let heading = line.split('#').next().unwrap_or_default().trim_end();
            return (!heading.ends_with(']')).then(|| Self {
                key: "",
                at: heading.len(),
                found: "the heading has no end",
                allowed: "write [SECTION]".to_owned(),
            });
        }
        let Some((key, value)) = line.split_once('=') else {
            let (key, _) = line.split_once(':').filter(|(key, _)| is_key(key.trim()))?;
            return Some(Self {
                key: key.trim(),
                at: key.len(),
                found: "has a colon where TOML has =",
                allowed: format!("write {} = VALUE", key.trim()),
            });
        };
        let (key, value) = (key.trim(), value.trim_start());
        let (found, allowed) = bad_value(key, value).filter(|_| is_key(key))?;
        Some(Self {
            key,
            at: line.len() - value.len(),
            found,
            allowed,
        })
    }
}

/// What is wrong with a value, and what to write. None: there is no usual slip.
fn bad_value(key: &str, value: &str) -> Option<(&'static str, String)> {
    match value.chars().next() {
        None | Some('#') => Some(("has no value", format!("write {key} = VALUE"))),
        Some('“' | '”' | '„' | '‘' | '’' | '«' | '»') => Some((
            "has quotes that TOML does not know",
            format!("write plain quotes: {key} = \"…\""),
        )),
        Some(quote @ ('"' | '\'')) if value.matches(quote).count() == 1 => Some((
            "has a quote that nothing closes",
            format!("write {key} = {quote}…{quote}"),
        )),
        Some('"' | '\'' | '[' | '{') => None,
        Some(_) if value.starts_with("True") || value.starts_with("False") => Some((
            "is neither true nor false",
            format!("write {key} = true or {key} = false"),
        )),
        Some(_) => Some(("has a value without quotes", format!("write {key} = \"…\""))),
    }
}

fn is_key(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn the_usual_slips_are_told_with_line_and_column() {
        for (line, told) in [
            (
                "https = 0.0.0.0:443",
                "https: column 9: has a value without quotes; write https = \"…\"",
            ),
            (
                "secret = hunter2",
                "secret: column 10: has a value without quotes; write secret = \"…\"",
            ),
            (
                "user = 10/min",
                "user: column 8: has a value without quotes; write user = \"…\"",
            ),
            (
                "user: '1/min'",
                "user: column 5: has a colon where TOML has =; write user = VALUE",
            ),
            ("user =", "user: column 7: has no value; write user = VALUE"),
            (
                "user = \"1/min",
                "user: column 8: has a quote that nothing closes; write user = \"…\"",
            ),
            ("[limits", "column 8: the heading has no end; write [SECTION]"),
        ] {
            let problems = Config::parse(&format!("\n{line}\n"), "gateway.toml", &[]).map(|_| ());
            assert_eq!(
                problems.unwrap_err().to_string(),
                format!("gateway.toml:2: {told}"),
                "{line}"
            );
        }
    }
}
