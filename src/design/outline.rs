//! Checks the promise behind all rules: a value stays where the client pastes it.
//!
//! A CSS tokenizer reads the pasted text and must see the declarations and rules that stood around the value, no more
//! and no fewer. It knows nothing of how values are checked.
//!
//! For tests alone. The design's fuzz target includes this file, so it uses no other module.
//!
//! Source: docs/plugnmeet.md section 7 (where each value goes).

use std::fmt::Write as _;

use cssparser::{Parser, Token};

/// Functions whose value is a colour. No other may come through: `env()` and the like are what another makes of them.
const COLOURS: [&str; 10] = [
    "rgb", "rgba", "hsl", "hsla", "hwb", "lab", "lch", "oklab", "oklch", "color",
];

/// The structure of a style sheet: a letter for each token, and blocks in brackets.
fn outline(css: &str) -> String {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every token without a letter is a stranger"
    )]
    fn walk(parser: &mut Parser<'_>, seen: &mut String) {
        while let Ok(token) = parser.next_including_whitespace_and_comments() {
            let opener = match token.clone() {
                Token::Ident(_) => 'i',
                Token::Colon => ':',
                Token::Semicolon => ';',
                Token::Delim('!') => '!',
                Token::WhiteSpace(_) => continue,
                Token::QuotedString(_) => 's',
                Token::Function(name) if COLOURS.iter().any(|known| name.eq_ignore_ascii_case(known)) => '(',
                Token::Function(name) if name.eq_ignore_ascii_case("url") => '<',
                Token::ParenthesisBlock => '[',
                Token::CurlyBracketBlock => '{',
                Token::Hash(_)
                | Token::IDHash(_)
                | Token::Number { .. }
                | Token::Percentage { .. }
                | Token::Dimension { .. }
                | Token::Comma
                | Token::Delim('/') => 'v',
                _ => '?',
            };
            seen.push(opener);
            if matches!(opener, '(' | '<' | '[' | '{') {
                let done: Result<(), cssparser::ParseError<()>> = parser.parse_nested_block(|inner| {
                    walk(inner, seen);
                    Ok(())
                });
                done.unwrap();
                seen.push('.');
            }
        }
    }
    let mut seen = String::new();
    walk(&mut Parser::new(css), &mut seen);
    seen
}

/// The forms in which the client's style sheet holds a colour, and what is to be seen before and after it.
pub(crate) fn colour_stays_in_place(value: &str) -> bool {
    [
        (format!("a{{color:{value};b:c}}z{{d:e}}"), "i{i:", ";i:i.i{i:i."),
        (format!("a{{color: {value}}}z{{d:e}}"), "i{i:", ".i{i:i."),
        (
            format!("a{{color: {value} !important;}}z{{d:e}}"),
            "i{i:",
            "!i;.i{i:i.",
        ),
        (format!("a{{--b: {value};\n}}z{{d:e}}"), "i{i:", ";.i{i:i."),
        (
            format!("a{{background: {value}; color: red; }}z{{d:e}}"),
            "i{i:",
            ";i:i;.i{i:i.",
        ),
    ]
    .iter()
    .all(|(css, before, after)| {
        let seen = outline(css);
        let value = seen
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(after));
        // One word, or one function with nothing but values and words in it.
        value.is_some_and(|value| match value.strip_prefix('(') {
            Some(inner) => inner
                .strip_suffix('.')
                .is_some_and(|inner| inner.chars().all(|seen| "vi".contains(seen))),
            None => matches!(value, "i" | "v"),
        })
    })
}

pub(crate) fn url_stays_in_place(value: &str) -> bool {
    let quoted = format!("a{{background: url(\"{value}\") !important;b:c}}z{{d:e}}");
    let bare = format!("a{{background:url({value});b:c}}z{{d:e}}");
    // The client quotes. Without quotes the URL is one token, which the outline does not name.
    outline(&quoted) == "i{i:<s.!i;i:i.i{i:i."
        && (value.contains('\'') || outline(&bare) == "i{i:?;i:i.i{i:i.")
}

/// Do all values stay in their declarations? All are pasted into one style sheet, so that an open one would swallow the
/// next.
pub(crate) fn design_stays_in_place<'d>(fields: impl Iterator<Item = (&'static str, &'d str)>) -> bool {
    let (mut css, mut expected) = (String::new(), String::new());
    for (name, value) in fields {
        if name.ends_with("_color") {
            let alone = outline(value);
            write!(css, "a{{b: {value} !important;}}c{{d: {value}}}").ok();
            write!(expected, "i{{i:{alone}!i;.i{{i:{alone}.").ok();
        } else {
            write!(css, "a{{b: url(\"{value}\") !important;c:d}}").ok();
            expected.push_str("i{i:<s.!i;i:i.");
        }
    }
    outline(&css) == expected
}
