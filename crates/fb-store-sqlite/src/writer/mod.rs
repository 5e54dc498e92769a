//! The one writer of an app: a thread that takes what waits, commits it together, and acknowledges.

mod commit;
mod files;
mod queue;
mod session;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use fb_store::{Alteration, Batch, IndexDef, Outcome, StoreError};
use fb_types::ClassName;
use tokio::sync::oneshot;

use crate::error::closed;
use crate::store::Shared;
pub(crate) use commit::duplicate;
use queue::{Queue, Taken};
pub(crate) use session::Session;

/// Where an answer goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer is asked to do.
pub(crate) enum Job {
    Commit(Batch, Reply<Vec<Outcome>>),
    Reserve(ClassName, Reply<u64>),
    Alter(Alteration, Reply<()>),
    SetIndexes(ClassName, Vec<IndexDef>, Reply<()>),
}

/// How long the thread and its connection stay when there is nothing to write.
const IDLE: Duration = Duration::from_secs(30);

/// Without writes for so long, and with so many reads since the last time, the log is copied to the file: reads have to look at whatever is in
/// the log first, and at the file without it they look in memory.
const QUIET: Duration = Duration::from_millis(250);
const READS: u64 = 1_000;

/// The queue of an app and the thread that empties it. The thread starts with a write and ends when idle.
pub(crate) struct Writer {
    queue: Arc<Queue>,
    /// The latest thread. Locked to start one and to see it end.
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(crate) fn new(max_waiting: usize) -> Self {
        Self {
            queue: Arc::new(Queue::new(max_waiting)),
            thread: Mutex::default(),
        }
    }

    /// Writes that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// Hands a job to the writer and waits for the answer.
    pub(crate) async fn ask<T>(
        &self,
        shared: &Arc<Shared>,
        job: impl FnOnce(Reply<T>) -> Job,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        if self.queue.push(job(reply))? {
            self.start(shared)?;
        }
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    fn start(&self, shared: &Arc<Shared>) -> Result<(), StoreError> {
        let queue = self.queue.clone();
        let shared = shared.clone();
        let thread = std::thread::Builder::new().name("fb-writer".to_owned());
        let started = thread.spawn(move || {
            // A panic of the writer must not leave callers waiting for ever.
            let mut guard = Abandon(Some(queue.clone()));
            run(&shared, &queue);
            guard.0 = None;
        });
        match started {
            Ok(thread) => {
                *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
                Ok(())
            }
            Err(error) => {
                self.queue.abandon();
                Err(StoreError::Unavailable {
                    source: Box::new(error),
                })
            }
        }
    }

    /// Finishes what waits and ends the thread. Later jobs are refused.
    pub(crate) async fn close(&self) {
        self.queue.close();
        self.queue.retired().await;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // It has said that it is about to end, so this takes microseconds. If it panicked, that was logged.
        let _ = thread.map(JoinHandle::join);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
    }
}

struct Abandon(Option<Arc<Queue>>);

impl Drop for Abandon {
    fn drop(&mut self) {
        if let Some(queue) = &self.0 {
            tracing::error!("the writer of an app ended unexpectedly");
            queue.abandon();
        }
    }
}

fn run(shared: &Arc<Shared>, queue: &Queue) {
    let mut session: Option<Session> = None;
    let mut is_log_new = false;
    let mut n_reads = shared.readers.n_reads();
    loop {
        match queue.take(if is_log_new { QUIET } else { IDLE }) {
            Taken::Jobs(jobs) => {
                is_log_new = true;
                for group in jobs {
                    handle(shared, &mut session, group);
                }
                if let Some(session) = session.as_mut() {
                    session.tidy(queue.waiting() == 0);
                }
            }
            Taken::Idle if is_log_new => {
                is_log_new = false;
                let n_reads_now = shared.readers.n_reads();
                if n_reads_now - n_reads >= READS
                    && let Some(session) = &session
                {
                    session.copy_log();
                    n_reads = n_reads_now;
                }
            }
            Taken::Idle | Taken::Closed => {
                if let Some(session) = session.take() {
                    session.finish();
                }
                if queue.try_retire() {
                    return;
                }
            }
        }
    }
}

/// Jobs that are done in one transaction.
enum Group {
    Commits(Vec<(Batch, Reply<Vec<Outcome>>)>),
    Single(Job),
}

fn handle(shared: &Arc<Shared>, slot: &mut Option<Session>, group: Group) {
    // After a failure that leaves the connection in doubt the session is gone, and the next job opens a new one.
    let mut session = match slot.take().map_or_else(|| Session::open(shared.clone()), Ok) {
        Ok(session) => session,
        Err(error) => return refuse(group, &error.to_string()),
    };
    let sound = match group {
        Group::Commits(jobs) => session.commit(jobs),
        Group::Single(Job::Reserve(class, reply)) => session.answer(reply, |s| s.reserve(&class)),
        Group::Single(Job::Alter(alteration, reply)) => session.answer(reply, |s| s.alter(&alteration)),
        Group::Single(Job::SetIndexes(class, indexes, reply)) => {
            session.answer(reply, |s| s.set_indexes(&class, &indexes))
        }
        Group::Single(Job::Commit(batch, reply)) => session.commit(vec![(batch, reply)]),
    };
    if sound {
        *slot = Some(session);
    }
}

fn refuse(group: Group, why: &str) {
    fn no<T>(reply: Reply<T>, why: &str) {
        // The caller may have gone away; nobody else needs the answer.
        let _ = reply.send(Err(StoreError::Unavailable { source: why.into() }));
    }
    match group {
        Group::Commits(jobs) => jobs.into_iter().for_each(|(_, reply)| no(reply, why)),
        Group::Single(Job::Commit(_, reply)) => no(reply, why),
        Group::Single(Job::Reserve(_, reply)) => no(reply, why),
        Group::Single(Job::Alter(_, reply) | Job::SetIndexes(_, _, reply)) => no(reply, why),
    }
}
