//! What changes from run to run, found in any bytes and put out of sight as the recording has it.

/// With masks in place of JWTs, UUIDs, unix times, dates, and the rest.
pub fn masked(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let before = at.checked_sub(1).map(|before| bytes[before]);
        let found = FORMS
            .iter()
            .find_map(|(mask, form)| Some((mask, form(before, rest)?)));
        if let Some((mask, length)) = found {
            out.extend(mask.as_bytes());
            at += length;
        } else {
            out.push(rest[0]);
            at += 1;
        }
    }
    out
}

/// The JWTs, in their order.
pub fn tokens(bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match jwt(None, &bytes[at..]) {
            Some(length) => {
                found.push(String::from_utf8_lossy(&bytes[at..at + length]).into_owned());
                at += length;
            }
            None => at += 1,
        }
    }
    found
}

/// How long is it, if it stands here? Given the byte before.
type Form = fn(Option<u8>, &[u8]) -> Option<usize>;

/// A date before a time, as it has more digits.
const FORMS: [(&str, Form); 7] = [
    ("{{jwt}}", jwt),
    ("{{uuid}}", uuid),
    ("{{date}}", iso_date),
    ("{{date}}", http_date),
    ("{{time}}", unix_time),
    ("<duration>", duration),
    ("{{key}}", ingress_key),
];

fn jwt(_: Option<u8>, bytes: &[u8]) -> Option<usize> {
    bytes.starts_with(b"eyJ").then_some(())?;
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let length = bytes.iter().take_while(|byte| is_part(byte)).count();
    let parts = bytes[..length].split(|byte| *byte == b'.').count();
    (parts == 3).then_some(length)
}

fn uuid(_: Option<u8>, bytes: &[u8]) -> Option<usize> {
    shaped(bytes, b"xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")
}

/// The year 1 stands for never, and is no date that changes.
fn iso_date(_: Option<u8>, bytes: &[u8]) -> Option<usize> {
    let length = shaped(bytes, b"0000-00-00T00:00:00Z").or_else(|| shaped(bytes, b"0000-00-00 00:00:00"))?;
    (!bytes.starts_with(b"0001")).then_some(length)
}

fn http_date(_: Option<u8>, bytes: &[u8]) -> Option<usize> {
    shaped(bytes, b"AAA, 00 AAA 0000 00:00:00 UTC")
}

/// Seconds or milliseconds of our days.
fn unix_time(before: Option<u8>, bytes: &[u8]) -> Option<usize> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let alone = before.is_none_or(|byte| !byte.is_ascii_alphanumeric());
    (alone && bytes.starts_with(b"1") && matches!(digits, 10 | 13)).then_some(digits)
}

fn duration(_: Option<u8>, bytes: &[u8]) -> Option<usize> {
    let digits = bytes.strip_prefix(b"<duration>")?;
    Some(b"<duration>".len() + digits.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

/// Field 5 of the answer to `ingress/create`, 12 letters and digits at its end.
fn ingress_key(before: Option<u8>, bytes: &[u8]) -> Option<usize> {
    let key = bytes.strip_prefix(b"\x0c")?;
    let all = key.len() == 12 && key.iter().all(u8::is_ascii_alphanumeric);
    (all && before == Some(b'*')).then_some(13)
}

/// `x` is a hexadecimal digit, `0` a digit, `A` a letter; all else is itself.
fn shaped(bytes: &[u8], shape: &[u8]) -> Option<usize> {
    let found = bytes.get(..shape.len())?;
    let fits = found.iter().zip(shape).all(|(byte, form)| match form {
        b'x' => byte.is_ascii_hexdigit(),
        b'0' => byte.is_ascii_digit(),
        b'A' => byte.is_ascii_alphabetic(),
        other => byte == other,
    });
    fits.then_some(shape.len())
}
