//! The store of one app.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use fb_auth::{Admin, FileGrant, Grant};
use fb_query::{Filter, Query};
use fb_store::{
    Alteration, Batch, BoxFuture, CommitObserver, FileList, IndexDef, Oldest, OpenOptions, Outcome, Records, Rows,
    RowsBuilder, Store, StoreError, StoreStats, Unused,
};
use fb_types::{Bucket, Change, ClassName, Clock, ContentId, FileEntry, FilePath, ObjectKey, Schema, Seq, Stored};

use crate::catalog::{Catalog, Table};
use crate::error::{broken, closed, store_error};
use crate::feed::{self, Position};
use crate::keys::Reserved;
use crate::options::SqliteOptions;
use crate::reader::{ReadError, Reader, Readers, Shape};
use crate::sight::MAX_FEW;
use crate::writer::{Job, Writer};
use crate::{files, read, record};

/// The objects, schema, indexes, records and change feed of one app, in one SQLite file.
pub struct SqliteStore {
    shared: Arc<Shared>,
    writer: Writer,
}

/// What readers and the writer have in common.
pub(crate) struct Shared {
    pub(crate) path: PathBuf,
    pub(crate) options: SqliteOptions,
    pub(crate) observer: Arc<dyn CommitObserver>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) readers: Arc<Readers>,
    pub(crate) reserved: Reserved,
    /// Locked for writing while an alteration commits, for reading to clone the pointer.
    catalog: RwLock<Arc<Catalog>>,
}

impl Shared {
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn catalog_mut(&self) -> RwLockWriteGuard<'_, Arc<Catalog>> {
        self.catalog.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SqliteStore {
    /// Opens an existing file. Blocks.
    pub(crate) fn open(path: PathBuf, sqlite: SqliteOptions, options: OpenOptions) -> Result<Self, StoreError> {
        let catalog = {
            let conn = crate::format::open_writer(&path, &sqlite).map_err(|e| store_error("opening", e))?;
            crate::format::migrate(&conn).map_err(|e| store_error("bringing the file up to date", e))?;
            crate::format::check_version(&conn).map_err(|e| broken("opening", e))?;
            Arc::new(Catalog::load(&conn)?)
        };
        let readers = Arc::new(Readers::new(path.clone(), sqlite.clone(), options.query_timeout));
        let writer = Writer::new(sqlite.max_waiting_writes);
        let shared = Arc::new(Shared {
            path,
            options: sqlite,
            observer: options.observer,
            clock: options.clock,
            readers,
            reserved: Reserved::default(),
            catalog: RwLock::new(catalog),
        });
        Ok(Self { shared, writer })
    }

    /// Reads from the table of a class; `none` if it has none. Once more with new tables if those meant are gone.
    async fn read<T, F>(
        &self,
        during: &'static str,
        class: &ClassName,
        none: impl Fn() -> T,
        plan: impl Fn(&Arc<Table>) -> (Shape, F),
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Reader) -> rusqlite::Result<T> + Send + 'static,
    {
        loop {
            let catalog = self.shared.catalog();
            let Some(table) = catalog.tables.get(class) else {
                return if self.shared.readers.is_closing() {
                    Err(closed())
                } else {
                    Ok(none())
                };
            };
            let (shape, work) = plan(table);
            match self.shared.readers.run(during, shape, work).await {
                Ok(value) => return Ok(value),
                Err(ReadError::Outdated(error)) => {
                    if Arc::ptr_eq(&catalog, &self.shared.catalog()) {
                        return Err(store_error(during, error));
                    }
                }
                Err(ReadError::Store(error)) => return Err(error),
            }
        }
    }

    /// Reads from the tables that are always there.
    async fn read_fixed<T, F>(&self, during: &'static str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Reader) -> rusqlite::Result<T> + Send + 'static,
    {
        self.shared
            .readers
            .run(during, Shape::QUICK, work)
            .await
            .map_err(|e| match e {
                ReadError::Outdated(error) => store_error(during, error),
                ReadError::Store(error) => error,
            })
    }

    fn few(&self) -> usize {
        self.shared.options.few_objects.min(MAX_FEW)
    }

    /// Instructions of the engine that reads have taken so far, short statements left out. For tests.
    #[doc(hidden)]
    pub fn steps(&self) -> u64 {
        self.shared.readers.steps()
    }

    /// What the engine does for a query, one line per step. For tests and diagnosis.
    #[doc(hidden)]
    pub async fn explain(&self, grant: &Grant, query: &Query) -> Result<Vec<String>, StoreError> {
        let plan = |table: &Arc<Table>| {
            let plan = read::query_plan(table, grant.scope(), query, self.few());
            (plan.shape(), move |reader: &Reader| plan.explain(reader))
        };
        self.read("explaining a query", grant.class(), Vec::new, plan).await
    }
}

impl Store for SqliteStore {
    fn schema(&self) -> Arc<Schema> {
        self.shared.catalog().schema.clone()
    }

    fn load<'a>(&'a self, grant: &'a Grant, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        Box::pin(async move {
            let plan = |table: &Arc<Table>| {
                let (table, key) = (table.clone(), key.clone());
                (Shape::QUICK, move |reader: &Reader| {
                    read::load(&reader.conn, &table, &key)
                })
            };
            let found = self.read("loading an object", grant.class(), || None, plan).await?;
            let readable = |stored: &Stored| grant.scope().may_read(stored.acl.as_deref());
            Ok(found.map(|(_, stored)| stored).filter(readable))
        })
    }

    fn query<'a>(&'a self, grant: &'a Grant, query: &'a Query) -> BoxFuture<'a, Result<Rows, StoreError>> {
        Box::pin(async move {
            let plan = |table: &Arc<Table>| {
                let plan = read::query_plan(table, grant.scope(), query, self.few());
                (plan.shape(), move |reader: &Reader| plan.rows(reader))
            };
            self.read("running a query", grant.class(), no_rows, plan).await
        })
    }

    fn snapshot<'a>(&'a self, grant: &'a Grant, query: &'a Query) -> BoxFuture<'a, Result<(Seq, Rows), StoreError>> {
        Box::pin(async move {
            // A class that has no table yet had no objects before either: any position before the look at it will do.
            let position = match self.shared.catalog().tables.contains_key(grant.class()) {
                true => Position::default(),
                false => {
                    let load = |reader: &Reader| Position::load(&reader.conn);
                    self.read_fixed("reading the position of the feed", load).await?
                }
            };
            let none = || (Seq(position.seq), no_rows());
            let plan = |table: &Arc<Table>| {
                let plan = read::query_plan(table, grant.scope(), query, self.few());
                let shape = plan.shape();
                let work = move |reader: &Reader| {
                    reader.snapshot(|| {
                        let position = Position::load(&reader.conn)?;
                        Ok((Seq(position.seq), plan.rows(reader)?))
                    })
                };
                (shape, work)
            };
            self.read("running a query", grant.class(), none, plan).await
        })
    }

    fn count<'a>(&'a self, grant: &'a Grant, filter: &'a Filter) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move {
            let plan = |table: &Arc<Table>| {
                let plan = read::count_plan(table, grant.scope(), filter, self.few());
                (plan.shape(), move |reader: &Reader| plan.count(reader))
            };
            self.read("counting objects", grant.class(), || 0, plan).await
        })
    }

    fn scan<'a>(
        &'a self,
        grant: &'a Grant,
        after: Option<&'a ObjectKey>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Rows, StoreError>> {
        Box::pin(async move {
            let plan = |table: &Arc<Table>| {
                let plan = read::scan_plan(table, grant.scope(), after, limit, self.few());
                (plan.shape(), move |reader: &Reader| plan.some_rows(reader))
            };
            self.read("scanning objects", grant.class(), no_rows, plan).await
        })
    }

    fn keys<'a>(
        &'a self,
        grant: &'a Grant,
        offset: u64,
        limit: u64,
    ) -> BoxFuture<'a, Result<Vec<ObjectKey>, StoreError>> {
        Box::pin(async move {
            let plan = |table: &Arc<Table>| {
                let plan = read::keys_plan(table, grant.scope(), offset, limit, self.few());
                (plan.shape(), move |reader: &Reader| plan.keys(reader))
            };
            self.read("listing keys", grant.class(), Vec::new, plan).await
        })
    }

    fn oldest<'a>(&'a self, grant: &'a Grant, limit: usize) -> BoxFuture<'a, Result<Oldest, StoreError>> {
        Box::pin(async move {
            let plan = |table: &Arc<Table>| {
                let plan = read::oldest_plan(table, grant.scope(), limit, self.few());
                (plan.shape(), move |reader: &Reader| plan.oldest(reader))
            };
            self.read("looking for the oldest objects", grant.class(), Oldest::default, plan)
                .await
        })
    }

    fn allocate_key<'a>(&'a self, class: &'a ClassName) -> BoxFuture<'a, Result<ObjectKey, StoreError>> {
        Box::pin(async move {
            let number = match self.shared.reserved.take(class) {
                Some(number) => number,
                None => {
                    self.writer
                        .ask(&self.shared, |reply| Job::Reserve(class.clone(), reply))
                        .await?
                }
            };
            ObjectKey::from_encoded(&number.to_string()).map_err(|e| broken("allocating a key", e))
        })
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Outcome>, StoreError>> {
        Box::pin(async move {
            if batch.writes.is_empty() {
                return Ok(Vec::new());
            }
            self.writer.ask(&self.shared, |reply| Job::Commit(batch, reply)).await
        })
    }

    fn record<'a>(&'a self, space: &'a str, key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        let (space, key) = (space.to_owned(), key.to_owned());
        let now = self.shared.clock.now();
        Box::pin(self.read_fixed("reading a record", move |reader| {
            record::get(&reader.conn, &space, &key, now)
        }))
    }

    fn records<'a>(
        &'a self,
        space: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Records, StoreError>> {
        let (space, after) = (space.to_owned(), after.map(str::to_owned));
        let now = self.shared.clock.now();
        Box::pin(self.read_fixed("listing records", move |reader| {
            record::list(&reader.conn, &space, after.as_deref(), limit, now)
        }))
    }

    fn file<'a>(
        &'a self,
        grant: &'a FileGrant,
        path: &'a FilePath,
    ) -> BoxFuture<'a, Result<Option<FileEntry>, StoreError>> {
        Box::pin(async move {
            let (bucket, path) = (grant.bucket().clone(), path.clone());
            let work = move |reader: &Reader| files::get(&reader.conn, &bucket, &path);
            let found = self.read_fixed("looking up a file", work).await?;
            let readable = |entry: &FileEntry| grant.scope().may_read(entry.acl.as_deref());
            Ok(found.map(|(_, entry)| entry).filter(readable))
        })
    }

    fn files<'a>(&'a self, grant: &'a FileGrant, list: &'a FileList) -> BoxFuture<'a, Result<Vec<String>, StoreError>> {
        let (grant, list) = (grant.clone(), list.clone());
        Box::pin(self.read_fixed("listing files", move |reader| {
            reader.snapshot(|| files::list(&reader.conn, &grant, &list))
        }))
    }

    fn buckets(&self) -> BoxFuture<'_, Result<Vec<Bucket>, StoreError>> {
        Box::pin(self.read_fixed("listing buckets", |reader| files::buckets(&reader.conn)))
    }

    fn unused_contents(&self, which: Unused) -> BoxFuture<'_, Result<Vec<ContentId>, StoreError>> {
        Box::pin(self.read_fixed("listing contents", move |reader| files::unused(&reader.conn, which)))
    }

    fn alter<'a>(&'a self, _admin: &'a Admin, alteration: Alteration) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.writer.ask(&self.shared, |reply| Job::Alter(alteration, reply)))
    }

    fn indexes<'a>(&'a self, class: &'a ClassName) -> BoxFuture<'a, Result<Vec<IndexDef>, StoreError>> {
        let catalog = self.shared.catalog();
        let declared = catalog.indexes.get(class).into_iter().flatten();
        let defs = declared.map(|index| index.def.clone()).collect();
        Box::pin(std::future::ready(Ok(defs)))
    }

    fn set_indexes<'a>(
        &'a self,
        _admin: &'a Admin,
        class: &'a ClassName,
        indexes: Vec<IndexDef>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(
            self.writer
                .ask(&self.shared, |reply| Job::SetIndexes(class.clone(), indexes, reply)),
        )
    }

    fn changes_after(&self, seq: Seq, limit: usize) -> BoxFuture<'_, Result<Vec<Change>, StoreError>> {
        Box::pin(self.read_fixed("reading the change feed", move |reader| {
            feed::changes_after(&reader.conn, seq, limit)
        }))
    }

    fn stats(&self) -> BoxFuture<'_, Result<StoreStats, StoreError>> {
        Box::pin(async move {
            let position = self
                .read_fixed("reading sizes", |reader| Position::load(&reader.conn))
                .await?;
            let path = self.shared.path.as_os_str().to_owned();
            let size = |suffix: &str| {
                let mut path = path.clone();
                path.push(suffix);
                std::fs::metadata(path).map_or(0, |m| m.len())
            };
            Ok(StoreStats {
                disk_bytes: size("") + size("-wal") + size("-shm"),
                last_seq: Seq(position.seq),
                queued_writes: self.writer.waiting(),
            })
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.writer.close().await;
            self.shared.readers.close().await;
        })
    }
}

fn no_rows() -> Rows {
    RowsBuilder::default().finish()
}
