//! Purges that come later than the acknowledgement of what they are for, and up to when all others are known.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Lags of no more than this are those of somebody who is at work.
const CAUGHT_UP: Duration = Duration::from_millis(50);

/// Somebody whose purges are pushed a little after what they are for is acknowledged.
///
/// A beat speaks for a time before which all purges are in the log, so it has to wait for these. Who lags too much is not waited for any
/// more, until it has caught up: for that time it has no answers out there that need its purges.
pub trait Late: fmt::Debug + Send + Sync {
    /// How long ago the oldest change was acknowledged, at most, whose purges are still to be pushed; zero if there is none. `None`: there will
    /// be none any more.
    ///
    /// The purges of all older ones are in the log when this returns. Answers that are begun from now on show them anyway.
    fn lag(&self) -> Option<Duration>;

    /// Whether it is waited for from now on. If not, it sees to it first that no answer which is begun behind this relies on purges that may be
    /// late, and then pushes one of all that do.
    fn wait_for(&self, is_waited_for: bool);
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct LateOnes(Mutex<Vec<LateOne>>);

#[derive(Debug)]
struct LateOne {
    late: Box<dyn Late>,
    is_waited_for: bool,
}

impl LateOnes {
    /// From now on its purges are waited for.
    pub(super) fn enter(&self, late: Box<dyn Late>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(LateOne {
            late,
            is_waited_for: true,
        });
    }

    /// The time before which all purges are in the log, by who is at most `patience` late. `now` must have been read before the call: what is
    /// acknowledged before it is found here, or in the log.
    ///
    /// Cost: some nanoseconds for each. The lock is held while purges are pushed.
    pub(super) fn as_of(&self, now: Duration, patience: Duration) -> Duration {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut most = Duration::ZERO;
        all.retain_mut(|one| {
            let Some(lag) = one.late.lag() else { return false };
            let limit = if one.is_waited_for {
                patience
            } else {
                patience.min(CAUGHT_UP)
            };
            let is_waited_for = lag <= limit;
            if is_waited_for != one.is_waited_for {
                one.is_waited_for = is_waited_for;
                one.late.wait_for(is_waited_for);
            }
            if is_waited_for {
                most = most.max(lag);
            }
            true
        });
        now.saturating_sub(most)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::{Purge, PurgeLog};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const NOW: Duration = Duration::from_secs(100);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Lags as it is told to.
    #[derive(Debug)]
    struct Source {
        name: &'static str,
        lag: Mutex<Option<Duration>>,
        is_waited_for: AtomicBool,
        log: Arc<PurgeLog>,
    }

    #[derive(Debug)]
    struct Handle(Arc<Source>);

    impl Late for Handle {
        fn lag(&self) -> Option<Duration> {
            *self.0.lag.lock().unwrap()
        }

        fn wait_for(&self, is_waited_for: bool) {
            self.0.is_waited_for.store(is_waited_for, Ordering::SeqCst);
            if !is_waited_for {
                self.0.log.push(Purge::Keys(vec![self.0.name.to_owned()]));
            }
        }
    }

    impl Source {
        fn of(log: &Arc<PurgeLog>, name: &'static str) -> Arc<Self> {
            let source = Arc::new(Self {
                name,
                lag: Mutex::new(Some(Duration::ZERO)),
                is_waited_for: AtomicBool::new(true),
                log: log.clone(),
            });
            log.expect(Box::new(Handle(source.clone())));
            source
        }

        fn lags(&self, lag: Duration) {
            *self.lag.lock().unwrap() = Some(lag);
        }

        fn is_waited_for(&self) -> bool {
            self.is_waited_for.load(Ordering::SeqCst)
        }
    }

    fn log() -> Arc<PurgeLog> {
        Arc::new(PurgeLog::new(1, 100))
    }

    #[test]
    fn a_beat_speaks_for_the_time_before_the_oldest_change_whose_purge_is_missing() {
        let log = log();
        assert_eq!(log.as_of(NOW, SECOND), NOW, "nobody is late");
        let (one, other) = (Source::of(&log, "one"), Source::of(&log, "other"));
        assert_eq!(log.as_of(NOW, SECOND), NOW);
        one.lags(ms(200));
        other.lags(ms(300));
        assert_eq!(log.as_of(NOW, SECOND), NOW - ms(300));
        other.lags(ms(0));
        assert_eq!(log.as_of(NOW, SECOND), NOW - ms(200));
        assert!(log.last() == 0 && one.is_waited_for());
    }

    #[test]
    fn who_is_too_late_is_purged_and_not_waited_for_until_it_has_caught_up() {
        let log = log();
        let (slow, fast) = (Source::of(&log, "slow"), Source::of(&log, "fast"));
        slow.lags(ms(401));
        fast.lags(ms(7));
        assert_eq!(log.as_of(NOW, ms(400)), NOW - ms(7));
        assert!(!slow.is_waited_for() && fast.is_waited_for());
        let purges = log.after(0).unwrap().0;
        assert_eq!(*purges[0], Purge::Keys(vec!["slow".to_owned()]));
        // Once is enough. It comes back when it is at work as usual, not as soon as it is a little better.
        for lag in [1000, 300, 51] {
            slow.lags(ms(lag));
            assert_eq!(log.as_of(NOW, ms(400)), NOW - ms(7));
            assert!(!slow.is_waited_for());
        }
        slow.lags(ms(50));
        assert_eq!(log.as_of(NOW, ms(400)), NOW - ms(50), "what it owes by then counts");
        assert!(slow.is_waited_for());
        assert_eq!(log.last(), 1);
    }

    #[test]
    fn who_is_gone_is_forgotten() {
        let log = log();
        let source = Source::of(&log, "one");
        *source.lag.lock().unwrap() = None;
        assert_eq!(log.as_of(NOW, SECOND), NOW);
        assert_eq!(Arc::strong_count(&source), 1);
    }
}
