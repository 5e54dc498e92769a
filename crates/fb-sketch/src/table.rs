//! A map of bounded size that forgets what was touched longest ago.

use crate::KeyHash;

/// Places a key may take.
const N_WAYS: usize = 8;
/// Buckets before the first doubling.
const FIRST: usize = 8;

/// A value that says when it was last of use; larger is later.
pub(crate) trait Aged {
    fn used(&self) -> u32;
}

/// Each key has one bucket of eight places. The table doubles until it has its final size; from then on a new key takes the
/// place of the one in its bucket that was not used for longest. No memory beside the places; deterministic.
#[derive(Debug)]
pub(crate) struct Table<V> {
    places: Vec<Option<(KeyHash, V)>>,
    max_buckets: usize,
    len: usize,
}

impl<V: Aged + Clone> Table<V> {
    pub(crate) fn new(max_keys: usize) -> Self {
        Self {
            places: Vec::new(),
            max_buckets: max_keys.div_ceil(N_WAYS).next_power_of_two(),
            len: 0,
        }
    }

    fn bucket(&self, key: KeyHash) -> std::ops::Range<usize> {
        let n_buckets = self.places.len() / N_WAYS;
        if n_buckets == 0 {
            return 0..0;
        }
        let spread = key.to_bits().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let start = (spread as usize & (n_buckets - 1)) * N_WAYS;
        start..start + N_WAYS
    }

    pub(crate) fn get(&self, key: KeyHash) -> Option<&V> {
        let places = &self.places[self.bucket(key)];
        places
            .iter()
            .flatten()
            .find(|(known, _)| *known == key)
            .map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, key: KeyHash) -> Option<&mut V> {
        let bucket = self.bucket(key);
        self.places[bucket]
            .iter_mut()
            .flatten()
            .find(|(known, _)| *known == key)
            .map(|(_, value)| value)
    }

    /// Enters a key that is not there; may push another one out.
    pub(crate) fn insert(&mut self, key: KeyHash, value: V) {
        loop {
            let bucket = self.bucket(key);
            if let Some(free) = self.places[bucket.clone()].iter_mut().find(|place| place.is_none()) {
                *free = Some((key, value));
                self.len += 1;
                return;
            }
            let n_buckets = self.places.len() / N_WAYS;
            // Three quarters empty and yet a full bucket is bad luck, or made by somebody who chose keys: no reason to grow.
            if n_buckets >= self.max_buckets || self.len * 4 < self.places.len() {
                let oldest = bucket.min_by_key(|&i| self.places[i].as_ref().map(|(_, value)| value.used()));
                if let Some(oldest) = oldest {
                    self.places[oldest] = Some((key, value));
                }
                return;
            }
            self.grow((n_buckets * 2).max(FIRST).min(self.max_buckets));
        }
    }

    fn grow(&mut self, n_buckets: usize) {
        let old = std::mem::replace(&mut self.places, vec![None; n_buckets * N_WAYS]);
        self.len = 0;
        for (key, value) in old.into_iter().flatten() {
            let bucket = self.bucket(key);
            // A bucket is split in two, so its keys fit.
            if let Some(free) = self.places[bucket].iter_mut().find(|place| place.is_none()) {
                *free = Some((key, value));
                self.len += 1;
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Aged for u32 {
        fn used(&self) -> u32 {
            *self
        }
    }

    #[test]
    fn it_stays_within_its_size_and_keeps_what_is_new() {
        let mut table = Table::new(1024);
        let key = |n: u32| KeyHash::of(&n.to_string());
        for n in 0..100_000 {
            table.insert(key(n), n);
        }
        assert!(table.len() <= 1024 && table.len() > 900, "{}", table.len());
        assert_eq!(table.get(key(99_999)), Some(&99_999));
        assert_eq!(table.get(key(0)), None);
    }

    #[test]
    fn growing_loses_nothing() {
        let mut table = Table::new(100_000);
        let key = |n: u32| KeyHash::of(&n.to_string());
        for n in 0..1_000 {
            table.insert(key(n), n);
        }
        let n_kept = (0..1_000).filter(|&n| table.get(key(n)).is_some()).count();
        assert!(n_kept >= 995, "{n_kept}");
    }
}
