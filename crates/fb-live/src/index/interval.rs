//! Intervals by the values they contain.
//!
//! An interval stands at the level that its length gives, in the one or two buckets of that level that it touches. Buckets are
//! less than twice as long as what stands in them, so that a value finds few intervals that do not contain it. There are
//! as many levels as there are orders of magnitude among the lengths; those that begin behind a value or end before it are
//! left out, which of floating-point numbers, whose distances grow with them, are most.

use std::hash::{BuildHasher, RandomState};

use super::table::Table;

#[derive(Debug, Default)]
pub(crate) struct Intervals {
    /// In their order.
    levels: Vec<Level>,
    buckets: Table<Ends>,
    mix: Mix,
}

/// A hash in a few steps, because there are many levels. Its keys are random so that nobody can choose intervals that fall
/// together.
#[derive(Debug)]
struct Mix([u64; 4]);

impl Default for Mix {
    fn default() -> Self {
        let random = RandomState::new();
        Self([0_u8, 1, 2, 3].map(|number| random.hash_one(number)))
    }
}

impl Mix {
    fn of(&self, value: u128) -> u32 {
        let fold = |a: u64, b: u64| {
            let product = u128::from(a) * u128::from(b);
            (product as u64) ^ ((product >> 64) as u64)
        };
        let [a, b, c, d] = self.0;
        let half = fold(value as u64 ^ a, (value >> 64) as u64 ^ b);
        (fold(half ^ c, d | 1) >> 32) as u32
    }
}

#[derive(Debug)]
struct Level {
    level: u32,
    n: usize,
    /// All that stands at this level, and what stood there, is within these ends.
    from: u128,
    to: u128,
}

/// The first and the last part of its bucket that an interval touches; buckets have 65,536 parts.
type Ends = (u16, u16);

impl Intervals {
    pub(crate) fn insert(&mut self, from: u128, to: u128, number: u32) {
        // One that ends before it begins contains nothing.
        if from > to {
            return;
        }
        let level = level(from, to);
        let at = self.levels.partition_point(|known| known.level < level);
        match self.levels.get_mut(at) {
            Some(known) if known.level == level => {
                known.n += 1;
                known.from = known.from.min(from);
                known.to = known.to.max(to);
            }
            _ => self.levels.insert(at, Level { level, n: 1, from, to }),
        }
        for bucket in buckets(level, from, to) {
            let hash = self.hash(level, bucket);
            self.buckets.insert(hash, number, ends(level, bucket, from, to));
        }
    }

    pub(crate) fn remove(&mut self, from: u128, to: u128, number: u32) {
        if from > to {
            return;
        }
        let level = level(from, to);
        for bucket in buckets(level, from, to) {
            let hash = self.hash(level, bucket);
            self.buckets.remove(hash, number, ends(level, bucket, from, to));
        }
        if let Ok(at) = self.levels.binary_search_by_key(&level, |known| known.level) {
            self.levels[at].n -= 1;
            if self.levels[at].n == 0 {
                self.levels.remove(at);
            }
        }
    }

    /// Tells the intervals that contain the place, and some that miss it by little.
    pub(crate) fn at(&self, place: u128, found: &mut dyn FnMut(u32)) {
        for (level, bucket) in self.buckets_of(place) {
            let part = part(level, bucket, place);
            self.buckets.each(self.hash(level, bucket), |number, (first, last)| {
                if (first..=last).contains(&part) {
                    found(number);
                }
            });
        }
    }

    /// Reads where the place is looked for first.
    pub(crate) fn touch(&self, place: u128) -> u32 {
        self.buckets_of(place).fold(0, |all, (level, bucket)| {
            all ^ self.buckets.touch(self.hash(level, bucket))
        })
    }

    fn buckets_of(&self, place: u128) -> impl Iterator<Item = (u32, u128)> {
        let levels = self.levels.iter();
        levels
            .filter(move |level| (level.from..=level.to).contains(&place))
            .map(move |Level { level, .. }| (*level, bucket(*level, place)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    fn hash(&self, level: u32, bucket: u128) -> u32 {
        self.mix.of(bucket ^ u128::from(level).rotate_right(8))
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

fn ends(level: u32, bucket: u128, from: u128, to: u128) -> Ends {
    (part(level, bucket, from), part(level, bucket, to))
}

/// The part of the bucket that a place is in; if it is in another bucket, the nearest one.
fn part(level: u32, bucket: u128, place: u128) -> u16 {
    let first = bucket.checked_shl(level).unwrap_or(0);
    let part = place.saturating_sub(first) >> level.saturating_sub(16);
    u16::try_from(part).unwrap_or(u16::MAX)
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
        fn finds_what_contains_the_place_and_little_else(
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
                let mut once = found.clone();
                once.dedup();
                prop_assert_eq!(&found, &once);
                let contains = |((_, (from, to)), gone): &((u32, &(u128, u128)), &bool)| {
                    !**gone && (*from..=*to).contains(&place)
                };
                let expected: Vec<u32> = (0..).zip(&all).zip(&gone).filter(contains).map(|((n, _), _)| n).collect();
                prop_assert!(expected.iter().all(|number| found.contains(number)), "{expected:?} are not all of {found:?}");
                for other in found.iter().filter(|number| !expected.contains(number)) {
                    let (from, to) = all[*other as usize];
                    let near = (to - from) >> 14;
                    prop_assert!(!gone[*other as usize]);
                    prop_assert!((from.saturating_sub(near)..=to.saturating_add(near)).contains(&place));
                }
            }
        }
    }
}
