//! What a call of code reads through its app's API, if the answer may be kept.

use std::sync::{Mutex, MutexGuard, PoisonError};

use fb_sketch::KeyHash;
use fb_types::ObjectKey;
use serde_json::Value;

use crate::QueryRequest;
use crate::caching::element;

/// Most things that one call may read, and bytes of the queries among them.
pub(crate) const MAX_READS: usize = 100;
const MAX_BYTES: usize = 16 << 10;

/// Something that code read with the rights of nobody in particular: an object, or that there is none; a result; a number.
#[derive(Debug, Clone, PartialEq)]
pub enum Read {
    /// The object of this bucket under this key.
    Object(String, ObjectKey),
    /// The result of this query of this bucket, in the order of ids if it has none.
    Query(String, QueryRequest),
    /// How many objects of this bucket pass this filter.
    Count(String, Value),
}

impl Read {
    /// Reads that are not the same have different ones. That of an object is its element.
    pub(crate) fn key(&self) -> KeyHash {
        match self {
            Self::Object(bucket, key) => element::of_object(bucket, key),
            Self::Query(bucket, query) => {
                let QueryRequest {
                    filter,
                    sort,
                    offset,
                    limit,
                } = query;
                KeyHash::of(&format!("query {bucket} {filter} {sort} {offset} {limit:?}"))
            }
            Self::Count(bucket, filter) => KeyHash::of(&format!("count {bucket} {filter}")),
        }
    }

    pub(crate) fn bucket(&self) -> &str {
        match self {
            Self::Object(bucket, _) | Self::Query(bucket, _) | Self::Count(bucket, _) => bucket,
        }
    }

    /// Roughly.
    fn bytes(&self) -> usize {
        let size = |value: &Value| match value {
            Value::Null => 0,
            other => other.to_string().len(),
        };
        self.bucket().len()
            + match self {
                Self::Object(_, key) => key.as_str().len(),
                Self::Query(_, query) => size(&query.filter) + size(&query.sort),
                Self::Count(_, filter) => size(filter),
            }
    }
}

/// Takes down what one call reads. Whatever is not taken down is taken for something of which nobody would tell that it changed.
#[derive(Debug, Default)]
pub struct Reads(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    /// The call is nobody's in particular by now.
    is_shared: bool,
    /// The answer must not be kept.
    is_spoilt: bool,
    n_requests: usize,
    n_taken: usize,
    n_bytes: usize,
    all: Vec<Read>,
}

impl Reads {
    /// Held for a few instructions.
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The call is nobody's in particular from now on. `knows_caller`: it knows already whose it was.
    pub(super) fn share(&self, knows_caller: bool) {
        let mut taken = self.taken();
        taken.is_shared = true;
        taken.is_spoilt |= knows_caller;
    }

    /// Code makes a request. True if it is nobody's in particular.
    pub(super) fn request(&self) -> bool {
        let mut taken = self.taken();
        taken.n_requests += 1;
        taken.is_spoilt |= !taken.is_shared;
        taken.is_shared
    }

    /// Code does something whose outcome may change without a word.
    pub(super) fn spoil(&self) {
        self.taken().is_spoilt = true;
    }

    /// A request of code reads this, and nothing else. To be said once by whoever answers it.
    pub fn take_down(&self, read: Read) {
        let mut taken = self.taken();
        taken.n_taken += 1;
        taken.n_bytes += read.bytes();
        if taken.all.contains(&read) {
            return;
        }
        if taken.all.len() >= MAX_READS || taken.n_bytes > MAX_BYTES {
            taken.is_spoilt = true;
        } else {
            taken.all.push(read);
        }
    }

    /// All of it; `None` if the call did not ask for its answer to be kept, or did something else than reading.
    pub(crate) fn all(&self) -> Option<Vec<Read>> {
        let taken = self.taken();
        let is_whole = taken.is_shared && !taken.is_spoilt && taken.n_requests == taken.n_taken;
        is_whole.then(|| taken.all.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(key: &str) -> Read {
        Read::Object("Todo".into(), ObjectKey::from_raw(key).unwrap())
    }

    #[test]
    fn a_call_that_does_anything_else_is_not_known() {
        let read = |reads: &Reads, key: &str| {
            reads.request();
            reads.take_down(object(key));
        };
        let reads = Reads::default();
        assert_eq!(reads.all(), None, "nobody asked for it");
        reads.share(false);
        read(&reads, "a");
        read(&reads, "b");
        read(&reads, "a");
        assert_eq!(reads.all(), Some(vec![object("a"), object("b")]));
        reads.request();
        assert_eq!(reads.all(), None, "a request of which nothing was taken down");

        let early = Reads::default();
        read(&early, "a");
        early.share(false);
        assert_eq!(early.all(), None, "with the rights of its caller");
        let curious = Reads::default();
        curious.share(true);
        assert_eq!(curious.all(), None);
        let spoilt = Reads::default();
        spoilt.share(false);
        spoilt.spoil();
        assert_eq!(spoilt.all(), None);
    }

    #[test]
    fn much_is_not_taken_down() {
        let reads = Reads::default();
        reads.share(false);
        for n in 0..MAX_READS {
            reads.request();
            reads.take_down(object(&n.to_string()));
        }
        assert!(reads.all().is_some());
        reads.request();
        reads.take_down(object("one more"));
        assert_eq!(reads.all(), None);
        let long = Reads::default();
        long.share(false);
        long.request();
        long.take_down(Read::Count("Todo".into(), Value::String("x".repeat(MAX_BYTES))));
        assert_eq!(long.all(), None);
    }

    #[test]
    fn different_reads_have_different_keys() {
        let query = |limit| QueryRequest {
            filter: Value::Null,
            sort: Value::Null,
            offset: 0,
            limit,
        };
        let reads = [
            object("a"),
            object("b"),
            Read::Count("Todo".into(), Value::Null),
            Read::Query("Todo".into(), query(None)),
            Read::Query("Todo".into(), query(Some(1))),
            Read::Query("Other".into(), query(Some(1))),
        ];
        let keys: std::collections::HashSet<KeyHash> = reads.iter().map(Read::key).collect();
        assert_eq!(keys.len(), reads.len());
        assert_eq!(object("a").key(), KeyHash::of("/db/Todo/a"));
    }
}
