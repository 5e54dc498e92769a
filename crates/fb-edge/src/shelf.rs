//! Where answers are kept, and what is known of addresses that have none.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::entry::Entry;
use crate::lines::Lines;
use crate::target::{Key, KeyRef, Target};
use crate::vary::Fields;

/// Addresses of which it is remembered whether their answers can be stored, four bytes each: in groups by their hashes. One more than fit
/// into a group takes the place of another.
const N_HINTS: usize = 1 << 16;
const GROUP: usize = 4;

/// Answers in memory, limited by bytes.
pub(crate) struct Shelf {
    /// Its locks are held for a look or a change of one entry.
    cache: Cache<Key, Shelved, Bytes>,
    hasher: RandomState,
    hints: Box<[AtomicU32]>,
}

#[derive(Debug, Clone)]
enum Shelved {
    Answer(Arc<Entry>),
    /// The answers are stored by these fields.
    Varies(Fields),
}

#[derive(Debug, Clone, Copy)]
struct Bytes;

impl Weighter<Key, Shelved> for Bytes {
    fn weight(&self, key: &Key, value: &Shelved) -> u64 {
        let value = match value {
            Shelved::Answer(entry) => entry.weight(),
            Shelved::Varies(_) => 0,
        };
        (key.len() + value + 128) as u64
    }
}

/// Whether answers of an address can be stored, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hint {
    Unknown,
    Storable,
    Personal,
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf")
            .field("n_entries", &self.cache.len())
            .finish_non_exhaustive()
    }
}

impl Shelf {
    pub(crate) fn new(n_bytes: u64) -> Self {
        let n_expected = usize::try_from(n_bytes / 4096).unwrap_or(usize::MAX).clamp(16, 1 << 20);
        Self {
            cache: Cache::with_weighter(n_expected, n_bytes, Bytes),
            hasher: RandomState::new(),
            hints: std::iter::repeat_with(AtomicU32::default).take(N_HINTS).collect(),
        }
    }

    /// The answer for who sends a request with these headers, fresh or not; and the fields that answers of the target vary by.
    /// `None` for the fields: the request's values of them are not fit for keys.
    pub(crate) fn find(&self, target: &Target<'_>, request: &impl Lines) -> (Option<Arc<Entry>>, Option<Fields>) {
        match self.cache.get(&target.key("")) {
            None => (None, Some(Fields::default())),
            Some(Shelved::Answer(entry)) => (Some(entry), Some(Fields::default())),
            Some(Shelved::Varies(fields)) => {
                let Some(variant) = fields.variant(request) else {
                    return (None, None);
                };
                let found = match self.cache.get(&target.key(&variant)) {
                    Some(Shelved::Answer(entry)) => Some(entry),
                    Some(Shelved::Varies(_)) | None => None,
                };
                (found, Some(fields))
            }
        }
    }

    /// Keeps an answer. `variant` is empty if and only if there are no `fields`.
    pub(crate) fn keep(&self, target: &Target<'_>, fields: Fields, variant: &str, entry: Arc<Entry>) {
        self.vary(target, fields);
        self.cache.insert(target.key(variant).to_key(), Shelved::Answer(entry));
    }

    /// Notes that answers of a target vary by these fields.
    pub(crate) fn vary(&self, target: &Target<'_>, fields: Fields) {
        if !fields.is_none() {
            self.cache.insert(target.key("").to_key(), Shelved::Varies(fields));
        }
    }

    pub(crate) fn get(&self, key: KeyRef<'_>) -> Option<Arc<Entry>> {
        match self.cache.get(&key)? {
            Shelved::Answer(entry) => Some(entry),
            Shelved::Varies(_) => None,
        }
    }

    pub(crate) fn forget(&self, key: KeyRef<'_>) {
        self.cache.remove(&key);
    }

    /// Entries, and bytes of them.
    pub(crate) fn size(&self) -> (usize, u64) {
        (self.cache.len(), self.cache.weight())
    }

    /// The largest entry that is worth keeping.
    pub(crate) fn largest(&self) -> usize {
        usize::try_from(self.cache.shard_capacity() / 4).unwrap_or(usize::MAX)
    }

    /// The group of an address, and what it is known by there.
    fn hints_of(&self, target: &Target<'_>) -> (&[AtomicU32], u32) {
        let hash = self.hasher.hash_one(target.key(""));
        let group = (hash as usize) & (N_HINTS / GROUP - 1);
        // The upper half, without the two bits of the hint.
        (&self.hints[group * GROUP..][..GROUP], (hash >> 32) as u32 & !3)
    }

    pub(crate) fn hint(&self, target: &Target<'_>) -> Hint {
        let (group, print) = self.hints_of(target);
        group
            .iter()
            .find_map(|place| match place.load(Ordering::Relaxed) {
                known if known == print | 1 => Some(Hint::Storable),
                known if known == print | 2 => Some(Hint::Personal),
                _ => None,
            })
            .unwrap_or(Hint::Unknown)
    }

    /// Two who set hints at the same time may leave one of them: what it is about is asked for once more.
    pub(crate) fn set_hint(&self, target: &Target<'_>, hint: Hint) {
        let (group, print) = self.hints_of(target);
        let bits = match hint {
            Hint::Unknown => 0,
            Hint::Storable => print | 1,
            Hint::Personal => print | 2,
        };
        let at = |wanted: &dyn Fn(u32) -> bool| group.iter().find(|place| wanted(place.load(Ordering::Relaxed)));
        let own = at(&|known| known & 3 != 0 && known & !3 == print);
        if own.is_none() && bits == 0 {
            return;
        }
        let place = own
            .or_else(|| at(&|known| known == 0))
            // Whichever: its own bits are as good as dice.
            .unwrap_or(&group[(print >> 2) as usize % GROUP]);
        place.store(bits, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn target(path: &str) -> Target<'_> {
        Target {
            is_tls: false,
            authority: Cow::Borrowed("shop.example"),
            path,
        }
    }

    /// Two that share a place would be passed on for ever when they are asked for in turn.
    #[test]
    fn what_is_known_of_some_hundred_addresses_is_not_forgotten_for_another() {
        let shelf = Shelf::new(1 << 20);
        let paths: Vec<String> = (0..800).map(|n| format!("/v1/db/Todo/{n}")).collect();
        for path in &paths {
            shelf.set_hint(&target(path), Hint::Storable);
        }
        assert!(paths.iter().all(|path| shelf.hint(&target(path)) == Hint::Storable));
        for path in &paths {
            shelf.set_hint(&target(path), Hint::Personal);
        }
        assert!(paths.iter().all(|path| shelf.hint(&target(path)) == Hint::Personal));
        shelf.set_hint(&target("/v1/db/Todo/unknown"), Hint::Unknown);
        shelf.set_hint(&target(&paths[0]), Hint::Unknown);
        let n_known = paths
            .iter()
            .filter(|path| shelf.hint(&target(path)) == Hint::Personal)
            .count();
        assert_eq!(n_known, 799);
    }
}
