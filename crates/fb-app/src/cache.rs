//! Caches of one app: what was read or written last, bounded by bytes.
//!
//! The writer puts every committed object in before the commit is acknowledged. A reader that missed puts in what it
//! read, but only if no commit touched the object's stripe since it began: else it could put an older state over a
//! newer one.

use std::any::Any;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use fb_files::media_type::{self, MediaType};
use fb_types::{ClassName, FileEntry, FileId, ObjectKey, Stored};
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

const STRIPES: usize = 64;
/// What an entry costs besides its texts, roughly.
const OVERHEAD: u64 = 300;

/// The state of a stripe when a read began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    stripe: usize,
    commits: u64,
}

/// A bounded cache that commits and readers fill.
struct Striped<K, V, W> {
    entries: Cache<K, V, W>,
    /// How often a commit touched each stripe. A lock and not an atomic, because comparing it and inserting have to be
    /// one step; it is held for nothing else.
    commits: Vec<Mutex<u64>>,
}

impl<K, V, W> Striped<K, V, W>
where
    K: Hash + Eq,
    V: Clone,
    W: Weighter<K, V> + Clone,
{
    /// A cache of at most `bytes`, of entries of about `entry_bytes`.
    fn new(bytes: u64, entry_bytes: u64, weighter: W) -> Self {
        let items = usize::try_from(bytes / entry_bytes).unwrap_or(usize::MAX).max(16);
        Self {
            entries: Cache::with_weighter(items, bytes, weighter),
            commits: (0..STRIPES).map(|_| Mutex::new(0)).collect(),
        }
    }

    fn get<Q: Hash + Equivalent<K>>(&self, key: &Q) -> Option<V> {
        self.entries.get(key)
    }

    fn ticket(&self, key: &impl Hash) -> Ticket {
        let stripe = stripe_of(key);
        Ticket {
            stripe,
            commits: *self.stripe(stripe),
        }
    }

    fn offer(&self, ticket: Ticket, key: K, value: V) {
        let commits = self.stripe(ticket.stripe);
        if *commits == ticket.commits {
            self.entries.insert(key, value);
        }
    }

    fn commit<Q: Hash + Equivalent<K>>(&self, key: &Q, value: Option<V>, owned: impl FnOnce() -> K) {
        let mut commits = self.stripe(stripe_of(key));
        *commits += 1;
        match value {
            Some(value) => self.entries.insert(owned(), value),
            None => {
                self.entries.remove(key);
            }
        }
    }

    fn clear(&self) {
        for stripe in 0..STRIPES {
            *self.stripe(stripe) += 1;
        }
        self.entries.clear();
    }

    fn stripe(&self, stripe: usize) -> MutexGuard<'_, u64> {
        self.commits[stripe].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stripe_of(key: &impl Hash) -> usize {
    let mut hasher = std::hash::DefaultHasher::new();
    key.hash(&mut hasher);
    usize::try_from(hasher.finish() % STRIPES as u64).unwrap_or_default()
}

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
pub(crate) struct ObjectCache(Striped<Key, Arc<Stored>, Bytes>);

impl ObjectCache {
    /// A cache of at most `bytes`.
    pub(crate) fn new(bytes: u64) -> Self {
        Self(Striped::new(bytes, 1024, Bytes))
    }

    pub(crate) fn get(&self, class: &ClassName, key: &ObjectKey) -> Option<Arc<Stored>> {
        self.0.get(&KeyRef(class, key))
    }

    /// To be taken before the store is read.
    pub(crate) fn ticket(&self, class: &ClassName, key: &ObjectKey) -> Ticket {
        self.0.ticket(&KeyRef(class, key))
    }

    /// Puts in what was read under `ticket`, unless a commit came in between.
    pub(crate) fn offer(&self, ticket: Ticket, class: &ClassName, object: Arc<Stored>) {
        self.0.offer(ticket, Key(class.clone(), object.key.clone()), object);
    }

    /// Puts in what was committed; `None` for a deleted object.
    pub(crate) fn commit(&self, class: &ClassName, key: &ObjectKey, object: Option<Arc<Stored>>) {
        self.0
            .commit(&KeyRef(class, key), object, || Key(class.clone(), key.clone()));
    }

    /// Forgets everything, and what is being read.
    pub(crate) fn clear(&self) {
        self.0.clear();
    }

    /// Bytes in use, roughly.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.entries.weight()
    }
}

/// What is known of a file, and what is made of it once.
pub(crate) struct KnownFile {
    pub(crate) entry: FileEntry,
    pub(crate) media_type: MediaType,
    /// What somebody else has made of it.
    pub(crate) attached: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl KnownFile {
    pub(crate) fn new(entry: FileEntry) -> Self {
        let media_type = media_type::normalise(&entry.media_type).unwrap_or_else(MediaType::octet_stream);
        Self {
            entry,
            media_type,
            attached: OnceLock::new(),
        }
    }
}

impl Weighter<FileId, Arc<KnownFile>> for Bytes {
    fn weight(&self, key: &FileId, known: &Arc<KnownFile>) -> u64 {
        let headers: usize = known
            .entry
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        (2 * key.path().as_str().len() + headers) as u64 + 2 * OVERHEAD
    }
}

/// A bounded cache of what is known of files.
pub(crate) struct FileCache(Striped<FileId, Arc<KnownFile>, Bytes>);

impl FileCache {
    /// A cache of at most `bytes`.
    pub(crate) fn new(bytes: u64) -> Self {
        Self(Striped::new(bytes, 2 * OVERHEAD, Bytes))
    }

    pub(crate) fn get(&self, id: &FileId) -> Option<Arc<KnownFile>> {
        self.0.get(id)
    }

    /// To be taken before the store is read.
    pub(crate) fn ticket(&self, id: &FileId) -> Ticket {
        self.0.ticket(id)
    }

    /// Puts in what was read under `ticket`, unless a commit came in between.
    pub(crate) fn offer(&self, ticket: Ticket, id: FileId, known: Arc<KnownFile>) {
        self.0.offer(ticket, id, known);
    }

    /// The file was written: it is read again when it is needed.
    pub(crate) fn forget(&self, id: &FileId) {
        self.0.commit(id, None, || id.clone());
    }
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
