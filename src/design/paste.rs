//! Tests the promise behind all rules: no accepted value leaves the place that the client pastes it into.
//!
//! The generated values are near-misses: good values, changed by characters that could break out.
//!
//! Not here: the check itself (`outline`).

use proptest::prelude::*;

use super::{
    DesignRules, DesignSettings, OnInvalid, Verdict, colour, link,
    outline::{colour_stays_in_place, design_stays_in_place, url_stays_in_place},
};

const BREAKERS: &[&str] = &[
    ";",
    "}",
    "{",
    "/*",
    "*/",
    "/**/",
    "\\",
    "\\29 ",
    "\\22 ",
    "\\0000 22",
    "\\a ",
    "\\7d",
    "\\65",
    "\"",
    "'",
    "(",
    ")",
    "[",
    "]",
    "\n",
    "\r",
    "\u{c}",
    "\0",
    "\t",
    " ",
    "!",
    "!important",
    "@",
    "@import",
    ":",
    "<!--",
    "-->",
    "</style>",
    "url(",
    "url(\"",
    "\")",
    "var(--a)",
    "env(a)",
    "attr(a)",
    "expression(a)",
    "calc(1)",
    "rgb(",
    "none)",
    ",",
    "/",
    "#",
    "%",
    "%22",
    "%2522",
    "%5c",
    "1",
    "e",
    "E9",
    "-",
    "+",
    ".",
    "none",
    "red",
    "ä",
    "\u{2028}",
    "\u{fe0f}",
    "\u{ff1b}",
    "\u{ff5d}",
    "u+0",
    "&#34;",
    "\\u0022",
];

/// A good value with a few pieces put in, cut off or doubled: similar enough to be accepted now and then.
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

fn colours() -> impl Strategy<Value = String> {
    prop_oneof![4 => bent(colour::tests::GOOD), 2 => pieces(), 1 => any::<String>()]
}

fn urls() -> impl Strategy<Value = String> {
    let near = pieces().prop_map(|end| format!("https://a.example/{end}"));
    prop_oneof![4 => bent(link::tests::GOOD), 2 => near, 1 => any::<String>()]
}

/// Members of a document, most of them good.
fn members() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    const COLOURS: &[&str] = &["primary_color", "header_bg_color", "footer_icon_color"];
    const URLS: &[&str] = &["background_image", "custom_logo", "custom_css_url"];
    let good_or = |good, bad| prop_oneof![2 => prop::sample::select(good).prop_map(str::to_owned), 1 => bad];
    let colour = (
        prop::sample::select(COLOURS),
        good_or(colour::tests::GOOD, colours().boxed()),
    );
    let url = (
        prop::sample::select(URLS),
        good_or(link::tests::GOOD, urls().boxed()),
    );
    prop::collection::vec(prop_oneof![colour, url], 1..6)
}

fn rules() -> DesignRules {
    let origin = url::Url::parse("https://conf.example.org").unwrap();
    let any = ["*".to_owned()];
    DesignRules::new(DesignSettings::new(OnInvalid::Strip, &any, &any, &origin).unwrap())
}

fn document(members: &[(&str, String)]) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(name, value)| format!("\"{name}\":{}", serde_json::Value::from(value.as_str())))
        .collect();
    format!("{{{}}}", members.join(","))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_accepted_colour_leaves_its_place(value in colours()) {
        if colour::check(&value).is_ok() {
            prop_assert!(colour_stays_in_place(&value), "{value:?}");
            let canonical = colour::canonical(&value);
            prop_assert_eq!(colour::check(&canonical), Ok(()));
            prop_assert!(colour_stays_in_place(&canonical), "{canonical:?}");
        }
    }

    #[test]
    fn no_accepted_url_leaves_its_place(value in urls()) {
        if link::tests::judge_anywhere(&value).is_ok() {
            prop_assert!(url_stays_in_place(&value), "{value:?}");
        }
    }

    /// Every field that is left of a design is good by itself and stays where it is pasted, whatever other fields came
    /// with it.
    #[test]
    fn no_field_of_an_accepted_design_reaches_another(members in members()) {
        rules().inspect(document(&members).as_bytes());
        if let Verdict::Good(design) | Verdict::Stripped { left: Some(design), .. } = rules().check(&document(&members)) {
            prop_assert!(design_stays_in_place(design.iter()), "{design:?}");
            prop_assert!(design_stays_in_place(design.canonical().iter()), "{design:?}");
            prop_assert_eq!(rules().check(&design.to_json()), Verdict::Good(design));
        }
    }
}

/// Or else the properties above would prove nothing: near-misses are accepted now and then, and mostly not.
#[test]
fn what_is_generated_lies_on_both_sides() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut accepted = |values: BoxedStrategy<String>, good: fn(&str) -> bool| {
        (0..1000)
            .filter(|_| good(&values.new_tree(&mut runner).unwrap().current()))
            .count()
    };
    let colours = accepted(colours().boxed(), |value| colour::check(value).is_ok());
    let urls = accepted(urls().boxed(), |value| link::tests::judge_anywhere(value).is_ok());
    assert!((100..800).contains(&colours), "{colours}");
    assert!((100..800).contains(&urls), "{urls}");
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

/// The property above would prove nothing if no value that leaves its place were noticed.
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
        "env(x)",
        "var(--x)",
        "rgb(var(--x))",
    ] {
        assert!(!colour_stays_in_place(value), "{value:?}");
    }
    for value in ["a\");b:url(\"", "a\\", "a\n", "a\"", "a)"] {
        assert!(!url_stays_in_place(value), "{value:?}");
    }
}
