//! What requests are counted by, as the origin names it ([`GROUP`]).
//!
//! What is answered from memory never reaches the origin, so nobody but the edge can count it. The names mean nothing here. Entries of one group
//! share its counts: a hit costs an addition, and no look-up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderMap;

use crate::proof::GROUP;
use crate::report::{Counted, is_name};
use crate::stats::Count;

/// Groups that are told apart, some 400 bytes each at most. What is of further ones is counted together.
const MAX_GROUPS: usize = 4096;

/// What is counted together. The origin is not told of it.
const OTHER: &str = "_other";

/// Requests for answers of one group.
#[derive(Debug, Default)]
pub(crate) struct Group {
    hits: Count,
    misses: Count,
}

/// Requests of clients for answers of one group since the start of the edge.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupStats {
    /// As the origin names it; `_other` for all beyond the first 4,096.
    pub group: String,
    /// Answered without a request to the origin: from memory, or with another request's answer.
    pub hits: u64,
    /// Requests to the origin.
    pub misses: u64,
}

/// The groups of which there are answers, or were.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    known: Mutex<HashMap<Box<str>, Known>>,
    other: Arc<Group>,
}

#[derive(Debug, Default)]
struct Known {
    group: Arc<Group>,
    /// What [`Groups::take`] has given away of its hits and misses.
    taken: [u64; 2],
}

impl Group {
    pub(crate) fn hit(&self) {
        self.hits.add();
    }

    pub(crate) fn miss(&self) {
        self.misses.add();
    }

    fn counted(&self) -> [u64; 2] {
        [self.hits.get(), self.misses.get()]
    }
}

impl Groups {
    /// Held for a look by who has just asked the origin, and for a walk over all by who wants figures. Never for a hit.
    fn known(&self) -> MutexGuard<'_, HashMap<Box<str>, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The group that an answer of the origin names. `None` if it names none, or by a name that is not fit for reports.
    pub(crate) fn of(&self, answer: &HeaderMap) -> Option<Arc<Group>> {
        let name = answer.get(GROUP)?.to_str().ok().filter(|name| is_name(name))?;
        let mut known = self.known();
        if let Some(known) = known.get(name) {
            return Some(known.group.clone());
        }
        if known.len() >= MAX_GROUPS || name == OTHER {
            return Some(self.other.clone());
        }
        Some(known.entry(name.into()).or_default().group.clone())
    }

    /// The same for an answer to a client's request, which counts as a miss.
    pub(crate) fn missed(&self, answer: &HeaderMap) -> Option<Arc<Group>> {
        let group = self.of(answer);
        if let Some(group) = &group {
            group.miss();
        }
        group
    }

    /// What was counted since the last call, in no order. While more than half of the places are taken, groups are forgotten that have no
    /// answers in memory and of which nothing was counted.
    pub(crate) fn take(&self) -> Vec<Counted> {
        let mut known = self.known();
        let is_crowded = known.len() > MAX_GROUPS / 2;
        let mut news = Vec::new();
        known.retain(|name, known| {
            let counted = known.group.counted();
            // What is more than a report holds is in the next one.
            let new = |i: usize| u32::try_from(counted[i] - known.taken[i]).unwrap_or(u32::MAX);
            let [hits, misses] = [new(0), new(1)];
            if hits == 0 && misses == 0 {
                // Whoever has it got it from here, under the lock, or from an entry that has it.
                return !is_crowded || Arc::strong_count(&known.group) > 1;
            }
            known.taken[0] += u64::from(hits);
            known.taken[1] += u64::from(misses);
            let group = name.to_string();
            news.push(Counted { group, hits, misses });
            true
        });
        news
    }

    /// All that was counted, by name.
    pub(crate) fn stats(&self) -> Vec<GroupStats> {
        let stats = |name: &str, group: &Group| {
            let [hits, misses] = group.counted();
            GroupStats {
                group: name.to_owned(),
                hits,
                misses,
            }
        };
        let known = self.known();
        let mut all: Vec<GroupStats> = known.iter().map(|(name, known)| stats(name, &known.group)).collect();
        drop(known);
        if self.other.counted() != [0, 0] {
            all.push(stats(OTHER, &self.other));
        }
        all.sort_by(|a, b| a.group.cmp(&b.group));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(group: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(GROUP, group.parse().unwrap());
        headers
    }

    fn counted(group: &str, hits: u32, misses: u32) -> Counted {
        let group = group.to_owned();
        Counted { group, hits, misses }
    }

    #[test]
    fn what_was_counted_is_given_away_once() {
        let groups = Groups::default();
        assert!(groups.of(&HeaderMap::new()).is_none());
        let todo = groups.missed(&answer("a/db/Todo")).unwrap();
        todo.hit();
        groups.of(&answer("a/db/Todo")).unwrap().hit();
        assert_eq!(groups.take(), [counted("a/db/Todo", 2, 1)]);
        assert_eq!(groups.take(), []);
        todo.hit();
        assert_eq!(groups.take(), [counted("a/db/Todo", 1, 0)]);
        let all = groups.stats();
        assert_eq!((all.len(), all[0].hits, all[0].misses), (1, 3, 1), "figures go on");
    }

    #[test]
    fn more_than_a_report_holds_is_told_in_several() {
        let groups = Groups::default();
        let group = groups.of(&answer("a")).unwrap();
        group.hits.add_many(u64::from(u32::MAX) + 5);
        assert_eq!(groups.take(), [counted("a", u32::MAX, 0)]);
        assert_eq!(groups.take(), [counted("a", 5, 0)]);
    }

    #[test]
    fn names_that_are_not_fit_for_reports_are_no_groups() {
        let groups = Groups::default();
        for name in ["", "two words", "tab\there", &"x".repeat(257)] {
            assert!(groups.of(&answer(name)).is_none(), "{name}");
        }
        assert!(groups.of(&answer(&"x".repeat(256))).is_some());
    }

    #[test]
    fn beyond_the_limit_groups_share_one_that_the_origin_is_not_told_of() {
        let groups = Groups::default();
        let kept: Vec<Arc<Group>> = (0..MAX_GROUPS + 3)
            .map(|i| groups.missed(&answer(&format!("g{i}"))).unwrap())
            .collect();
        assert!(Arc::ptr_eq(&kept[MAX_GROUPS], &kept[MAX_GROUPS + 2]));
        groups.missed(&answer(OTHER)).unwrap();
        assert_eq!(groups.take().len(), MAX_GROUPS);
        let all = groups.stats();
        assert_eq!(all.len(), MAX_GROUPS + 1);
        let other = all.iter().find(|group| group.group == OTHER).unwrap();
        assert_eq!(other.misses, 4);
    }

    #[test]
    fn what_has_no_answers_any_more_makes_room_and_what_was_counted_of_it_is_not_lost() {
        let groups = Groups::default();
        let used = groups.missed(&answer("used")).unwrap();
        for i in 1..MAX_GROUPS {
            groups.missed(&answer(&format!("g{i}")));
        }
        assert_eq!(groups.take().len(), MAX_GROUPS);
        assert_eq!(groups.known().len(), MAX_GROUPS, "it had just been counted");
        assert_eq!(groups.take(), []);
        assert_eq!(groups.known().len(), 1);
        used.hit();
        assert_eq!(groups.take(), [counted("used", 1, 0)]);
        // While there is room nothing is forgotten.
        groups.missed(&answer("once"));
        groups.take();
        groups.take();
        assert_eq!(groups.stats().len(), 2);
    }
}
