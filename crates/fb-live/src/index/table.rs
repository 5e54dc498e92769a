//! Numbers by hashes, so close together that most lookups read one line of memory.

/// Numbers, each with a note, by 32 bits of a hash whose key nobody knows. Whoever has the same 32 bits shares a place.
/// Cost of a lookup: what is found; linear probing in a table that is half full at most times.
#[derive(Debug)]
pub(crate) struct Table<N> {
    /// As many as a power of two, or none.
    slots: Vec<Slot<N>>,
    n_used: usize,
    /// What does not fit into a slot because it is more than one.
    crowds: Vec<Vec<(u32, N)>>,
    free_crowds: Vec<u32>,
}

/// Of a slot with a crowd, the value says which one, and the note nothing.
#[derive(Debug, Clone, Copy)]
struct Slot<N> {
    hash: u32,
    value: u32,
    note: N,
}

/// Values from here on mean crowds. There is no memory for so many filters.
const CROWD: u32 = 1 << 31;
const EMPTY: u32 = u32::MAX;
const LEAST: usize = 8;

impl<N> Default for Table<N> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            n_used: 0,
            crowds: Vec::new(),
            free_crowds: Vec::new(),
        }
    }
}

impl<N: Copy + Default + PartialEq> Table<N> {
    pub(crate) fn insert(&mut self, hash: u32, number: u32, note: N) {
        if self.slots.len() * 5 <= self.n_used * 8 {
            self.grow();
        }
        let at = self.find(hash);
        let Some(slot) = self.slots.get_mut(at) else { return };
        if slot.value == EMPTY {
            *slot = Slot {
                hash,
                value: number,
                note,
            };
            self.n_used += 1;
        } else if slot.value < CROWD {
            let both = vec![(slot.value, slot.note), (number, note)];
            let crowd = self.free_crowds.pop().unwrap_or_else(|| {
                self.crowds.push(Vec::new());
                self.crowds.len() as u32 - 1
            });
            self.crowds[crowd as usize] = both;
            slot.value = CROWD | crowd;
            slot.note = N::default();
        } else if let Some(crowd) = self.crowds.get_mut((slot.value - CROWD) as usize) {
            crowd.push((number, note));
        }
    }

    /// Takes a number out that was put in with the same hash and note. Others are no error.
    pub(crate) fn remove(&mut self, hash: u32, number: u32, note: N) {
        let at = self.find(hash);
        let Some(slot) = self.slots.get_mut(at) else { return };
        if slot.value == EMPTY {
            return;
        }
        if slot.value < CROWD {
            if slot.value == number && slot.note == note {
                self.clear(at);
            }
            return;
        }
        let crowd = slot.value - CROWD;
        let Some(all) = self.crowds.get_mut(crowd as usize) else {
            return;
        };
        if let Some(at) = all.iter().position(|known| *known == (number, note)) {
            all.swap_remove(at);
        }
        if let [(number, note)] = all[..] {
            (slot.value, slot.note) = (number, note);
            *all = Vec::new();
            self.free_crowds.push(crowd);
        }
    }

    /// Tells all numbers of a hash.
    pub(crate) fn each(&self, hash: u32, mut found: impl FnMut(u32, N)) {
        match self.slots.get(self.find(hash)) {
            Some(slot) if slot.value < CROWD => found(slot.value, slot.note),
            Some(slot) if slot.value != EMPTY => {
                let crowd = self.crowds.get((slot.value - CROWD) as usize);
                crowd
                    .into_iter()
                    .flatten()
                    .for_each(|(number, note)| found(*number, *note));
            }
            _ => {}
        }
    }

    /// Reads where a hash is looked for first.
    pub(crate) fn touch(&self, hash: u32) -> u32 {
        self.slots.get(self.home(hash)).map_or(0, |slot| slot.value)
    }

    /// How many numbers a hash has.
    pub(crate) fn count(&self, hash: u32) -> usize {
        match self.slots.get(self.find(hash)) {
            Some(slot) if slot.value < CROWD => 1,
            Some(slot) if slot.value != EMPTY => self.crowds.get((slot.value - CROWD) as usize).map_or(0, Vec::len),
            _ => 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.n_used == 0
    }

    /// Where a hash is, or the empty slot where it would be put. Behind the end if there are no slots.
    fn find(&self, hash: u32) -> usize {
        let mut at = self.home(hash);
        while let Some(slot) = self.slots.get(at) {
            if slot.value == EMPTY || slot.hash == hash {
                return at;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        at
    }

    /// Where a hash is if nobody was there before.
    fn home(&self, hash: u32) -> usize {
        // The upper bits of the hash, as many as number the slots.
        ((u64::from(hash) * self.slots.len() as u64) >> 32) as usize
    }

    /// Empties a slot. What was pushed away by it moves up, so that it is found.
    fn clear(&mut self, mut hole: usize) {
        let mask = self.slots.len() - 1;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let slot = self.slots[at];
            if slot.value == EMPTY {
                break;
            }
            let distance = |from: usize| at.wrapping_sub(from) & mask;
            if distance(self.home(slot.hash)) >= distance(hole) {
                self.slots[hole] = slot;
                hole = at;
            }
        }
        self.slots[hole].value = EMPTY;
        self.n_used -= 1;
        if self.n_used == 0 {
            *self = Self::default();
        }
    }

    fn grow(&mut self) {
        let empty = Slot {
            hash: 0,
            value: EMPTY,
            note: N::default(),
        };
        let n = (self.slots.len() * 2).max(LEAST);
        let old = std::mem::replace(&mut self.slots, vec![empty; n]);
        for slot in old.into_iter().filter(|slot| slot.value != EMPTY) {
            let at = self.find(slot.hash);
            self.slots[at] = slot;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Few hashes, many of them neighbours at the end of the table, so that they share places and push each other away.
    fn hash() -> impl Strategy<Value = u32> {
        prop_oneof![0..8_u32, (u32::MAX - 8)..=u32::MAX, (0..24_u32).prop_map(|h| h << 27)]
    }

    proptest! {
        #[test]
        fn holds_what_was_put_in_and_not_taken_out(
            steps in proptest::collection::vec((hash(), 0..4_u32, 0..2_u8, 0..3_u8), 0..200),
        ) {
            let (mut table, mut expected) = (Table::default(), BTreeSet::new());
            for (hash, number, note, step) in steps {
                if step == 0 {
                    table.remove(hash, number, note);
                    expected.remove(&(hash, number, note));
                } else if expected.insert((hash, number, note)) {
                    table.insert(hash, number, note);
                }
                for hash in expected.iter().map(|(hash, ..)| *hash).chain([hash, 3, u32::MAX]) {
                    let mut found = BTreeSet::new();
                    table.each(hash, |number, note| assert!(found.insert((hash, number, note))));
                    let of_hash: BTreeSet<_> = expected.iter().copied().filter(|(known, ..)| *known == hash).collect();
                    prop_assert_eq!(table.count(hash), of_hash.len());
                    prop_assert_eq!(found, of_hash);
                }
                prop_assert_eq!(table.is_empty(), expected.is_empty());
            }
        }
    }
}
