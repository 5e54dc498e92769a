//! Threads, queue and pools of one node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::Limits;
use crate::instance::{Instance, STACK};
use crate::pool::Pool;
use crate::queue::{Queue, Work};

/// How an engine is set up.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Threads that run JavaScript; at least 2.
    pub threads: usize,
    /// Instances of all apps that wait for calls; the ones that were used longest ago go first.
    pub max_idle_instances: usize,
    /// How long an instance waits for a call before it is given up.
    pub idle: Duration,
}

impl Default for EngineOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            threads: (cores * 2).max(4),
            max_idle_instances: 256,
            idle: Duration::from_secs(300),
        }
    }
}

/// An engine could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The operating system gave no thread.
    #[error("no thread for the engine of code")]
    Thread(#[source] std::io::Error),
}

/// What all pools of a node share.
pub(crate) struct Shared {
    pub(crate) queue: Queue,
    next_pool: AtomicU64,
}

impl Shared {
    pub(crate) fn discard(&self, instance: Box<Instance>) {
        self.queue.discard(instance);
    }
}

/// Runs code of all apps of a node.
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
        let threads = options.threads.max(2);
        let shared = Arc::new(Shared {
            queue: Queue::new((threads / 2).max(1)),
            next_pool: AtomicU64::new(0),
        });
        let engine = Arc::new(Self { shared: shared.clone() });
        for _ in 0..threads {
            let shared = shared.clone();
            std::thread::Builder::new()
                .name("fb-js".to_owned())
                .stack_size(2 * STACK)
                .spawn(move || work(&shared))
                .map_err(EngineError::Thread)?;
        }
        Ok(engine)
    }

    /// A pool for one app.
    pub fn pool(&self, name: &str, limits: Limits) -> Pool {
        let id = self.shared.next_pool.fetch_add(1, Ordering::Relaxed);
        Pool::new(id, name, limits, self.shared.clone())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

fn work(shared: &Shared) {
    while let Some(work) = shared.queue.next() {
        match work {
            Work::Drop(instance) => drop(instance),
            Work::Run(task) => {
                task.run();
                shared.queue.finished(task.pool.id);
            }
        }
    }
}
