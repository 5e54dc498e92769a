//! The origin's side of the stream.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use tokio::sync::watch;

use super::late::{Late, LateOnes};
use super::wire::{Line, Purge, Resume};
use crate::time::Ticks;

/// Lines are handed out in pieces of about this size.
const PIECE: usize = 32 * 1024;

/// Purges that one call hands out.
const AT_ONCE: usize = 10_000;

/// The last purges, numbered, and whoever follows them.
///
/// [`push`](Self::push) comes after the commit of what changed and before its acknowledgement: then a beat whose time is after an
/// acknowledgement has the purge before it. Who pushes later says so ([`expect`](Self::expect)), and beats speak for an earlier time.
///
/// Bounded: a follower that is further behind than the log reaches has its stream ended, and begins anew.
#[derive(Debug)]
pub struct PurgeLog {
    boot: u64,
    capacity: usize,
    /// Held for a push, or for copying what one follower has not got yet.
    ring: Mutex<Ring>,
    /// Moves whenever followers should look.
    moved: watch::Sender<u64>,
    late: LateOnes,
}

/// How a follower is kept up to date.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// A beat comes at least this often.
    pub beat: Duration,
    /// How late purges may be without being given up. For who trusts a beat for a time that is longer than both together, and than the way.
    pub patience: Duration,
}

#[derive(Debug, Default)]
struct Ring {
    /// Number of the last purge; the first one is 1.
    last: u64,
    purges: VecDeque<Arc<Purge>>,
}

/// A follower wants purges that the log does not have any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the purges after number {0} are gone; begin anew")]
pub struct TooFarBehind(pub u64);

impl PurgeLog {
    /// An empty log that keeps up to `capacity` purges. `boot` is a random number that no other start of the origin drew.
    pub fn new(boot: u64, capacity: usize) -> Self {
        Self {
            boot,
            capacity: capacity.max(1),
            ring: Mutex::default(),
            moved: watch::Sender::new(0),
            late: LateOnes::default(),
        }
    }

    /// From now on somebody pushes purges that are late. To be said before the first answer is begun that relies on them.
    pub fn expect(&self, late: Box<dyn Late>) {
        self.late.enter(late);
    }

    /// The time before which all purges are in the log, or those of who is later than `patience` are given up; no later than `now`, which must
    /// have been read before the call. What is pushed behind this concerns nothing that was acknowledged before that time.
    pub fn as_of(&self, now: Duration, patience: Duration) -> Duration {
        self.late.as_of(now, patience)
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a purge and wakes the followers. Returns its number.
    pub fn push(&self, purge: Purge) -> u64 {
        let mut ring = self.ring();
        if ring.purges.len() == self.capacity {
            ring.purges.pop_front();
        }
        ring.purges.push_back(Arc::new(purge));
        ring.last += 1;
        let last = ring.last;
        drop(ring);
        self.beat();
        last
    }

    /// The purges after number `after`, oldest first, and the number of the last one; for followers in the same process. At most 10,000 at
    /// once: if the number is not yet [`last`](Self::last), call again with it.
    ///
    /// The error is for who is further behind than the log reaches: everything may have been purged since.
    pub fn after(&self, after: u64) -> Result<(Vec<Arc<Purge>>, u64), TooFarBehind> {
        let ring = self.ring();
        if !ring.reaches(after) {
            return Err(TooFarBehind(after));
        }
        let first = ring.last - ring.purges.len() as u64;
        // Lossless: not more than what is in memory.
        let news = ring.purges.iter().skip((after - first) as usize);
        let purges: Vec<Arc<Purge>> = news.take(AT_ONCE).cloned().collect();
        let number = after + purges.len() as u64;
        Ok((purges, number))
    }

    /// Where somebody is who knows all purges so far.
    pub fn place(&self) -> Resume {
        Resume {
            boot: self.boot,
            after: self.last(),
        }
    }

    /// The number of the last purge; 0 if there was none.
    pub fn last(&self) -> u64 {
        self.ring().last
    }

    /// Waits until there is a purge after number `after`. Returns at once if there is one.
    pub async fn news(&self, after: u64) {
        let mut moved = self.moved.subscribe();
        while self.last() <= after {
            if moved.changed().await.is_err() {
                // The sender is a part of this log.
                return;
            }
        }
    }

    /// Has every follower send a beat now.
    pub fn beat(&self) {
        self.moved.send_modify(|moved| *moved += 1);
    }

    /// How many follow the log.
    pub fn followers(&self) -> usize {
        self.moved.receiver_count()
    }

    /// The first line for a follower that asks to `resume`, and the number behind which its purges begin.
    ///
    /// `now` must have been read before the call.
    pub fn hello(&self, resume: Option<Resume>, now: Duration) -> (Line, u64) {
        let ring = self.ring();
        let from = match resume {
            Some(Resume { boot, after }) if boot == self.boot && ring.reaches(after) => after,
            _ => ring.last,
        };
        let boot = self.boot;
        (Line::Hello { boot, from, at: now }, from)
    }

    /// Lines with the purges after number `after`, as many as fit into one piece, and a beat if that is all of them; with the last
    /// number in them. `as_of` is for what time the beat speaks: what [`as_of`](Self::as_of) gave before the call.
    pub fn lines(&self, after: u64, as_of: Duration) -> Result<(Vec<u8>, u64), TooFarBehind> {
        let ring = self.ring();
        if !ring.reaches(after) {
            return Err(TooFarBehind(after));
        }
        let first = ring.last - ring.purges.len() as u64;
        // Lossless: not more than what is in memory.
        let purges: Vec<Arc<Purge>> = ring.purges.iter().skip((after - first) as usize).cloned().collect();
        drop(ring);
        let (mut out, mut number, n_purges) = (Vec::new(), after, purges.len());
        for (idx, purge) in purges.into_iter().enumerate() {
            number += 1;
            let purge = Purge::clone(&purge);
            Line::Purge { number, purge }.write(&mut out);
            if out.len() >= PIECE && idx + 1 < n_purges {
                return Ok((out, number));
            }
        }
        Line::Beat { number, at: as_of }.write(&mut out);
        Ok((out, number))
    }

    /// What one follower is sent: the body of an answer. Beats come in time, and after every purge. Ends when the
    /// follower is too far behind, and never otherwise.
    pub fn stream(
        self: Arc<Self>,
        resume: Option<Resume>,
        ticks: Arc<dyn Ticks>,
        pace: Pace,
    ) -> impl Stream<Item = Bytes> + Send + 'static {
        let moved = self.moved.subscribe();
        let (hello, from) = self.hello(resume, ticks.now());
        let mut first = Vec::new();
        hello.write(&mut first);
        let follower = Follower {
            log: self,
            ticks,
            pace,
            moved,
            after: from,
            is_behind: true,
        };
        stream::unfold((first, follower), |(first, mut follower)| async move {
            if first.is_empty() {
                let piece = follower.next().await?;
                return Some((piece, (first, follower)));
            }
            Some((Bytes::from(first), (Vec::new(), follower)))
        })
    }
}

impl Ring {
    fn reaches(&self, after: u64) -> bool {
        after <= self.last && self.last - after <= self.purges.len() as u64
    }
}

struct Follower {
    log: Arc<PurgeLog>,
    ticks: Arc<dyn Ticks>,
    pace: Pace,
    moved: watch::Receiver<u64>,
    after: u64,
    /// Whether the last piece did not hold all that there was.
    is_behind: bool,
}

impl Follower {
    async fn next(&mut self) -> Option<Bytes> {
        if !self.is_behind {
            // Late or not: what comes of either is a look at the log.
            let _ = tokio::time::timeout(self.pace.beat, self.moved.changed()).await;
        }
        self.moved.mark_unchanged();
        // In this order: what is acknowledged before the time has pushed its purges by then, or is known to be late; so the number, which is read
        // last, has them before it.
        let now = self.ticks.now();
        let as_of = self.log.as_of(now, self.pace.patience);
        let (lines, last) = self.log.lines(self.after, as_of).ok()?;
        self.after = last;
        self.is_behind = last < self.log.ring().last;
        Some(Bytes::from(lines))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use futures_util::StreamExt;

    use super::*;

    fn key(name: &str) -> Purge {
        Purge::Keys(vec![name.to_owned()])
    }

    fn text(log: &PurgeLog, after: u64) -> String {
        let (lines, _) = log.lines(after, Duration::from_millis(5)).unwrap();
        String::from_utf8(lines).unwrap()
    }

    #[test]
    fn followers_get_what_came_after_their_number_and_a_beat() {
        let log = PurgeLog::new(1, 10);
        assert_eq!(text(&log, 0), "{\"beat\":0,\"at\":5}\n");
        assert_eq!((log.push(key("a")), log.push(key("b"))), (1, 2));
        assert_eq!(text(&log, 1), "{\"n\":2,\"keys\":[\"b\"]}\n{\"beat\":2,\"at\":5}\n");
    }

    #[test]
    fn followers_in_the_same_process_get_purges_as_they_are_and_learn_when_they_missed_some() {
        let log = PurgeLog::new(1, 2);
        for name in ["a", "b", "c"] {
            log.push(key(name));
        }
        assert_eq!(log.after(1), Ok((vec![Arc::new(key("b")), Arc::new(key("c"))], 3)));
        assert_eq!(log.after(3), Ok((vec![], 3)));
        assert_eq!(log.after(0), Err(TooFarBehind(0)));
        assert_eq!(log.last(), 3);
    }

    /// While it is asked, time passes, something is acknowledged, and its purge comes.
    #[derive(Debug)]
    struct Busy(Arc<PurgeLog>, Arc<Hand>);

    impl Late for Busy {
        fn lag(&self) -> Option<Duration> {
            self.1.0.fetch_add(100, Ordering::SeqCst);
            self.0.push(key("a"));
            Some(Duration::from_millis(30))
        }

        fn wait_for(&self, _: bool) {}
    }

    /// Milliseconds, moved by hand.
    #[derive(Debug, Default)]
    struct Hand(AtomicU64);

    impl Ticks for Hand {
        fn now(&self) -> Duration {
            Duration::from_millis(self.0.load(Ordering::SeqCst))
        }
    }

    #[tokio::test]
    async fn a_beat_is_made_of_a_time_that_is_read_first_and_a_number_that_is_read_last() {
        let (log, ticks) = (Arc::new(PurgeLog::new(1, 10)), Arc::<Hand>::default());
        log.expect(Box::new(Busy(log.clone(), ticks.clone())));
        ticks.0.store(1000, Ordering::SeqCst);
        let pace = Pace {
            beat: Duration::from_secs(3600),
            patience: Duration::from_secs(1),
        };
        let mut lines = Box::pin(log.stream(None, ticks, pace));
        lines.next().await.unwrap();
        let piece = lines.next().await.unwrap();
        assert_eq!(piece, "{\"n\":1,\"keys\":[\"a\"]}\n{\"beat\":1,\"at\":970}\n");
    }

    #[tokio::test]
    async fn news_wake_who_waits_for_them() {
        let log = Arc::new(PurgeLog::new(1, 2));
        log.push(key("a"));
        log.news(0).await;
        let waiting = tokio::spawn({
            let log = log.clone();
            async move { log.news(1).await }
        });
        tokio::task::yield_now().await;
        log.beat();
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "a beat is no news");
        log.push(key("b"));
        waiting.await.unwrap();
    }

    #[test]
    fn a_follower_behind_the_ring_begins_anew() {
        let log = PurgeLog::new(1, 2);
        for name in ["a", "b", "c"] {
            log.push(key(name));
        }
        let from = |resume| log.hello(resume, Duration::ZERO).1;
        assert_eq!(from(Some(Resume { boot: 1, after: 1 })), 1);
        assert_eq!(from(Some(Resume { boot: 1, after: 0 })), 3, "number 1 is gone");
        assert_eq!(from(Some(Resume { boot: 2, after: 2 })), 3, "another start");
        assert_eq!(from(Some(Resume { boot: 1, after: 4 })), 3, "from the future");
        assert_eq!(from(None), 3);
        assert_eq!(log.lines(0, Duration::ZERO).unwrap_err(), TooFarBehind(0));
    }

    #[test]
    fn much_at_once_comes_in_pieces_and_only_the_last_one_has_a_beat() {
        let log = PurgeLog::new(1, 100);
        for _ in 0..10 {
            log.push(key(&"k".repeat(10_000)));
        }
        let (first, last) = log.lines(0, Duration::ZERO).unwrap();
        assert!(last < 10 && !String::from_utf8(first).unwrap().contains("beat"));
        let (mut after, mut n_pieces, mut piece) = (last, 1, Vec::new());
        while after < 10 {
            (piece, after) = log.lines(after, Duration::ZERO).unwrap();
            n_pieces += 1;
        }
        assert!(n_pieces >= 3 && String::from_utf8(piece).unwrap().contains("beat"));
    }
}
