//! Which writes of objects were seen last.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use fb_types::Seq;

/// Objects of a class whose last write is known, so that older ones that come late are told.
const REMEMBERED: usize = 4096;

/// The newest writes, and whether one that comes late is among them. Almost none does, and those that come in order are only
/// written down; for the first late one, all are entered by the keys of their objects. Cost: constant per write, on average over
/// all writes before it.
#[derive(Debug)]
pub(super) struct Latest<K> {
    /// The newest write that came.
    newest: Seq,
    /// As they came. Those of one key are in the order of their positions.
    order: VecDeque<(K, Seq)>,
    /// The last one of each key, if there were late ones lately.
    by_key: Option<HashMap<K, Seq>>,
    /// Writes that came in order since there was a late one.
    in_order: usize,
    room: usize,
}

impl<K> Default for Latest<K> {
    fn default() -> Self {
        Self {
            newest: Seq::default(),
            order: VecDeque::new(),
            by_key: None,
            in_order: 0,
            room: REMEMBERED,
        }
    }
}

impl<K: Clone + Eq + Hash> Latest<K> {
    /// True if this write of an object, or a later one, is remembered; else this one is from now on.
    pub(super) fn is_stale(&mut self, key: &K, seq: Seq) -> bool {
        if seq > self.newest {
            self.newest = seq;
            self.in_order += 1;
            if self.in_order > self.room {
                // To enter all of them again would take no longer than these took.
                self.by_key = None;
            }
        } else {
            self.in_order = 0;
            let order = &self.order;
            let by_key = self.by_key.get_or_insert_with(|| order.iter().cloned().collect());
            if by_key.get(key).is_some_and(|last| *last >= seq) {
                return true;
            }
        }
        self.remember(key, seq);
        false
    }

    fn remember(&mut self, key: &K, seq: Seq) {
        let oldest = match self.order.len() >= self.room {
            true => self.order.pop_front(),
            false => None,
        };
        if let Some(by_key) = &mut self.by_key {
            if let Some((oldest, seq)) = oldest
                && by_key.get(&oldest) == Some(&seq)
            {
                by_key.remove(&oldest);
            }
            by_key.insert(key.clone(), seq);
        }
        self.order.push_back((key.clone(), seq));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::hash::Hasher;

    use proptest::prelude::*;

    use super::*;

    thread_local! {
        static LOOKED_AT: Cell<usize> = const { Cell::new(0) };
    }

    /// A key that counts how often it is compared or hashed.
    #[derive(Debug, Clone)]
    struct Counted(u64);

    impl PartialEq for Counted {
        fn eq(&self, other: &Self) -> bool {
            LOOKED_AT.set(LOOKED_AT.get() + 1);
            self.0 == other.0
        }
    }

    impl Eq for Counted {}

    impl Hash for Counted {
        fn hash<H: Hasher>(&self, state: &mut H) {
            LOOKED_AT.set(LOOKED_AT.get() + 1);
            self.0.hash(state);
        }
    }

    /// How often keys are looked at by writes at these positions.
    fn looked_at(latest: &mut Latest<Counted>, positions: impl Iterator<Item = u64>) -> usize {
        let before = LOOKED_AT.get();
        for seq in positions {
            latest.is_stale(&Counted(seq % 10_000), Seq(seq));
        }
        assert!(latest.order.len() <= REMEMBERED);
        assert!(latest.by_key.as_ref().is_none_or(|by_key| by_key.len() <= REMEMBERED));
        LOOKED_AT.get() - before
    }

    #[test]
    fn a_write_costs_the_same_however_many_are_remembered() {
        const N: u64 = 20_000;
        let mut latest = Latest::default();
        assert_eq!(looked_at(&mut latest, 1..=N), 0);
        // A registration that begins before all of them, twice.
        let n = looked_at(&mut latest, (1..=N).chain(1..=N));
        assert!(n <= 20 * N as usize, "{n}");
        // A late one as often as is worst.
        let worst = |i: u64| {
            [N + i, 1]
                .into_iter()
                .take(1 + usize::from(i.is_multiple_of(REMEMBERED as u64 + 1)))
        };
        let n = looked_at(&mut latest, (1..=N).flat_map(worst));
        assert!(n <= 10 * N as usize, "{n}");
        // One after the other.
        let n = looked_at(&mut latest, (2 * N + 1..=3 * N).flat_map(|i| [i, 1]));
        assert!(n <= 20 * N as usize, "{n}");
    }

    proptest! {
        #[test]
        fn a_write_is_stale_if_it_or_a_later_one_of_the_object_is_among_the_last_ones(
            writes in proptest::collection::vec((0..6_u8, 0..30_u64), 0..200),
            room in 1..12_usize,
            forward in 1..30_u64,
        ) {
            let mut latest = Latest { room, ..Latest::default() };
            let mut last: VecDeque<(u8, Seq)> = VecDeque::new();
            for (i, (key, seq)) in (0..).zip(writes) {
                // In order at times, so that it comes to that nobody is late for long.
                let seq = Seq(seq + i / forward * forward);
                let expected = last.iter().any(|(known, at)| *known == key && *at >= seq);
                prop_assert_eq!(latest.is_stale(&key, seq), expected);
                if !expected {
                    last.push_back((key, seq));
                    last.drain(..last.len().saturating_sub(room));
                }
                let keys: std::collections::BTreeSet<u8> = last.iter().map(|(key, _)| *key).collect();
                prop_assert_eq!(latest.order.len(), last.len());
                prop_assert!(latest.by_key.as_ref().is_none_or(|by_key| by_key.len() == keys.len()));
            }
        }
    }
}
