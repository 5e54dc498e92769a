//! Since when something waits to be matched.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use fb_types::Seq;

/// Commits within this time count as one, in microseconds.
const TOGETHER: u64 = 1_000;
/// Groups of commits that are told apart; further commits count as the last one.
const MAX_GROUPS: usize = 256;

/// When the oldest commit that is not matched was told: microseconds of the clock and one, 0 for "there is none". Can be read without the lock
/// that its changes are made under.
#[derive(Debug, Default)]
pub(super) struct Behind(AtomicU64);

/// What waits, in groups, oldest first: the last position of each, and when its first commit was told.
#[derive(Debug, Default)]
pub(super) struct Groups(VecDeque<(Seq, u64)>);

impl Behind {
    /// Since when something waits.
    pub(super) fn since(&self) -> Option<u64> {
        self.0.load(Ordering::SeqCst).checked_sub(1)
    }

    fn show(&self, groups: &Groups) {
        let since = groups.0.front().map_or(0, |(_, since)| since.saturating_add(1));
        self.0.store(since, Ordering::SeqCst);
    }
}

impl Groups {
    /// Something was committed, and waits. To be said before it is acknowledged.
    pub(super) fn add(&mut self, seq: Seq, now: u64, behind: &Behind) {
        let is_full = self.0.len() >= MAX_GROUPS;
        match self.0.back_mut() {
            Some((last, since)) if is_full || now.saturating_sub(*since) < TOGETHER => *last = seq,
            Some(_) | None => self.0.push_back((seq, now)),
        }
        behind.show(self);
    }

    /// Everything up to here is matched, and what that leads to is done.
    pub(super) fn remove(&mut self, position: Seq, behind: &Behind) {
        while self.0.front().is_some_and(|(last, _)| *last <= position) {
            self.0.pop_front();
        }
        behind.show(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_commit_that_waits_counts() {
        let (mut groups, behind) = (Groups::default(), Behind::default());
        assert_eq!(behind.since(), None);
        for (seq, at) in [(1, 0), (2, 10_000), (3, 20_000)] {
            groups.add(Seq(seq), at, &behind);
            assert_eq!(behind.since(), Some(0));
        }
        groups.remove(Seq(0), &behind);
        assert_eq!(behind.since(), Some(0));
        groups.remove(Seq(2), &behind);
        assert_eq!(behind.since(), Some(20_000));
        groups.remove(Seq(3), &behind);
        assert_eq!(behind.since(), None);
    }

    #[test]
    fn commits_of_a_group_wait_for_the_last_of_them_from_the_first_one_on() {
        let (mut groups, behind) = (Groups::default(), Behind::default());
        groups.add(Seq(1), 5, &behind);
        groups.add(Seq(2), 5 + TOGETHER - 1, &behind);
        groups.remove(Seq(1), &behind);
        assert_eq!(behind.since(), Some(5));
        // However many there are, and however long it takes.
        for seq in 3..2_000 {
            groups.add(Seq(seq), seq * TOGETHER, &behind);
        }
        assert_eq!(groups.0.len(), MAX_GROUPS);
        groups.remove(Seq(1_998), &behind);
        assert!(behind.since().is_some());
        groups.remove(Seq(1_999), &behind);
        assert_eq!(behind.since(), None);
    }
}
