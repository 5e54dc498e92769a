//! Connections for reading, and how long a read may keep a thread.
//!
//! A read first runs on the caller's thread, because most take microseconds. The few that do not are stopped after
//! [`INLINE`] and run again on a thread for blocking work, with the configured limit.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fb_store::StoreError;
use rusqlite::Connection;
use tokio::sync::{Notify, Semaphore};

use crate::error::{broken, closed, is_interrupt, is_outdated, store_error};
use crate::format::open_reader;
use crate::functions::Functions;
use crate::options::SqliteOptions;

/// How long a read may run on a thread that others wait for.
const INLINE: Duration = Duration::from_micros(500);
/// Instructions of the engine between two looks at the clock.
const STEPS: i32 = 256;

/// Shapes of slow queries that are remembered.
const N_SHAPES: u64 = 128;

/// What queries of the same text have in common. Two different ones may share a number; that costs time only.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape(u64);

impl Shape {
    /// What is quick by itself, and tried so every time.
    pub(crate) const QUICK: Self = Self(u64::MAX);

    pub(crate) fn of(what: &impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        Self(hasher.finish().clamp(1, u64::MAX - 1))
    }

    fn is_quick(self) -> bool {
        self.0 == Self::QUICK.0
    }
}

/// Callers who can see much of a class are remembered in so many places.
const N_CROWDS: u64 = 256;
/// Of so many looks at the memory of crowds, one finds nothing, so that they are counted again now and then.
const FORGET: u64 = 64;

/// Which callers were found to see much of a class. Two may share a number or a place; that costs time only.
pub(crate) struct Crowds {
    places: [AtomicU64; N_CROWDS as usize],
    n_looks: AtomicU64,
}

impl Crowds {
    fn new() -> Self {
        Self {
            places: [const { AtomicU64::new(0) }; N_CROWDS as usize],
            n_looks: AtomicU64::new(0),
        }
    }

    /// True if this one was last found to be a crowd.
    pub(crate) fn has(&self, shape: Shape) -> bool {
        let is_known = self.places[(shape.0 % N_CROWDS) as usize].load(Ordering::Relaxed) == shape.0;
        is_known && !self.n_looks.fetch_add(1, Ordering::Relaxed).is_multiple_of(FORGET)
    }

    /// Remembers this one as a crowd, or as none.
    pub(crate) fn note(&self, shape: Shape, is_crowd: bool) {
        let place = &self.places[(shape.0 % N_CROWDS) as usize];
        if is_crowd {
            place.store(shape.0, Ordering::Relaxed);
        } else if place.load(Ordering::Relaxed) == shape.0 {
            place.store(0, Ordering::Relaxed);
        }
    }
}

/// Why a read failed.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// It was made for tables that are no more.
    Outdated(rusqlite::Error),
    /// Anything else.
    Store(StoreError),
}

/// One connection for reading.
pub(crate) struct Reader {
    pub(crate) conn: Connection,
    pub(crate) functions: Functions,
    pub(crate) crowds: Arc<Crowds>,
    watch: Arc<Watch>,
    generation: u64,
}

impl Reader {
    /// Runs `work`, which reads, but with no more than about `budget` instructions of the engine; `None` if that was not
    /// enough. The limit of time for the read as a whole stays in force, and is an error as ever.
    pub(crate) fn attempt<T>(
        &self,
        budget: u64,
        work: impl FnOnce() -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>> {
        let watch = &self.watch;
        let looks = budget / u64::from(STEPS.unsigned_abs());
        watch.looks_left.store(looks, Ordering::Relaxed);
        let result = work();
        let is_used_up = watch.looks_left.swap(u64::MAX, Ordering::Relaxed) == 0;
        match result {
            Err(error) if is_used_up && is_interrupt(&error) && !watch.is_over() => Ok(None),
            result => result.map(Some),
        }
    }

    /// Runs `work` on one state of the file, however many statements it is made of. Within another one, on that one's.
    pub(crate) fn snapshot<T>(&self, work: impl FnOnce() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        if !self.conn.is_autocommit() {
            return work();
        }
        self.conn.prepare_cached("BEGIN")?.execute([])?;
        let result = work();
        // If this fails, the connection is not used again.
        let ended = self.conn.prepare_cached("COMMIT").and_then(|mut s| s.execute([]));
        result.and_then(|value| ended.map(|_| value))
    }
}

/// Stops a statement. Looked at by the engine every [`STEPS`] instructions.
struct Watch {
    base: Instant,
    /// Looks so far, of all connections.
    n_looks: Arc<AtomicU64>,
    /// Looks until an attempt ends.
    looks_left: AtomicU64,
    /// Nanoseconds since `base`.
    deadline: AtomicU64,
    /// Set when nobody waits for the result any more. The lock is held for the clone of a pointer.
    cancelled: Mutex<Option<Arc<AtomicBool>>>,
    closing: Arc<AtomicBool>,
}

impl Watch {
    fn arm(&self, limit: Duration, cancelled: Option<Arc<AtomicBool>>) {
        let deadline = (self.base.elapsed() + limit).as_nanos();
        self.deadline
            .store(u64::try_from(deadline).unwrap_or(u64::MAX), Ordering::Relaxed);
        *self.cancelled.lock().unwrap_or_else(PoisonError::into_inner) = cancelled;
    }

    fn must_stop(&self) -> bool {
        self.n_looks.fetch_add(1, Ordering::Relaxed);
        // Only the thread that uses the connection changes it.
        let left = self.looks_left.load(Ordering::Relaxed).saturating_sub(1);
        self.looks_left.store(left, Ordering::Relaxed);
        left == 0 || self.is_over()
    }

    /// True if nobody waits for the read any more, or not for so long.
    fn is_over(&self) -> bool {
        let is_cancelled = || {
            let cancelled = self.cancelled.lock().unwrap_or_else(PoisonError::into_inner);
            cancelled.as_ref().is_some_and(|c| c.load(Ordering::Relaxed))
        };
        self.base.elapsed().as_nanos() >= u128::from(self.deadline.load(Ordering::Relaxed))
            || self.closing.load(Ordering::Relaxed)
            || is_cancelled()
    }
}

/// The connections for reading one app's file.
pub(crate) struct Readers {
    path: PathBuf,
    options: SqliteOptions,
    timeout: Duration,
    /// Held to take or return a connection, never while one is used or opened.
    state: Mutex<State>,
    /// Grows when open connections must not be used any more.
    generation: AtomicU64,
    /// Slow reads that run at once.
    slow: Semaphore,
    /// Shapes that were too slow, each at the place of its number; 0 is none.
    slow_shapes: [AtomicU64; N_SHAPES as usize],
    crowds: Arc<Crowds>,
    n_looks: Arc<AtomicU64>,
    closing: Arc<AtomicBool>,
    returned: Notify,
}

#[derive(Default)]
struct State {
    idle: Vec<Reader>,
    out: usize,
    n_taken: u64,
}

impl Readers {
    pub(crate) fn new(path: PathBuf, options: SqliteOptions, timeout: Duration) -> Self {
        Self {
            slow: Semaphore::new(options.readers.max(1)),
            slow_shapes: [const { AtomicU64::new(0) }; N_SHAPES as usize],
            path,
            options,
            timeout,
            state: Mutex::default(),
            generation: AtomicU64::new(0),
            crowds: Arc::new(Crowds::new()),
            n_looks: Arc::default(),
            closing: Arc::default(),
            returned: Notify::new(),
        }
    }

    /// Runs `work` with a connection: here if it is quick, on a blocking thread if it is not, or was not the last time
    /// that work of this shape was done. It may run twice. Dropping the future stops it.
    pub(crate) async fn run<T, F>(self: &Arc<Self>, during: &'static str, shape: Shape, work: F) -> Result<T, ReadError>
    where
        T: Send + 'static,
        F: Fn(&Reader) -> rusqlite::Result<T> + Send + 'static,
    {
        let slot = &self.slow_shapes[(shape.0 % N_SHAPES) as usize];
        if shape.is_quick() || slot.load(Ordering::Relaxed) != shape.0 {
            let result = {
                let reader = self.take(during).map_err(ReadError::Store)?;
                reader.watch.arm(INLINE.min(self.timeout), None);
                work(&reader)
            };
            match result {
                Err(error) if is_interrupt(&error) && !self.is_closing() => {}
                result => return result.map_err(|error| self.read_error(during, error)),
            }
            if !shape.is_quick() {
                slot.store(shape.0, Ordering::Relaxed);
            }
        }
        let (result, took) = self.run_slowly(during, work).await?;
        // Without the time it waited: under load everything waits, and quick work would never be seen to be quick again.
        if !shape.is_quick() && took < INLINE {
            slot.store(0, Ordering::Relaxed);
        }
        result
    }

    /// The result, and how long the work itself took.
    async fn run_slowly<T, F>(
        self: &Arc<Self>,
        during: &'static str,
        work: F,
    ) -> Result<(Result<T, ReadError>, Duration), ReadError>
    where
        T: Send + 'static,
        F: Fn(&Reader) -> rusqlite::Result<T> + Send + 'static,
    {
        let started = Instant::now();
        let waiting = tokio::time::timeout(self.timeout, self.slow.acquire()).await;
        let permit = waiting
            .map_err(|_| ReadError::Store(StoreError::TooSlow { limit: self.timeout }))?
            .map_err(|_| ReadError::Store(closed()))?;
        let guard = CancelOnDrop(Arc::default());
        let cancelled = guard.0.clone();
        let this = self.clone();
        let left = self.timeout.saturating_sub(started.elapsed());
        let task = tokio::task::spawn_blocking(move || {
            let reader = this.take(during)?;
            reader.watch.arm(left, Some(cancelled));
            let begun = Instant::now();
            Ok((work(&reader), begun.elapsed()))
        });
        let done = task.await.map_err(|e| ReadError::Store(broken(during, e)))?;
        drop((permit, guard));
        let (result, took) = done.map_err(ReadError::Store)?;
        Ok((result.map_err(|error| self.read_error(during, error)), took))
    }

    fn read_error(&self, during: &'static str, error: rusqlite::Error) -> ReadError {
        if self.is_closing() {
            ReadError::Store(closed())
        } else if is_interrupt(&error) {
            ReadError::Store(StoreError::TooSlow { limit: self.timeout })
        } else if is_outdated(&error) {
            ReadError::Outdated(error)
        } else {
            ReadError::Store(store_error(during, error))
        }
    }

    /// Instructions of the engine that reads have taken so far, in steps of [`STEPS`]; short statements count as none.
    pub(crate) fn steps(&self) -> u64 {
        self.n_looks.load(Ordering::Relaxed) * u64::from(STEPS.unsigned_abs())
    }

    /// Reads so far.
    pub(crate) fn n_reads(&self) -> u64 {
        self.lock().n_taken
    }

    /// True once the store was told to close.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    fn take(&self, during: &'static str) -> Result<Lease<'_>, StoreError> {
        let idle = {
            let mut state = self.lock();
            if self.is_closing() {
                return Err(closed());
            }
            state.out += 1;
            state.n_taken += 1;
            state.idle.pop()
        };
        let mut lease = Lease {
            readers: self,
            reader: None,
        };
        let generation = self.generation.load(Ordering::Acquire);
        lease.reader = match idle {
            Some(reader) if reader.generation == generation => Some(reader),
            _ => Some(self.open(generation).map_err(|e| store_error(during, e))?),
        };
        Ok(lease)
    }

    fn open(&self, generation: u64) -> rusqlite::Result<Reader> {
        let mut conn = open_reader(&self.path, &self.options)?;
        let functions = Functions::register(&conn)?;
        let watch = Arc::new(Watch {
            base: Instant::now(),
            n_looks: self.n_looks.clone(),
            looks_left: AtomicU64::new(u64::MAX),
            deadline: AtomicU64::new(u64::MAX),
            cancelled: Mutex::default(),
            closing: self.closing.clone(),
        });
        let watched = watch.clone();
        conn.progress_handler(STEPS, Some(move || watched.must_stop()))?;
        Ok(Reader {
            conn,
            functions,
            crowds: self.crowds.clone(),
            watch,
            generation,
        })
    }

    /// Open connections are replaced before their next use, so that they see new statistics.
    pub(crate) fn renew(&self) {
        self.generation.fetch_add(1, Ordering::Release);
        let stale = std::mem::take(&mut self.lock().idle);
        drop(stale);
    }

    /// Stops what runs and closes all connections. Later reads fail.
    pub(crate) async fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        self.slow.close();
        loop {
            let returned = self.returned.notified();
            let (idle, out) = {
                let mut state = self.lock();
                (std::mem::take(&mut state.idle), state.out)
            };
            drop(idle);
            if out == 0 {
                return;
            }
            returned.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection on loan.
struct Lease<'a> {
    readers: &'a Readers,
    reader: Option<Reader>,
}

impl std::ops::Deref for Lease<'_> {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        self.reader.as_ref().expect("only dropping takes it away")
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut reader = self.reader.take();
        let mut state = self.readers.lock();
        state.out -= 1;
        let wanted = state.idle.len() < self.readers.options.readers && !self.readers.is_closing();
        // One that is left within a transaction would not see later writes.
        let is_sound = reader.as_ref().is_some_and(|r| r.conn.is_autocommit());
        if wanted && is_sound && !std::thread::panicking() {
            state.idle.extend(reader.take());
        }
        drop(state);
        // Closing a connection takes a while, so it happens outside of the lock.
        drop(reader);
        self.readers.returned.notify_waiters();
    }
}

struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
