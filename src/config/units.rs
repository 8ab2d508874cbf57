//! Durations, sizes and rates as people write them: `250ms`, `10s`, `5m`, `3h`; `512B`, `32KiB`, `1GiB`.
//!
//! A value is a whole number with one unit, so that it reads the same in the file, in a problem and in the
//! documentation. `KB` is refused, because half the world means 1000 bytes by it.

use std::{
    num::{NonZeroU16, NonZeroU32, NonZeroUsize},
    ops::RangeInclusive,
    time::Duration,
};

use super::kind::{Kind, Refusal};
use crate::{
    joining::Joins,
    limits::{RateProblem, RateSettings},
};

pub(super) const RATE: Kind<RateSettings> = Kind::new("write a rate such as 10/min, 1/s or 500/h", |text| {
    RateSettings::parse(text).map_err(|problem| match problem {
        RateProblem::NotARate => Refusal::new("is not a rate"),
        RateProblem::RefusesEverything => {
            Refusal::new("would refuse every request").write("write 1/min or more")
        }
    })
})
.like(r"^0*[1-9][0-9]*/(s|min|h)$");

const DURATION_LIKE: &str = r"^[0-9]+(ms|s|m|h)$";

const DURATION_ALLOWED: &str = "write a duration such as 250ms, 10s, 5m or 3h";

pub(super) const DURATION: Kind<Duration> = Kind::new(DURATION_ALLOWED, duration).like(DURATION_LIKE);

pub(super) const DEADLINE: Kind<Duration> = Kind::new(DURATION_ALLOWED, |text| match duration(text)? {
    Duration::ZERO => Err(Refusal::new("leaves no time at all").write("write 1ms or more")),
    duration => Ok(duration),
})
.like(DURATION_LIKE);

/// The longest silence of a client. `0s` is None: there is no limit.
pub(super) const SILENCE: Kind<Option<Duration>> =
    Kind::new(DURATION_ALLOWED, |text| match duration(text)? {
        Duration::ZERO => Ok(None),
        duration if duration >= Duration::from_secs(1) => Ok(Some(duration)),
        _ => {
            Err(Refusal::new("would close WebSockets that are in use")
                .write("write 1s or more, or 0s for never"))
        }
    })
    .like(DURATION_LIKE);

/// A duration that may also be written in days, at most `730d`.
pub(super) const DAYS: Kind<Duration> = Kind::new("write a duration such as 180d or 12h", |text| {
    const MOST: u32 = 730;
    let Some(days) = text.strip_suffix('d') else {
        return duration(text);
    };
    if days.is_empty() || !days.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Refusal::new("is no duration"));
    }
    match days.parse() {
        Ok(days @ 0..=MOST) => Ok(Duration::from_secs(24 * 3600) * days),
        Ok(_) | Err(_) => Err(Refusal::new("is too long").write("write 730d or less")),
    }
})
.like(r"^[0-9]+(ms|s|m|h|d)$");

/// The deadline for Redis. Every request for a token may have to wait as long.
pub(super) const REDIS_TIMEOUT: Kind<Duration> = Kind::new(DURATION_ALLOWED, |text| {
    const ALLOWED: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(1);
    let duration = duration(text)?;
    if ALLOWED.contains(&duration) {
        Ok(duration)
    } else {
        Err(Refusal::new("is out of range").write("write 1ms to 1s"))
    }
})
.like(DURATION_LIKE);

pub(super) const PORT: Kind<NonZeroU16> = Kind::new("write a port, such as 443", |text| {
    text.parse().map_err(|_| Refusal::new("is no port"))
})
.like(r"^0*[1-9][0-9]{0,4}$")
.or_integer();

pub(super) const REPLICAS: Kind<NonZeroU32> = Kind::new("write how many there are: 1 or more", |text| {
    match text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse()) {
        Some(Ok(replicas)) => Ok(replicas),
        Some(Err(_)) | None => Err(Refusal::new("is no number of gateways")),
    }
})
.like(r"^[0-9]+$")
.or_integer();

/// How many releases of the client are served. Each is held in memory.
pub(super) const RELEASES: Kind<NonZeroUsize> = Kind::new("write how many: 1 to 20", |text| {
    at_most(20, text).ok_or(Refusal::new("is no number of releases"))
})
.like(r"^[0-9]+$")
.or_integer();

pub(super) const UPSTREAM_CONNECTIONS: Kind<NonZeroUsize> =
    Kind::new("write how many: 1 to 1000000", |text| {
        at_most(1_000_000, text).ok_or(Refusal::new("is no number of connections"))
    })
    .like(r"^[0-9]+$")
    .or_integer();

/// How many people may be on their way in at once. `0` lets everybody in.
pub(super) const JOINS: Kind<Joins> = Kind::new(
    "write \"auto\", how many: 1 to 100000, or 0 for everybody at once",
    |text| match text {
        "auto" => Ok(Joins::Auto),
        "0" => Ok(Joins::Unpaced),
        text => at_most(100_000, text)
            .and_then(|places| u32::try_from(places.get()).ok())
            .and_then(NonZeroU32::new)
            .map(Joins::AtOnce)
            .ok_or(Refusal::new("is no number of people")),
    },
)
.like(r"^([0-9]+|auto)$")
.or_integer();

/// How many threads serve connections. `auto` is None: one for each core.
pub(super) const THREADS: Kind<Option<NonZeroUsize>> = Kind::new(
    "write how many: 1 to 256, or \"auto\" for one for each core",
    |text| match text {
        "auto" => Ok(None),
        text => at_most(256, text)
            .map(Some)
            .ok_or(Refusal::new("is no number of threads")),
    },
)
.like(r"^([0-9]+|auto)$")
.or_integer();

/// How many connections one address may have open. `0` is None: any number.
pub(super) const CONNECTIONS: Kind<Option<NonZeroUsize>> = Kind::new(
    "write how many: 1 to 1000000, or 0 for any number",
    |text| match text {
        "0" => Ok(None),
        text => at_most(1_000_000, text)
            .map(Some)
            .ok_or(Refusal::new("is no number of connections")),
    },
)
.like(r"^[0-9]+$")
.or_integer();

fn at_most(most: usize, text: &str) -> Option<NonZeroUsize> {
    let digits = text.bytes().all(|b| b.is_ascii_digit()).then_some(text)?;
    digits
        .parse()
        .ok()
        .filter(|count: &NonZeroUsize| count.get() <= most)
}

pub(super) const VALIDITY: Kind<Duration> = Kind::new(DURATION_ALLOWED, |text| {
    const ALLOWED: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);
    let duration = duration(text)?;
    if ALLOWED.contains(&duration) {
        Ok(duration)
    } else {
        Err(Refusal::new("is out of range").write("write 1s to 24h"))
    }
})
.like(DURATION_LIKE);

const SIZE_ALLOWED: &str = "write a size such as 512B, 32KiB or 64MiB";

pub(super) const BODY: Kind<u64> = Kind::new(SIZE_ALLOWED, |text| match size(text)? {
    0 => Err(Refusal::new("would refuse every body").write("write 1B or more")),
    bytes => Ok(bytes),
})
.like(r"^[0-9]+(B|KiB|MiB|GiB)?$")
.or_integer();

/// The largest body that is checked before it goes on. It is held in memory whole, once for each request.
pub(super) const TOKEN_BODY: Kind<usize> = Kind::new(SIZE_ALLOWED, |text| {
    within(text, 1..=16 << 20, "write 1B to 16MiB")
})
.like(r"^[0-9]+(B|KiB|MiB|GiB)?$")
.or_integer();

/// The largest target of a request, in bytes. The request line of a LiveKit client alone can have 16 KiB, and the head
/// of every connection is held in memory.
pub(super) const HEADER: Kind<usize> = Kind::new(SIZE_ALLOWED, |text| {
    within(text, 4 << 10..=1 << 20, "write 4KiB to 1MiB")
})
.like(r"^[0-9]+(B|KiB|MiB|GiB)?$")
.or_integer();

fn within(text: &str, range: RangeInclusive<usize>, allowed: &'static str) -> Result<usize, Refusal> {
    usize::try_from(size(text)?)
        .ok()
        .filter(|bytes| range.contains(bytes))
        .ok_or(Refusal::new("is out of range").write(allowed))
}

pub(super) const BYTE_RATE: Kind<u64> = Kind::new("write a size for each second, such as 1KiB/s", |text| {
    const NO_RATE: Refusal = Refusal::new("is no rate of bytes");
    let bytes = text.strip_suffix("/s").ok_or(NO_RATE)?;
    match size(bytes).or(Err(NO_RATE))? {
        0 => Err(Refusal::new("would let a body trickle for ever").write("write 1B/s or more")),
        bytes => Ok(bytes),
    }
})
.like(r"^[0-9]+(B|KiB|MiB|GiB)?/s$");

/// The longest duration that can be written, other than in days. It is far more than any deadline needs, and far less
/// than what a clock can add without overflow.
const LONGEST: Duration = Duration::from_secs(720 * 3600);

/// Parses a duration: `250ms`, `10s`, `5m`, `3h`.
fn duration(text: &str) -> Result<Duration, Refusal> {
    let (count, unit) = split(text).ok_or(Refusal::new("is no duration"))?;
    let unit = match unit {
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        _ => return Err(Refusal::new("is no duration")),
    };
    u32::try_from(count)
        .ok()
        .and_then(|count| unit.checked_mul(count))
        .filter(|duration| *duration <= LONGEST)
        .ok_or(Refusal::new("is too long").write("write 720h or less"))
}

/// Parses a size: `512B`, `32KiB`, `64MiB`, `1GiB`, or a plain number of bytes.
fn size(text: &str) -> Result<u64, Refusal> {
    let (count, unit) = split(text).ok_or(Refusal::new("is no size"))?;
    let unit = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(Refusal::new("is no size")),
    };
    count.checked_mul(unit).ok_or(Refusal::new("is too large"))
}

/// Splits a text into the number in front and the unit behind it.
fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at_checked(digits)?;
    Some((count.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, millis) in [
            ("250ms", 250),
            ("10s", 10_000),
            ("5m", 300_000),
            ("3h", 10_800_000),
            ("0s", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for (text, bytes) in [
            ("0", 0),
            ("512B", 512),
            ("512", 512),
            ("32KiB", 32_768),
            ("64MiB", 64 << 20),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        assert_eq!(size("1GiB"), Ok(1 << 30));
    }

    #[test]
    fn days_are_read_where_days_are_meant() {
        let day = Duration::from_secs(86_400);
        for (text, time) in [
            ("180d", 180 * day),
            ("0d", Duration::ZERO),
            ("0s", Duration::ZERO),
            ("12h", day / 2),
        ] {
            assert_eq!((DAYS.parse)(text), Ok(time), "{text}");
        }
        for text in ["d", "+1d", "1.5d", "180 d", "180D", "180"] {
            assert_eq!((DAYS.parse)(text), Err(Refusal::new("is no duration")), "{text}");
        }
        for text in ["731d", "99999999999d"] {
            let too_long = Err(Refusal::new("is too long").write("write 730d or less"));
            assert_eq!((DAYS.parse)(text), too_long, "{text}");
        }
    }

    #[test]
    fn refuses_what_could_be_read_in_two_ways() {
        for text in [
            "",
            "10",
            "s",
            "10 s",
            "-1s",
            "+1s",
            "1.5s",
            "1h30m",
            "10S",
            "10min",
            "99999999999999999999s",
        ] {
            assert_eq!(duration(text), Err(Refusal::new("is no duration")), "{text}");
        }
        for text in ["", "KiB", "32KB", "32kib", "32K", "-1", "1.5MiB", " 1"] {
            assert_eq!(size(text), Err(Refusal::new("is no size")), "{text}");
        }
    }

    #[test]
    fn refuses_what_no_clock_and_no_counter_can_hold() {
        let too_long = Err(Refusal::new("is too long").write("write 720h or less"));
        assert_eq!(duration("721h"), too_long);
        assert_eq!(duration("4294967296h"), too_long);
        assert_eq!(size("18446744073709551615GiB"), Err(Refusal::new("is too large")));
    }
}
