//! Maps by numbers that nobody outside can choose: finding them need not be safe from those who look for collisions.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

pub(super) type NumberMap<V> = HashMap<u64, V, BuildHasherDefault<NumberHasher>>;
pub(super) type NumberSet = HashSet<u64, BuildHasherDefault<NumberHasher>>;

/// One multiplication, which spreads numbers in a row over all bits.
#[derive(Default)]
pub(super) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        let wide = u128::from(self.0 ^ number) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (wide >> 64) as u64 ^ wide as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_a_row_are_spread_over_both_ends_of_the_hash() {
        let hashes: Vec<u64> = (1..=4096_u64)
            .map(|number| {
                let mut hasher = NumberHasher::default();
                hasher.write_u64(number);
                hasher.finish()
            })
            .collect();
        // Tables look at the first seven bits and at the last ones.
        let tags: HashSet<u64> = hashes.iter().map(|hash| hash >> 57).collect();
        let places: HashSet<u64> = hashes.iter().map(|hash| hash % 4096).collect();
        assert_eq!(tags.len(), 128);
        assert!(places.len() > 2300, "{}", places.len());
    }
}
