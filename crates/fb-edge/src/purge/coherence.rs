//! Which stored answers are still as they were when they were asked for.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::wire::{Purge, Resume};

/// Marks of purges, and until when it is known that none is missing.
///
/// Purges are counted. A mark holds the count at which something of its key was last purged, and an answer the count when its
/// request was *sent*; it is current while no mark of its keys is higher. So a purge that crosses an answer on its way needs no
/// care of its own, and nothing must be searched when a purge comes. Keys share marks by a secret hash: a purge also concerns a
/// few strangers, which costs them a revalidation. Memory is fixed.
///
/// Written by one task, read by all threads without locks.
#[derive(Debug)]
pub(crate) struct Coherence {
    hasher: RandomState,
    marks: Box<[AtomicU64]>,
    everything: AtomicU64,
    count: AtomicU64,
    /// Microseconds and one, 0 for "not intact": the last instant before which no purge is missing.
    intact: AtomicU64,
    /// The same, but not taken back when the stream is lost.
    last_intact: AtomicU64,
    bound: Duration,
    /// Up to where the purges of the stream are applied.
    reached: watch::Sender<Option<Resume>>,
}

/// Which mark concerns an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FenceKey(u32);

/// How many purges were known when a request was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp(u64);

impl Coherence {
    /// `n_marks` is rounded up to a power of two; eight bytes each. `bound` is for how long the last sign of life counts.
    pub(crate) fn new(n_marks: usize, bound: Duration) -> Self {
        let n_marks = n_marks.clamp(1, 1 << 28).next_power_of_two();
        Self {
            hasher: RandomState::new(),
            marks: std::iter::repeat_with(AtomicU64::default).take(n_marks).collect(),
            everything: AtomicU64::new(0),
            count: AtomicU64::new(0),
            intact: AtomicU64::new(0),
            last_intact: AtomicU64::new(0),
            bound,
            reached: watch::Sender::new(None),
        }
    }

    fn fence(&self, kind: u8, text: &str) -> FenceKey {
        let hash = self.hasher.hash_one((kind, text));
        // At most 2^28 marks.
        FenceKey((hash & (self.marks.len() as u64 - 1)) as u32)
    }

    /// The mark of a surrogate key.
    pub(crate) fn fence_of_key(&self, key: &str) -> FenceKey {
        self.fence(0, key)
    }

    /// The mark of a URL without its scheme.
    pub(crate) fn fence_of_url(&self, url: &str) -> FenceKey {
        self.fence(1, url)
    }

    /// To be taken before a request is sent.
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp(self.count.load(Ordering::Acquire))
    }

    /// How many purges were entered.
    pub(crate) fn count(&self) -> u64 {
        self.stamp().0
    }

    /// Whether nothing of these keys was purged since the stamp was taken, as far as is known.
    pub(crate) fn is_current(&self, stamp: Stamp, fences: &[FenceKey]) -> bool {
        let mark = |fence: &FenceKey| self.marks[fence.0 as usize].load(Ordering::Acquire);
        self.everything.load(Ordering::Acquire) <= stamp.0 && fences.iter().all(|fence| mark(fence) <= stamp.0)
    }

    /// Whether all purges of up to `bound` ago are known. Only then may something be answered without asking the origin.
    pub(crate) fn is_intact(&self, now: Duration) -> bool {
        let intact = self.intact.load(Ordering::Acquire);
        intact > 0 && now.saturating_sub(Duration::from_micros(intact - 1)) <= self.bound
    }

    /// The last instant before which no purge is missing; `None` if there never was one.
    pub(crate) fn last_intact(&self) -> Option<Duration> {
        let last = self.last_intact.load(Ordering::Acquire);
        (last > 0).then(|| Duration::from_micros(last - 1))
    }

    /// The marks of what a purge names.
    pub(crate) fn fences_of(&self, purge: &Purge) -> impl Iterator<Item = FenceKey> {
        let (keys, urls): (&[String], &[String]) = match purge {
            Purge::Keys(keys) => (keys, &[]),
            Purge::Urls(urls) => (&[], urls),
            Purge::All => (&[], &[]),
        };
        let keys = keys.iter().map(|key| self.fence_of_key(key));
        keys.chain(urls.iter().map(|url| self.fence_of_url(url)))
    }

    /// Enters a purge.
    pub(crate) fn apply(&self, purge: &Purge) {
        // Marks come before the count: whoever has the count has the marks, and who has them only is too careful.
        let count = self.count.load(Ordering::Relaxed) + 1;
        for fence in self.fences_of(purge) {
            self.marks[fence.0 as usize].store(count, Ordering::Release);
        }
        if *purge == Purge::All {
            self.everything.store(count, Ordering::Release);
        }
        self.count.store(count, Ordering::Release);
    }

    /// Enters that all purges from before `as_of` were applied.
    pub(crate) fn confirm(&self, as_of: Duration) {
        let as_of = u64::try_from(as_of.as_micros()).unwrap_or(u64::MAX - 1) + 1;
        self.intact.fetch_max(as_of, Ordering::AcqRel);
        self.last_intact.fetch_max(as_of, Ordering::AcqRel);
    }

    /// Enters that the purges up to here are applied.
    pub(crate) fn reach(&self, place: Resume) {
        self.reached.send_replace(Some(place));
    }

    /// The last number of the stream that is applied; 0 before there was any.
    pub(crate) fn number(&self) -> u64 {
        self.reached.borrow().map_or(0, |place| place.after)
    }

    /// Waits until the purges up to `place` are applied; not for ever: behind the bound nothing is answered from memory without them.
    pub(crate) async fn has_reached(&self, place: Resume) {
        let is_there = |reached: &Option<Resume>| {
            reached.is_some_and(|reached| reached.boot != place.boot || reached.after >= place.after)
        };
        if is_there(&self.reached.borrow()) {
            return;
        }
        let mut reached = self.reached.subscribe();
        let _ = tokio::time::timeout(self.bound, reached.wait_for(is_there)).await;
    }

    /// Enters that purges may be missing, until the next confirmation.
    pub(crate) fn lost(&self) {
        self.intact.store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_purge_concerns_what_was_asked_for_before_it_and_nothing_after() {
        let coherence = Coherence::new(1 << 16, SECOND);
        let (key, url) = (coherence.fence_of_key("a"), coherence.fence_of_url("h/a"));
        let before = coherence.stamp();
        assert!(coherence.is_current(before, &[key, url]));
        coherence.apply(&Purge::Keys(vec!["a".into()]));
        assert!(!coherence.is_current(before, &[url, key]));
        assert!(coherence.is_current(before, &[url]));
        let between = coherence.stamp();
        assert!(coherence.is_current(between, &[key]));
        coherence.apply(&Purge::Urls(vec!["h/a".into()]));
        assert!(!coherence.is_current(between, &[url]));
        coherence.apply(&Purge::All);
        assert!(!coherence.is_current(between, &[]));
        assert!(coherence.is_current(coherence.stamp(), &[key, url]));
    }

    #[test]
    fn the_bound_counts_from_the_last_confirmation() {
        let coherence = Coherence::new(1, SECOND);
        assert!(!coherence.is_intact(Duration::ZERO));
        coherence.confirm(SECOND);
        assert!(coherence.is_intact(SECOND * 2));
        assert!(!coherence.is_intact(SECOND * 2 + Duration::from_micros(1)));
        coherence.lost();
        assert!(!coherence.is_intact(SECOND));
        assert_eq!(coherence.last_intact(), Some(SECOND));
    }
}
