//! Numbers of the objects of one result: few in place, many hashed.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

/// So many need no memory of their own.
const FEW: usize = 6;

#[derive(Debug, Clone)]
pub(crate) enum Members {
    Few(u8, [u32; FEW]),
    #[expect(clippy::box_collection, reason = "it is seldom there, and the others are small")]
    Many(Box<HashSet<u32, BuildHasherDefault<Spread>>>),
}

impl Default for Members {
    fn default() -> Self {
        Self::Few(0, [0; FEW])
    }
}

impl Members {
    /// Puts in a number that is not in it.
    pub(crate) fn insert(&mut self, number: u32) {
        match self {
            Self::Many(all) => drop(all.insert(number)),
            Self::Few(n, few) => match few.get_mut(usize::from(*n)) {
                Some(place) => {
                    *place = number;
                    *n += 1;
                }
                None => *self = Self::Many(Box::new(few.iter().copied().chain([number]).collect())),
            },
        }
    }

    /// Takes a number out.
    pub(crate) fn remove(&mut self, number: u32) {
        match self {
            Self::Many(all) => drop(all.remove(&number)),
            Self::Few(n, few) => {
                let last = usize::from(*n).saturating_sub(1);
                if let Some(at) = few[..usize::from(*n)].iter().position(|known| *known == number) {
                    few.swap(at, last);
                    *n -= 1;
                }
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Few(n, _) => usize::from(*n),
            Self::Many(all) => all.len(),
        }
    }

    pub(crate) fn contains(&self, number: u32) -> bool {
        match self {
            Self::Few(n, few) => few[..usize::from(*n)].contains(&number),
            Self::Many(all) => all.contains(&number),
        }
    }

    pub(crate) fn to_vec(&self) -> Vec<u32> {
        match self {
            Self::Few(n, few) => few[..usize::from(*n)].to_vec(),
            Self::Many(all) => all.iter().copied().collect(),
        }
    }
}

/// Numbers are given out one after the other, and nobody can choose them.
#[derive(Debug, Default)]
pub(crate) struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn holds_what_was_put_in_and_not_taken_out(steps in proptest::collection::vec((0..12_u32, any::<bool>()), 0..60)) {
            let (mut members, mut expected) = (Members::default(), BTreeSet::new());
            for (number, is_in) in steps {
                if !is_in {
                    members.remove(number);
                    expected.remove(&number);
                } else if expected.insert(number) {
                    members.insert(number);
                }
                prop_assert_eq!(members.len(), expected.len());
                prop_assert_eq!(members.to_vec().into_iter().collect::<BTreeSet<_>>(), expected.clone());
                prop_assert!((0..12).all(|number| members.contains(number) == expected.contains(&number)));
            }
        }
    }
}
