//! Moments, and the normal forms of date and time texts on the wire.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::Instant;

use jiff::{SignedDuration, civil};

/// A moment in milliseconds since 1970-01-01T00:00:00Z, in the years 0000 to 9999.
///
/// Its text is `2024-11-20T22:16:00.12Z`: UTC, up to three digits of fraction, no trailing zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

/// A text is not a moment, a date or a time of day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an ISO 8601 {expected} in the years 0000 to 9999")]
pub struct TimeError {
    expected: &'static str,
}

impl Timestamp {
    /// From milliseconds since the epoch; values outside the years 0000 to 9999 are clamped.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(-62_167_219_200_000, 253_402_300_799_999))
    }

    /// Milliseconds since the epoch.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    fn civil(self) -> civil::DateTime {
        // Civil arithmetic, because jiff's own timestamps end a day before the year 9999 does. The constructor keeps
        // the value within the years 0 to 9999, so this cannot overflow.
        EPOCH.checked_add(SignedDuration::from_millis(self.0)).unwrap_or(EPOCH)
    }

    /// The day in UTC, `2013-11-22`.
    pub fn date_text(self) -> String {
        let c = self.civil();
        format!("{:04}-{:02}-{:02}", c.year(), c.month(), c.day())
    }

    /// The time of day in UTC, `17:33:14.5Z`.
    pub fn time_text(self) -> String {
        let text = self.to_string();
        text[11..].to_owned()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = self.civil();
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            c.year(),
            c.month(),
            c.day(),
            c.hour(),
            c.minute(),
            c.second()
        )?;
        write_fraction(f, c.millisecond())?;
        f.write_str("Z")
    }
}

/// `.5`, `.12`, `.123`, or nothing at all for 0.
fn write_fraction(f: &mut impl fmt::Write, millis: i16) -> fmt::Result {
    if millis == 0 {
        Ok(())
    } else if millis % 100 == 0 {
        write!(f, ".{}", millis / 100)
    } else if millis % 10 == 0 {
        write!(f, ".{:02}", millis / 10)
    } else {
        write!(f, ".{millis:03}")
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    /// Any ISO 8601 date or date and time; without an offset it is UTC; finer digits than milliseconds are dropped.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let error = TimeError {
            expected: "date and time",
        };
        let in_utc = text.strip_suffix(['Z', 'z']).unwrap_or(text);
        let nanos = if let Ok(civil) = parse_civil(in_utc) {
            civil.duration_since(EPOCH).as_nanos()
        } else {
            text.parse::<jiff::Timestamp>()
                .map_err(|_| error.clone())?
                .as_nanosecond()
        };
        let millis = nanos.div_euclid(1_000_000);
        i64::try_from(millis)
            .ok()
            .map(Self::from_millis)
            .filter(|t| i128::from(t.0) == millis)
            .ok_or(error)
    }
}

const EPOCH: civil::DateTime = civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// A date, or a date and time, without any offset: what has one is refused, where jiff alone would drop it.
fn parse_civil(text: &str) -> Result<civil::DateTime, jiff::Error> {
    let has_offset = text.len() > 10
        && text
            .get(10..)
            .is_some_and(|rest| rest.contains(['+', '-', '[', 'Z', 'z']));
    if has_offset { "".parse() } else { text.parse() }
}

/// The normal form of a calendar day, `2013-11-22`, from an ISO date or from the day (in UTC) of an ISO moment.
pub fn date_normal_form(text: &str) -> Result<String, TimeError> {
    let moment = text.parse::<Timestamp>().map_err(|_| TimeError { expected: "date" })?;
    Ok(moment.date_text())
}

/// The normal form of a time of day in UTC, `17:33:14.5Z`, from an ISO time (with or without offset) or an ISO moment.
pub fn time_normal_form(text: &str) -> Result<String, TimeError> {
    let error = TimeError {
        expected: "time of day",
    };
    let moment = match text.as_bytes().first() {
        Some(b'T' | b't') => format!("1970-01-01{text}"),
        _ if text.as_bytes().get(2) == Some(&b':') => format!("1970-01-01T{text}"),
        _ => text.to_owned(),
    };
    moment.parse::<Timestamp>().map(Timestamp::time_text).map_err(|_| error)
}

/// Where the time comes from. Tests pass a clock they move by hand.
pub trait Clock: Send + Sync + 'static {
    /// The current moment.
    fn now(&self) -> Timestamp;

    /// Microseconds since the epoch by a clock that nobody sets: the wall clock as it was when the process started, advanced
    /// evenly. For what must not be shortened or lengthened by a step of the wall clock. Only differences mean anything.
    fn steady_micros(&self) -> u64 {
        u64::try_from(self.now().millis())
            .unwrap_or_default()
            .saturating_mul(1000)
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the machine's clock"
    )]
    fn now(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    fn steady_micros(&self) -> u64 {
        static START: LazyLock<(Instant, u64)> = LazyLock::new(|| {
            let millis = u64::try_from(SystemClock.now().millis()).unwrap_or_default();
            (Instant::now(), millis * 1000)
        });
        let (instant, micros) = *START;
        micros.saturating_add(u64::try_from(instant.elapsed().as_micros()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_a_normal_form() {
        for (given, normal) in [
            ("2024-11-20T22:16:00.120Z", "2024-11-20T22:16:00.12Z"),
            ("2024-11-20T22:16:00.000Z", "2024-11-20T22:16:00Z"),
            ("2024-11-20T22:16:00.1239Z", "2024-11-20T22:16:00.123Z"),
            ("2024-11-20T22:16:00+02:00", "2024-11-20T20:16:00Z"),
            ("2024-11-20", "2024-11-20T00:00:00Z"),
            ("2024-11-20T22:16", "2024-11-20T22:16:00Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
            ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.5Z"),
        ] {
            assert_eq!(given.parse::<Timestamp>().unwrap().to_string(), normal, "{given}");
        }
    }

    #[test]
    fn bad_moments_are_refused() {
        for bad in [
            "",
            "yesterday",
            "2024-13-01",
            "2024-02-30T00:00:00Z",
            "-000001-01-01T00:00:00Z",
            "12:00:00Z",
            "1",
        ] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
    }

    #[test]
    fn days_and_times_have_a_normal_form() {
        assert_eq!(date_normal_form("2013-11-22").unwrap(), "2013-11-22");
        assert_eq!(date_normal_form("2013-11-22T23:30:00-01:00").unwrap(), "2013-11-23");
        for (given, normal) in [
            ("17:33:14Z", "17:33:14Z"),
            ("17:33:14.500Z", "17:33:14.5Z"),
            ("17:33:14", "17:33:14Z"),
            ("17:33", "17:33:00Z"),
            ("T17:33:14Z", "17:33:14Z"),
            ("01:00:00+02:00", "23:00:00Z"),
            ("1970-01-01T17:33:14Z", "17:33:14Z"),
        ] {
            assert_eq!(time_normal_form(given).unwrap(), normal, "{given}");
        }
        assert!(time_normal_form("25:00:00Z").is_err());
    }
}
