//! The tasks of an awake app: started when there is something to do, stopped when the app is closed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use fb_store::Write;
use fb_types::{BucketName, Schema};
use serde_json::Value;
use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::cause::Note;
use super::follow::{Command, Counts, Follower, Report, State};
use super::records::{PENDING, Pending};
use super::signal::{Due, Signal};
use super::targets::Targets;
use crate::functions::Sources;
use crate::{App, AppError, Settings};

/// What an app does by itself.
pub(crate) struct Duties {
    pub(crate) signal: Arc<Signal>,
    due: OnceLock<Arc<Due>>,
    pub(super) counts: Arc<Counts>,
    /// Whether there is anybody who gets events, or anything to be done at a time.
    is_active: AtomicBool,
    /// What was last looked at for those who get events. Each of these is replaced as a whole when it changes.
    seen: ArcSwapOption<Seen>,
    /// Held while the task is started, asked or stopped, across its answer: hence an async lock.
    follower: Mutex<Option<Task>>,
    jobs: Mutex<Option<JobTask>>,
}

/// What says who gets events, and which code there may be.
struct Seen {
    sources: Arc<Sources>,
    settings: Arc<Settings>,
    schema: Arc<Schema>,
}

struct JobTask {
    stop: Arc<Notify>,
    handle: JoinHandle<()>,
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
            seen: ArcSwapOption::empty(),
            follower: Mutex::new(None),
            jobs: Mutex::new(None),
        }
    }

    pub(crate) fn due(&self) -> &Arc<Due> {
        self.due.get_or_init(Arc::default)
    }

    /// True if definitions of jobs were written that nobody has looked at.
    pub(crate) fn has_new_jobs(&self) -> bool {
        self.signal.jobs_changed.load(Ordering::Acquire)
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
        if let Some(task) = self.jobs.lock().await.take() {
            task.stop.notify_one();
            let _ = task.handle.await;
        }
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
        self.duties().seen.store(Some(Arc::new(self.see())));
        let targets = self.targets();
        let has_targets = !targets.is_empty();
        self.duties().is_active.store(has_targets, Ordering::Release);
        // Not when the task has read what is written down: uploads that come before that are events as well.
        self.duties().signal.want(targets.places());
        if has_targets || !self.store().records(PENDING, None, 1).await?.is_empty() {
            self.start_follower(&mut *self.duties().follower.lock().await);
        }
        if self.has_jobs().await? {
            self.start_jobs().await;
        } else {
            due.jobs.store(super::NEVER, Ordering::Release);
        }
        if !has_targets && self.duties().follower.lock().await.is_none() {
            due.events.store(super::NEVER, Ordering::Release);
        }
        Ok(())
    }

    /// Starts the task of the jobs unless it runs.
    pub(crate) async fn start_jobs(self: &Arc<Self>) {
        let mut place = self.duties().jobs.lock().await;
        if place.is_none() {
            let stop = Arc::new(Notify::new());
            let handle = tokio::spawn(Self::keep_jobs(Arc::downgrade(self), stop.clone()));
            *place = Some(JobTask { stop, handle });
        }
    }

    fn see(&self) -> Seen {
        Seen {
            sources: self.code().sources.load_full(),
            settings: self.settings(),
            schema: self.schema(),
        }
    }

    /// Completes what a client cut off by hanging up after its change was committed: code, settings or schema say something
    /// else than the tasks know. Three comparisons if not.
    pub(crate) fn catch_up(self: &Arc<Self>) {
        let now = self.see();
        let Some(seen) = self.duties().seen.load_full() else {
            return;
        };
        let is_other_schema = !Arc::ptr_eq(&seen.schema, &now.schema);
        if !is_other_schema && Arc::ptr_eq(&seen.sources, &now.sources) && Arc::ptr_eq(&seen.settings, &now.settings) {
            return;
        }
        let app = self.clone();
        let has_orphans = is_other_schema && now.sources.has_orphans(&now.schema);
        self.duties().seen.store(Some(Arc::new(now)));
        tokio::spawn(async move {
            if has_orphans && let Err(error) = app.reload_code().await {
                tracing::warn!(app = %app.id(), error = %error, "code of a class that was removed cannot be given up yet");
                app.duties().seen.store(Some(seen));
                return;
            }
            app.refresh_duties().await;
        });
    }

    pub(super) fn targets(&self) -> Targets {
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
        duties.seen.store(Some(Arc::new(self.see())));
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
