//! Can the text of a design be read on its background?
//!
//! Only colours that the client really combines are compared. The result is advice, because a colour that is hard to
//! read harms nobody else. For a colour that the design does not set, the client's own counts. There is no advice if
//! both colours are the client's, and none about `currentcolor`, pictures, the footer (all in it has the background of
//! its icons), and the dark theme, which no design changes.
//!
//! Sources: WCAG 2.2 sections 1.4.3 (text), 1.4.11 (icons) and "contrast ratio"; plugNmeet-client 9f0706f3
//! `useClientCustomization.tsx` (which colours meet), the classes of its buttons, header and panels (its own colours).

use std::fmt;

use color::{AlphaColor, OpaqueColor, Srgb, parse_color};

use super::{Design, Field};

/// A text, its background, and the colours that the client uses for both when the design sets none.
struct Pair {
    front: &'static [Field],
    own_front: OpaqueColor<Srgb>,
    back: &'static [Field],
    /// The background's colour without a design. None: the client then sets neither of the two.
    own_back: Option<OpaqueColor<Srgb>>,
    least: f32,
}

const TEXT: f32 = 4.5;
const ICON: f32 = 3.0;

const WHITE: OpaqueColor<Srgb> = OpaqueColor::WHITE;
const BLACK: OpaqueColor<Srgb> = OpaqueColor::BLACK;
/// The client's text colour, `Gray-950` in its style sheet.
const INK: OpaqueColor<Srgb> = AlphaColor::from_rgb8(0x0c, 0x13, 0x1a).discard_alpha();

const PAIRS: [Pair; 5] = [
    Pair {
        front: &[Field::PrimaryButtonText],
        own_front: WHITE,
        back: &[Field::PrimaryButtonBackground, Field::Primary],
        own_back: None,
        least: TEXT,
    },
    Pair {
        front: &[Field::SecondaryButtonText],
        own_front: INK,
        back: &[Field::SecondaryButtonBackground, Field::Secondary],
        own_back: None,
        least: TEXT,
    },
    Pair {
        front: &[],
        own_front: INK,
        back: &[Field::HeaderBackground],
        own_back: None,
        least: TEXT,
    },
    Pair {
        front: &[],
        own_front: INK,
        back: &[Field::SidePanelBackground, Field::RightSideBackground],
        own_back: None,
        least: TEXT,
    },
    Pair {
        front: &[Field::FooterIcon],
        own_front: INK,
        back: &[Field::FooterIconBackground],
        own_back: Some(WHITE),
        least: ICON,
    },
];

/// A combination of colours that is allowed but hard to read.
#[derive(Debug, Clone, PartialEq)]
pub struct Warning {
    /// The key whose value should change.
    pub field: &'static str,
    pub value: String,
    /// The foreground and the background, as words for the message.
    sides: [String; 2],
    ratio: f32,
    least: f32,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [front, back] = &self.sides;
        // Never rounded up to what is asked for.
        let ratio = (self.ratio * 100.0).floor() / 100.0;
        write!(
            f,
            "{front} on {back} has a contrast of {ratio}:1, and WCAG 2.2 AA asks for {}:1",
            self.least
        )
    }
}

pub(super) fn warnings(design: &Design) -> Vec<Warning> {
    PAIRS.iter().filter_map(|pair| pair.judge(design)).collect()
}

impl Pair {
    fn judge(&self, design: &Design) -> Option<Warning> {
        let front = first(design, self.front);
        let back = first(design, self.back);
        if back.is_none() && self.own_back.is_none() {
            return None;
        }
        let (field, value) = front.or(back)?;
        let front_colour = front.map_or(Some(self.own_front.with_alpha(1.0)), |(_, text)| parsed(text))?;
        let back_colour = match (back, self.own_back) {
            (Some((_, text)), _) => parsed(text)?,
            (None, own) => own?.with_alpha(1.0),
        };
        // What shines through a background is not known here: the worse of the two ends.
        let ratio = [WHITE, BLACK]
            .map(|beneath| {
                let back = over(back_colour, beneath);
                ratio(over(front_colour, back), back)
            })
            .into_iter()
            .fold(f32::INFINITY, f32::min);
        (ratio < self.least).then(|| Warning {
            field: field.name(),
            value: value.to_owned(),
            sides: [front, back].map(|side| {
                side.map_or_else(
                    || "the client's own colour".to_owned(),
                    |(field, text)| format!("{} `{text}`", field.name()),
                )
            }),
            ratio,
            least: self.least,
        })
    }
}

/// The first of these fields that the design has, with its value: the one that the client uses.
fn first<'d>(design: &'d Design, fields: &[Field]) -> Option<(Field, &'d str)> {
    fields
        .iter()
        .find_map(|&field| design.value(field).map(|value| (field, value)))
}

/// The colour of a value; none for a value such as `inherit`, which names no colour.
fn parsed(text: &str) -> Option<AlphaColor<Srgb>> {
    let colour = parse_color(text.trim_matches(' ')).ok()?.to_alpha_color::<Srgb>();
    // What a screen can't show it shows as the nearest that it can.
    Some(AlphaColor::new(
        colour.components.map(|part| part.clamp(0.0, 1.0)),
    ))
}

fn over(front: AlphaColor<Srgb>, back: OpaqueColor<Srgb>) -> OpaqueColor<Srgb> {
    let [red, green, blue, alpha] = front.components;
    let mixed = [red, green, blue].into_iter().zip(back.components);
    let mut parts = mixed.map(|(front, back)| front * alpha + back * (1.0 - alpha));
    OpaqueColor::new(std::array::from_fn(|_| parts.next().unwrap_or_default()))
}

fn ratio(one: OpaqueColor<Srgb>, other: OpaqueColor<Srgb>) -> f32 {
    let (one, other) = (one.relative_luminance(), other.relative_luminance());
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(fields: &[(&str, &str)]) -> Vec<String> {
        let fields = fields
            .iter()
            .map(|&(name, value)| (Field::named(name).unwrap(), value.to_owned()));
        let design = Design {
            fields: fields.collect(),
        };
        warnings(&design).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn measures_as_wcag_does() {
        let between = |one, other| {
            let opaque = |text| over(parsed(text).unwrap(), BLACK);
            (ratio(opaque(one), opaque(other)) * 100.0).floor() / 100.0
        };
        for (one, other, expected) in [
            ("#000", "#fff", 21.0),
            ("#fff", "#fff", 1.0),
            ("#777", "#fff", 4.47),
            ("#767676", "#fff", 4.54),
            ("#004d90", "white", 8.52),
            ("#00a1f2", "white", 2.84),
            ("red", "white", 3.99),
            ("hsl(0 100% 50%)", "rgb(255 255 255)", 3.99),
        ] {
            assert!((between(one, other) - expected).abs() < 0.015, "{one} {other}");
            assert!((between(other, one) - expected).abs() < 0.015, "{other} {one}");
        }
    }

    #[test]
    fn tells_which_two_can_not_be_read_together() {
        assert_eq!(
            told(&[
                ("primary_btn_bg_color", "#777"),
                ("primary_btn_text_color", "#fff")
            ]),
            [
                "primary_btn_text_color `#fff` on primary_btn_bg_color `#777` has a contrast of 4.47:1, and WCAG 2.2 AA \
              asks for 4.5:1"
            ]
        );
        assert_eq!(
            told(&[("header_bg_color", "#0c131a")]),
            [
                "the client's own colour on header_bg_color `#0c131a` has a contrast of 1:1, and WCAG 2.2 AA asks for \
              4.5:1"
            ]
        );
    }

    #[test]
    fn compares_what_the_client_puts_together() {
        let count = |fields: &[(&str, &str)]| told(fields).len();
        for (fields, expected) in [
            (&[][..], 0),
            (&[("primary_color", "#004d90")], 0),
            (&[("primary_color", "#ffff00")], 1), // under the client's white
            (
                &[("primary_color", "#ffff00"), ("primary_btn_bg_color", "#004d90")],
                0,
            ),
            (
                &[("primary_color", "#ffff00"), ("primary_btn_text_color", "#000")],
                0,
            ),
            (&[("primary_btn_text_color", "#fff")], 0), // without a background it is not used
            (&[("secondary_color", "#24aef7")], 0),
            (&[("secondary_btn_bg_color", "#333")], 1),
            (
                &[
                    ("secondary_btn_bg_color", "#333"),
                    ("secondary_btn_text_color", "#fff"),
                ],
                0,
            ),
            (&[("footer_icon_color", "#fff")], 1), // on the client's white
            (&[("footer_icon_color", "#949494")], 0),
            (&[("footer_icon_bg_color", "#111")], 1), // under the client's ink
            (
                &[("footer_icon_bg_color", "#111"), ("footer_icon_color", "#777")],
                0,
            ),
            (&[("right_side_bg_color", "#222")], 1),
            (
                &[("right_side_bg_color", "#222"), ("side_panel_bg_color", "#eee")],
                0,
            ),
            (
                &[
                    ("footer_bg_color", "#000"),
                    ("background_color", "#000"),
                    ("left_side_bg_color", "#000"),
                ],
                0,
            ),
        ] {
            assert_eq!(count(fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn takes_the_worse_of_what_may_shine_through() {
        assert_eq!(told(&[("header_bg_color", "#ffffff")]).len(), 0);
        assert_eq!(told(&[("header_bg_color", "#ffffff10")]).len(), 1);
        assert_eq!(told(&[("header_bg_color", "transparent")]).len(), 1);
        let faint = [
            ("footer_icon_bg_color", "#fff"),
            ("footer_icon_color", "rgb(0 0 0 / 10%)"),
        ];
        assert_eq!(told(&faint).len(), 1);
    }

    #[test]
    fn reads_every_colour_that_is_one_by_itself() {
        for text in super::super::colour::tests::GOOD {
            let by_itself = !text.eq_ignore_ascii_case("currentcolor");
            assert_eq!(parsed(text).is_some(), by_itself, "{text}");
        }
        assert_eq!(told(&[("header_bg_color", "currentColor")]).len(), 0);
    }
}
