//! The objects of the benchmark, every one a pure function of a seed and its number.
//!
//! Knows nothing of HTTP or SQLite; both sides of a comparison write the same bytes.

use std::fmt::Write as _;

/// Objects that share a group; what a query by group must answer.
pub(crate) const GROUP_SIZE: u64 = 10;

/// Scores lie in `0.0..MAX_SCORE`.
pub(crate) const MAX_SCORE: u64 = 1000;

const TAGS: [&str; 16] = [
    "red", "blue", "new", "old", "hot", "cold", "big", "small", "fast", "slow", "wet", "dry", "sour", "soft", "hard",
    "odd",
];

/// A small, quick, seedable source of numbers (SplitMix64). Not for secrets.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    /// A stream of its own for each seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// A number in `0..bound`; the bias is far below anything that matters here.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        ((u128::from(mix(self.0)) * u128::from(bound)) >> 64) as u64
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's output function: a bijection, so distinct inputs give distinct keys.
fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// `objects` loaded objects with the numbers `0..objects`; higher numbers are later inserts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dataset {
    /// Decides every value.
    pub(crate) seed: u64,
    /// Objects in the collection before anything is measured; a multiple of [`GROUP_SIZE`].
    pub(crate) objects: u64,
}

impl Dataset {
    /// Number of groups among the loaded objects.
    pub(crate) fn groups(self) -> u64 {
        self.objects / GROUP_SIZE
    }

    /// Appends the key of object `number`: 16 hex digits in no order, like the random ids that
    /// clients make, because ascending keys would flatter every B-tree.
    pub(crate) fn write_key(self, number: u64, out: &mut String) {
        write!(out, "{:016x}", self.hash(number)).expect("writing to a String does not fail");
    }

    /// Appends the id of object `number`, as in `/db/Item/<key>`.
    pub(crate) fn write_id(self, number: u64, out: &mut String) {
        out.push_str("/db/Item/");
        self.write_key(number, out);
    }

    /// Appends the name of a group of loaded objects.
    pub(crate) fn write_group(group: u64, out: &mut String) {
        write!(out, "g{group:05}").expect("writing to a String does not fail");
    }

    /// Appends object `number` as JSON, about 170 bytes, to which a server adds about 100 of
    /// metadata.
    ///
    /// A different `revision` changes name, score, flag and tags. Group and rank stay, so that
    /// queries have the same answers after updates. The members of a group are spread over the
    /// collection. Objects with numbers from `objects` on are in groups of their own.
    pub(crate) fn write_object(self, number: u64, revision: u64, out: &mut String) {
        let fixed = mix(self.hash(number) ^ 1);
        let varying = mix(self.hash(number) ^ 2 ^ (revision << 8));

        out.push_str("{\"id\":\"");
        self.write_id(number, out);
        write!(out, "\",\"name\":\"Item {number} r{revision}\",\"group\":\"")
            .expect("writing to a String does not fail");
        if number < self.objects {
            Self::write_group(number % self.groups(), out);
        } else {
            write!(out, "n{:05}", number / GROUP_SIZE).expect("writing to a String does not fail");
        }
        write!(
            out,
            "\",\"rank\":{},\"score\":{}.{:02},\"active\":{},\"tags\":[\"{}\",\"{}\"],\
             \"createdOn\":\"2025-{:02}-{:02}T{:02}:{:02}:{:02}Z\"}}",
            fixed % 1_000_000,
            varying % MAX_SCORE,
            (varying >> 16) % 100,
            varying >> 63 == 1,
            TAGS[(varying >> 32) as usize % TAGS.len()],
            TAGS[(varying >> 40) as usize % TAGS.len()],
            1 + (fixed >> 24) % 12,
            1 + (fixed >> 32) % 28,
            (fixed >> 40) % 24,
            (fixed >> 48) % 60,
            (fixed >> 56) % 60,
        )
        .expect("writing to a String does not fail");
    }

    fn hash(self, number: u64) -> u64 {
        mix(self.seed.wrapping_add(number.wrapping_mul(GOLDEN)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    const DATA: Dataset = Dataset { seed: 1, objects: 1000 };

    fn object(number: u64, revision: u64) -> serde_json::Value {
        let mut text = String::new();
        DATA.write_object(number, revision, &mut text);
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn every_group_has_ten_members() {
        let mut members = HashMap::<String, u64>::new();
        for number in 0..DATA.objects {
            *members
                .entry(object(number, 0)["group"].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
        assert_eq!(members.len(), 100);
        assert!(members.values().all(|count| *count == GROUP_SIZE));
    }

    #[test]
    fn keys_differ_and_later_inserts_stay_out_of_the_groups() {
        let keys: HashSet<String> = (0..5000)
            .map(|number| object(number, 0)["id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(keys.len(), 5000);
        assert!(object(DATA.objects, 0)["group"].as_str().unwrap().starts_with('n'));
    }

    #[test]
    fn a_revision_keeps_what_queries_depend_on() {
        let (old, new) = (object(7, 0), object(7, 1));
        assert_eq!(
            (&old["id"], &old["group"], &old["rank"]),
            (&new["id"], &new["group"], &new["rank"])
        );
        assert_ne!((&old["name"], &old["score"]), (&new["name"], &new["score"]));
    }

    #[test]
    fn numbers_stay_below_their_bound() {
        let mut rng = Rng::new(3);
        let drawn: HashSet<u64> = (0..1000).map(|_| rng.below(8)).collect();
        assert_eq!(drawn, (0..8).collect());
    }
}
