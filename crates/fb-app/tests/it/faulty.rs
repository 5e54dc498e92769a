//! A store whose reads with a position fail, or are slow, when they are told to.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fb_auth::{Admin, FileGrant, Grant};
use fb_query::{Filter, Query};
use fb_store::{
    Alteration, AppRecord, Batch, BoxFuture, FileList, IndexDef, Node, NodeError, Oldest, OpenOptions, Outcome,
    Records, Rows, Store, StoreError, StoreStats, Unused,
};
use fb_types::{AppId, Bucket, Change, ClassName, ContentId, FileEntry, FilePath, ObjectKey, Schema, Seq, Stored};
use tokio::sync::oneshot;

/// Faults that are to come, one per read.
#[derive(Debug, Default)]
pub(crate) struct Fault {
    errors: AtomicUsize,
    panics: AtomicUsize,
    n_reads: AtomicUsize,
    /// What the next one waits for when it has read.
    gate: Mutex<Option<oneshot::Receiver<()>>>,
}

enum Kind {
    None,
    Error,
    Panic,
}

impl Fault {
    /// So many panics, and then so many errors.
    pub(crate) fn plan(&self, panics: usize, errors: usize) {
        self.panics.store(panics, Ordering::SeqCst);
        self.errors.store(errors, Ordering::SeqCst);
        self.n_reads.store(0, Ordering::SeqCst);
    }

    /// The next read is done when what this gives is dropped, with what was there before.
    pub(crate) fn hold(&self) -> oneshot::Sender<()> {
        let (open, gate) = oneshot::channel();
        *self.gate.lock().unwrap() = Some(gate);
        open
    }

    /// Whether no read has come since.
    pub(crate) fn is_holding(&self) -> bool {
        self.gate.lock().unwrap().is_some()
    }

    /// Reads since then.
    pub(crate) fn n_reads(&self) -> usize {
        self.n_reads.load(Ordering::SeqCst)
    }

    fn next(&self) -> Kind {
        self.n_reads.fetch_add(1, Ordering::SeqCst);
        let take = |count: &AtomicUsize| {
            count
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                .is_ok()
        };
        if take(&self.panics) {
            Kind::Panic
        } else if take(&self.errors) {
            Kind::Error
        } else {
            Kind::None
        }
    }
}

/// A node all of whose stores have these faults.
pub(crate) struct FaultyNode<N> {
    pub(crate) inner: N,
    pub(crate) fault: Arc<Fault>,
}

struct FaultyStore {
    inner: Arc<dyn Store>,
    fault: Arc<Fault>,
}

impl<N: Node> Node for FaultyNode<N> {
    fn apps(&self) -> BoxFuture<'_, Result<Vec<AppRecord>, NodeError>> {
        self.inner.apps()
    }

    fn generation(&self) -> BoxFuture<'_, Result<u64, NodeError>> {
        self.inner.generation()
    }

    fn create<'a>(&'a self, app: &'a AppRecord) -> BoxFuture<'a, Result<(), NodeError>> {
        self.inner.create(app)
    }

    fn delete<'a>(&'a self, id: &'a AppId) -> BoxFuture<'a, Result<(), NodeError>> {
        self.inner.delete(id)
    }

    fn open<'a>(&'a self, id: &'a AppId, options: OpenOptions) -> BoxFuture<'a, Result<Arc<dyn Store>, NodeError>> {
        Box::pin(async move {
            let inner = self.inner.open(id, options).await?;
            Ok(Arc::new(FaultyStore {
                inner,
                fault: self.fault.clone(),
            }) as Arc<dyn Store>)
        })
    }

    fn backup<'a>(&'a self, id: &'a AppId, to: &'a Path) -> BoxFuture<'a, Result<u64, NodeError>> {
        self.inner.backup(id, to)
    }

    fn restore<'a>(&'a self, app: &'a AppRecord, from: &'a Path) -> BoxFuture<'a, Result<(), NodeError>> {
        self.inner.restore(app, from)
    }

    fn record<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, NodeError>> {
        self.inner.record(key)
    }

    fn swap_record<'a>(
        &'a self,
        key: &'a str,
        expect: Option<&'a [u8]>,
        value: Option<&'a [u8]>,
    ) -> BoxFuture<'a, Result<bool, NodeError>> {
        self.inner.swap_record(key, expect, value)
    }
}

impl Store for FaultyStore {
    fn schema(&self) -> Arc<Schema> {
        self.inner.schema()
    }

    fn load<'a>(&'a self, grant: &'a Grant, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        self.inner.load(grant, key)
    }

    fn query<'a>(&'a self, grant: &'a Grant, query: &'a Query) -> BoxFuture<'a, Result<Rows, StoreError>> {
        self.inner.query(grant, query)
    }

    fn snapshot<'a>(&'a self, grant: &'a Grant, query: &'a Query) -> BoxFuture<'a, Result<(Seq, Rows), StoreError>> {
        Box::pin(async move {
            match self.fault.next() {
                Kind::None => {
                    let read = self.inner.snapshot(grant, query).await;
                    let gate = self.fault.gate.lock().unwrap().take();
                    if let Some(gate) = gate {
                        let _ = gate.await;
                    }
                    read
                }
                Kind::Error => Err(StoreError::Unavailable {
                    source: "a fault for a test".into(),
                }),
                Kind::Panic => panic!("a fault for a test"),
            }
        })
    }

    fn count<'a>(&'a self, grant: &'a Grant, filter: &'a Filter) -> BoxFuture<'a, Result<u64, StoreError>> {
        self.inner.count(grant, filter)
    }

    fn scan<'a>(
        &'a self,
        grant: &'a Grant,
        after: Option<&'a ObjectKey>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Rows, StoreError>> {
        self.inner.scan(grant, after, limit)
    }

    fn keys<'a>(
        &'a self,
        grant: &'a Grant,
        offset: u64,
        limit: u64,
    ) -> BoxFuture<'a, Result<Vec<ObjectKey>, StoreError>> {
        self.inner.keys(grant, offset, limit)
    }

    fn oldest<'a>(&'a self, grant: &'a Grant, limit: usize) -> BoxFuture<'a, Result<Oldest, StoreError>> {
        self.inner.oldest(grant, limit)
    }

    fn allocate_key<'a>(&'a self, class: &'a ClassName) -> BoxFuture<'a, Result<ObjectKey, StoreError>> {
        self.inner.allocate_key(class)
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Outcome>, StoreError>> {
        self.inner.commit(batch)
    }

    fn record<'a>(&'a self, space: &'a str, key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        self.inner.record(space, key)
    }

    fn records<'a>(
        &'a self,
        space: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Records, StoreError>> {
        self.inner.records(space, after, limit)
    }

    fn file<'a>(
        &'a self,
        grant: &'a FileGrant,
        path: &'a FilePath,
    ) -> BoxFuture<'a, Result<Option<FileEntry>, StoreError>> {
        self.inner.file(grant, path)
    }

    fn files<'a>(&'a self, grant: &'a FileGrant, list: &'a FileList) -> BoxFuture<'a, Result<Vec<String>, StoreError>> {
        self.inner.files(grant, list)
    }

    fn buckets(&self) -> BoxFuture<'_, Result<Vec<Bucket>, StoreError>> {
        self.inner.buckets()
    }

    fn unused_contents(&self, which: Unused) -> BoxFuture<'_, Result<Vec<ContentId>, StoreError>> {
        self.inner.unused_contents(which)
    }

    fn alter<'a>(&'a self, admin: &'a Admin, alteration: Alteration) -> BoxFuture<'a, Result<(), StoreError>> {
        self.inner.alter(admin, alteration)
    }

    fn indexes<'a>(&'a self, class: &'a ClassName) -> BoxFuture<'a, Result<Vec<IndexDef>, StoreError>> {
        self.inner.indexes(class)
    }

    fn set_indexes<'a>(
        &'a self,
        admin: &'a Admin,
        class: &'a ClassName,
        indexes: Vec<IndexDef>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.inner.set_indexes(admin, class, indexes)
    }

    fn changes_after(&self, seq: Seq, limit: usize) -> BoxFuture<'_, Result<Vec<Change>, StoreError>> {
        self.inner.changes_after(seq, limit)
    }

    fn stats(&self) -> BoxFuture<'_, Result<StoreStats, StoreError>> {
        self.inner.stats()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.inner.close()
    }
}
