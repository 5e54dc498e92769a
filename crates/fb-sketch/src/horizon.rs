//! What a process can know of copies that an earlier one handed out.

use std::time::Duration;

use crate::{KeyHash, Moment};

/// How the previous process ended, as far as this one can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    /// No lifetime was ever handed out: a new app, or one whose caching was off.
    Blank,
    /// All copies end by then: what [`Sketch::last_expiry`](crate::Sketch::last_expiry) said when it stopped in good order.
    EndsBy(Moment),
    /// Every record that was ever confirmed as written down is there. They are given to
    /// [`Sketch::restore`](crate::Sketch::restore) next.
    Journaled {
        /// `unlogged` of the earlier process' settings, if they differ from this one's the longer of both.
        unlogged: Duration,
    },
    /// Nothing is known.
    Unknown {
        /// The longest lifetime that any earlier process may have handed out.
        longest: Duration,
    },
}

/// The crash rule: until when nothing may be taken from a cache unasked.
///
/// The books live in memory. After a crash the copies are still out there, and neither they nor the writes that made them
/// outdated are in the new process' books. While it is *blind*, the filter contains everything: clients revalidate each key.
///
/// Blind times, by what is known of the past ([`Past`]):
///
/// - nothing: the longest lifetime, 24 hours by default;
/// - a clean stop, whose last expiry was written down: until then;
/// - a journal: the `unlogged` seconds. A lifetime beyond these is given only to keys whose record *has been written down*;
///   what was given without one has ended when the blindness does.
///
/// The journal: the caller takes [records](crate::Record) ([`Sketch::take_records`](crate::Sketch::take_records)) every second
/// or so, writes them down durably in a map from key to end, the later end counts (a table with an upsert), and confirms
/// them. It may delete records whose end has passed. A record's end is about twice as far away as the lifetime that caused it,
/// so a key that is read all the time is written down about once per lifetime. Nobody waits for the disk: until the record is
/// there, reads get a short lifetime. After a crash the caller
///
/// 1. makes the sketch with [`Past::Journaled`] (or [`Past::Unknown`], if it has any doubt about the journal: a missing
///    tail, or a wall clock that is earlier than the journal's last entry);
/// 2. restores all records; queries enter the filter at once, because nobody knows what would have changed them;
/// 3. reports as written ([`Sketch::report_write`](crate::Sketch::report_write)) every key whose change was committed after
///    `start - longest`: the app's change feed is the log of writes;
/// 4. calls [`Sketch::restored`](crate::Sketch::restored), and only then lets further writes in.
/// 5. writes down [`Sketch::blind_until`](crate::Sketch::blind_until) before the first answer, and after each doubt. What an earlier process wrote
///    there is told with [`Sketch::doubt`](crate::Sketch::doubt): copies that made it blind are not in its journal, and it may have
///    ended before they did.
///
/// Records and the change feed carry wall-clock times. A wall clock that jumped *forward* while no process ran cannot be
/// detected here: it makes copies seem to have ended. Whoever suspects it says [`Past::Unknown`].
#[derive(Debug, Clone)]
pub struct Horizon {
    blind_until: Moment,
    /// Records are still being restored.
    restoring_until: Moment,
}

impl Horizon {
    /// The state in which a process starts. `margin` is how much longer than asked copies may live.
    pub fn after(past: Past, start: Moment, margin: impl Fn(Duration) -> Duration) -> Self {
        let (blind_until, restoring_until) = match past {
            Past::Blank => (start, start),
            Past::EndsBy(end) => (end, start),
            Past::Journaled { unlogged } => (start + unlogged + margin(unlogged), Moment::MAX),
            Past::Unknown { longest } => (start + longest + margin(longest), start),
        };
        Self {
            blind_until,
            restoring_until,
        }
    }

    /// Whether the filter has to contain everything.
    pub fn is_blind(&self, now: Moment) -> bool {
        now < self.blind_until.max(self.restoring_until)
    }

    /// When blindness ends, as far as is known; [`Moment::MAX`] while records are being restored.
    pub fn ends(&self) -> Moment {
        self.blind_until.max(self.restoring_until)
    }

    /// All records are restored and all changes reported.
    pub fn restored(&mut self) {
        self.restoring_until = Moment::ZERO;
    }

    /// Blind until `end` at least: something happened that the books do not know.
    pub fn doubt(&mut self, end: Moment) {
        self.blind_until = self.blind_until.max(end);
    }
}

/// What kind of thing a key stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An object or a file: each change of it is in the change feed.
    Object,
    /// Something derived, the result of a query: what changed it is not known after a crash.
    Query,
}

/// To be written down: no copy of `key` lives longer than `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// The key.
    pub key: KeyHash,
    /// Its kind.
    pub kind: Kind,
    /// The end.
    pub until: Moment,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Moment {
        Moment::from_micros(secs * 1_000_000)
    }

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn blindness_lasts_as_long_as_what_is_unknown_may_live() {
        let margin = |_| secs(2);
        let rows = [
            (Past::Blank, at(100)),
            (Past::EndsBy(at(130)), at(130)),
            (Past::EndsBy(at(50)), at(100)),
            (Past::Unknown { longest: secs(60) }, at(162)),
        ];
        for (past, end) in rows {
            let horizon = Horizon::after(past, at(100), margin);
            assert!(!horizon.is_blind(end), "{past:?}");
            assert_eq!(horizon.is_blind(at(100)), end > at(100), "{past:?}");
            assert_eq!(horizon.is_blind(at(129)), end >= at(130), "{past:?}");
        }
    }

    #[test]
    fn with_a_journal_it_lasts_until_restored_and_for_the_unlogged_seconds() {
        let mut horizon = Horizon::after(Past::Journaled { unlogged: secs(5) }, at(100), |_| secs(2));
        assert!(horizon.is_blind(at(1_000_000)));
        horizon.restored();
        assert!(horizon.is_blind(at(106)));
        assert!(!horizon.is_blind(at(107)));
    }

    #[test]
    fn doubt_only_lengthens_it() {
        let mut horizon = Horizon::after(Past::EndsBy(at(130)), at(100), |_| secs(0));
        horizon.doubt(at(120));
        assert!(horizon.is_blind(at(129)));
        horizon.doubt(at(140));
        assert!(horizon.is_blind(at(139)) && !horizon.is_blind(at(140)));
    }
}
