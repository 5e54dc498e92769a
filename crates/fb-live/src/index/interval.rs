//! Intervals by the values they contain.
//!
//! An interval stands at the level that its length gives, in the one or two buckets of that level that it touches. Buckets are
//! less than twice as long as what stands in them, so that a value finds few intervals that do not contain it. There are
//! as many levels as there are orders of magnitude among the lengths.

use std::collections::{BTreeMap, HashMap};

/// Its ends, and what it stands for.
type Interval = (u128, u128, u32);

#[derive(Debug, Default)]
pub(crate) struct Intervals {
    /// Intervals per level.
    levels: BTreeMap<u32, usize>,
    buckets: HashMap<(u32, u128), Vec<Interval>>,
}

impl Intervals {
    pub(crate) fn insert(&mut self, from: u128, to: u128, number: u32) {
        // One that ends before it begins contains nothing.
        if from > to {
            return;
        }
        let level = level(from, to);
        *self.levels.entry(level).or_default() += 1;
        for bucket in buckets(level, from, to) {
            self.buckets
                .entry((level, bucket))
                .or_default()
                .push((from, to, number));
        }
    }

    pub(crate) fn remove(&mut self, from: u128, to: u128, number: u32) {
        if from > to {
            return;
        }
        let level = level(from, to);
        for bucket in buckets(level, from, to) {
            if let Some(list) = self.buckets.get_mut(&(level, bucket)) {
                if let Some(at) = list.iter().position(|known| *known == (from, to, number)) {
                    list.swap_remove(at);
                }
                if list.is_empty() {
                    self.buckets.remove(&(level, bucket));
                }
            }
        }
        if let Some(n) = self.levels.get_mut(&level) {
            *n -= 1;
            if *n == 0 {
                self.levels.remove(&level);
            }
        }
    }

    pub(crate) fn at(&self, place: u128, found: &mut dyn FnMut(u32)) {
        for level in self.levels.keys() {
            let Some(list) = self.buckets.get(&(*level, bucket(*level, place))) else {
                continue;
            };
            for (from, to, number) in list {
                if (*from..=*to).contains(&place) {
                    found(*number);
                }
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }
}

/// Buckets of this level are as long as the next power of two above the length.
fn level(from: u128, to: u128) -> u32 {
    128 - (to - from).leading_zeros()
}

fn bucket(level: u32, place: u128) -> u128 {
    place.checked_shr(level).unwrap_or(0)
}

fn buckets(level: u32, from: u128, to: u128) -> impl Iterator<Item = u128> {
    let (first, last) = (bucket(level, from), bucket(level, to));
    first..=last
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Places of all orders of magnitude, close to each other and to the ends.
    fn place() -> impl Strategy<Value = u128> {
        (0..=128_u32, 0..4_u8, any::<bool>()).prop_map(|(bits, near, is_above)| {
            let base = 1_u128.checked_shl(bits).unwrap_or(u128::MAX);
            let near = u128::from(near);
            if is_above {
                base.saturating_add(near)
            } else {
                base.saturating_sub(near)
            }
        })
    }

    proptest! {
        #[test]
        fn finds_what_contains_the_place(
            all in proptest::collection::vec((place(), place()), 1..30),
            gone in proptest::collection::vec(any::<bool>(), 30),
            at in proptest::collection::vec(place(), 20),
        ) {
            let mut intervals = Intervals::default();
            for (number, (from, to)) in (0..).zip(&all) {
                intervals.insert(*from, *to, number);
            }
            for ((number, (from, to)), gone) in (0..).zip(&all).zip(&gone) {
                if *gone {
                    intervals.remove(*from, *to, number);
                }
            }
            let ends = all.iter().flat_map(|(from, to)| [*from, *to]);
            for place in at.iter().copied().chain(ends) {
                let mut found = Vec::new();
                intervals.at(place, &mut |number| found.push(number));
                found.sort_unstable();
                let contains = |((_, (from, to)), gone): &((u32, &(u128, u128)), &bool)| {
                    !**gone && (*from..=*to).contains(&place)
                };
                let expected: Vec<u32> = (0..).zip(&all).zip(&gone).filter(contains).map(|((n, _), _)| n).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
