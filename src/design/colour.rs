//! Is this text a CSS colour, and nothing but that?
//!
//! A colour parser decides, but the client pastes the text and not the parsed colour. So the text may only have the
//! characters of a plain colour, and none that could begin a comment, an escape, a string, a `url()` or the next
//! declaration.
//!
//! Sources: CSS Color 4 (`<color>`; section 15: how one is written), CSS Syntax 3 section 4 (tokens; 4.3.4 and 5.4.9:
//! the end of input closes a function).

use cssparser::{Parser, ToCss};
use cssparser_color::Color;

use super::Rule;

/// The longest colour that is checked: more than a colour function with generous decimals needs.
pub(super) const MAX_BYTES: usize = 128;

/// Checks a colour. Blanks around it are accepted, because CSS ignores them wherever the client pastes the colour.
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
    parsed(text).is_some()
}

fn parsed(text: &str) -> Option<Color> {
    Parser::new(text).parse_entirely(Color::parse).ok()
}

/// The one way to write this colour: in hexadecimal what has a byte for each component, as plugNmeet's own documents have
/// it, else as CSS writes it. `text` has passed `check`.
pub(super) fn canonical(text: &str) -> String {
    in_css(text)
        .filter(|css| check(css).is_ok())
        .unwrap_or_else(|| text.trim_matches(' ').to_owned())
}

/// The colour in CSS; none if its numbers are so large that no colour can be named.
fn in_css(text: &str) -> Option<String> {
    let colour = parsed(text)?;
    let hue = match colour {
        Color::Hsl(hsl) => hsl.hue,
        Color::Hwb(hwb) => hwb.hue,
        Color::CurrentColor
        | Color::Rgba(_)
        | Color::Lab(_)
        | Color::Lch(_)
        | Color::Oklab(_)
        | Color::Oklch(_)
        | Color::ColorFunction(_) => None,
    };
    // The parser turns it into the circle, but for what is too far away from it.
    if hue.is_some_and(|hue| !(0.0..=360.0).contains(&hue)) {
        return None;
    }
    let css = colour.to_css_string();
    // `hsl()` and `hwb()` are written as `rgb()`.
    Some(match parsed(&css)? {
        Color::Rgba(rgba) => {
            let opaque = format!("#{:02x}{:02x}{:02x}", rgba.red, rgba.green, rgba.blue);
            match alpha_byte(rgba.alpha) {
                u8::MAX => opaque,
                alpha => format!("{opaque}{alpha:02x}"),
            }
        }
        Color::CurrentColor
        | Color::Hsl(_)
        | Color::Hwb(_)
        | Color::Lab(_)
        | Color::Lch(_)
        | Color::Oklab(_)
        | Color::Oklch(_)
        | Color::ColorFunction(_) => css,
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "0 to 255 after clamping"
)]
fn alpha_byte(alpha: f32) -> u8 {
    (alpha.clamp(0.0, 1.0) * 255.0).round() as u8
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

    #[test]
    fn a_colour_has_one_canonical_spelling() {
        for (text, written) in [
            ("#fff", "#ffffff"),
            ("#FFF8", "#ffffff88"),
            ("#004D90", "#004d90"),
            (" Red ", "#ff0000"),
            ("RebeccaPurple", "#663399"),
            ("transparent", "#00000000"),
            ("currentColor", "currentcolor"),
            ("rgb(1,2,3)", "#010203"),
            ("RGB(1 2 3 / 50%)", "#01020380"),
            ("rgba(300, -20, 3, 2)", "#ff0003"),
            ("hsl(120deg 50% 50%)", "#40bf40"),
            ("hsla(.5turn, 50%, 50%, 0.1)", "#40bfbf1a"),
            ("hwb(0 20% 20%)", "#cc3333"),
            ("lab(50% 40 59.5)", "lab(50 40 59.5)"),
            ("OKLCH(60% 0.15 50 / 50%)", "oklch(0.6 0.15 50 / 0.5)"),
            ("color(display-p3 1 0.5 0)", "color(display-p3 1 0.5 0)"),
        ] {
            assert_eq!(canonical(text), written, "{text}");
        }
    }

    #[test]
    fn what_is_canonical_is_good_and_stays_as_it_is() {
        for text in GOOD.iter().copied().chain([
            "lab(1e39 0 0)",
            "rgb(1e39 1e-39 0)",
            "hsl(1e39 50% 50%)",
            "hwb(-1e38deg 1% 1%)",
            "hsl(0 1e39% -1e39%)",
            "oklch(1e39 1e39 1e39)",
        ]) {
            let once = canonical(text);
            assert_eq!(check(&once), Ok(()), "{text}: {once}");
            assert_eq!(canonical(&once), once, "{text}");
        }
    }
}
