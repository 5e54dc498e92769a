//! The task that follows an app's change feed.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use fb_store::{Store, note_key};
use fb_types::{Clock, Seq};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::NEVER;
use super::deliver::{Attempt, attempt};
use super::lanes::{Entry, Lanes};
use super::letters::Letters;
use super::records::{Cursor, DEAD, PAGE, PENDING, Pending, commit, load_cursor, put_cursor, read};
use super::signal::{Due, Signal};
use super::targets::Targets;
use crate::{App, AppError};

/// The pause after the server itself failed, in milliseconds.
pub(super) const REST: i64 = 1_000;

/// What became of events, since the app woke up.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) delivered: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) given_up: AtomicU64,
    /// Changes that were removed from the feed before they were read, and dead letters that made room for newer ones.
    pub(super) lost: AtomicU64,
}

/// What a task is asked from outside.
pub(super) enum Command {
    /// Receivers were added or removed.
    Refresh(oneshot::Sender<()>),
    /// These were written down to be tried again, by somebody else.
    Take(Vec<Pending>),
    /// These dead letters were removed.
    Removed(Vec<String>),
    Report(oneshot::Sender<Report>),
    Stop(oneshot::Sender<()>),
}

/// How far the task is.
#[derive(Debug, Clone)]
pub(super) struct Report {
    pub(super) cursor: u64,
    pub(super) read: u64,
    pub(super) targets: Vec<String>,
    pub(super) pending: usize,
    pub(super) running: usize,
    pub(super) dead: usize,
}

pub(super) struct Follower {
    pub(super) app: Weak<App>,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) signal: Arc<Signal>,
    pub(super) due: Arc<Due>,
    pub(super) counts: Arc<Counts>,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) state: State,
}

/// What a task knows.
#[derive(Default)]
pub(super) struct State {
    /// Whether what is written down was read.
    is_loaded: bool,
    /// Receivers have to be taken over, and those that are new get what came behind this change.
    refresh_from: Option<u64>,
    pub(super) targets: Targets,
    /// As it is written down.
    pub(super) cursor: Cursor,
    /// How far the feed was read for each receiver.
    pub(super) at: BTreeMap<Arc<str>, u64>,
    /// Whether those that are ahead are read for next, or those that are behind.
    pub(super) is_turn_of_first: bool,
    pub(super) lanes: Lanes,
    pub(super) running: JoinSet<Attempt>,
    /// Whether there may be notes on changes that the cursor has passed.
    pub(super) has_notes: bool,
    /// Events behind the cursor that were written down before the app was closed.
    pub(super) settled: HashSet<String>,
    pub(super) letters: Letters,
}

impl Follower {
    pub(super) async fn run(mut self) {
        loop {
            let stepped = self.step().await;
            let due = match &stepped {
                Ok(_) => self.state.lanes.next_due().unwrap_or(NEVER),
                Err(error) => {
                    tracing::warn!(error = %error, "events have to wait");
                    self.clock.now().millis() + REST
                }
            };
            self.due.events.store(due, Ordering::Release);
            if stepped.is_ok_and(|has_more| has_more) {
                // A long backlog keeps nobody waiting who asks, nor what has ended.
                while let Ok(command) = self.commands.try_recv() {
                    if self.obey(command).await {
                        return;
                    }
                }
                while let Some(Ok(attempt)) = self.state.running.try_join_next() {
                    self.settle(attempt).await;
                }
                tokio::task::yield_now().await;
                continue;
            }
            tokio::select! {
                command = self.commands.recv() => {
                    let Some(command) = command else { return };
                    if self.obey(command).await {
                        return;
                    }
                }
                Some(ended) = self.state.running.join_next(), if !self.state.running.is_empty() => {
                    if let Ok(attempt) = ended {
                        self.settle(attempt).await;
                    }
                }
                () = self.signal.feed.notified() => {}
            }
        }
    }

    /// True if that was all.
    async fn obey(&mut self, command: Command) -> bool {
        match command {
            Command::Refresh(done) => {
                self.state.refresh_from.get_or_insert(self.signal.newest());
                if self.state.is_loaded
                    && let Err(error) = self.refresh().await
                {
                    tracing::warn!(error = %error, "receivers of events cannot be written down yet");
                }
                let _ = done.send(());
            }
            // What is not loaded yet will be, these among it.
            Command::Take(all) if self.state.is_loaded => all.iter().for_each(|pending| self.take(pending)),
            Command::Take(_) => {}
            Command::Removed(ids) => ids.iter().for_each(|id| self.state.letters.remove(id)),
            Command::Report(to) => drop(to.send(self.report())),
            Command::Stop(done) => {
                self.state.running.shutdown().await;
                if self.state.lanes.n_open() > 0 || !self.state.is_loaded {
                    self.due.events.store(0, Ordering::Release);
                }
                if let Err(error) = self.save(true).await {
                    tracing::warn!(error = %error, "how far events were delivered could not be written down; some are delivered again");
                }
                let _ = done.send(());
                return true;
            }
        }
        false
    }

    fn report(&self) -> Report {
        Report {
            cursor: self.state.cursor.seq,
            read: self.state.at.values().min().copied().unwrap_or(u64::MAX),
            targets: self.state.targets.ids().iter().map(ToString::to_string).collect(),
            pending: self.state.lanes.n_written_down(),
            running: self.state.running.len(),
            dead: self.state.letters.len(),
        }
    }

    async fn load(&mut self) -> Result<(), AppError> {
        let mut state = State {
            cursor: load_cursor(&*self.store).await?.unwrap_or_default(),
            refresh_from: self.state.refresh_from,
            has_notes: true,
            ..State::default()
        };
        let mut all = Vec::new();
        for space in [PENDING, DEAD] {
            let mut after: Option<String> = None;
            loop {
                let page = self.store.records(space, after.as_deref(), PAGE).await?;
                let is_last = page.len() < PAGE;
                for (id, value) in &page {
                    if space == DEAD {
                        state.letters.insert(id.clone());
                    } else {
                        all.push(read::<Pending>(value)?);
                    }
                    if *id > note_key(Seq(state.cursor.seq + 1)) {
                        state.settled.insert(id.clone());
                    }
                }
                after = page.into_iter().next_back().map(|(id, _)| id);
                if is_last {
                    break;
                }
            }
        }
        self.state = state;
        self.state.is_loaded = true;
        all.iter().for_each(|pending| self.take(pending));
        self.state.refresh_from.get_or_insert(self.signal.newest());
        Ok(())
    }

    fn take(&mut self, pending: &Pending) {
        let key = (pending.target.as_str().into(), pending.subject.as_str().into());
        if self.state.lanes.has(&key, pending.seq) {
            return;
        }
        let entry = Entry {
            seq: pending.seq,
            due: pending.due,
            failures: pending.failures,
            event: None,
        };
        self.state.lanes.add(key, entry);
    }

    /// Takes over who gets events. Who is new gets those of later changes only. If this fails, the next step tries again.
    async fn refresh(&mut self) -> Result<(), AppError> {
        let Some(app) = self.app.upgrade() else { return Ok(()) };
        let targets = Targets::of(&app.code().sources.load(), &app.settings());
        drop(app);
        let ids = targets.ids();
        self.signal.want(targets.places());
        // The app may have been opened a moment ago, and nothing written since.
        let newest = match self.state.refresh_from {
            Some(seq) if seq > 0 => seq,
            _ => self.store.stats().await?.last_seq.0,
        };
        let mut cursor = self.state.cursor.clone();
        if cursor.since.is_empty() {
            // Nobody was interested in what is behind the cursor.
            cursor.seq = cursor.seq.max(newest);
        }
        cursor.since.retain(|id, _| ids.contains(id.as_str()));
        for id in &ids {
            cursor.since.entry(id.to_string()).or_insert(newest);
        }
        let state = &mut self.state;
        state.at.retain(|id, _| ids.contains(id));
        for id in &ids {
            state.at.entry(id.clone()).or_insert_with(|| cursor.of(id));
        }
        state.lanes.retain(|id| ids.contains(id));
        state.targets = targets;
        if cursor != state.cursor {
            state.refresh_from = Some(newest);
            commit(&*self.store, vec![put_cursor(&cursor)?]).await?;
            state.cursor = cursor;
            state.has_notes = true;
        }
        state.refresh_from = None;
        self.tell_read();
        Ok(())
    }

    /// Reads and starts some of what there is. True if there may be more.
    async fn step(&mut self) -> Result<bool, AppError> {
        if !self.state.is_loaded {
            self.load().await?;
        }
        if self.state.refresh_from.is_some() {
            self.refresh().await?;
        }
        self.start();
        let has_more = self.read_some().await?;
        self.start();
        self.save(false).await?;
        Ok(has_more)
    }

    fn start(&mut self) {
        let Some(app) = self.app.upgrade() else { return };
        let now = self.clock.now().millis();
        while let Some((key, entry)) = self.state.lanes.start(now) {
            self.state.running.spawn(attempt(app.clone(), key, entry));
        }
    }
}
