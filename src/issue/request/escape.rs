//! One escape in a JSON string.
//!
//! Rust's strings can't hold half a surrogate pair. The server refuses it as well, so nothing is replaced
//! here.
//!
//! Sources: RFC 8259 section 7.

/// Reads the escape at the start of `text`. Returns its character and its length in bytes.
pub(super) fn read(text: &[u8]) -> Option<(char, usize)> {
    let character = match text.get(1)? {
        b'u' => return unicode_escape(text),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        &itself @ (b'"' | b'\\' | b'/') => itself.into(),
        _ => return None,
    };
    Some((character, 2))
}

fn unicode_escape(text: &[u8]) -> Option<(char, usize)> {
    let first = utf16_unit(text)?;
    if let Some(character) = char::from_u32(first.into()) {
        return Some((character, 6));
    }
    let second = utf16_unit(text.get(6..)?)?;
    let pair = char::decode_utf16([first, second]).next()?.ok()?;
    Some((pair, 12))
}

/// The value of the four digits in `\uXXXX`.
fn utf16_unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    let unit = digits.iter().try_fold(0, |unit, &digit| {
        Some(unit << 4 | char::from(digit).to_digit(16)?)
    })?;
    u16::try_from(unit).ok()
}
