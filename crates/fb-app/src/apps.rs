//! All apps of a node: create, delete, wake up, put to sleep.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use fb_auth::{HashCost, Hasher, Sealer, Secret};
use fb_files::FileStore;
use fb_functions::Engine;
use fb_mail::{Outbox, Sender};
use fb_oauth::OAuth;
use fb_outbound::Outbound;
use fb_push::Push;
use fb_store::{AppRecord, Node, NodeError};
use fb_types::{AppId, Clock};
use tokio::sync::{Mutex, Semaphore};

use crate::app::Shared;
use crate::caching::PurgeSink;
use crate::devices::Deliveries;
use crate::directory::Slot;
use crate::functions::{CodeApi, Functions};
use crate::hashing::Hashing;
use crate::{App, AppError, AppLimits, Directory, FirstAdmin, Profile, PushCounts, SetupLink};

/// What all apps share.
#[derive(Clone)]
pub struct AppsOptions {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Limits of each app.
    pub limits: AppLimits,
    /// Cost of password hashes.
    pub hash_cost: HashCost,
    /// Most logins that wait for the password hasher; further ones are told to come back.
    pub waiting_hashes: usize,
    /// What the secrets in the apps' stores are encrypted under: a text with at least 128 random bits.
    pub master_key: Secret,
    /// Contents of files of all apps.
    pub files: FileStore,
    /// Takes the mails of all apps.
    pub outbox: Arc<Outbox>,
    /// Who mails are from if an app does not say.
    pub mail_from: Sender,
    /// The client for requests to login providers and the like.
    pub outbound: Outbound,
    /// Beginning of the URL of the service that knows leaked passwords; five hex digits follow.
    pub leaks_url: String,
    /// Where the push services of Google and Apple are.
    pub push_endpoints: fb_push::Endpoints,
    /// Host names `<app>.<domain>` name an app.
    pub domain: String,
    /// What runs the apps' code.
    pub engine: Arc<Engine>,
    /// Limits of each app's calls of code.
    pub function_limits: fb_functions::Limits,
    /// The client for what code requests.
    pub function_outbound: Outbound,
    /// Who is told what caches in front of the server should give up. `None` if there are none that can be told.
    pub purges: Option<Arc<dyn PurgeSink>>,
}

/// An app to be created.
#[derive(Debug, Clone)]
pub struct NewApp {
    /// Its name.
    pub id: AppId,
    /// Which defaults it follows.
    pub profile: Profile,
    /// Host names it answers to, besides `<app>.<domain>`.
    pub hosts: Vec<String>,
    /// Whether it answers where nothing names another app.
    pub is_default: bool,
    /// Its first administrator; without one the app gets a setup link.
    pub admin: Option<FirstAdmin>,
}

/// Most requests of all apps that wait for a file to be compressed, or for an image; further ones are told to come back.
const HEAVY_QUEUE: usize = 128;

/// Most errands that go on after their answers, of all apps.
const BACKGROUND: usize = 64;

/// The node's record of how far a running server has followed the changes of the set of apps.
const FOLLOWED: &str = "followed";

/// Apps that are due within this time stay awake.
const SOON_MS: i64 = 30_000;

/// How many apps one look at the clock wakes up, and when an app is tried again that cannot be opened.
const WOKEN_AT_ONCE: usize = 8;
const WAKE_PAUSE_MS: i64 = 60_000;

/// The node's record that an app does things by itself.
fn duties_key(id: &AppId) -> String {
    format!("duties/{id}")
}

const MARK: &[u8] = b"1";

/// What a request says about its app.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    Host(&'a str),
    Name(&'a str),
}

/// All apps of a node.
pub struct Apps {
    node: Arc<dyn Node>,
    shared: Shared,
    domain: String,
    directory: ArcSwap<Directory>,
    generation: AtomicU64,
    /// Apps are created and deleted one after the other; held across the store's work, hence an async lock.
    edits: Mutex<()>,
}

impl Apps {
    /// The apps of `node`, all asleep.
    pub async fn open(node: Arc<dyn Node>, options: AppsOptions) -> Result<Arc<Self>, AppError> {
        let hasher = Hasher::new(options.hash_cost).map_err(|e| AppError::internal("preparing password hashes", e))?;
        let push = Push::new(options.outbound.clone(), options.push_endpoints, options.clock.clone());
        let apps = Self {
            node,
            shared: Shared {
                clock: options.clock,
                hashing: Arc::new(Hashing::new(hasher, options.waiting_hashes)),
                attempts: Arc::default(),
                visits: Arc::default(),
                sealer: Sealer::new(&options.master_key),
                outbox: options.outbox,
                oauth: OAuth::new(options.outbound.clone()),
                deliveries: Deliveries::new(push),
                outbound: options.outbound,
                leaks_url: options.leaks_url,
                mail_from: options.mail_from,
                files: options.files,
                heavy: Arc::new(Semaphore::new(heavy_at_once())),
                heavy_queue: Arc::new(Semaphore::new(HEAVY_QUEUE)),
                background: Arc::new(Semaphore::new(BACKGROUND)),
                functions: Functions {
                    engine: options.engine,
                    limits: options.function_limits,
                    outbound: options.function_outbound,
                    api: Arc::default(),
                },
                limits: options.limits,
                purges: options.purges,
            },
            domain: options.domain,
            directory: ArcSwap::from_pointee(Directory::default()),
            generation: AtomicU64::new(0),
            edits: Mutex::new(()),
        };
        apps.reload().await?;
        Ok(Arc::new(apps))
    }

    /// Who answers the requests that code makes to its app's API. The first one stays.
    pub fn serve_code(&self, api: Arc<dyn CodeApi>) {
        let _ = self.shared.functions.api.set(api);
    }

    /// What runs the apps' code.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.shared.functions.engine
    }

    /// The directory as it is now.
    pub fn directory(&self) -> Arc<Directory> {
        self.directory.load_full()
    }

    /// The app for a host name, awake. `None` if it names an app that does not exist.
    pub async fn for_host(&self, host: &str) -> Result<Option<Arc<App>>, AppError> {
        self.find(Wanted::Host(host)).await
    }

    /// The app of this name, awake. `None` if there is none.
    pub async fn by_name(&self, name: &str) -> Result<Option<Arc<App>>, AppError> {
        self.find(Wanted::Name(name)).await
    }

    async fn find(&self, wanted: Wanted<'_>) -> Result<Option<Arc<App>>, AppError> {
        let mut found = self.look_up(wanted);
        if found.is_none() {
            // The command line may have created it a moment ago.
            self.refresh().await?;
            found = self.look_up(wanted);
        }
        match found {
            Some(Ok(app)) => Ok(Some(app)),
            Some(Err(asleep)) => self.wake(&asleep).await.map(Some),
            None => Ok(None),
        }
    }

    /// The app if it is awake, its slot if it is not. Takes no lock.
    fn look_up(&self, wanted: Wanted<'_>) -> Option<Result<Arc<App>, Arc<Slot>>> {
        let directory = self.directory.load();
        let slot = match wanted {
            Wanted::Host(host) => directory.by_host(host, &self.domain),
            Wanted::Name(name) => directory.by_name(name),
        }?;
        Some(slot.awake().ok_or_else(|| slot.clone()))
    }

    /// All apps as they are registered.
    pub async fn list(&self) -> Result<Vec<AppRecord>, AppError> {
        Ok(self.node.apps().await?)
    }

    /// Creates an app, and its administrator or the link to make one.
    pub async fn create(&self, new: &NewApp) -> Result<Option<SetupLink>, AppError> {
        let _one_at_a_time = self.edits.lock().await;
        let record = self.record_of(new)?;
        self.node.create(&record).await?;
        let created = self.fill(new).await;
        if created.is_err() {
            // Without its contents the app would be one that nobody can administrate under a name that is taken.
            let _ = self.node.delete(&new.id).await;
        }
        let link = created?;
        self.reload().await?;
        Ok(link)
    }

    /// False if the creation of an app is under way, or was cut off.
    pub async fn is_finished(&self, id: &AppId) -> Result<bool, AppError> {
        App::is_finished(&*self.node, id, &self.shared).await
    }

    /// Completes an app whose creation was cut off. The caller knows that no other process is at work on it.
    pub async fn resume(&self, new: &NewApp) -> Result<Option<SetupLink>, AppError> {
        let _one_at_a_time = self.edits.lock().await;
        self.fill(new).await
    }

    async fn fill(&self, new: &NewApp) -> Result<Option<SetupLink>, AppError> {
        let app = App::make(&*self.node, new.id.clone(), self.shared.clone(), new.profile).await?;
        let filled = async {
            let link = match &new.admin {
                Some(admin) => match app.create_admin(admin, "creation of the app", Vec::new).await {
                    // A creation that is resumed had come as far as this.
                    Ok(_) | Err(AppError::NameTaken) => None,
                    Err(error) => return Err(error),
                },
                None => app.setup_link().await?,
            };
            app.finish_setup().await?;
            Ok(link)
        };
        let filled = filled.await;
        app.close().await;
        filled
    }

    fn record_of(&self, new: &NewApp) -> Result<AppRecord, AppError> {
        Ok(AppRecord {
            id: new.id.clone(),
            hosts: new
                .hosts
                .iter()
                .map(|host| normal_host(host))
                .collect::<Result<_, _>>()?,
            is_default: new.is_default,
            created_at: self.shared.clock.now(),
        })
    }

    /// Deletes an app and everything it has.
    pub async fn delete(&self, id: &AppId) -> Result<(), AppError> {
        self.refresh().await?;
        let _one_at_a_time = self.edits.lock().await;
        let slot = self.directory.load().by_name(id.as_str()).cloned();
        let Some(slot) = slot else {
            return Err(NodeError::Missing(id.clone()).into());
        };
        {
            let _in_transition = slot.transition.lock().await;
            if let Some(app) = slot.app.swap(None) {
                app.close().await;
            }
            self.node.delete(id).await?;
            let key = duties_key(id);
            if let Some(old) = self.node.record(&key).await? {
                self.node.swap_record(&key, Some(&old), None).await?;
            }
        }
        self.reload().await?;
        // Local contents went with the app's directory; elsewhere they are removed by name. Without the app nobody can reach
        // them, and an app that is made anew under this name has other ids.
        if let Err(error) = self.shared.files.remove_app(id).await {
            tracing::warn!(app = %id, error = %error, "contents of the deleted app {id} were left behind");
        }
        Ok(())
    }

    /// Creates an app from a backup.
    pub async fn restore(&self, new: &NewApp, from: &std::path::Path) -> Result<(), AppError> {
        let _one_at_a_time = self.edits.lock().await;
        let record = self.record_of(new)?;
        // What the backup leaves to do, nobody knows before it is opened. The mark comes first: a server in another process
        // looks for it once, as soon as the app is there.
        let key = duties_key(&new.id);
        let is_marked_here = self.node.swap_record(&key, None, Some(MARK)).await?;
        if let Err(error) = self.node.restore(&record, from).await {
            if is_marked_here {
                self.node.swap_record(&key, Some(MARK), None).await?;
            }
            return Err(error.into());
        }
        self.reload().await
    }

    /// Takes over what another process (the command line) did to the set of apps. Cheap if nothing changed.
    pub async fn refresh(&self) -> Result<(), AppError> {
        if self.node.generation().await? != self.generation.load(Ordering::Acquire) {
            let _one_at_a_time = self.edits.lock().await;
            self.reload().await?;
        }
        Ok(())
    }

    async fn reload(&self) -> Result<(), AppError> {
        let generation = self.node.generation().await?;
        let records = self.node.apps().await?;
        let old = self.directory.load_full();
        let new = Arc::new(Directory::new(&records, &old));
        self.directory.store(new.clone());
        for slot in old.slots().filter(|slot| !new.has(slot)) {
            // Deleted by another process: what is still running of it has lost its files. Whoever is about to wake it
            // up finishes that first.
            let _in_transition = slot.transition.lock().await;
            if let Some(app) = slot.app.swap(None) {
                app.close().await;
            }
            self.shared.deliveries.forget(slot.id());
        }
        // Hosts may name other apps now, whose answers are others.
        if let Some(purges) = &self.shared.purges {
            purges.purge_all();
        }
        // Last: whoever reads it may rely on what was deleted being closed.
        self.generation.store(generation, Ordering::Release);
        Ok(())
    }

    /// Says in the node's records that a server is at work, and which changes of the set of apps it has taken over.
    pub async fn announce(&self) -> Result<(), AppError> {
        let value = self.generation.load(Ordering::Acquire).to_be_bytes();
        self.set_followed(Some(&value)).await
    }

    /// Takes the announcement back, when the server stops.
    pub async fn withdraw(&self) -> Result<(), AppError> {
        self.set_followed(None).await
    }

    async fn set_followed(&self, value: Option<&[u8]>) -> Result<(), AppError> {
        let old = self.node.record(FOLLOWED).await?;
        if old.as_deref() != value {
            // Only the one server of the node writes this record.
            self.node.swap_record(FOLLOWED, old.as_deref(), value).await?;
        }
        Ok(())
    }

    /// True if a server has announced itself, but has not taken over all changes of the set of apps. A server that
    /// crashed looks like one that is slow.
    pub async fn is_awaited(&self) -> Result<bool, AppError> {
        let followed = self.node.record(FOLLOWED).await?;
        let followed = followed.and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
        Ok(match followed {
            Some(followed) => followed < self.node.generation().await?,
            None => false,
        })
    }

    async fn wake(&self, slot: &Arc<Slot>) -> Result<Arc<App>, AppError> {
        if let Some(app) = slot.awake() {
            return Ok(app);
        }
        let _one_at_a_time = slot.transition.lock().await;
        if let Some(app) = slot.awake() {
            return Ok(app);
        }
        if !self.directory.load().has(slot) {
            return Err(NodeError::Missing(slot.id().clone()).into());
        }
        let app = App::open(&*self.node, slot.id().clone(), self.shared.clone(), slot.created_at()).await?;
        let app = app.awake();
        if let Err(error) = app.begin_duties(&slot.due).await {
            app.close().await;
            return Err(error);
        }
        self.mark(slot, &app).await;
        slot.app.store(Some(app.clone()));
        tracing::debug!(app = %slot.id(), "app {} is awake", slot.id());
        Ok(app)
    }

    /// Lets apps do what is due by now, and wakes those up that are asleep, a few at a time. Cost: one look at a number for
    /// each app; the first call looks up a record for each.
    pub async fn run_due(&self) {
        let now = self.shared.clock.now().millis();
        let mut woken = 0;
        for slot in self.directory().slots() {
            let app = slot.app.load_full();
            match &app {
                Some(app) => self.mark(slot, app).await,
                None => self.look_for_mark(slot).await,
            }
            if let Some(app) = &app {
                app.catch_up();
            }
            if let Some(app) = app.as_ref().filter(|app| app.duties().has_new_jobs()) {
                app.start_jobs().await;
            }
            if slot.due.earliest() > now {
                continue;
            }
            if let Some(app) = app {
                app.duties().look();
                continue;
            }
            if woken == WOKEN_AT_ONCE {
                continue;
            }
            woken += 1;
            // Whoever is awake says anew when it is due.
            slot.due.set(now + WAKE_PAUSE_MS);
            if let Err(error) = self.wake(slot).await {
                tracing::warn!(app = %slot.id(), error = %error, "an app that has something to do cannot be opened");
            }
        }
    }

    /// After a start, apps that do things by themselves are due: nobody knows what is left to do.
    async fn look_for_mark(&self, slot: &Arc<Slot>) {
        let mut is_marked = slot.is_marked.lock().await;
        if is_marked.is_some() {
            return;
        }
        match self.node.record(&duties_key(slot.id())).await {
            Ok(found) => {
                *is_marked = Some(found.is_some());
                if found.is_some() && slot.app.load().is_none() {
                    slot.due.set(0);
                }
            }
            Err(error) => tracing::warn!(app = %slot.id(), error = %error, "a record of the node cannot be read"),
        }
    }

    /// Notes whether the app does things by itself.
    async fn mark(&self, slot: &Arc<Slot>, app: &App) {
        self.look_for_mark(slot).await;
        let mut is_marked = slot.is_marked.lock().await;
        let wanted = app.has_duties();
        if *is_marked == Some(wanted) {
            return;
        }
        let key = duties_key(slot.id());
        let written = async {
            let old = self.node.record(&key).await?;
            let value = wanted.then_some(MARK);
            self.node.swap_record(&key, old.as_deref(), value).await
        };
        match written.await {
            Ok(_) => *is_marked = Some(wanted),
            Err(error) => tracing::warn!(app = %slot.id(), error = %error, "a record of the node cannot be written"),
        }
    }

    /// Puts apps to sleep that no request has touched since the last call. Returns how many.
    pub async fn sleep_idle(&self) -> usize {
        let mut asleep = 0;
        let soon = self.shared.clock.now().millis() + SOON_MS;
        for slot in self.directory().slots() {
            if slot.touched.swap(false, Ordering::Relaxed) || slot.due.earliest() <= soon {
                continue;
            }
            // Requests that come in from here on wait for the lock and wake the app up again.
            let _in_transition = slot.transition.lock().await;
            let Some(app) = slot.app.swap(None) else { continue };
            if Arc::strong_count(&app) > 1 {
                // A request is still at work on it.
                slot.app.store(Some(app));
                continue;
            }
            self.mark(slot, &app).await;
            app.close().await;
            asleep += 1;
            tracing::debug!(app = %slot.id(), "app {} is asleep", slot.id());
        }
        asleep
    }

    /// What became of push messages since the server was started, by app.
    pub fn push_counts(&self) -> Vec<(AppId, PushCounts)> {
        self.shared.deliveries.counts()
    }

    /// Closes all apps, for shutdown. Push messages that are ready to be sent get a few seconds before.
    pub async fn close(&self) {
        self.shared.deliveries.close().await;
        for slot in self.directory().slots() {
            let _in_transition = slot.transition.lock().await;
            if let Some(app) = slot.app.swap(None) {
                app.close().await;
            }
        }
    }

    /// Apps that are awake.
    pub fn awake(&self) -> Vec<Arc<App>> {
        self.directory
            .load()
            .slots()
            .filter_map(|slot| slot.app.load_full())
            .collect()
    }

    /// The app of this name, if it is awake. Does not count as use of it.
    pub fn if_awake(&self, name: &str) -> Option<Arc<App>> {
        self.directory.load().by_name(name)?.app.load_full()
    }

    /// The node underneath, for backups.
    pub fn node(&self) -> &dyn Node {
        &*self.node
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }
}

/// As many at once as there are processors, less one for everything else.
fn heavy_at_once() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get().saturating_sub(1).max(1))
}

/// Host names are compared in lower case and without port.
fn normal_host(name: &str) -> Result<String, AppError> {
    let is_known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
    if name.is_empty() || name.len() > 253 || !name.bytes().all(is_known) {
        return Err(AppError::Invalid(
            "a host is a name like shop.example.org, without port".into(),
        ));
    }
    Ok(name.to_ascii_lowercase())
}
