//! Counting attempts, so that secrets cannot be guessed and strangers cannot keep a server busy.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use fb_types::Timestamp;

/// Most keys that are counted at once; about 10 MB.
const MAX_KEYS: usize = 50_000;
/// How often a full table is searched for entries that are over, in milliseconds.
const SWEEP_MS: i64 = 1000;

/// So many attempts in so much time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptLimit {
    /// Most attempts within the window; 0 does not limit.
    pub attempts: u32,
    /// Length of the window, from the first attempt on, in seconds.
    pub seconds: u32,
}

/// Too many attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts; try again in {retry_after} s")]
pub struct TooManyAttempts {
    /// Seconds until the next attempt is counted again, at least 1.
    pub retry_after: u64,
}

/// Counts attempts per key in fixed windows. An attempt is counted before it is made, so that of any number of
/// simultaneous ones exactly as many as allowed are made.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    by_key: HashMap<String, Entry>,
    swept_at: i64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    count: u32,
    ends_at: i64,
}

impl Attempts {
    /// Counts one attempt, unless there were too many.
    pub fn begin(&self, key: &str, limit: AttemptLimit, now: Timestamp) -> Result<(), TooManyAttempts> {
        if limit.attempts == 0 {
            return Ok(());
        }
        let now = now.millis();
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.by_key.len() >= MAX_KEYS {
            table.make_room(now);
        }
        let fresh = Entry {
            count: 0,
            ends_at: now.saturating_add(i64::from(limit.seconds) * 1000),
        };
        let entry = match table.by_key.get_mut(key) {
            Some(entry) => entry,
            None => table.by_key.entry(key.to_owned()).or_insert(fresh),
        };
        // A clock that was set back does not lock anybody out for longer than the window.
        if now >= entry.ends_at || entry.ends_at > fresh.ends_at {
            *entry = fresh;
        }
        if entry.count >= limit.attempts {
            let millis = u64::try_from(entry.ends_at - now).unwrap_or(0);
            return Err(TooManyAttempts {
                retry_after: millis.div_ceil(1000).max(1),
            });
        }
        entry.count += 1;
        Ok(())
    }

    /// The attempt was not made after all, for reasons that are not the caller's: it does not count.
    pub fn take_back(&self, key: &str) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = table.by_key.get_mut(key) {
            entry.count = entry.count.saturating_sub(1);
        }
    }

    /// The attempt succeeded: earlier failures are forgotten.
    pub fn forgive(&self, key: &str) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.by_key.remove(key);
    }

    /// The same for all keys that match. Looks at every key: for what happens rarely.
    pub fn forgive_all(&self, matches: impl Fn(&str) -> bool) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.by_key.retain(|key, _| !matches(key));
    }
}

impl Table {
    /// Drops what is over; if nothing is, any entry has to go, for memory is bounded.
    fn make_room(&mut self, now: i64) {
        if now - self.swept_at >= SWEEP_MS {
            self.swept_at = now;
            self.by_key.retain(|_, entry| entry.ends_at > now);
        }
        while self.by_key.len() >= MAX_KEYS {
            let Some(key) = self.by_key.keys().next().cloned() else {
                return;
            };
            self.by_key.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: AttemptLimit = AttemptLimit {
        attempts: 10,
        seconds: 60,
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn s19_of_simultaneous_attempts_exactly_as_many_as_allowed_are_made() {
        let attempts = Attempts::default();
        let made = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..100)
                .map(|_| scope.spawn(|| attempts.begin("ann", LIMIT, at(0)).is_ok()))
                .collect();
            threads
                .into_iter()
                .filter(|_| true)
                .map(|t| u32::from(t.join().unwrap()))
                .sum::<u32>()
        });
        assert_eq!(made, LIMIT.attempts);
    }

    #[test]
    fn some_keys_are_forgiven_and_others_are_not() {
        let attempts = Attempts::default();
        for key in ["ann", "ann from here", "anna"] {
            for _ in 0..10 {
                attempts.begin(key, LIMIT, at(0)).unwrap();
            }
        }
        attempts.forgive_all(|key| key == "ann" || key.starts_with("ann "));
        attempts.begin("ann", LIMIT, at(1)).unwrap();
        attempts.begin("ann from here", LIMIT, at(1)).unwrap();
        attempts.begin("anna", LIMIT, at(1)).unwrap_err();
    }

    #[test]
    fn a_window_ends_and_success_forgives() {
        let attempts = Attempts::default();
        for _ in 0..10 {
            attempts.begin("ann", LIMIT, at(5)).unwrap();
        }
        let refused = attempts.begin("ann", LIMIT, at(35));
        assert_eq!(refused, Err(TooManyAttempts { retry_after: 30 }));
        attempts.begin("bob", LIMIT, at(35)).unwrap();
        attempts.begin("ann", LIMIT, at(65)).unwrap();
        for _ in 0..9 {
            attempts.begin("ann", LIMIT, at(66)).unwrap();
        }
        attempts.forgive("ann");
        attempts.begin("ann", LIMIT, at(66)).unwrap();
        // What was not made does not count.
        for _ in 0..20 {
            attempts.begin("tim", LIMIT, at(66)).unwrap();
            attempts.take_back("tim");
        }
        let off = AttemptLimit { attempts: 0, ..LIMIT };
        assert!((0..100).all(|_| attempts.begin("eve", off, at(0)).is_ok()));
    }

    #[test]
    fn memory_is_bounded() {
        let attempts = Attempts::default();
        for i in 0..MAX_KEYS + 10 {
            attempts.begin(&i.to_string(), LIMIT, at(0)).unwrap();
        }
        assert!(attempts.0.lock().unwrap().by_key.len() <= MAX_KEYS);
    }
}
