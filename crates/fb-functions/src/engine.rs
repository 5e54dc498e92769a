//! Threads, queue and pools of one node.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::instance::Instance;
use crate::pool::{Pool, PoolInner};
use crate::queue::Queue;
use crate::stats::{Counters, Stats};
use crate::threads::{self, Threads};
use crate::{CallError, Limits};

/// How an engine is set up.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Threads that run JavaScript, at least 2. One app gets at most half of them at once.
    pub threads: usize,
    /// Instances of all apps that wait for calls; the ones that were used longest ago go first.
    pub max_idle_instances: usize,
    /// Memory of these in bytes, as [`Stats::bytes`] counts it. An instance with more than 16 MiB does not wait at all.
    pub max_idle_bytes: usize,
    /// How long an instance waits for a call before it is given up.
    pub idle: Duration,
}

impl Default for EngineOptions {
    /// Two threads per core, at least four; 256 instances of together 256 MiB; five minutes.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            threads: (cores * 2).max(4),
            max_idle_instances: 256,
            max_idle_bytes: 256 << 20,
            idle: Duration::from_secs(300),
        }
    }
}

/// An engine could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The operating system gave no thread.
    #[error("the operating system gives no thread for the engine of code")]
    Thread(#[source] std::io::Error),
}

/// Instances that are made ahead. Each takes some 400 KiB and saves the first call of an instance most of a millisecond.
const STOCK: usize = 4;

/// What all pools of a node share.
pub(crate) struct Shared {
    pub(crate) queue: Queue,
    pub(crate) threads: Threads,
    pub(crate) counters: Arc<Counters>,
    /// Slices of one app at once.
    pub(crate) share: usize,
    pub(crate) idle: Duration,
    max_idle: usize,
    max_idle_bytes: usize,
    next_pool: AtomicU64,
    /// Instances without an app, made ahead while threads have nothing to do. Locked to put one in or take one out.
    stock: Mutex<Vec<Instance>>,
    /// Locked for a look through the list; instances are freed by other threads.
    pools: Mutex<Vec<Weak<PoolInner>>>,
}

/// Runs code of all apps of a node. Dropping it ends its threads when their slices end; calls that run then come to nothing.
pub struct Engine {
    shared: Arc<Shared>,
}

impl Engine {
    /// Starts the threads.
    ///
    /// # Errors
    ///
    /// If the operating system gives no threads.
    pub fn new(options: EngineOptions) -> Result<Arc<Self>, EngineError> {
        let n_threads = options.threads.max(2);
        let share = n_threads / 2;
        let shared = Arc::new(Shared {
            queue: Queue::new(share),
            threads: Threads::new(),
            counters: Arc::default(),
            share,
            idle: options.idle,
            max_idle: options.max_idle_instances,
            max_idle_bytes: options.max_idle_bytes,
            next_pool: AtomicU64::new(0),
            stock: Mutex::default(),
            pools: Mutex::default(),
        });
        let engine = Arc::new(Self { shared: shared.clone() });
        for _ in 0..n_threads {
            threads::spawn_worker(&shared).map_err(EngineError::Thread)?;
        }
        shared.queue.want_stock(STOCK);
        threads::spawn_keeper(&shared).map_err(EngineError::Thread)?;
        Ok(engine)
    }

    /// A pool for one app.
    pub fn pool(&self, name: &str, limits: Limits) -> Pool {
        let id = self.shared.next_pool.fetch_add(1, Ordering::Relaxed);
        let (pool, inner) = Pool::new(id, name, limits, self.shared.clone());
        self.shared.pools().push(inner);
        pool
    }

    /// Numbers for metrics. Costs a few loads.
    pub fn stats(&self) -> Stats {
        self.shared.counters.read()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.queue.close();
        self.shared.threads.close();
    }
}

impl Shared {
    pub(crate) fn discard(&self, instance: Instance) {
        self.queue.discard(instance);
    }

    /// An instance that no app had.
    pub(crate) fn fresh_instance(&self) -> Result<Instance, CallError> {
        match self.stock().pop() {
            Some(instance) => {
                self.queue.want_stock(1);
                Ok(instance)
            }
            None => Instance::new(self.counters.clone()),
        }
    }

    /// Makes one for the stock.
    pub(crate) fn stock_up(&self) {
        match Instance::new(self.counters.clone()) {
            Ok(instance) => {
                instance.preload();
                self.stock().push(instance);
            }
            Err(error) => tracing::error!(%error, "no instance for the stock"),
        }
    }

    fn stock(&self) -> MutexGuard<'_, Vec<Instance>> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more instance is idle. As long as there are too many, or they have too much memory, the one that was used longest ago goes.
    pub(crate) fn became_idle(&self) {
        let is = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        while is(&self.counters.idle) > self.max_idle || is(&self.counters.idle_bytes) > self.max_idle_bytes {
            let pools: Vec<_> = self.pools().iter().filter_map(Weak::upgrade).collect();
            let oldest = pools
                .iter()
                .filter_map(|pool| Some((pool.oldest()?, pool)))
                .min_by_key(|(used, _)| *used);
            let Some((used, pool)) = oldest else { break };
            pool.give_up_until(used);
        }
    }

    /// Gives up what was not used for long, and forgets pools that are gone.
    pub(crate) fn trim(&self) {
        let pools: Vec<_> = {
            let mut pools = self.pools();
            pools.retain(|pool| pool.strong_count() > 0);
            pools.iter().filter_map(Weak::upgrade).collect()
        };
        if let Some(until) = Instant::now().checked_sub(self.idle) {
            for pool in pools {
                pool.give_up_until(until);
            }
        }
    }

    fn pools(&self) -> MutexGuard<'_, Vec<Weak<PoolInner>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
