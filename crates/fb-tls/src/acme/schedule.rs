//! When to order: pure functions of times and counts.

use fb_types::Timestamp;

use crate::Validity;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// The wait after the first failure; it doubles with each further one. Let's Encrypt permits five failed validations per
/// host and hour: the first attempt may make two (one per way), those after 5, 15 and 35 minutes one each.
const FIRST_WAIT: i64 = 5 * MINUTE;
const LONGEST_WAIT: i64 = 12 * HOUR;
/// The least wait when the authority says that it was asked too often, and not for how long it wants to be left alone.
const LIMITED_WAIT: i64 = HOUR;
/// The longest wait for a failure from before a restart: whoever repairs something and restarts wants to see it work, and
/// a server that restarts all the time must not try all the time.
const RESTART_WAIT: i64 = 12 * MINUTE;

/// When to renew: at two thirds of the lifetime, up to a twentieth of it earlier (`jitter`, 0 to 255), so that
/// certificates that were obtained together are not renewed together. Never within a third of a lifetime after it was
/// obtained by this machine's clock, however wrong that is: a clock far ahead would order without end.
pub(super) fn renew_at(validity: Validity, issued_at: Timestamp, jitter: u8) -> Timestamp {
    let lifetime = validity.lifetime_millis();
    let early = lifetime / 20 * i64::from(jitter) / 256;
    let by_dates = validity.not_before.millis() + lifetime / 3 * 2 - early;
    let by_clock = issued_at.millis() + lifetime / 3;
    Timestamp::from_millis(by_dates.max(by_clock))
}

/// What the authority said about being asked too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limited {
    No,
    /// Without a time.
    Yes,
    /// For so many seconds.
    For(u32),
}

/// When to try again after the `count`-th failure in a row. `jitter` (0 to 255) adds up to a quarter.
pub(super) fn retry_at(now: Timestamp, count: u32, limited: Limited, jitter: u8) -> Timestamp {
    let doubled = FIRST_WAIT << count.saturating_sub(1).min(16);
    let wait = doubled.min(LONGEST_WAIT);
    let wait = match limited {
        Limited::No => wait,
        Limited::Yes => wait.max(LIMITED_WAIT),
        // Whatever it says: a week at most, so that a slip of the authority's heals.
        Limited::For(seconds) => wait.max(i64::from(seconds) * 1000).min(7 * 24 * HOUR),
    };
    Timestamp::from_millis(now.millis() + wait + wait / 4 * i64::from(jitter) / 256)
}

/// When to try again what failed before a restart.
pub(super) fn retry_after_restart(now: Timestamp, retry_at: Timestamp, was_limited: bool) -> Timestamp {
    if was_limited {
        return retry_at;
    }
    retry_at.min(Timestamp::from_millis(now.millis() + RESTART_WAIT))
}

/// For how long nothing at all is ordered after the `count`-th time in a row that the authority said it was asked too
/// often, in milliseconds: a minute, doubling, an hour at most. The limit may be that of one host, so the others are held
/// up no longer.
pub(super) fn pause_millis(count: u32) -> i64 {
    (MINUTE << count.saturating_sub(1).min(16)).min(HOUR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn certificates_are_renewed_at_two_thirds_of_their_lifetime_or_somewhat_earlier() {
        let validity = Validity {
            not_before: at("2026-01-01T00:00:00Z"),
            not_after: at("2026-04-01T00:00:00Z"),
        };
        let issued = at("2026-01-01T01:00:00Z");
        assert_eq!(renew_at(validity, issued, 0), at("2026-03-02T00:00:00Z"));
        let earliest = renew_at(validity, issued, 255);
        assert!(
            earliest > at("2026-02-25T00:00:00Z") && earliest < at("2026-02-26T00:00:00Z"),
            "{earliest}"
        );
    }

    #[test]
    fn a_wrong_clock_does_not_order_without_end() {
        let validity = Validity {
            not_before: at("2026-01-01T00:00:00Z"),
            not_after: at("2026-04-01T00:00:00Z"),
        };
        let issued = at("2030-01-01T00:00:00Z");
        assert_eq!(renew_at(validity, issued, 255), at("2030-01-31T00:00:00Z"));
        // Nor do dates that contradict each other.
        let never = Validity {
            not_before: at("2026-04-01T00:00:00Z"),
            not_after: at("2026-01-01T00:00:00Z"),
        };
        assert_eq!(never.lifetime_millis(), 0);
    }

    #[test]
    fn at_most_five_validations_fail_within_an_hour() {
        let start = at("2026-01-01T00:00:00Z");
        let mut now = start;
        let mut times = vec![start, start];
        for count in 1..40 {
            let next = retry_at(now, count, Limited::No, 0);
            assert!(next.millis() - now.millis() >= FIRST_WAIT);
            assert!(next.millis() - now.millis() <= LONGEST_WAIT);
            now = next;
            times.push(now);
        }
        for from in &times {
            let in_the_hour = times
                .iter()
                .filter(|t| (0..HOUR).contains(&(t.millis() - from.millis())));
            assert!(in_the_hour.count() <= 5, "{from}");
        }
    }

    #[test]
    fn what_the_authority_asks_for_is_waited_for() {
        let now = at("2026-01-01T00:00:00Z");
        let wait = |count, limited| retry_at(now, count, limited, 0).millis() - now.millis();
        assert_eq!(wait(1, Limited::Yes), HOUR);
        assert_eq!(wait(1, Limited::For(7200)), 2 * HOUR);
        assert_eq!(wait(1, Limited::For(1)), FIRST_WAIT);
        assert_eq!(wait(99, Limited::For(1)), LONGEST_WAIT);
        assert_eq!(wait(1, Limited::For(u32::MAX)), 7 * 24 * HOUR);
        let later = retry_at(now, 1, Limited::For(86_400), 0);
        assert_eq!(retry_after_restart(now, later, true), later);
        assert_eq!(
            retry_after_restart(now, later, false).millis() - now.millis(),
            RESTART_WAIT
        );
        assert_eq!(
            (pause_millis(1), pause_millis(2), pause_millis(50)),
            (MINUTE, 2 * MINUTE, HOUR)
        );
    }

    #[test]
    fn waits_differ_by_a_quarter_at_most() {
        let now = at("2026-01-01T00:00:00Z");
        let longest = retry_at(now, 1, Limited::No, 255).millis() - now.millis();
        assert!(longest > FIRST_WAIT && longest < FIRST_WAIT + FIRST_WAIT / 4);
    }
}
