//! Cron patterns: five fields (minute, hour, day of the month, month, day of the week), or six with seconds before them. UTC.
//!
//! A field is a list of `*`, numbers, ranges `a-b`, and either with a step `/n`; months and days of the week also have names
//! (`JAN`, `MON`), Sunday is 0 and 7. `H` is a number that differs from job to job and stays with each, so that jobs of many
//! apps do not all begin at once; `H(a-b)` is one out of a range, `H/n` every nth from such a beginning. If neither day
//! field begins with `*`, a day counts that matches one of both. Written here because no crate knows `H`, and the rest is less
//! than what it takes to put `H` in front of one.

/// A pattern, as sets of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cron {
    seconds: u64,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Either of the two day fields is enough.
    either_day: bool,
}

struct Field {
    name: &'static str,
    first: u32,
    last: u32,
    names: &'static [&'static str],
}

const MONTHS: &[&str] = &[
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

const fn field(name: &'static str, first: u32, last: u32, names: &'static [&'static str]) -> Field {
    Field {
        name,
        first,
        last,
        names,
    }
}

const FIELDS: [Field; 6] = [
    field("second", 0, 59, &[]),
    field("minute", 0, 59, &[]),
    field("hour", 0, 23, &[]),
    field("day of the month", 1, 31, &[]),
    field("month", 1, 12, MONTHS),
    field("day of the week", 0, 7, WEEKDAYS),
];

const DAY: i64 = 86_400;
/// The 29th of February comes after at most eight years.
const MOST_DAYS: i64 = 366 * 8 + 2;

impl Cron {
    /// Reads a pattern; `seed` says which numbers `H` stands for.
    pub(super) fn parse(text: &str, seed: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split_whitespace().collect();
        let parts = match parts.len() {
            5 => [&["0"], &parts[..]].concat(),
            6 => parts,
            n => return Err(format!("a pattern has 5 or 6 fields, found {n}")),
        };
        let mut sets = [0_u64; 6];
        for (i, (part, field)) in parts.iter().zip(&FIELDS).enumerate() {
            let seed = format!("{seed} {i}");
            sets[i] = field
                .parse(part, &seed)
                .map_err(|problem| format!("{}: {problem}", field.name))?;
        }
        let [seconds, minutes, hours, days, months, weekdays] = sets;
        let cron = Self {
            seconds,
            minutes,
            hours,
            days,
            months,
            // Sunday has two numbers.
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            either_day: !parts[3].starts_with('*') && !parts[5].starts_with('*'),
        };
        match cron.next(0) {
            Some(_) => Ok(cron),
            None => Err("there is no such day".into()),
        }
    }

    /// The first second after `after`; both in milliseconds since the epoch.
    pub(super) fn next(&self, after: i64) -> Option<i64> {
        let from = after.div_euclid(1000) + 1;
        let first = from.div_euclid(DAY);
        for day in first..first + MOST_DAYS {
            if !self.has_day(day) {
                continue;
            }
            let earliest = if day == first { from.rem_euclid(DAY) } else { 0 };
            if let Some(second) = self.second_of_day(earliest) {
                return Some((day * DAY + second) * 1000);
            }
        }
        None
    }

    fn has_day(&self, day: i64) -> bool {
        let (month, of_month) = civil(day);
        if self.months & 1 << month == 0 {
            return false;
        }
        let by_month = self.days & 1 << of_month != 0;
        // The epoch was a Thursday.
        let by_week = self.weekdays & 1 << (day + 4).rem_euclid(7) != 0;
        if self.either_day {
            by_month || by_week
        } else {
            by_month && by_week
        }
    }

    fn second_of_day(&self, earliest: i64) -> Option<i64> {
        let (hour, minute, second) = (earliest / 3600, earliest / 60 % 60, earliest % 60);
        for h in (hour..24).filter(|h| self.hours & 1 << h != 0) {
            let from = if h == hour { minute } else { 0 };
            for m in (from..60).filter(|m| self.minutes & 1 << m != 0) {
                let from = if h == hour && m == minute { second } else { 0 };
                if let Some(s) = (from..60).find(|s| self.seconds & 1 << s != 0) {
                    return Some(h * 3600 + m * 60 + s);
                }
            }
        }
        None
    }
}

impl Field {
    fn parse(&self, text: &str, seed: &str) -> Result<u64, String> {
        let mut set = 0;
        for item in text.split(',') {
            let (range, step) = match item.split_once('/') {
                Some((range, step)) => match step.parse::<u32>() {
                    Ok(step @ 1..=1000) => (range, Some(step)),
                    _ => return Err(format!("`{item}` has no valid step")),
                },
                None => (item, None),
            };
            let (first, last) = self.range(range, step, seed)?;
            for n in (first..=last).step_by(step.unwrap_or(1) as usize) {
                set |= 1 << n;
            }
        }
        Ok(set)
    }

    fn range(&self, text: &str, step: Option<u32>, seed: &str) -> Result<(u32, u32), String> {
        // The second number of Sunday is not one more day.
        let last = if self.last == 7 { 6 } else { self.last };
        if text == "*" {
            return Ok((self.first, last));
        }
        if let Some(rest) = text.strip_prefix('H') {
            // Not every month has more.
            let last = if self.last == 31 { 28 } else { last };
            let (from, to) = match rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
                Some(range) => self.pair(range)?,
                None if rest.is_empty() => (self.first, last),
                None => return Err(format!("`{text}` is neither H nor H(a-b)")),
            };
            return Ok(match step {
                Some(step) => (from + hash(seed) % step.min(to - from + 1), to),
                None => {
                    let n = from + hash(seed) % (to - from + 1);
                    (n, n)
                }
            });
        }
        if text.contains('-') {
            return self.pair(text);
        }
        let n = self.number(text)?;
        Ok((n, if step.is_some() { last.max(n) } else { n }))
    }

    fn pair(&self, text: &str) -> Result<(u32, u32), String> {
        let (from, to) = text.split_once('-').ok_or_else(|| format!("`{text}` is no range"))?;
        let (from, to) = (self.number(from)?, self.number(to)?);
        match from <= to {
            true => Ok((from, to)),
            false => Err(format!("the range `{text}` ends before it begins")),
        }
    }

    fn number(&self, text: &str) -> Result<u32, String> {
        if let Some(index) = self.names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
            return Ok(self.first + u32::try_from(index).unwrap_or_default());
        }
        let is_number = text.len() <= 2 && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse() {
            Ok(n) if is_number && (self.first..=self.last).contains(&n) => Ok(n),
            _ => Err(format!("`{text}` is no number from {} to {}", self.first, self.last)),
        }
    }
}

/// FNV-1a: the same on every machine and in every version.
fn hash(text: &str) -> u32 {
    let mix = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, mix);
    u32::try_from(hash >> 33).unwrap_or_default()
}

/// Month and day of the month of a day since the epoch, in the Gregorian calendar. The year is thought to begin in March,
/// so that the leap day is its last.
fn civil(day: i64) -> (i64, i64) {
    let day_of_era = (day + 719_468).rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let of_month = day_of_year - (153 * shifted + 2) / 5 + 1;
    (if shifted < 10 { shifted + 3 } else { shifted - 9 }, of_month)
}

#[cfg(test)]
mod tests {
    use fb_types::Timestamp;

    use super::*;

    fn next(pattern: &str, after: &str) -> String {
        let after: Timestamp = after.parse().unwrap();
        let cron = Cron::parse(pattern, "job").unwrap();
        Timestamp::from_millis(cron.next(after.millis()).unwrap()).to_string()
    }

    #[test]
    fn the_next_time_of_a_pattern() {
        for (pattern, after, expected) in [
            ("* * * * * *", "2024-02-28T23:59:59.5Z", "2024-02-29T00:00:00Z"),
            ("* * * * *", "2024-01-01T00:00:00Z", "2024-01-01T00:01:00Z"),
            ("*/15 * * * *", "2024-01-01T00:46:00Z", "2024-01-01T01:00:00Z"),
            ("5/20 * * * *", "2024-01-01T00:26:00Z", "2024-01-01T00:45:00Z"),
            ("30 4 * * *", "2024-12-31T04:30:00Z", "2025-01-01T04:30:00Z"),
            ("0 0 29 2 *", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"),
            ("0 12 * * MON-fri", "2024-11-22T12:00:00Z", "2024-11-25T12:00:00Z"),
            ("0 0 * * 7", "2024-11-20T00:00:00Z", "2024-11-24T00:00:00Z"),
            ("0 0 * * 0", "2024-11-20T00:00:00Z", "2024-11-24T00:00:00Z"),
            ("0 0 13 * FRI", "2024-11-20T00:00:00Z", "2024-11-22T00:00:00Z"),
            ("0 0 1 JAN,jul *", "2024-02-01T00:00:00Z", "2024-07-01T00:00:00Z"),
            ("10-12,50 0 0 1 1 *", "2024-01-01T00:00:12Z", "2024-01-01T00:00:50Z"),
        ] {
            assert_eq!(next(pattern, after), expected, "{pattern} after {after}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in [
            "",
            "* * * *",
            "* * * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "a * * * *",
            "5-1 * * * *",
            "*/0 * * * *",
            "*/x * * * *",
            "1- * * * *",
            ", * * * *",
            "+5 * * * *",
            "H(1 * * * *",
            "Hx * * * *",
            "0 0 30 2 *",
            "* * * FOO *",
            "H(9-99) * * * *",
            "99999999999 * * * *",
            "-1 * * * *",
        ] {
            assert!(Cron::parse(text, "job").is_err(), "{text}");
        }
    }

    #[test]
    fn h_differs_between_jobs_and_stays_with_each() {
        let of = |seed: &str| Cron::parse("H H(2-4) * * *", seed).unwrap();
        assert_eq!(of("a"), of("a"));
        let all: std::collections::HashSet<u64> = (0..40).map(|i| of(&i.to_string()).minutes).collect();
        assert!(all.len() > 10, "{all:?}");
        for i in 0..40 {
            let cron = of(&i.to_string());
            assert_eq!((cron.minutes.count_ones(), cron.hours & !0b11100), (1, 0));
            assert_eq!(
                Cron::parse("H/15 * * * *", &i.to_string())
                    .unwrap()
                    .minutes
                    .count_ones(),
                4
            );
        }
    }

    proptest::proptest! {
        /// What is found matches, and nothing before it does: against a walk second by second.
        #[test]
        fn the_next_time_is_the_first_that_matches(
            minute in 0..60_u32, step in 1..7_u32, hour in 0..24_u32, weekday in 0..7_u32, from in 0..4_000_000_000_i64,
        ) {
            let cron = Cron::parse(&format!("{minute}/{step} {hour} * * {weekday}"), "job").unwrap();
            let next = cron.next(from * 1000).unwrap() / 1000;
            let matches = |second: i64| {
                let of_day = second.rem_euclid(DAY);
                let m = of_day / 60 % 60;
                of_day % 60 == 0 && of_day / 3600 == i64::from(hour) && m >= i64::from(minute)
                    && (m - i64::from(minute)) % i64::from(step) == 0
                    && (second.div_euclid(DAY) + 4) % 7 == i64::from(weekday)
            };
            proptest::prop_assert!(next > from && matches(next));
            let first = (from + 1).div_euclid(60) * 60;
            let earlier = (first..next).step_by(60).find(|second| *second > from && matches(*second));
            proptest::prop_assert_eq!(earlier, None);
        }

        #[test]
        fn no_text_is_a_problem(text in "[0-9H*/,()A-Za-z -]{0,40}") {
            let _ = Cron::parse(&text, "job");
        }
    }
}
