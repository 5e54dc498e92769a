//! Hashing passwords off the async threads, a bounded number at once and a bounded number waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fb_auth::{Hasher, Secret, Verdict};
use tokio::sync::Semaphore;

use crate::AppError;

/// The node's password hasher. One hash takes about 20 ms of a core and 19 MiB, so as many run as there are cores, and
/// whoever finds the queue full is told to come back.
pub(crate) struct Hashing {
    hasher: Arc<Hasher>,
    running: Arc<Semaphore>,
    waiting: AtomicUsize,
    max_waiting: usize,
}

impl Hashing {
    pub(crate) fn new(hasher: Hasher, max_waiting: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            hasher: Arc::new(hasher),
            running: Arc::new(Semaphore::new(cores)),
            waiting: AtomicUsize::new(0),
            max_waiting,
        }
    }

    pub(crate) async fn hash(&self, password: &Secret) -> Result<Secret, AppError> {
        let (hasher, password) = (self.hasher.clone(), password.clone());
        let hash = self.off_thread(move || hasher.hash(password.expose())).await?;
        Ok(Secret::new(hash?))
    }

    pub(crate) async fn verify(&self, password: &Secret, stored: Option<String>) -> Result<Verdict, AppError> {
        let (hasher, password) = (self.hasher.clone(), password.clone());
        self.off_thread(move || hasher.verify(password.expose(), stored.as_deref()))
            .await
    }

    async fn off_thread<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, AppError> {
        let permit = match self.running.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let _waiting = Waiting::enter(&self.waiting, self.max_waiting)?;
                let running = self.running.clone().acquire_owned().await;
                running.map_err(|e| AppError::internal("hashing a password", e))?
            }
        };
        let work = move || {
            let result = work();
            drop(permit);
            result
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|e| AppError::internal("hashing a password", e))
    }
}

/// A place in the queue; also given back when the caller goes away.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(waiting: &'a AtomicUsize, max: usize) -> Result<Self, AppError> {
        if waiting.fetch_add(1, Ordering::AcqRel) >= max {
            waiting.fetch_sub(1, Ordering::AcqRel);
            return Err(AppError::Busy { retry_after: 1 });
        }
        Ok(Self(waiting))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_finds_the_queue_full_is_told_so() {
        let cost = fb_auth::HashCost {
            memory_kib: 8,
            passes: 1,
        };
        let hashing = Hashing::new(Hasher::new(cost).unwrap(), 1);
        let cores = hashing.running.available_permits();
        let all = hashing.running.clone().acquire_many_owned(cores as u32).await.unwrap();
        let password = Secret::new("secret");
        {
            let first = hashing.hash(&password);
            tokio::pin!(first);
            assert!(futures_util::poll!(first.as_mut()).is_pending());
            let refused = hashing.hash(&password).await;
            assert!(matches!(refused, Err(AppError::Busy { .. })), "{refused:?}");
        }
        // The first one gave up, so there is room again.
        let second = hashing.hash(&password);
        tokio::pin!(second);
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        drop(all);
        second.await.unwrap();
        assert_eq!(hashing.waiting.load(Ordering::Acquire), 0);
    }
}
