//! A line of the log in JSON, written piece by piece, as tracing-subscriber's JSON layer would write it.

use std::{fmt::Display, io::Write, time::SystemTime};

use serde::Serialize;
use time::OffsetDateTime;

use crate::{addr::ClientAddr, request_id::RequestId};

/// A line of JSON, written at the end of a buffer.
pub(super) struct JsonLine<'b>(pub(super) &'b mut Vec<u8>);

impl JsonLine<'_> {
    /// Writes the part before a line's fields.
    pub(super) fn begin(&mut self, now: SystemTime, message: &str) -> &mut Self {
        self.raw(r#"{"timestamp":""#).time(now);
        self.raw(r#"","level":"INFO","message":""#);
        self.raw(message).raw("\"")
    }

    /// Writes the part behind a line's fields.
    pub(super) fn end(&mut self, target: &str) {
        self.raw(r#","target":""#).raw(target).raw("\"}\n");
    }

    /// Writes a text that is already JSON.
    pub(super) fn raw(&mut self, json: &str) -> &mut Self {
        self.0.extend_from_slice(json.as_bytes());
        self
    }

    /// Writes a value whose text needs no escapes, without quotes.
    pub(super) fn plain(&mut self, shown: impl Display) -> &mut Self {
        // A vector takes everything.
        write!(self.0, "{shown}").ok();
        self
    }

    pub(super) fn address(&mut self, address: ClientAddr) -> &mut Self {
        address.append_to(self.0);
        self
    }

    pub(super) fn id(&mut self, id: RequestId) -> &mut Self {
        id.append_to(self.0);
        self
    }

    /// Writes a number, or a text in quotes with escapes.
    pub(super) fn value(&mut self, value: impl Serialize) -> &mut Self {
        serde_json::to_writer(&mut *self.0, &value).ok();
        self
    }

    /// Writes a time in the form of RFC 3339, in UTC, with microseconds.
    pub(super) fn time(&mut self, time: SystemTime) -> &mut Self {
        let time = OffsetDateTime::from(time);
        self.digits::<4>(time.year().unsigned_abs()).raw("-");
        self.digits::<2>(u8::from(time.month()).into()).raw("-");
        self.digits::<2>(time.day().into()).raw("T");
        self.digits::<2>(time.hour().into()).raw(":");
        self.digits::<2>(time.minute().into()).raw(":");
        self.digits::<2>(time.second().into()).raw(".");
        self.digits::<6>(time.microsecond()).raw("Z")
    }

    fn digits<const N: usize>(&mut self, mut number: u32) -> &mut Self {
        let mut digits = [b'0'; N];
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
        self.0.extend_from_slice(&digits);
        self
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_time_is_rfc_3339_with_microseconds() {
        for (seconds, nanos, shown) in [
            (0, 0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400, 999, "2000-02-29T00:00:00.000000Z"),
            (1_795_416_467, 12_226_999, "2026-11-23T06:47:47.012226Z"),
            (4_102_444_799, 999_999_999, "2099-12-31T23:59:59.999999Z"),
        ] {
            let mut line = Vec::new();
            JsonLine(&mut line).time(SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos));
            assert_eq!(String::from_utf8(line).unwrap(), shown);
        }
    }
}
