//! Which writes of objects were seen last.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use fb_types::Seq;

/// Objects of a class whose last write is known, so that older ones that come late are told.
const REMEMBERED: usize = 4096;

/// The newest writes, by the keys of their objects. Cost of each: a lookup, however many are remembered.
#[derive(Debug)]
pub(super) struct Latest<K> {
    /// As they came. Those of one key are in the order of their positions.
    order: VecDeque<(K, Seq)>,
    /// The last one of each key.
    by_key: HashMap<K, Seq>,
    room: usize,
}

impl<K> Default for Latest<K> {
    fn default() -> Self {
        Self {
            order: VecDeque::new(),
            by_key: HashMap::new(),
            room: REMEMBERED,
        }
    }
}

impl<K: Clone + Eq + Hash> Latest<K> {
    /// True if this write of an object, or a later one, is remembered; else this one is from now on.
    pub(super) fn is_stale(&mut self, key: &K, seq: Seq) -> bool {
        match self.by_key.get_mut(key) {
            Some(last) if *last >= seq => return true,
            Some(last) => *last = seq,
            None => drop(self.by_key.insert(key.clone(), seq)),
        }
        if self.order.len() >= self.room
            && let Some((oldest, seq)) = self.order.pop_front()
            && self.by_key.get(&oldest) == Some(&seq)
        {
            self.by_key.remove(&oldest);
        }
        self.order.push_back((key.clone(), seq));
        false
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::hash::Hasher;

    use proptest::prelude::*;

    use super::*;

    thread_local! {
        static COMPARED: Cell<usize> = const { Cell::new(0) };
    }

    /// A key that counts how often it is compared.
    #[derive(Debug, Clone)]
    struct Counted(u64);

    impl PartialEq for Counted {
        fn eq(&self, other: &Self) -> bool {
            COMPARED.set(COMPARED.get() + 1);
            self.0 == other.0
        }
    }

    impl Eq for Counted {}

    impl Hash for Counted {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }

    #[test]
    fn a_write_costs_the_same_however_many_are_remembered() {
        const N: u64 = 100_000;
        let mut latest = Latest::default();
        // Twice, as by a registration that begins before all of them.
        for seq in (1..=N).chain(1..=N) {
            latest.is_stale(&Counted(seq % 50_000), Seq(seq));
        }
        // One lookup of the key, and three of the one that is forgotten, which may meet another one by chance.
        assert!(COMPARED.get() <= 5 * 2 * N as usize, "{}", COMPARED.get());
        assert!(latest.order.len() == REMEMBERED && latest.by_key.len() == REMEMBERED);
    }

    proptest! {
        #[test]
        fn a_write_is_stale_if_it_or_a_later_one_of_the_object_is_among_the_last_ones(
            writes in proptest::collection::vec((0..6_u8, 0..30_u64), 0..200),
            room in 1..12_usize,
        ) {
            let mut latest = Latest { room, ..Latest::default() };
            let mut last: VecDeque<(u8, Seq)> = VecDeque::new();
            for (key, seq) in writes {
                let seq = Seq(seq);
                let expected = last.iter().any(|(known, at)| *known == key && *at >= seq);
                prop_assert_eq!(latest.is_stale(&key, seq), expected);
                if !expected {
                    last.push_back((key, seq));
                    last.drain(..last.len().saturating_sub(room));
                }
                let keys: std::collections::BTreeSet<u8> = last.iter().map(|(key, _)| *key).collect();
                prop_assert_eq!((latest.order.len(), latest.by_key.len()), (last.len(), keys.len()));
            }
        }
    }
}
