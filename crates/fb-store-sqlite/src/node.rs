//! A data directory: the registry of apps, and one directory per app.
//!
//! ```text
//! node.db             registry
//! lock                held by the one server that uses the directory
//! apps/<app>/app.db   the app's store; other files of the app may stand beside it
//! trash/              what is being made or removed; emptied when a server starts
//! ```

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fb_store::{AppRecord, BoxFuture, Node, NodeError, OpenOptions, Store, StoreError};
use fb_types::{AppId, Schema};

use crate::error::{broken, store_error};
use crate::options::SqliteOptions;
use crate::registry::Registry;
use crate::store::SqliteStore;
use crate::{backup, format};

const LOCKING: &str = "locking the data directory";

/// How long a server waits for the lock when it starts.
const LOCK_TIME: Duration = Duration::from_secs(2);

/// Where contents of an app's files go if they are kept in the data directory: with the app they come and go.
pub fn files_dir(data_dir: &Path, app: &AppId) -> PathBuf {
    data_dir.join("apps").join(app.as_str()).join("files")
}

/// The lock of a data directory; given back when dropped, and when the process ends.
#[derive(Debug)]
pub struct DirLock {
    /// Unlocked when it is closed.
    _file: File,
}

/// All apps of one data directory.
pub struct SqliteNode(Arc<Inner>);

pub(crate) struct Inner {
    dir: PathBuf,
    options: SqliteOptions,
    /// Held for statements of microseconds, and while an app is created or deleted.
    registry: Mutex<Registry>,
    _lock: Option<DirLock>,
    n_trash: AtomicU64,
}

impl SqliteNode {
    /// Opens a data directory for a server, and creates it if there is none. Fails if another server uses it. Blocks, for
    /// two seconds at worst: a command that carries something out without a server has the lock for a moment.
    pub fn open(data_dir: &Path, options: SqliteOptions) -> Result<Self, NodeError> {
        fs::create_dir_all(data_dir).map_err(|e| io_error(LOCKING, e))?;
        let deadline = Instant::now() + LOCK_TIME;
        let lock = loop {
            match Self::try_lock(data_dir)? {
                Some(lock) => break lock,
                None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
                None => {
                    return Err(NodeError::Store(StoreError::Unavailable {
                        source: format!("another server uses {}", data_dir.display()).into(),
                    }));
                }
            }
        };
        let node = Self::new(data_dir, options, Some(lock))?;
        node.0.sweep()?;
        Ok(node)
    }

    /// Takes the lock of an existing data directory, which says who may write the objects of its apps. `None` if somebody
    /// has it.
    pub fn try_lock(data_dir: &Path) -> Result<Option<DirLock>, NodeError> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(data_dir.join("lock"));
        let file = file.map_err(|e| io_error(LOCKING, e))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(DirLock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(io_error(LOCKING, error)),
        }
    }

    /// Opens a data directory beside a server that may use it, for short work such as creating, deleting or saving an
    /// app. Blocks.
    pub fn attach(data_dir: &Path, options: SqliteOptions) -> Result<Self, NodeError> {
        fs::create_dir_all(data_dir).map_err(|e| io_error("opening the data directory", e))?;
        Self::new(data_dir, options, None)
    }

    fn new(data_dir: &Path, options: SqliteOptions, lock: Option<DirLock>) -> Result<Self, NodeError> {
        for name in ["apps", "trash"] {
            fs::create_dir_all(data_dir.join(name)).map_err(|e| io_error("opening the data directory", e))?;
        }
        let registry = Registry::open(&data_dir.join("node.db"))?;
        Ok(Self(Arc::new(Inner {
            dir: data_dir.to_owned(),
            options,
            registry: Mutex::new(registry),
            _lock: lock,
            n_trash: AtomicU64::new(0),
        })))
    }

    /// Opens an app's store. Blocks.
    pub fn open_store(&self, id: &AppId, options: OpenOptions) -> Result<SqliteStore, NodeError> {
        self.0.open_store(id, options)
    }

    fn blocking<'a, T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, NodeError> + Send + 'static,
    ) -> BoxFuture<'a, Result<T, NodeError>> {
        let inner = self.0.clone();
        Box::pin(async move {
            let task = tokio::task::spawn_blocking(move || work(&inner));
            task.await.unwrap_or_else(|e| Err(broken("managing apps", e).into()))
        })
    }
}

impl Inner {
    pub(crate) fn options(&self) -> &SqliteOptions {
        &self.options
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn app_dir(&self, id: &AppId) -> PathBuf {
        self.dir.join("apps").join(id.as_str())
    }

    pub(crate) fn app_file(&self, id: &AppId) -> PathBuf {
        self.app_dir(id).join("app.db")
    }

    pub(crate) fn check_exists(&self, id: &AppId) -> Result<(), NodeError> {
        if self.registry().has(id)? {
            Ok(())
        } else {
            Err(NodeError::Missing(id.clone()))
        }
    }

    /// A new name in the trash.
    fn trash(&self) -> PathBuf {
        let n = self.n_trash.fetch_add(1, Ordering::Relaxed);
        self.dir.join("trash").join(format!("{}-{n}", std::process::id()))
    }

    /// Adds an app whose file `make` writes at the path it is given. Either all of it is there afterwards, or nothing.
    pub(crate) fn create(
        &self,
        app: &AppRecord,
        make: impl FnOnce(&Path) -> Result<(), NodeError>,
    ) -> Result<(), NodeError> {
        let during = "creating an app";
        let draft = self.trash();
        fs::create_dir_all(&draft).map_err(|e| io_error(during, e))?;
        let result = make(&draft.join("app.db")).and_then(|()| {
            sync_dir(&draft)?;
            self.registry().create(app, || {
                let target = self.app_dir(&app.id);
                // Left by a deletion that was cut off: the registry says that there is no such app.
                self.discard(&target)?;
                fs::rename(&draft, &target).map_err(|e| io_error(during, e))?;
                sync_dir(&self.dir.join("apps"))
            })
        });
        if result.is_err() {
            // Nothing depends on it; the next start tries again.
            let _ = fs::remove_dir_all(&draft);
        }
        result
    }

    fn delete(&self, id: &AppId) -> Result<(), NodeError> {
        let mut registry = self.registry();
        registry.delete(id)?;
        self.discard(&self.app_dir(id))
    }

    /// Takes a directory out of sight at once, and then removes it.
    fn discard(&self, dir: &Path) -> Result<(), NodeError> {
        let during = "removing an app";
        let trash = self.trash();
        match fs::rename(dir, &trash) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(io_error(during, error)),
        }
        fs::remove_dir_all(&trash).map_err(|e| io_error(during, e))
    }

    /// Removes what an interrupted creation or deletion left behind.
    fn sweep(&self) -> Result<(), NodeError> {
        let during = "cleaning the data directory";
        let registry = self.registry();
        for entry in fs::read_dir(self.dir.join("apps")).map_err(|e| io_error(during, e))? {
            let entry = entry.map_err(|e| io_error(during, e))?;
            let id = entry.file_name().to_str().and_then(|name| AppId::new(name).ok());
            // What is no app's name was not made by us, and stays.
            if let Some(id) = id
                && !registry.has(&id)?
            {
                tracing::warn!(app = %id, "removing what an interrupted deletion left of app {id}");
                self.discard(&entry.path())?;
            }
        }
        drop(registry);
        let trash = self.dir.join("trash");
        fs::remove_dir_all(&trash).map_err(|e| io_error(during, e))?;
        fs::create_dir_all(&trash).map_err(|e| io_error(during, e))
    }

    fn open_store(&self, id: &AppId, options: OpenOptions) -> Result<SqliteStore, NodeError> {
        self.check_exists(id)?;
        Ok(SqliteStore::open(self.app_file(id), self.options.clone(), options)?)
    }
}

impl Node for SqliteNode {
    fn apps(&self) -> BoxFuture<'_, Result<Vec<AppRecord>, NodeError>> {
        Box::pin(std::future::ready(self.0.registry().apps()))
    }

    fn generation(&self) -> BoxFuture<'_, Result<u64, NodeError>> {
        Box::pin(std::future::ready(self.0.registry().generation()))
    }

    fn create<'a>(&'a self, app: &'a AppRecord) -> BoxFuture<'a, Result<(), NodeError>> {
        let app = app.clone();
        self.blocking(move |inner| {
            let during = "creating an app";
            let schema = Schema::initial().map_err(|e| NodeError::from(broken(during, e)))?;
            let schema = schema.to_json().to_string();
            inner.create(&app, |path| {
                format::create(path, inner.options(), &schema).map_err(|e| store_error(during, e).into())
            })
        })
    }

    fn delete<'a>(&'a self, id: &'a AppId) -> BoxFuture<'a, Result<(), NodeError>> {
        let id = id.clone();
        self.blocking(move |inner| inner.delete(&id))
    }

    fn open<'a>(&'a self, id: &'a AppId, options: OpenOptions) -> BoxFuture<'a, Result<Arc<dyn Store>, NodeError>> {
        let id = id.clone();
        self.blocking(move |inner| {
            let store = inner.open_store(&id, options)?;
            Ok(Arc::new(store) as Arc<dyn Store>)
        })
    }

    fn backup<'a>(&'a self, id: &'a AppId, to: &'a Path) -> BoxFuture<'a, Result<u64, NodeError>> {
        let (id, to) = (id.clone(), to.to_owned());
        self.blocking(move |inner| backup::backup(inner, &id, &to))
    }

    fn restore<'a>(&'a self, app: &'a AppRecord, from: &'a Path) -> BoxFuture<'a, Result<(), NodeError>> {
        let (app, from) = (app.clone(), from.to_owned());
        self.blocking(move |inner| backup::restore(inner, &app, &from))
    }

    fn record<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, NodeError>> {
        Box::pin(std::future::ready(self.0.registry().record(key)))
    }

    fn swap_record<'a>(
        &'a self,
        key: &'a str,
        expect: Option<&'a [u8]>,
        value: Option<&'a [u8]>,
    ) -> BoxFuture<'a, Result<bool, NodeError>> {
        let (key, expect, value) = (key.to_owned(), expect.map(<[u8]>::to_vec), value.map(<[u8]>::to_vec));
        self.blocking(move |inner| inner.registry().swap_record(&key, expect.as_deref(), value.as_deref()))
    }
}

/// Makes names in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), NodeError> {
    let result = File::open(dir).and_then(|d| d.sync_all());
    result.map_err(|e| io_error("flushing a directory", e))
}

pub(crate) fn io_error(during: &'static str, error: io::Error) -> NodeError {
    let text = format!("{during}: {error}");
    NodeError::Store(StoreError::Unavailable {
        source: Box::new(io::Error::new(error.kind(), text)),
    })
}
