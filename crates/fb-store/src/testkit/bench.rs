//! An open store with one class of objects, a clock that stands still, and a log of what the observer was told.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fb_auth::{Admin, Errand, Grant, system};
use fb_query::Query;
use fb_types::{
    Acl, AppId, Change, ClassName, Clock, Document, ObjectId, ObjectKey, Schema, Seq, Stored, Timestamp, Version,
};
use serde_json::Value;

use super::{Place, fixtures};
use crate::{
    Alteration, AppRecord, Batch, CommitObserver, Committed, Decide, Effect, Node, ObjectWrite, OpenOptions, Outcome,
    Refusal, Store, StoreError,
};

/// A clock that only moves when told.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Sets the time, forwards or backwards.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.millis(), Ordering::Relaxed);
    }

    /// Sets the time in milliseconds since the epoch, and says it.
    pub(super) fn set_and_get(&self, millis: i64) -> Timestamp {
        self.set(Timestamp::from_millis(millis));
        self.now()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// Remembers what the observer was told.
#[derive(Debug, Default)]
pub struct CommitLog {
    commits: Mutex<Vec<Committed>>,
    n_altered: AtomicI64,
    panics: std::sync::atomic::AtomicBool,
}

impl CommitLog {
    /// All commits so far.
    pub fn commits(&self) -> Vec<Committed> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often the store was altered.
    pub fn n_altered(&self) -> i64 {
        self.n_altered.load(Ordering::Relaxed)
    }

    /// From now on the observer panics.
    pub fn panic(&self) {
        self.panics.store(true, Ordering::Relaxed);
    }
}

impl CommitObserver for CommitLog {
    fn committed(&self, changes: &[Committed]) {
        assert!(!self.panics.load(Ordering::Relaxed), "the observer was told to panic");
        self.commits
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(changes);
    }

    fn altered(&self) {
        self.n_altered.fetch_add(1, Ordering::Relaxed);
    }
}

/// An open store and what tests need around it.
pub struct Bench {
    place: Box<dyn Place>,
    node: Option<Arc<dyn Node>>,
    store: Option<Arc<dyn Store>>,
    /// The store's clock.
    pub clock: Arc<ManualClock>,
    /// What the observer was told.
    pub log: Arc<CommitLog>,
}

impl Bench {
    pub(super) async fn new(place: Box<dyn Place>) -> Self {
        let node = place.open();
        let mut bench = Self {
            place,
            node: Some(node),
            store: None,
            clock: Arc::new(ManualClock(AtomicI64::new(1_800_000_000_000))),
            log: Arc::default(),
        };
        bench
            .node()
            .create(&bench.app_record("app"))
            .await
            .expect("an app is created");
        bench.store = Some(bench.open_app("app").await);
        bench.add_class(&fixtures::todo_class()).await;
        bench
    }

    /// The node.
    pub fn node(&self) -> &Arc<dyn Node> {
        self.node.as_ref().expect("it is only taken while it is opened again")
    }

    /// The app's store.
    pub fn store(&self) -> &Arc<dyn Store> {
        self.store.as_ref().expect("it is only taken while it is opened again")
    }

    /// A record for an app without host names.
    pub fn app_record(&self, name: &str) -> AppRecord {
        AppRecord {
            id: AppId::new(name).expect("an app name"),
            hosts: Vec::new(),
            is_default: false,
            created_at: self.clock.now(),
        }
    }

    /// Opens another app's store.
    pub async fn open_app(&self, name: &str) -> Arc<dyn Store> {
        let options = OpenOptions {
            observer: self.log.clone(),
            clock: self.clock.clone(),
            query_timeout: Duration::from_secs(20),
        };
        self.node()
            .open(&AppId::new(name).expect("an app name"), options)
            .await
            .expect("the app is opened")
    }

    /// Closes everything and opens it again.
    pub async fn reopen(&mut self) {
        if let Some(store) = self.store.take() {
            store.close().await;
        }
        self.node = None;
        self.node = Some(self.place.open());
        self.store = Some(self.open_app("app").await);
    }

    /// The right to everything.
    pub fn admin(&self) -> Admin {
        system(Errand::SetUpApp)
    }

    /// The right to all objects of the class that every bench has.
    pub fn grant(&self) -> Grant {
        self.admin().grant(&class())
    }

    /// Adds or replaces a class.
    pub async fn add_class(&self, def: &Value) {
        let store = self.store();
        let schema = fixtures::schema_with(&store.schema(), def, &[]);
        self.alter(schema, Vec::new()).await.expect("the schema is changed");
    }

    /// Alters from the revision that the store has.
    pub async fn alter(&self, schema: Schema, rewrites: Vec<crate::Rewrite>) -> Result<(), StoreError> {
        let alteration = Alteration {
            schema: Arc::new(schema),
            from_rev: self.store().schema().rev(),
            rewrites,
            indexes: Vec::new(),
            also: Batch::default(),
        };
        self.store().alter(&self.admin(), alteration).await
    }

    /// A new object of the class that every bench has.
    pub fn document(&self, key: &str, fields: &Value) -> Document {
        let schema = self.store().schema();
        document(&schema, &class(), key, self.clock.now(), fields)
    }

    /// A write under the current schema with all rights.
    pub fn write(&self, key: &str, decide: Decide) -> ObjectWrite {
        ObjectWrite {
            grant: self.grant(),
            key: ObjectKey::from_raw(key).expect("a key"),
            checked_under: self.store().schema().rev(),
            decide,
        }
    }

    /// A write that inserts an object.
    pub fn inserting(&self, key: &str, fields: &Value) -> ObjectWrite {
        let document = self.document(key, fields);
        let shape = self.store().schema().class("Todo").map_or(0, |c| c.shape());
        self.write(key, insert(document, shape))
    }

    /// A write that replaces the fields of an existing object.
    pub fn updating(&self, key: &str, fields: &Value) -> ObjectWrite {
        let fields = self.document(key, fields).fields;
        let shape = self.store().schema().class("Todo").map_or(0, |c| c.shape());
        self.write(
            key,
            update(shape, move |document| {
                document.fields.clone_from(&fields);
            }),
        )
    }

    /// Commits one write.
    pub async fn commit(&self, write: ObjectWrite) -> Result<Outcome, StoreError> {
        let outcomes = self.store().commit(Batch::object(write)).await?;
        Ok(outcomes.into_iter().next().expect("one outcome per write"))
    }

    /// Inserts an object.
    pub async fn insert(&self, key: &str, fields: Value) -> Stored {
        match self.commit(self.inserting(key, &fields)).await {
            Ok(Outcome::Written(stored)) => stored,
            other => panic!("{key} was not inserted: {other:?}"),
        }
    }

    /// Inserts an object with rules.
    pub async fn insert_with_acl(&self, key: &str, fields: Value, acl: Acl) {
        let mut document = self.document(key, &fields);
        document.acl = Some(Arc::new(acl));
        let shape = self.store().schema().class("Todo").map_or(0, |c| c.shape());
        self.commit(self.write(key, insert(document, shape)))
            .await
            .expect("it is inserted");
    }

    /// Deletes an object.
    pub async fn delete(&self, key: &str) -> Outcome {
        self.commit(self.write(key, Box::new(|_, _| Ok(Effect::Delete))))
            .await
            .expect("it is deleted")
    }

    /// The object with all rights.
    pub async fn load(&self, key: &str) -> Option<Stored> {
        let key = ObjectKey::from_raw(key).expect("a key");
        self.store().load(&self.grant(), &key).await.expect("it is loaded")
    }

    /// Ids of the results of a query under a grant, raw keys.
    pub async fn find(&self, grant: &Grant, query: &Query) -> Vec<String> {
        let rows = self.store().query(grant, query).await.expect("the query runs");
        rows.rows().iter().map(|row| row.key.decoded()).collect()
    }

    /// All changes.
    pub async fn changes(&self) -> Vec<Change> {
        self.store()
            .changes_after(Seq(0), usize::MAX)
            .await
            .expect("the feed is read")
    }
}

/// The class that every bench has.
pub(super) fn class() -> ClassName {
    ClassName::new("Todo").expect("a class name")
}

/// A new object.
pub(super) fn document(schema: &Schema, class: &ClassName, key: &str, now: Timestamp, fields: &Value) -> Document {
    let resolved = schema.class(class.as_str()).expect("the class exists");
    let input = fields.as_object().expect("fields are an object");
    Document {
        id: ObjectId::new(class.clone(), ObjectKey::from_raw(key).expect("a key")),
        version: Version::FIRST,
        created_at: now,
        updated_at: now,
        acl: None,
        fields: schema.check_fields(resolved, input, None).expect("the fields fit"),
    }
}

/// Decides to insert.
pub(super) fn insert(document: Document, shape: u32) -> Decide {
    Box::new(move |before, moment| match before {
        Some(_) => Err(Refusal::Exists),
        None => {
            let mut document = document.clone();
            document.created_at = moment.now;
            document.updated_at = moment.now;
            Ok(Effect::Put(document.store(shape)))
        }
    })
}

/// Decides to change what is there.
pub(super) fn update(shape: u32, change: impl Fn(&mut Document) + Send + Sync + 'static) -> Decide {
    Box::new(move |before, moment| {
        let stored = before.ok_or(Refusal::Missing)?;
        let id = ObjectId::new(class(), stored.key.clone());
        let mut document = Document::open(id, stored).map_err(|e| Refusal::Invalid(Box::new(e)))?;
        change(&mut document);
        document.version = stored.version.next();
        document.updated_at = moment.now;
        Ok(Effect::Put(document.store(shape)))
    })
}
