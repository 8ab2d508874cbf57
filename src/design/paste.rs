//! Tests the promise behind all rules: no accepted value leaves the place that the client pastes it into.
//!
//! A CSS tokenizer reads the pasted text and must see the declarations and rules that stood around the value, no more
//! and no fewer.

use cssparser::{Parser, Token};
use proptest::prelude::*;

use super::{colour, link};

/// What is seen of a style sheet: a letter for each token, blocks in brackets.
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
                Token::Function(_) => '(',
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
            if matches!(opener, '(' | '[' | '{') {
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
fn colour_stays_in_place(value: &str) -> bool {
    [
        (format!("a{{color:{value};b:c}}z{{d:e}}"), "i{i:", ";i:i.i{i:i."),
        (format!("a{{color: {value}}}z{{d:e}}"), "i{i:", ".i{i:i."),
        (
            format!("a{{color: {value} !important;}}z{{d:e}}"),
            "i{i:",
            "!i;.i{i:i.",
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

fn url_stays_in_place(value: &str) -> bool {
    let quoted = format!("a{{background: url(\"{value}\") !important;b:c}}z{{d:e}}");
    let bare = format!("a{{background:url({value});b:c}}z{{d:e}}");
    // The client quotes. Without quotes the URL is one token, which the outline does not name.
    outline(&quoted) == "i{i:(s.!i;i:i.i{i:i."
        && (value.contains('\'') || outline(&bare) == "i{i:?;i:i.i{i:i.")
}

const BREAKERS: &[&str] = &[
    ";", "}", "{", "/*", "*/", "\\", "\\29 ", "\"", "'", "(", ")", "[", "]", "\n", "\r", "\u{c}", "\0", "\t",
    " ", "!", "@", ":", "<!--", "-->", "</style>", "url(", "var(--a)", "calc(1)", "rgb(", ",", "/", "#", "%",
    "1", "e", "-", "+", ".", "none", "red", "ä", "\u{2028}", "u+0",
];

/// A good value with a few pieces put in, cut off or doubled: near enough to be accepted now and then.
fn bent(good: &'static [&'static str]) -> impl Strategy<Value = String> {
    let bend = (
        any::<prop::sample::Index>(),
        prop::sample::select(BREAKERS),
        0..3_u8,
    );
    (prop::sample::select(good), prop::collection::vec(bend, 0..4)).prop_map(|(good, bends)| {
        let mut chars: Vec<char> = good.chars().collect();
        for (at, piece, how) in bends {
            let at = at.index(chars.len() + 1);
            match how {
                0 => drop(chars.splice(at..at, piece.chars())),
                1 => chars.truncate(at.max(1)),
                _ => chars.extend(piece.chars()),
            }
        }
        chars.into_iter().collect()
    })
}

fn pieces() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(BREAKERS), 1..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_accepted_colour_leaves_its_place(value in prop_oneof![4 => bent(colour::tests::GOOD), 2 => pieces(), 1 => any::<String>()]) {
        if colour::check(&value).is_ok() {
            prop_assert!(colour_stays_in_place(&value), "{value:?}");
        }
    }

    #[test]
    fn no_accepted_url_leaves_its_place(
        value in prop_oneof![4 => bent(link::tests::GOOD), 2 => pieces().prop_map(|end| format!("https://a.example/{end}")), 1 => any::<String>()]
    ) {
        if link::tests::judge_anywhere(&value).is_ok() {
            prop_assert!(url_stays_in_place(&value), "{value:?}");
        }
    }
}

#[test]
fn every_good_value_stays_in_place() {
    for value in colour::tests::GOOD {
        assert!(colour_stays_in_place(value), "{value:?}");
    }
    for value in link::tests::GOOD {
        assert!(url_stays_in_place(value), "{value:?}");
    }
}

/// Or else the property above would prove nothing.
#[test]
fn sees_a_value_that_leaves_its_place() {
    for value in [
        "red;}",
        "red;x:y",
        "rgb(1,2,3",
        "red}body{x:y}",
        "red/*",
        "red\\",
        "red)",
        "red !important",
        "\"",
        "url(x)",
    ] {
        assert!(!colour_stays_in_place(value), "{value:?}");
    }
    for value in ["a\");b:url(\"", "a\\", "a\n", "a\"", "a)"] {
        assert!(!url_stays_in_place(value), "{value:?}");
    }
}
