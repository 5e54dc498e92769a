//! Data directories and stores for tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fb_auth::{Admin, Errand, Grant, system};
use fb_query::{Limits, Query, parse_filter, parse_sort};
use fb_store::testkit::Place;
use fb_store::{
    Alteration, AppRecord, Batch, Direction, Effect, IndexDef, IndexKey, NoObserver, Node, ObjectWrite, OpenOptions,
    Store, StoreError, Write,
};
use fb_store_sqlite::{Durability, SqliteNode, SqliteOptions, SqliteStore};
use fb_types::{Acl, AppId, ClassName, ObjectId, ObjectKey, Schema, Stored, SystemClock, Timestamp, Version};
use serde_json::Value;

/// A data directory that goes away with the test.
pub(crate) struct DataDir {
    dir: tempfile::TempDir,
    options: SqliteOptions,
}

impl DataDir {
    pub(crate) fn new() -> Self {
        Self::with(SqliteOptions::default())
    }

    pub(crate) fn with(options: SqliteOptions) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            options,
        }
    }

    /// In memory if the machine has such a directory, and without waiting for disks.
    pub(crate) fn fast() -> Self {
        Self::fast_with(SqliteOptions::default())
    }

    /// The same with other options.
    pub(crate) fn fast_with(options: SqliteOptions) -> Self {
        let options = SqliteOptions {
            durability: Durability::Relaxed,
            ..options
        };
        let shared_memory = Path::new("/dev/shm");
        let dir = if shared_memory.is_dir() {
            tempfile::tempdir_in(shared_memory)
        } else {
            tempfile::tempdir()
        };
        Self {
            dir: dir.unwrap(),
            options,
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    pub(crate) fn node(&self) -> SqliteNode {
        SqliteNode::open(self.dir.path(), self.options.clone()).unwrap()
    }
}

impl Place for DataDir {
    fn open(&self) -> Arc<dyn Node> {
        Arc::new(self.node())
    }
}

pub(crate) fn app(name: &str) -> AppRecord {
    AppRecord {
        id: AppId::new(name).unwrap(),
        hosts: Vec::new(),
        is_default: false,
        created_at: Timestamp::from_millis(0),
    }
}

pub(crate) fn open_options(query_timeout: Duration) -> OpenOptions {
    OpenOptions {
        observer: Arc::new(NoObserver),
        clock: Arc::new(SystemClock),
        query_timeout,
    }
}

/// A new app with one schema, and the class that the test is about.
pub(crate) struct World {
    pub(crate) store: SqliteStore,
    pub(crate) schema: Arc<Schema>,
    pub(crate) class: ClassName,
}

pub(crate) fn admin() -> Admin {
    system(Errand::SetUpApp)
}

impl World {
    pub(crate) async fn new(node: &SqliteNode, name: &str, schema: Arc<Schema>, class: &str) -> Self {
        node.create(&app(name)).await.unwrap();
        let store = node
            .open_store(&app(name).id, open_options(Duration::from_secs(60)))
            .unwrap();
        let alteration = Alteration {
            schema: schema.clone(),
            from_rev: store.schema().rev(),
            rewrites: Vec::new(),
            indexes: Vec::new(),
            also: Batch::default(),
        };
        store.alter(&admin(), alteration).await.unwrap();
        Self {
            store,
            schema,
            class: ClassName::new(class).unwrap(),
        }
    }

    pub(crate) fn grant(&self) -> Grant {
        admin().grant(&self.class)
    }

    /// Writes complete objects as they are.
    pub(crate) async fn put(&self, objects: &[Value]) -> Result<(), StoreError> {
        for chunk in objects.chunks(500) {
            let writes = chunk.iter().map(|object| Write::Object(self.write(object))).collect();
            self.store.commit(Batch { writes }).await?;
        }
        Ok(())
    }

    pub(crate) fn write(&self, object: &Value) -> ObjectWrite {
        let id: ObjectId = object["id"].as_str().unwrap().parse().unwrap();
        let moment = |name: &str| object[name].as_str().unwrap().parse().unwrap();
        let stored = Stored {
            key: id.key().clone(),
            version: Version(object["version"].as_u64().unwrap()),
            shape: self.schema.rev(),
            created_at: moment("createdAt"),
            updated_at: moment("updatedAt"),
            acl: Acl::from_json(&object["acl"]).unwrap().map(Arc::new),
            body: Bytes::from(object.to_string()),
        };
        ObjectWrite {
            grant: self.grant(),
            key: stored.key.clone(),
            checked_under: self.schema.rev(),
            decide: Box::new(move |_, _| Ok(Effect::Put(stored.clone()))),
        }
    }

    pub(crate) async fn delete(&self, key: &str) {
        let write = ObjectWrite {
            grant: self.grant(),
            key: ObjectKey::from_encoded(key).unwrap(),
            checked_under: self.schema.rev(),
            decide: Box::new(|_, _| Ok(Effect::Delete)),
        };
        self.store.commit(Batch::object(write)).await.unwrap();
    }

    pub(crate) fn query(&self, filter: &Value, sort: &Value, offset: u64, limit: u64) -> Query {
        let class = self.schema.class(self.class.as_str()).unwrap();
        let limits = Limits::default();
        let filter = parse_filter(filter, &self.schema, class, &limits).unwrap_or_else(|e| panic!("{e} in {filter}"));
        let sort = parse_sort(sort, &self.schema, class, &limits).unwrap_or_else(|e| panic!("{e} in {sort}"));
        Query::new(class, filter, sort, offset, limit)
    }

    /// Keys of the results.
    pub(crate) async fn find(&self, query: &Query) -> Vec<String> {
        let rows = self.store.query(&self.grant(), query).await.unwrap();
        rows.rows().iter().map(|row| row.key.as_str().to_owned()).collect()
    }

    pub(crate) async fn set_indexes(&self, indexes: Vec<IndexDef>) {
        self.store.set_indexes(&admin(), &self.class, indexes).await.unwrap();
    }
}

pub(crate) fn index(paths: &[&str]) -> IndexDef {
    let key = |path: &&str| {
        let (path, direction) = match path.split_at_checked(1) {
            Some(("-", path)) => (path, Direction::Desc),
            Some(("@", path)) => (path, Direction::Geo),
            _ => (*path, Direction::Asc),
        };
        IndexKey {
            path: path.to_owned(),
            direction,
        }
    };
    IndexDef {
        unique: false,
        keys: paths.iter().map(key).collect(),
    }
}
