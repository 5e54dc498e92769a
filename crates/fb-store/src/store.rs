//! The store of one app.

use std::pin::Pin;
use std::sync::Arc;

use fb_auth::{Admin, FileGrant, Grant};
use fb_query::{Filter, Query};
use fb_types::{
    Bucket, Change, ClassName, ContentId, Document, FileEntry, FilePath, ObjectKey, Schema, Seq, Stored, Timestamp,
};

use crate::{Batch, FileList, IndexDef, Outcome, Rows, StoreError, Unused};

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Keys and values of server-side records, in the order of the keys.
pub type Records = Vec<(String, Vec<u8>)>;

/// The objects, schema, indexes, records and change feed of one app.
///
/// Reads see every write that was acknowledged before they began. Writes are acknowledged when they are durable.
/// Dropping a future of a read cancels it; dropping a future of a write does not take the write back.
pub trait Store: Send + Sync + 'static {
    /// The schema as it is stored.
    fn schema(&self) -> Arc<Schema>;

    /// One object, `None` if there is none or the grant does not reach it. Cost: one index lookup.
    fn load<'a>(&'a self, grant: &'a Grant, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Stored>, StoreError>>;

    /// The objects that a query asks for and the grant reaches, limit and offset exact. `query.class` is the grant's.
    fn query<'a>(&'a self, grant: &'a Grant, query: &'a Query) -> BoxFuture<'a, Result<Rows, StoreError>>;

    /// The same, with the position of the state it was read from: every change up to there is in it, and none behind.
    fn snapshot<'a>(&'a self, grant: &'a Grant, query: &'a Query) -> BoxFuture<'a, Result<(Seq, Rows), StoreError>>;

    /// How many objects pass the filter and are reached by the grant.
    fn count<'a>(&'a self, grant: &'a Grant, filter: &'a Filter) -> BoxFuture<'a, Result<u64, StoreError>>;

    /// Objects in the order of their keys, the first one behind `after`; at most `limit` of them, and fewer once 4 MiB are
    /// collected. Empty only at the end.
    fn scan<'a>(
        &'a self,
        grant: &'a Grant,
        after: Option<&'a ObjectKey>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Rows, StoreError>>;

    /// Keys in their order.
    fn keys<'a>(
        &'a self,
        grant: &'a Grant,
        offset: u64,
        limit: u64,
    ) -> BoxFuture<'a, Result<Vec<ObjectKey>, StoreError>>;

    /// The objects of a class that were written first, oldest first, at most `limit`. Cost: in proportion to the result.
    fn oldest<'a>(&'a self, grant: &'a Grant, limit: usize) -> BoxFuture<'a, Result<Oldest, StoreError>>;

    /// A small number as a key that no object of the class has or had.
    fn allocate_key<'a>(&'a self, class: &'a ClassName) -> BoxFuture<'a, Result<ObjectKey, StoreError>>;

    /// Commits a batch; one outcome per write.
    fn commit(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Outcome>, StoreError>>;

    /// A server-side record; `None` if there is none or its time has passed.
    fn record<'a>(&'a self, space: &'a str, key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>>;

    /// Server-side records of a space in the order of their keys' bytes, the first one behind `after`; at most `limit`
    /// of them. Fewer only at the end.
    fn records<'a>(
        &'a self,
        space: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Records, StoreError>>;

    /// What is known of a file, `None` if there is none or the grant does not reach it. Cost: one index lookup.
    fn file<'a>(
        &'a self,
        grant: &'a FileGrant,
        path: &'a FilePath,
    ) -> BoxFuture<'a, Result<Option<FileEntry>, StoreError>>;

    /// Names of files that the grant reaches, within the bucket, in the order of their bytes; subfolders end with `/` and
    /// are listed once if the grant reaches a file in them. Cost: in proportion to the result, and to what is passed over
    /// because the grant does not reach it; not to the sizes of bucket and subfolders.
    fn files<'a>(&'a self, grant: &'a FileGrant, list: &'a FileList) -> BoxFuture<'a, Result<Vec<String>, StoreError>>;

    /// All buckets by name.
    fn buckets(&self) -> BoxFuture<'_, Result<Vec<Bucket>, StoreError>>;

    /// Contents that no file refers to.
    fn unused_contents(&self, which: Unused) -> BoxFuture<'_, Result<Vec<ContentId>, StoreError>>;

    /// Changes the schema, in one transaction.
    fn alter<'a>(&'a self, admin: &'a Admin, alteration: Alteration) -> BoxFuture<'a, Result<(), StoreError>>;

    /// The declared indexes of a class, in the order of their creation.
    fn indexes<'a>(&'a self, class: &'a ClassName) -> BoxFuture<'a, Result<Vec<IndexDef>, StoreError>>;

    /// Replaces the declared indexes of a class; returns when the engine has them.
    fn set_indexes<'a>(
        &'a self,
        admin: &'a Admin,
        class: &'a ClassName,
        indexes: Vec<IndexDef>,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Change records behind `seq`, oldest first, at most `limit`.
    fn changes_after(&self, seq: Seq, limit: usize) -> BoxFuture<'_, Result<Vec<Change>, StoreError>>;

    /// Sizes, for metrics.
    fn stats(&self) -> BoxFuture<'_, Result<StoreStats, StoreError>>;

    /// Finishes what is queued, flushes, and releases files and threads. Later calls fail with `Unavailable`.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// The beginning of a class; see [`Store::oldest`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Oldest {
    /// Keys and when the objects were created, in the order of their insertion.
    pub keys: Vec<(ObjectKey, Timestamp)>,
    /// How many objects the class has at most: exact as long as none but the oldest were deleted.
    pub at_most: u64,
}

/// A change of the schema.
pub struct Alteration {
    /// The new schema, complete. Its classes are created, changed and dropped as it says.
    pub schema: Arc<Schema>,
    /// The revision the alteration was made from; another one meanwhile gives `SchemaChanged`.
    pub from_rev: u32,
    /// Stored objects to rewrite. Each gets a new version and a change record.
    pub rewrites: Vec<Rewrite>,
    /// Declared indexes of classes where they change with the schema: those on a renamed field follow it.
    pub indexes: Vec<(ClassName, Vec<IndexDef>)>,
    /// Writes that are committed together with all of this or not at all, for example an entry of a log. They are
    /// decided last and under the new schema, [`ObjectWrite::checked_under`](crate::ObjectWrite::checked_under)
    /// included: a write to a rewritten class must have been checked against its new form. If one is refused, so is the
    /// alteration, with the error that [`Store::commit`] would give.
    pub also: Batch,
}

/// How the stored objects of one class are changed.
pub struct Rewrite {
    /// The class.
    pub class: ClassName,
    /// The change of one object's fields. Returns false if nothing changed.
    pub apply: Arc<dyn Fn(&mut Document) -> bool + Send + Sync>,
}

impl std::fmt::Debug for Alteration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let classes: Vec<_> = self.rewrites.iter().map(|r| r.class.as_str()).collect();
        f.debug_struct("Alteration")
            .field("rev", &self.schema.rev())
            .field("rewrites", &classes)
            .field("also", &self.also)
            .finish()
    }
}

/// Sizes of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreStats {
    /// Bytes on disk, the log included.
    pub disk_bytes: u64,
    /// Position of the newest change record.
    pub last_seq: Seq,
    /// Writes that are waiting.
    pub queued_writes: usize,
}
