//! The bounded queue before the writer.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fb_store::StoreError;
use tokio::sync::Notify;

use super::{Group, Job};
use crate::error::closed;

/// When to try again if the queue is full: about the time the writer needs for a good part of it.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Jobs that wait, and whether somebody takes them. The lock is held for pushing and popping only.
pub(super) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
    retired: Notify,
    max_waiting: usize,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    is_closed: bool,
    /// True while a thread takes jobs.
    is_served: bool,
    is_thread_waiting: bool,
}

/// What [`Queue::take`] found.
pub(super) enum Taken {
    Jobs(Vec<Group>),
    /// Nothing for a while.
    Idle,
    /// Closed and empty.
    Closed,
}

impl Queue {
    pub(super) fn new(max_waiting: usize) -> Self {
        Self {
            state: Mutex::default(),
            arrived: Condvar::new(),
            retired: Notify::new(),
            max_waiting,
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.lock().jobs.len()
    }

    /// Adds a job. True if the caller has to start a thread, which counts as serving from now on.
    pub(super) fn push(&self, job: Job) -> Result<bool, StoreError> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(closed());
        }
        if state.jobs.len() >= self.max_waiting {
            return Err(StoreError::Overloaded {
                retry_after: RETRY_AFTER,
            });
        }
        state.jobs.push_back(job);
        let start = !state.is_served;
        state.is_served = true;
        let wake = state.is_thread_waiting;
        drop(state);
        if wake {
            self.arrived.notify_one();
        }
        Ok(start)
    }

    /// Takes everything that waits, neighbouring commits together. Waits at most `idle` for the first job.
    pub(super) fn take(&self, idle: Duration) -> Taken {
        let until = Instant::now() + idle;
        let mut state = self.lock();
        while state.jobs.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if state.is_closed {
                return Taken::Closed;
            }
            if left.is_zero() {
                return Taken::Idle;
            }
            state.is_thread_waiting = true;
            state = self
                .arrived
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            state.is_thread_waiting = false;
        }
        let jobs = std::mem::take(&mut state.jobs);
        drop(state);
        let mut groups: Vec<Group> = Vec::new();
        for job in jobs {
            match (job, groups.last_mut()) {
                (Job::Commit(batch, reply), Some(Group::Commits(commits))) => commits.push((batch, reply)),
                (Job::Commit(batch, reply), _) => groups.push(Group::Commits(vec![(batch, reply)])),
                (other, _) => groups.push(Group::Single(other)),
            }
        }
        Taken::Jobs(groups)
    }

    /// No more jobs; those that wait are still done.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.arrived.notify_all();
    }

    /// Ends the service if nothing has come in meanwhile.
    pub(super) fn try_retire(&self) -> bool {
        let mut state = self.lock();
        if !state.jobs.is_empty() {
            return false;
        }
        state.is_served = false;
        drop(state);
        self.retired.notify_waiters();
        true
    }

    /// The thread is gone although jobs may be left; dropping them tells their callers.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        let left = std::mem::take(&mut state.jobs);
        state.is_served = false;
        drop(state);
        drop(left);
        self.retired.notify_waiters();
    }

    /// Waits until no thread serves the queue.
    pub(super) async fn retired(&self) {
        loop {
            let retired = self.retired.notified();
            if !self.lock().is_served {
                return;
            }
            retired.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
