//! Is this text a CSS colour, and nothing but that?
//!
//! A colour parser judges; but the client pastes the text, not the colour. So only the characters of a plain colour are
//! let through to it: none that could begin a comment, an escape, a string, a `url()` or the next declaration.
//!
//! Sources: CSS Color 4 (`<color>`), CSS Syntax 3 section 4 (tokens; 4.3.4 and 5.4.9: the end of input closes a function).

use cssparser::Parser;
use cssparser_color::Color;

use super::Rule;

/// More than a colour function needs, even with generous decimals.
pub(super) const MAX_BYTES: usize = 128;

/// Blanks around the colour are left to CSS, which ignores them wherever the client pastes it.
pub(super) fn check(text: &str) -> Result<(), Rule> {
    if text.len() > MAX_BYTES {
        return Err(Rule::ColourTooLong);
    }
    // SECURITY: no `*` (comments), `\`, quotes, `;`, `:`, `!`, `{`, `}`, `<`, `>`, and no blank but the space.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"#%.,/+-() ".contains(&byte);
    if text.bytes().all(plain) && closes_what_it_opens(text) && is_colour(text) {
        Ok(())
    } else {
        Err(Rule::NotAColour)
    }
}

/// SECURITY: `rgb(1,2,3` is a colour to a parser, as the end of input closes it; pasted, it would swallow what follows.
fn closes_what_it_opens(text: &str) -> bool {
    let mut open = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'(' => open += 1,
            b')' if open == 0 => return false,
            b')' => open -= 1,
            _ => {}
        }
    }
    open == 0
}

fn is_colour(text: &str) -> bool {
    Parser::new(text).parse_entirely(Color::parse).is_ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) const GOOD: &[&str] = &[
        "#fff",
        "#FFF8",
        "#004D90",
        "#00a1f28c",
        "red",
        "RebeccaPurple",
        "transparent",
        "currentColor",
        "rgb(1,2,3)",
        "rgb(1 2 3)",
        "RGB(1 2 3 / 50%)",
        "rgba(1, 2, 3, .5)",
        "rgba(100%,0%,0%,1)",
        "rgb(-1 +2 3e1)",
        "rgb(none none none)",
        "hsl(120deg 50% 50%)",
        "hsla(.5turn, 50%, 50%, 0.1)",
        "hwb(90 10% 10%)",
        "lab(50% 40 59.5)",
        "lch(52.2% 72.2 50)",
        "oklab(59% 0.1 0.1)",
        "oklch(60% 0.15 50 / 0.5)",
        "color(display-p3 1 0.5 0)",
        " red ",
    ];

    const BAD: &[&str] = &[
        // no colours
        " ",
        "#",
        "#ff",
        "#fffff",
        "#fffffff",
        "#ggg",
        "# fff",
        "fff",
        "redd",
        "inherit",
        "initial",
        "red blue",
        "red,blue",
        "rgb()",
        "rgb(1,2)",
        "rgb (1,2,3)",
        "rgb(1,2 3)",
        "rgb(1,2,3) red",
        "rgb(rgb(1,2,3))",
        "(red)",
        "url(x)",
        "var(--x)",
        "env(x)",
        "attr(x)",
        "expression(1)",
        "calc(1)",
        "rgb(calc(1) 2 3)",
        "color-mix(in srgb, red, blue)",
        "linear-gradient(red, blue)",
        "image-set(x)",
        // colours to a parser that go further when pasted
        "rgb(1,2,3",
        "rgb(1,2,3))",
        "rgb(1,2,3)(",
        ")red(",
        "red;",
        "red}",
        "red;}body{display:none}",
        "red !important",
        "red/**/",
        "/**/red",
        "red/*",
        "rgb(1,2,3/*)",
        "rgb(/**/1,2,3)",
        r"r\65 d",
        r"red\",
        r"rgb(1,2,3\)",
        "red<!--",
        "red-->",
        "red</style>",
        "red\"",
        "red'",
        "red`",
        "red@import",
        // blanks that are not the space
        "red\n",
        "\tred",
        "red\u{c}",
        "red\u{a0}",
        "red\0",
        // look-alikes
        "r\u{435}d",
        "\u{ff03}fff",
        "\u{212a}haki",
    ];

    #[test]
    fn takes_what_css_calls_a_colour() {
        for text in GOOD {
            assert_eq!(check(text), Ok(()), "{text:?}");
        }
    }

    #[test]
    fn refuses_what_is_no_colour_or_more_than_one() {
        for text in BAD {
            assert_eq!(check(text), Err(Rule::NotAColour), "{text:?}");
        }
    }

    #[test]
    fn takes_128_bytes_and_not_one_more() {
        assert_eq!(check(&format!("{:128}", "red")), Ok(()));
        assert_eq!(check(&format!("{:129}", "red")), Err(Rule::ColourTooLong));
    }
}
