//! One running app: what its use cases work on.

use std::sync::atomic::AtomicI64;
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::ArcSwap;
use fb_auth::{Attempts, Errand, Grant, Sealer, TokenKeys, Visits, system};
use fb_files::{Contents, FileStore};
use fb_mail::{Outbox, Sender};
use fb_oauth::OAuth;
use fb_outbound::Outbound;
use fb_store::{Batch, CommitObserver, Committed, Node, OpenOptions, Outcome, Store, StoreError};
use fb_types::schema::{ROLE, USER};
use fb_types::{AppId, ChangeKind, Class, Clock, ObjectId, ObjectKey, Schema, Stored, Subject, Timestamp};
use tokio::sync::{Mutex, Semaphore};

use crate::app_log::AppLog;
use crate::cache::{FileCache, ObjectCache};
use crate::caching::Caching;
use crate::caching::{LatePurges, PurgeSink, Purges};
use crate::devices::Deliveries;
use crate::files::{Buckets, ContentCache};
use crate::functions::{AppCode, Functions};
use crate::hashing::Hashing;
use crate::live::{Feed, Live, about_to_commit};
use crate::principals::PrincipalCache;
use crate::triggers::{Duties, Signal, noted};
use crate::{AppError, AppLimits, Profile, Settings, kept, setup};

/// How long the creation of an app may take. Until then others leave the app alone, afterwards it was cut off.
const CREATION_SECONDS: i64 = 60;

/// What all apps of a node share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) hashing: Arc<Hashing>,
    pub(crate) attempts: Arc<Attempts>,
    /// Requests of all apps by source.
    pub(crate) visits: Arc<Visits>,
    pub(crate) sealer: Sealer,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) outbound: Outbound,
    /// Beginning of the URL of the service that knows leaked passwords.
    pub(crate) leaks_url: String,
    pub(crate) oauth: OAuth,
    /// Push messages of all apps on their way.
    pub(crate) deliveries: Arc<Deliveries>,
    /// Who mails are from if an app does not say.
    pub(crate) mail_from: Sender,
    /// Contents of all apps.
    pub(crate) files: FileStore,
    /// Bounds what keeps a processor busy for long: compressing files, making images.
    pub(crate) heavy: Arc<Semaphore>,
    /// Bounds what has a turn at that, or waits for one.
    pub(crate) heavy_queue: Arc<Semaphore>,
    /// Bounds what goes on after answers.
    pub(crate) background: Arc<Semaphore>,
    pub(crate) functions: Functions,
    pub(crate) limits: AppLimits,
    /// Who is told what caches in front of the server should give up, if there are any.
    pub(crate) purges: Option<Arc<dyn PurgeSink>>,
}

/// One running app. It holds the app's files open; dropping the last reference does not close them, closing it does.
pub struct App {
    id: AppId,
    store: Arc<dyn Store>,
    contents: Contents,
    code: AppCode,
    app_log: AppLog,
    /// When the logs were last pruned since the app is awake; 0 if they were not. Milliseconds of the clock.
    pruned_at: AtomicI64,
    duties: Duties,
    live: Live,
    /// The app itself, for what goes on in its name after the call that began it.
    this: OnceLock<Weak<App>>,
    content_cache: ContentCache,
    derived: Arc<Derived>,
    tokens: Arc<ArcSwap<TokenKeys>>,
    settings: Arc<ArcSwap<Settings>>,
    /// Schema changes are made one after the other; held across the store's transaction, hence an async lock.
    pub(crate) schema_edits: Mutex<()>,
    shared: Shared,
}

/// What is kept in memory of the records that a batch writes.
pub(crate) enum After {
    /// Roles and epochs are resolved anew.
    Credentials,
    /// These are the settings now.
    Settings(Box<Settings>),
    /// These are the keys of tokens now.
    TokenKeys(TokenKeys),
}

/// What is derived from the store's contents and follows its commits.
struct Derived {
    cache: ObjectCache,
    principals: PrincipalCache,
    files: FileCache,
    buckets: Buckets,
    signal: Arc<Signal>,
    feed: Arc<Feed>,
    caching: Caching,
    /// The store that is observed, for the schema it has by now.
    store: OnceLock<Weak<dyn Store>>,
}

impl Derived {
    /// Somebody's roles or credentials changed.
    fn rights_changed(&self) {
        self.principals.invalidate();
        self.caching.rights_changed();
        self.feed.rights_changed();
    }
}

impl CommitObserver for Derived {
    fn committed(&self, changes: &[Committed]) {
        self.caching.changing();
        for Committed { change, after } in changes {
            match &change.subject {
                Subject::Object(id) => {
                    self.cache.commit(id.class(), id.key(), after.clone().map(Arc::new));
                    let is_user = id.class().as_str() == USER && change.kind == ChangeKind::Delete;
                    if is_user || id.class().as_str() == ROLE {
                        self.rights_changed();
                    }
                }
                Subject::File(id) => self.files.forget(id),
                Subject::Bucket(_) => self.buckets.invalidate(),
            }
        }
        // Behind the caches: whoever enters a copy behind this reads what is new.
        self.caching.committed(changes);
        self.caching.changed();
        self.signal.committed(changes);
        self.feed.committed(changes);
    }

    fn altered(&self) {
        self.caching.changing();
        self.cache.clear();
        self.principals.invalidate();
        let store = self.store.get().and_then(Weak::upgrade);
        self.caching.altered(store.map(|store| store.schema()));
        self.caching.changed();
        self.feed.altered();
    }
}

impl App {
    /// Opens an app that was registered at `created_at`. If its creation is not finished it is not available yet; if
    /// that was cut off long ago, it is completed with closed defaults.
    pub(crate) async fn open(
        node: &dyn Node,
        id: AppId,
        shared: Shared,
        created_at: Timestamp,
    ) -> Result<Self, AppError> {
        let age = shared.clock.now().seconds() - created_at.seconds();
        // A store that was opened during the creation knows half of the schema: look first, then open it for good.
        if (0..CREATION_SECONDS).contains(&age) && !Self::is_finished(node, &id, &shared).await? {
            return Err(AppError::Store(StoreError::Unavailable {
                source: "the app is being created".into(),
            }));
        }
        let (store, derived) = open_store(node, &id, &shared, created_at).await?;
        let begun = match derived.caching.restore(&*store).await {
            Ok(()) => load_or_complete(&*store, &id, &shared).await,
            Err(error) => Err(error),
        };
        Self::start(id, store, derived, shared, begun).await
    }

    /// Opens an app to look at it, beside a server that may have it open: by itself this writes nothing. It has no token
    /// keys, so that no master key is needed. `None` if its creation is not finished.
    pub(crate) async fn look(node: &dyn Node, id: AppId, shared: Shared) -> Result<Option<Self>, AppError> {
        let (store, derived) = open_store(node, &id, &shared, shared.clock.now()).await?;
        let begun = match kept::settings(&*store, &id, &shared).await {
            Ok(Some(settings)) => TokenKeys::random(id.clone())
                .map(|unused| (settings, unused))
                .map_err(|e| AppError::internal("making a secret", e)),
            Ok(None) => {
                store.close().await;
                return Ok(None);
            }
            Err(error) => Err(error),
        };
        Self::start(id, store, derived, shared, begun).await.map(Some)
    }

    /// False if the creation of an app is under way, or was cut off.
    pub(crate) async fn is_finished(node: &dyn Node, id: &AppId, shared: &Shared) -> Result<bool, AppError> {
        let (store, _) = open_store(node, id, shared, shared.clock.now()).await?;
        let found = kept::load(&*store, id, shared).await;
        store.close().await;
        Ok(found?.is_some())
    }

    /// Opens an app's store and fills it, up to the last step: [`Self::finish_setup`].
    pub(crate) async fn make(node: &dyn Node, id: AppId, shared: Shared, profile: Profile) -> Result<Self, AppError> {
        let (store, derived) = open_store(node, &id, &shared, shared.clock.now()).await?;
        let begun = setup::initialise(&*store, &id, &shared, profile).await;
        Self::start(id, store, derived, shared, begun).await
    }

    async fn start(
        id: AppId,
        store: Arc<dyn Store>,
        derived: Arc<Derived>,
        mut shared: Shared,
        begun: Result<(Settings, TokenKeys), AppError>,
    ) -> Result<Self, AppError> {
        shared.functions.outbound = shared.functions.outbound.share();
        let (settings, tokens) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                store.close().await;
                return Err(error);
            }
        };
        let code = match AppCode::open(&*store, &shared.functions, id.as_str()).await {
            Ok(code) => code,
            Err(error) => {
                store.close().await;
                return Err(error);
            }
        };
        match store.stats().await {
            Ok(stats) => derived.feed.begin_at(stats.last_seq),
            Err(error) => {
                store.close().await;
                return Err(error.into());
            }
        }
        Ok(Self {
            code,
            app_log: AppLog::new(),
            pruned_at: AtomicI64::new(0),
            duties: Duties::new(derived.signal.clone()),
            live: Live::new(derived.feed.clone()),
            this: OnceLock::new(),
            contents: shared.files.app(&id),
            content_cache: ContentCache::new(shared.limits.content_cache_bytes),
            id,
            store,
            derived,
            tokens: Arc::new(ArcSwap::from_pointee(tokens)),
            settings: Arc::new(ArcSwap::from_pointee(settings)),
            schema_edits: Mutex::new(()),
            shared,
        })
    }

    /// The app as what is shared: it is awake from now on.
    pub(crate) fn awake(self) -> Arc<Self> {
        let app = Arc::new(self);
        let _ = app.this.set(Arc::downgrade(&app));
        app
    }

    /// The app itself; `None` unless it is [`Self::awake`].
    pub(crate) fn handle(&self) -> Option<Arc<Self>> {
        self.this.get().and_then(Weak::upgrade)
    }

    pub(crate) fn code(&self) -> &AppCode {
        &self.code
    }

    pub(crate) fn functions(&self) -> &Functions {
        &self.shared.functions
    }

    pub(crate) fn pruned_at(&self) -> &AtomicI64 {
        &self.pruned_at
    }

    pub(crate) fn duties(&self) -> &Duties {
        &self.duties
    }

    pub(crate) fn live(&self) -> &Live {
        &self.live
    }

    pub(crate) fn app_log(&self) -> &AppLog {
        &self.app_log
    }

    /// The app's name.
    pub fn id(&self) -> &AppId {
        &self.id
    }

    /// The schema as it is now.
    pub fn schema(&self) -> Arc<Schema> {
        self.store.schema()
    }

    /// The settings as they are now.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// The app's limits.
    pub fn limits(&self) -> &AppLimits {
        &self.shared.limits
    }

    /// The clock that tokens and writes follow.
    pub fn clock(&self) -> &dyn Clock {
        &*self.shared.clock
    }

    /// Sizes, for metrics: of the store, and bytes of what is cached.
    pub async fn stats(&self) -> Result<(fb_store::StoreStats, u64), AppError> {
        Ok((
            self.store.stats().await?,
            self.derived.cache.bytes() + self.content_cache.bytes(),
        ))
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    pub(crate) fn tokens(&self) -> Arc<TokenKeys> {
        self.tokens.load_full()
    }

    /// Commits a batch, with a note on what led to it if it is code that handles an event.
    pub(crate) async fn commit(&self, batch: Batch) -> Result<Vec<Outcome>, StoreError> {
        let (batch, is_noted) = noted(batch);
        let committing = about_to_commit(&self.derived.feed);
        let mut outcomes = self.store.commit(batch).await?;
        drop(committing);
        if is_noted {
            outcomes.pop();
        }
        Ok(outcomes)
    }

    /// Commits a batch and takes it over into memory. Both happen once the batch is on its way, also if the caller goes
    /// away in between (a client that hangs up drops what its request was doing): otherwise a token would go on living
    /// after its revocation is on disk.
    pub(crate) async fn commit_and(&self, batch: Batch, then: After) -> Result<Vec<Outcome>, StoreError> {
        let store = self.store.clone();
        let (derived, settings, tokens) = (self.derived.clone(), self.settings.clone(), self.tokens.clone());
        let (batch, is_noted) = noted(batch);
        let committing = about_to_commit(&derived.feed);
        let work = async move {
            let mut outcomes = store.commit(batch).await?;
            drop(committing);
            if is_noted {
                outcomes.pop();
            }
            match then {
                After::Credentials => derived.rights_changed(),
                After::Settings(new) => {
                    settings.store(Arc::new(*new));
                    derived.caching.settings_changed();
                }
                After::TokenKeys(new) => {
                    tokens.store(Arc::new(new));
                    derived.rights_changed();
                }
            }
            Ok(outcomes)
        };
        match tokio::spawn(work).await {
            Ok(result) => result,
            Err(error) => Err(StoreError::Unavailable { source: error.into() }),
        }
    }

    /// The store, for what goes on although nobody waits for it.
    pub(crate) fn store_handle(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    pub(crate) fn contents(&self) -> &Contents {
        &self.contents
    }

    pub(crate) fn content_cache(&self) -> &ContentCache {
        &self.content_cache
    }

    pub(crate) fn file_cache(&self) -> &FileCache {
        &self.derived.files
    }

    pub(crate) fn buckets(&self) -> &Buckets {
        &self.derived.buckets
    }

    pub(crate) fn caching(&self) -> &Caching {
        &self.derived.caching
    }

    pub(crate) fn principals(&self) -> &PrincipalCache {
        &self.derived.principals
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Finishes queued writes and releases files and threads.
    pub(crate) async fn close(&self) {
        self.derived.caching.late.stop();
        self.live.close().await;
        self.end_duties().await;
        self.code.pool.close();
        self.app_log.flush().await;
        self.derived.caching.stop(&*self.store).await;
        self.store.close().await;
    }

    /// An object class by bucket name, with the schema it belongs to.
    pub(crate) fn entity<'a>(&self, schema: &'a Schema, bucket: &str) -> Result<&'a Arc<Class>, AppError> {
        let class = schema
            .class(bucket)
            .ok_or_else(|| AppError::NoClass(bucket.chars().take(80).collect()))?;
        if class.is_embedded() || class.super_class().is_none() {
            return Err(AppError::NotInstantiable(bucket.to_owned()));
        }
        Ok(class)
    }

    /// One object in the current shape of its class, from the cache or the store, as far as the grant reaches.
    pub(crate) async fn fetch(
        &self,
        schema: &Schema,
        class: &Class,
        grant: &Grant,
        key: &ObjectKey,
    ) -> Result<Option<Arc<Stored>>, AppError> {
        let cache = &self.derived.cache;
        if let Some(object) = cache.get(grant.class(), key) {
            if !grant.scope().may_read(object.acl.as_deref()) {
                return Ok(None);
            }
            return in_shape(schema, class, object).map(Some);
        }
        let ticket = cache.ticket(grant.class(), key);
        let Some(object) = self.store.load(grant, key).await? else {
            return Ok(None);
        };
        let object = in_shape(schema, class, Arc::new(object))?;
        cache.offer(ticket, grant.class(), object.clone());
        Ok(Some(object))
    }

    /// One object of a predefined class, on an errand of the server.
    pub(crate) async fn fetch_for(
        &self,
        errand: Errand,
        bucket: &str,
        key: &ObjectKey,
    ) -> Result<Option<Arc<Stored>>, AppError> {
        let schema = self.schema();
        let class = self.entity(&schema, bucket)?;
        self.fetch(&schema, class, &system(errand).grant(class.name()), key)
            .await
    }

    /// The full id of an object of `class`.
    pub(crate) fn id_of(class: &Class, key: &ObjectKey) -> ObjectId {
        ObjectId::new(class.name().clone(), key.clone())
    }
}

async fn open_store(
    node: &dyn Node,
    id: &AppId,
    shared: &Shared,
    registered: Timestamp,
) -> Result<(Arc<dyn Store>, Arc<Derived>), AppError> {
    let feed = Arc::new(Feed::new(shared.clock.clone()));
    let late = LatePurges::new(id.clone(), shared.purges.clone(), feed.clone());
    let derived = Arc::new(Derived {
        cache: ObjectCache::new(shared.limits.cache_bytes),
        principals: PrincipalCache::default(),
        files: FileCache::new(shared.limits.cache_bytes / 8),
        buckets: Buckets::default(),
        signal: Arc::default(),
        feed,
        caching: Caching::new(
            shared.clock.clone(),
            registered,
            Purges::new(id.clone(), shared.purges.clone()),
            Arc::new(late),
        ),
        store: OnceLock::new(),
    });
    let options = OpenOptions {
        observer: derived.clone(),
        clock: shared.clock.clone(),
        query_timeout: shared.limits.query_time,
    };
    let store = node.open(id, options).await?;
    let _ = derived.store.set(Arc::downgrade(&store));
    Ok((store, derived))
}

/// Settings and secret of an app. One whose creation was cut off gets closed settings.
async fn load_or_complete(store: &dyn Store, id: &AppId, shared: &Shared) -> Result<(Settings, TokenKeys), AppError> {
    if let Some(found) = kept::load(store, id, shared).await? {
        return Ok(found);
    }
    let made = setup::initialise(store, id, shared, Profile::Secure).await?;
    kept::finish(store, shared, &made.0).await?;
    Ok(made)
}

/// The object with all fields its class has by now.
fn in_shape(schema: &Schema, class: &Class, object: Arc<Stored>) -> Result<Arc<Stored>, AppError> {
    if object.shape >= class.shape() {
        return Ok(object);
    }
    let body = schema
        .complete_body(class, &object.body)
        .map_err(|e| AppError::internal("reading an object", e))?;
    Ok(Arc::new(Stored {
        shape: class.shape(),
        body,
        ..Stored::clone(&object)
    }))
}
