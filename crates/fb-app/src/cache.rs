//! The object cache of one app: what was read or written last, bounded by bytes.
//!
//! The writer puts every committed object in before the commit is acknowledged. A reader that missed puts in what it
//! read, but only if no commit touched the object's stripe since it began: else it could put an older state over a
//! newer one.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fb_types::{ClassName, ObjectKey, Stored};
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

const STRIPES: usize = 64;
/// What an entry costs besides its JSON text, roughly.
const OVERHEAD: u64 = 300;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Key(ClassName, ObjectKey);

/// A borrowed [`Key`]; hashes like it.
struct KeyRef<'a>(&'a ClassName, &'a ObjectKey);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        KeyRef(&self.0, &self.1).hash(state);
    }
}

impl Hash for KeyRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
        self.1.hash(state);
    }
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self.0 == key.0 && *self.1 == key.1
    }
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Key, Arc<Stored>> for Bytes {
    fn weight(&self, key: &Key, value: &Arc<Stored>) -> u64 {
        (key.0.as_str().len() + key.1.as_str().len() + value.body.len()) as u64 + OVERHEAD
    }
}

/// A bounded cache of objects by class and key.
pub(crate) struct ObjectCache {
    entries: Cache<Key, Arc<Stored>, Bytes>,
    /// How often a commit touched each stripe. A lock and not an atomic, because comparing it and inserting have to be
    /// one step; it is held for nothing else.
    commits: Vec<Mutex<u64>>,
}

/// The state of an object's stripe when a read began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    stripe: usize,
    commits: u64,
}

impl ObjectCache {
    /// A cache of at most `bytes`.
    pub(crate) fn new(bytes: u64) -> Self {
        let items = usize::try_from(bytes / 1024).unwrap_or(usize::MAX).max(16);
        Self {
            entries: Cache::with_weighter(items, bytes, Bytes),
            commits: (0..STRIPES).map(|_| Mutex::new(0)).collect(),
        }
    }

    pub(crate) fn get(&self, class: &ClassName, key: &ObjectKey) -> Option<Arc<Stored>> {
        self.entries.get(&KeyRef(class, key))
    }

    /// To be taken before the store is read.
    pub(crate) fn ticket(&self, class: &ClassName, key: &ObjectKey) -> Ticket {
        let stripe = stripe_of(class, key);
        Ticket {
            stripe,
            commits: *self.stripe(stripe),
        }
    }

    /// Puts in what was read under `ticket`, unless a commit came in between.
    pub(crate) fn offer(&self, ticket: Ticket, class: &ClassName, object: Arc<Stored>) {
        let commits = self.stripe(ticket.stripe);
        if *commits == ticket.commits {
            self.entries.insert(Key(class.clone(), object.key.clone()), object);
        }
    }

    /// Puts in what was committed; `None` for a deleted object.
    pub(crate) fn commit(&self, class: &ClassName, key: &ObjectKey, object: Option<Arc<Stored>>) {
        let mut commits = self.stripe(stripe_of(class, key));
        *commits += 1;
        match object {
            Some(object) => self.entries.insert(Key(class.clone(), key.clone()), object),
            None => {
                self.entries.remove(&KeyRef(class, key));
            }
        }
    }

    /// Forgets everything, and what is being read.
    pub(crate) fn clear(&self) {
        for stripe in 0..STRIPES {
            *self.stripe(stripe) += 1;
        }
        self.entries.clear();
    }

    /// Bytes in use, roughly.
    pub(crate) fn bytes(&self) -> u64 {
        self.entries.weight()
    }

    fn stripe(&self, stripe: usize) -> MutexGuard<'_, u64> {
        self.commits[stripe].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stripe_of(class: &ClassName, key: &ObjectKey) -> usize {
    let mut hasher = std::hash::DefaultHasher::new();
    KeyRef(class, key).hash(&mut hasher);
    usize::try_from(hasher.finish() % STRIPES as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use fb_types::{Timestamp, Version};

    use super::*;

    fn object(key: &str, version: u64) -> Arc<Stored> {
        Arc::new(Stored {
            key: ObjectKey::from_raw(key).unwrap(),
            version: Version(version),
            shape: 1,
            created_at: Timestamp::from_millis(0),
            updated_at: Timestamp::from_millis(0),
            acl: None,
            body: bytes::Bytes::from(vec![b'x'; 1000]),
        })
    }

    #[test]
    fn a_slow_reader_does_not_bring_back_an_older_state() {
        let cache = ObjectCache::new(1 << 20);
        let class = ClassName::new("Todo").unwrap();
        let key = ObjectKey::from_raw("a").unwrap();
        let ticket = cache.ticket(&class, &key);
        cache.commit(&class, &key, Some(object("a", 2)));
        cache.offer(ticket, &class, object("a", 1));
        assert_eq!(cache.get(&class, &key).unwrap().version, Version(2));

        let ticket = cache.ticket(&class, &key);
        cache.commit(&class, &key, None);
        cache.offer(ticket, &class, object("a", 2));
        assert!(cache.get(&class, &key).is_none());

        let ticket = cache.ticket(&class, &key);
        cache.clear();
        cache.offer(ticket, &class, object("a", 2));
        assert!(cache.get(&class, &key).is_none());
    }

    #[test]
    fn it_stays_within_its_bytes() {
        let cache = ObjectCache::new(100_000);
        let class = ClassName::new("Todo").unwrap();
        for i in 0..1000 {
            let object = object(&i.to_string(), 1);
            cache.offer(cache.ticket(&class, &object.key), &class, object);
        }
        assert!(cache.bytes() <= 100_000 && cache.bytes() > 10_000, "{}", cache.bytes());
    }
}
