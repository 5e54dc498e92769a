//! The tasks of an awake app: started when there is something to do, stopped when the app is closed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use fb_store::Write;
use fb_types::BucketName;
use serde_json::Value;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::cause::Note;
use super::follow::{Command, Counts, Follower, Report, State};
use super::records::{PENDING, Pending};
use super::signal::{Due, Signal};
use super::targets::Targets;
use crate::{App, AppError};

/// What an app does by itself.
pub(crate) struct Duties {
    pub(crate) signal: Arc<Signal>,
    due: OnceLock<Arc<Due>>,
    pub(super) counts: Arc<Counts>,
    /// Whether there is anybody who gets events, or anything to be done at a time.
    is_active: AtomicBool,
    /// Held while the task is started, asked or stopped, across its answer: hence an async lock.
    follower: Mutex<Option<Task>>,
}

struct Task {
    commands: mpsc::UnboundedSender<Command>,
    handle: JoinHandle<()>,
}

impl Duties {
    pub(crate) fn new(signal: Arc<Signal>) -> Self {
        Self {
            signal,
            due: OnceLock::new(),
            counts: Arc::default(),
            is_active: AtomicBool::new(false),
            follower: Mutex::new(None),
        }
    }

    pub(crate) fn due(&self) -> &Arc<Due> {
        self.due.get_or_init(Arc::default)
    }

    /// The clock says that something may be due.
    pub(crate) fn look(&self) {
        self.signal.feed.notify_one();
        self.signal.jobs.notify_one();
    }

    /// Sends a command if the task runs.
    pub(super) async fn tell(&self, command: Command) {
        if let Some(task) = &*self.follower.lock().await {
            let _ = task.commands.send(command);
        }
    }

    pub(super) async fn report(&self) -> Option<Report> {
        let (to, answer) = oneshot::channel();
        self.tell(Command::Report(to)).await;
        answer.await.ok()
    }

    async fn stop(&self) {
        let Some(task) = self.follower.lock().await.take() else {
            return;
        };
        let (done, stopped) = oneshot::channel();
        if task.commands.send(Command::Stop(done)).is_ok() {
            let _ = stopped.await;
        }
        let _ = task.handle.await;
        if self.signal.is_behind() {
            self.due().events.store(0, Ordering::Release);
        }
    }
}

impl App {
    /// Takes up what is left to do, when the app has woken up. `due` outlives its sleep.
    pub(crate) async fn begin_duties(self: &Arc<Self>, due: &Arc<Due>) -> Result<(), AppError> {
        let _ = self.duties().due.set(due.clone());
        let has_targets = !self.targets().is_empty();
        self.duties().is_active.store(has_targets, Ordering::Release);
        if has_targets || !self.store().records(PENDING, None, 1).await?.is_empty() {
            self.start_follower(&mut *self.duties().follower.lock().await);
        }
        Ok(())
    }

    fn targets(&self) -> Targets {
        Targets::of(&self.code().sources.load(), &self.settings())
    }

    /// True if the app has to be woken after a crash to see what is left to do.
    pub(crate) fn has_duties(&self) -> bool {
        let duties = self.duties();
        duties.is_active.load(Ordering::Acquire) || duties.due().earliest() != super::NEVER
    }

    fn start_follower(self: &Arc<Self>, place: &mut Option<Task>) {
        let (commands, receiver) = mpsc::unbounded_channel();
        let duties = self.duties();
        let follower = Follower {
            app: Arc::downgrade(self),
            store: self.store_handle(),
            clock: self.shared().clock.clone(),
            signal: duties.signal.clone(),
            due: duties.due().clone(),
            counts: duties.counts.clone(),
            commands: receiver,
            state: State::default(),
        };
        let handle = tokio::spawn(follower.run());
        *place = Some(Task { commands, handle });
    }

    /// Takes over who gets events, after code or settings were changed. When it returns, new receivers get the events of
    /// all changes that follow.
    pub(crate) async fn refresh_duties(&self) {
        let Some(app) = self.handle() else { return };
        let duties = self.duties();
        let mut place = duties.follower.lock().await;
        let has_targets = !self.targets().is_empty();
        duties.is_active.store(has_targets, Ordering::Release);
        if place.is_none() {
            if !has_targets {
                return;
            }
            app.start_follower(&mut place);
        }
        let Some(task) = &*place else { return };
        let (done, refreshed) = oneshot::channel();
        if task.commands.send(Command::Refresh(done)).is_ok() {
            let _ = refreshed.await;
        }
    }

    /// Hands over events that were written down to be tried again.
    pub(super) async fn resume_events(&self, all: Vec<Pending>) {
        let Some(app) = self.handle() else { return };
        let mut place = self.duties().follower.lock().await;
        match &*place {
            Some(task) => drop(task.commands.send(Command::Take(all))),
            // It reads what is written down.
            None => app.start_follower(&mut place),
        }
    }

    /// The note on an upload, if somebody is told of it.
    pub(crate) fn note_on_upload(&self, bucket: &BucketName, file: Value) -> Option<Write> {
        let is_wanted = self.duties().signal.wants_uploads(bucket.as_str());
        is_wanted.then(|| Note::now(Some(file)).write())
    }

    pub(crate) async fn end_duties(&self) {
        self.duties().stop().await;
    }
}
