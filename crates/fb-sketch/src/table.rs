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
    buckets: Vec<Bucket<V>>,
    max_buckets: usize,
    len: usize,
}

/// The keys lie together, so that a look at all of them waits for memory once. `FREE` is nobody's.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Bucket<V> {
    keys: [u64; N_WAYS],
    values: [V; N_WAYS],
}

const FREE: u64 = 0;

/// The key as it is stored: the one that looks like a free place shares with another one.
fn bits(key: KeyHash) -> u64 {
    key.to_bits().max(1)
}

impl<V: Aged + Copy + Default> Table<V> {
    pub(crate) fn new(max_keys: usize) -> Self {
        Self {
            buckets: Vec::new(),
            max_buckets: max_keys.div_ceil(N_WAYS).next_power_of_two(),
            len: 0,
        }
    }

    fn bucket(&self, bits: u64) -> Option<usize> {
        let spread = bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        Some(spread as usize & self.buckets.len().checked_sub(1)?)
    }

    /// Where a key is: its bucket, and its place in it.
    fn find(&self, key: KeyHash) -> Option<(usize, usize)> {
        let bits = bits(key);
        let bucket = self.bucket(bits)?;
        let place = self.buckets[bucket].keys.iter().position(|&known| known == bits)?;
        Some((bucket, place))
    }

    pub(crate) fn get(&self, key: KeyHash) -> Option<&V> {
        let (bucket, place) = self.find(key)?;
        Some(&self.buckets[bucket].values[place])
    }

    pub(crate) fn get_mut(&mut self, key: KeyHash) -> Option<&mut V> {
        let (bucket, place) = self.find(key)?;
        Some(&mut self.buckets[bucket].values[place])
    }

    /// Enters a key that is not there; may push another one out.
    pub(crate) fn insert(&mut self, key: KeyHash, value: V) {
        let bits = bits(key);
        while !self.put(bits, value) {
            let n_buckets = self.buckets.len();
            // Three quarters empty and yet a full bucket is bad luck, or made by somebody who chose keys: no reason to grow.
            if n_buckets >= self.max_buckets || self.len * 4 < n_buckets * N_WAYS {
                let Some(bucket) = self.bucket(bits) else { return };
                let Bucket { keys, values } = &mut self.buckets[bucket];
                if let Some(oldest) = (0..N_WAYS).min_by_key(|&place| values[place].used()) {
                    (keys[oldest], values[oldest]) = (bits, value);
                }
                return;
            }
            self.grow((n_buckets * 2).max(FIRST).min(self.max_buckets));
        }
    }

    /// Takes a free place of the key's bucket. False if there is none.
    fn put(&mut self, bits: u64, value: V) -> bool {
        let Some(bucket) = self.bucket(bits) else { return false };
        let Bucket { keys, values } = &mut self.buckets[bucket];
        let Some(free) = keys.iter().position(|&known| known == FREE) else {
            return false;
        };
        (keys[free], values[free]) = (bits, value);
        self.len += 1;
        true
    }

    fn grow(&mut self, n_buckets: usize) {
        let empty = Bucket {
            keys: [FREE; N_WAYS],
            values: [V::default(); N_WAYS],
        };
        let old = std::mem::replace(&mut self.buckets, vec![empty; n_buckets]);
        self.len = 0;
        for Bucket { keys, values } in old {
            for (bits, value) in keys.into_iter().zip(values) {
                if bits != FREE {
                    // A bucket is split in two, so its keys fit.
                    self.put(bits, value);
                }
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
