//! The keys that a design may have, and what each value is.
//!
//! The two keys of the camera column hold words. The client compares them with its own words and pastes them nowhere.
//! It ignores a word that it does not know.
//!
//! Sources: docs/plugnmeet.md section 7; the deprecated two are in the protocol's `CustomDesignParams`;
//! plugNmeet-client `useClientCustomization.tsx` and `roomSettings.ts` (the words of the camera column).

/// The kind of a field's value. It decides how the value is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Colour,
    Image,
    Stylesheet,
    Word,
}

macro_rules! fields {
    ($($field:ident $name:literal $kind:ident)+) => {
        /// A key of a design that the client knows.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Field {
            $(#[doc = concat!("`", $name, "`")] $field,)+
        }

        impl Field {
            /// All fields, in the order of the client's own list.
            pub const ALL: &[Self] = &[$(Self::$field),+];

            /// The field with exactly this name.
            pub fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$field),)+
                    _ => None,
                }
            }

            /// The field's key in the JSON document.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$field => $name,)+
                }
            }

            pub(super) const fn kind(self) -> Kind {
                match self {
                    $(Self::$field => Kind::$kind,)+
                }
            }
        }
    };
}

fields! {
    Primary "primary_color" Colour
    Secondary "secondary_color" Colour
    Background "background_color" Colour
    BackgroundImage "background_image" Image
    HeaderBackground "header_bg_color" Colour
    FooterBackground "footer_bg_color" Colour
    FooterIconBackground "footer_icon_bg_color" Colour
    FooterIcon "footer_icon_color" Colour
    PrimaryButtonBackground "primary_btn_bg_color" Colour
    PrimaryButtonText "primary_btn_text_color" Colour
    SecondaryButtonBackground "secondary_btn_bg_color" Colour
    SecondaryButtonText "secondary_btn_text_color" Colour
    SidePanelBackground "side_panel_bg_color" Colour
    LeftSideBackground "left_side_bg_color" Colour
    RightSideBackground "right_side_bg_color" Colour
    CssUrl "custom_css_url" Stylesheet
    Logo "custom_logo" Image
    CameraWidth "column_camera_width" Word
    CameraPosition "column_camera_position" Word
}

/// The words that the client knows in each field for words.
const WORDS: [(Field, &[&str]); 2] = [
    (Field::CameraWidth, &["full", "medium", "small"]),
    (Field::CameraPosition, &["left", "top", "bottom"]),
];

impl Field {
    /// The words that the client knows in this field; empty if the field is not for words.
    pub fn words(self) -> &'static [&'static str] {
        let words = WORDS.iter().find(|(field, _)| *field == self);
        words.map_or(&[], |(_, words)| words)
    }
}

/// Is the text a word? A word has 1 to 32 letters, digits, `-` and `_`, so that it can mean nothing else.
pub(super) fn is_word(text: &str) -> bool {
    (1..=MAX_WORD_BYTES).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

const MAX_WORD_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_field_by_its_exact_name() {
        assert_eq!(Field::ALL.len(), 19);
        for &field in Field::ALL {
            assert_eq!(Field::named(field.name()), Some(field));
            assert_eq!(Field::named(&field.name().to_uppercase()), None);
        }
    }

    #[test]
    fn only_what_is_called_a_colour_is_one() {
        for &field in Field::ALL {
            assert_eq!(
                field.kind() == Kind::Colour,
                field.name().ends_with("_color"),
                "{field:?}"
            );
        }
        assert_eq!(Field::CssUrl.kind(), Kind::Stylesheet);
        for (name, word) in [
            ("column_camera_width", "medium"),
            ("column_camera_position", "left"),
        ] {
            let field = Field::named(name).unwrap();
            assert_eq!(field.kind(), Kind::Word);
            assert!(field.words().contains(&word));
        }
    }

    #[test]
    fn a_word_means_nothing_but_itself() {
        for word in ["full", "top", "a-b_C9", &"x".repeat(32)] {
            assert!(is_word(word), "{word}");
        }
        for text in ["", " full", "a;b", "a}b", "ä", "50%", &"x".repeat(33)] {
            assert!(!is_word(text), "{text}");
        }
    }
}
