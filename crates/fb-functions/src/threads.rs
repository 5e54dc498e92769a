//! The threads that run JavaScript, and the one that looks after them.
//!
//! A thread on which a slice computes longer than [`PATIENCE`] gets a lower priority for the rest of it, so that computing does not hurt
//! answering. Another one takes its place at once, so that no number of apps that compute keeps the others from running, up to
//! [`MOST_SLOW`]; since a thread cannot raise its priority again, the slow one ends with its slice. A thread on which a slice does not end
//! although it must, because it is in a loop inside of QuickJS that does not ask, is given up: it is replaced as well, if it was not yet,
//! and ends when the loop does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::Shared;
use crate::instance::STACK;
use crate::queue::Work;
use crate::task::Task;
use crate::watch::thread_time;

/// How long a slice runs at full priority.
const PATIENCE: Duration = Duration::from_millis(20);

/// Slow threads that are replaced before they end. One app has at most its share of slices, slow ones included.
const MOST_SLOW: usize = 64;

/// How long after its end a slice may take to notice it.
const GRACE: Duration = Duration::from_millis(100);

/// How often running slices are looked at.
const PERIOD: Duration = Duration::from_millis(10);

/// How long the keeper keeps looking after the last slice; it saves waking it for each call.
const AWAKE: Duration = Duration::from_millis(500);

/// One thread.
struct Seat {
    /// Of the operating system; 0 if unknown.
    thread: AtomicI32,
    /// When the running slice began, in nanoseconds since the engine's start; 0 if none runs.
    since: AtomicU64,
    /// CPU time of the thread then, in nanoseconds.
    cpu_since: AtomicU64,
    demoted: AtomicBool,
    lost: AtomicBool,
    /// Whether another thread has taken its place, or will as soon as there is one.
    replaced: AtomicBool,
    /// What runs. Locked at both ends of a slice and by the keeper, for a few instructions.
    task: Mutex<Option<Arc<Task>>>,
}

pub(crate) struct Threads {
    epoch: Instant,
    seats: Mutex<Vec<Arc<Seat>>>,
    asleep: AtomicBool,
    wake: Condvar,
    wake_lock: Mutex<()>,
    closed: AtomicBool,
    /// For names of threads.
    spawned: AtomicUsize,
    /// Threads that the keeper is to start.
    wanted: AtomicUsize,
}

impl Threads {
    pub(crate) fn new() -> Self {
        Self {
            epoch: Instant::now(),
            seats: Mutex::default(),
            asleep: AtomicBool::new(false),
            wake: Condvar::new(),
            wake_lock: Mutex::new(()),
            closed: AtomicBool::new(false),
            spawned: AtomicUsize::new(0),
            wanted: AtomicUsize::new(0),
        }
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.wake_keeper();
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos())
            .unwrap_or(u64::MAX)
            .max(1)
    }

    fn seats(&self) -> MutexGuard<'_, Vec<Arc<Seat>>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_keeper(&self) {
        drop(self.wake_lock.lock());
        self.wake.notify_one();
    }
}

/// Starts one thread that runs slices.
pub(crate) fn spawn_worker(shared: &Arc<Shared>) -> std::io::Result<()> {
    let seat = Arc::new(Seat {
        thread: AtomicI32::new(0),
        since: AtomicU64::new(0),
        cpu_since: AtomicU64::new(0),
        demoted: AtomicBool::new(false),
        lost: AtomicBool::new(false),
        replaced: AtomicBool::new(false),
        task: Mutex::new(None),
    });
    let threads = &shared.threads;
    let n = threads.spawned.fetch_add(1, Ordering::Relaxed);
    let (own, worker) = (seat.clone(), shared.clone());
    threads.seats().push(seat.clone());
    let spawned = std::thread::Builder::new()
        .name(format!("fb-js-{n}"))
        .stack_size(2 * STACK)
        .spawn(move || work(&worker, &own));
    if let Err(error) = spawned {
        threads.seats().retain(|other| !Arc::ptr_eq(other, &seat));
        return Err(error);
    }
    Ok(())
}

/// Starts the thread that looks after the others.
pub(crate) fn spawn_keeper(shared: &Arc<Shared>) -> std::io::Result<()> {
    let shared = shared.clone();
    std::thread::Builder::new()
        .name("fb-js-keeper".to_owned())
        .spawn(move || keep(&shared))
        .map(drop)
}

fn work(shared: &Arc<Shared>, seat: &Arc<Seat>) {
    seat.thread.store(own_id(), Ordering::Relaxed);
    while let Some(work) = shared.queue.next() {
        match work {
            Work::Drop(instance) => drop(instance),
            Work::Stock => shared.stock_up(),
            Work::Run(task) => {
                let pool = task.pool.clone();
                shared.threads.begin(seat, &task);
                if catch_unwind(AssertUnwindSafe(|| task.run())).is_err() {
                    shared.counters.panics.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(app = pool.name, "a call ended by a panic");
                    task.panicked();
                }
                drop(task);
                seat.end();
                let leaves = seat.lost.load(Ordering::Relaxed) || seat.demoted.load(Ordering::Relaxed);
                shared.queue.finished(pool.id, leaves);
                if seat.lost.load(Ordering::Relaxed) {
                    pool.lost.fetch_sub(1, Ordering::Relaxed);
                    shared.counters.lost_threads.fetch_sub(1, Ordering::Relaxed);
                }
                if leaves {
                    shared.threads.replace(seat);
                    shared.threads.wake_keeper();
                    break;
                }
            }
        }
    }
    shared.threads.seats().retain(|other| !Arc::ptr_eq(other, seat));
}

impl Threads {
    /// Another thread is to take the place of this one. A thread inherits the priority of the one that starts it: the keeper does, whose
    /// own is the usual one.
    fn replace(&self, seat: &Seat) {
        if !seat.replaced.swap(true, Ordering::Relaxed) {
            self.wanted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Threads that run slowly in addition to those that replaced them.
    fn slow(&self) -> usize {
        let is_slow = |seat: &&Arc<Seat>| seat.replaced.load(Ordering::Relaxed) && !seat.lost.load(Ordering::Relaxed);
        self.seats().iter().filter(is_slow).count()
    }

    fn begin(&self, seat: &Seat, task: &Arc<Task>) {
        *seat.task() = Some(task.clone());
        seat.cpu_since.store(thread_time(), Ordering::Relaxed);
        seat.since.store(self.now(), Ordering::Relaxed);
        if self.asleep.load(Ordering::Relaxed) {
            self.wake_keeper();
        }
    }
}

impl Seat {
    fn task(&self) -> MutexGuard<'_, Option<Arc<Task>>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        self.since.store(0, Ordering::Relaxed);
        *self.task() = None;
    }
}

fn keep(shared: &Arc<Shared>) {
    let threads = &shared.threads;
    let mut active = Instant::now();
    let mut trimmed = Instant::now();
    let trim_every = (shared.idle / 8).clamp(Duration::from_millis(20), Duration::from_secs(5));
    while !threads.closed.load(Ordering::Relaxed) {
        let seats = threads.seats().clone();
        for seat in &seats {
            if look_at(shared, seat) {
                active = Instant::now();
            }
        }
        while threads.wanted.load(Ordering::Relaxed) > 0 {
            if let Err(error) = spawn_worker(shared) {
                tracing::error!(%error, "no thread in place of a slow or lost one; trying again");
                active = Instant::now();
                break;
            }
            threads.wanted.fetch_sub(1, Ordering::Relaxed);
        }
        if trimmed.elapsed() >= trim_every {
            trimmed = Instant::now();
            shared.trim();
        }
        let lock = threads.wake_lock.lock().unwrap_or_else(PoisonError::into_inner);
        if active.elapsed() < AWAKE {
            drop(lock);
            std::thread::sleep(PERIOD);
        } else {
            threads.asleep.store(true, Ordering::Relaxed);
            if threads.wanted.load(Ordering::Relaxed) == 0 {
                drop(threads.wake.wait_timeout(lock, trim_every));
            }
            threads.asleep.store(false, Ordering::Relaxed);
            if seats.iter().any(|seat| seat.since.load(Ordering::Relaxed) != 0) {
                active = Instant::now();
            }
        }
    }
}

/// Says whether something runs there.
fn look_at(shared: &Arc<Shared>, seat: &Arc<Seat>) -> bool {
    let since = seat.since.load(Ordering::Relaxed);
    if since == 0 {
        return false;
    }
    let ran = Duration::from_nanos(shared.threads.now().saturating_sub(since));
    if ran < PATIENCE {
        return true;
    }
    // Held while deciding: the slice cannot end and the next one begin meanwhile.
    let running = seat.task();
    let Some(task) = running.as_ref() else { return true };
    // On a busy machine a thread may have waited most of the time; that is no reason to let it wait longer.
    let thread = seat.thread.load(Ordering::Relaxed);
    let computed = cpu_time(thread).map(|now| now.saturating_sub(seat.cpu_since.load(Ordering::Relaxed)));
    let is_long = computed.is_none_or(|computed| Duration::from_nanos(computed) >= PATIENCE);
    if is_long && !seat.demoted.swap(true, Ordering::Relaxed) {
        demote(thread);
    }
    if seat.demoted.load(Ordering::Relaxed) && shared.threads.slow() < MOST_SLOW {
        shared.threads.replace(seat);
    }
    if task.is_overdue(GRACE) && !seat.lost.swap(true, Ordering::Relaxed) {
        task.pool.lost.fetch_add(1, Ordering::Relaxed);
        shared.counters.lost_threads.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(
            app = task.pool.name,
            "a call cannot be stopped; its thread was replaced"
        );
        shared.threads.replace(seat);
    }
    true
}

#[cfg(target_os = "linux")]
fn own_id() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

#[cfg(not(target_os = "linux"))]
fn own_id() -> i32 {
    0
}

/// CPU time of another thread of this process in nanoseconds.
#[cfg(target_os = "linux")]
fn cpu_time(thread: i32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
    text.split(' ').next()?.parse().ok()
}

#[cfg(not(target_os = "linux"))]
fn cpu_time(_: i32) -> Option<u64> {
    None
}

/// Linux keeps a priority per thread; elsewhere it is the process's, which must stay.
#[cfg(target_os = "linux")]
fn demote(thread: i32) {
    if let Some(thread) = rustix::process::Pid::from_raw(thread) {
        // The process may have been started at a lower priority itself.
        let own = rustix::process::getpriority_process(None).unwrap_or(0);
        let _ = rustix::process::setpriority_process(Some(thread), (own + 10).min(19));
    }
}

#[cfg(not(target_os = "linux"))]
fn demote(_: i32) {}
