//! The task that follows an app's change feed.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use fb_store::{NOTES, Store, Write, note_key};
use fb_types::{Change, Clock, Seq};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::cause::Note;
use super::deliver::{Attempt, Delivered, attempt};
use super::event::{Event, subject_id};
use super::lanes::{Entry, LaneKey, Lanes};
use super::records::{
    Cursor, DEAD, Dead, PAGE, PENDING, Pending, commit, entry_id, load_cursor, put_cursor, put_dead, put_pending, read,
    remove_note, remove_pending,
};
use super::signal::{Due, Signal};
use super::targets::{EventKind, Targets};
use super::{AT_ONCE, NEVER, due_after};
use crate::app_log::Level;
use crate::{App, AppError};

/// Changes that are read at once.
const CHANGES: usize = 64;

/// Events that may hold back the cursor; no more is read until there are fewer.
const OPEN: usize = 128;

/// Events that may be written down to be tried again; no more is read until there are fewer.
const WRITTEN_DOWN: usize = 10_000;

/// Most dead letters; the oldest go.
const MAX_DEAD: usize = 10_000;

/// The cursor is written when everything is done, and after so many changes.
const STRIDE: u64 = 64;

/// The pause after the server itself failed, in milliseconds.
const REST: i64 = 1_000;

/// What became of events, since the app woke up.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) delivered: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) given_up: AtomicU64,
    /// Changes that were removed from the feed before they were read.
    pub(super) lost: AtomicU64,
}

/// What a task is asked from outside.
pub(super) enum Command {
    /// Receivers were added or removed.
    Refresh(oneshot::Sender<()>),
    /// These were written down to be tried again, by somebody else.
    Take(Vec<Pending>),
    /// So many dead letters were removed.
    Removed(usize),
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
    targets: Targets,
    cursor: Cursor,
    read: u64,
    lanes: Lanes,
    running: JoinSet<Attempt>,
    /// Notes that go when the cursor has passed them.
    notes: Vec<u64>,
    /// Events behind the cursor that were written down before the app was closed.
    settled: HashSet<String>,
    n_dead: usize,
}

impl Follower {
    pub(super) async fn run(mut self) {
        if let Err(error) = self.load().await {
            tracing::error!(error = %error, "what is written down of events cannot be read; triggers and webhooks rest until the app is opened again");
            return;
        }
        loop {
            let stepped = self.step().await;
            let due = match &stepped {
                Ok(()) => self.state.lanes.next_due().unwrap_or(NEVER),
                Err(error) => {
                    tracing::warn!(error = %error, "events have to wait");
                    self.clock.now().millis() + REST
                }
            };
            let is_full = self.state.running.len() >= AT_ONCE;
            self.due
                .events
                .store(if is_full { NEVER } else { due }, Ordering::Release);
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(Command::Refresh(done)) => {
                        if let Err(error) = self.refresh().await {
                            tracing::warn!(error = %error, "receivers of events could not be written down");
                        }
                        let _ = done.send(());
                    }
                    Some(Command::Take(all)) => all.iter().for_each(|pending| self.take(pending)),
                    Some(Command::Removed(n)) => self.state.n_dead = self.state.n_dead.saturating_sub(n),
                    Some(Command::Report(to)) => drop(to.send(self.report())),
                    Some(Command::Stop(done)) => {
                        self.state.running.shutdown().await;
                        if self.state.lanes.n_open() > 0 {
                            self.due.events.store(0, Ordering::Release);
                        }
                        let _ = self.save(true).await;
                        let _ = done.send(());
                        return;
                    }
                    None => return,
                },
                Some(ended) = self.state.running.join_next(), if !self.state.running.is_empty() => {
                    if let Ok(attempt) = ended {
                        self.settle(attempt).await;
                    }
                }
                () = self.signal.feed.notified() => {}
            }
        }
    }

    fn report(&self) -> Report {
        Report {
            cursor: self.state.cursor.seq,
            read: self.state.read,
            targets: self.state.targets.ids().iter().map(ToString::to_string).collect(),
            pending: self.state.lanes.n_written_down(),
            running: self.state.running.len(),
            dead: self.state.n_dead,
        }
    }

    async fn load(&mut self) -> Result<(), AppError> {
        self.state.cursor = load_cursor(&*self.store).await?.unwrap_or_default();
        self.state.read = self.state.cursor.seq;
        for space in [PENDING, DEAD] {
            let mut after: Option<String> = None;
            loop {
                let page = self.store.records(space, after.as_deref(), PAGE).await?;
                let is_last = page.len() < PAGE;
                for (id, value) in &page {
                    if space == DEAD {
                        self.state.n_dead += 1;
                    } else {
                        self.take(&read(value)?);
                    }
                    if *id > note_key(Seq(self.state.cursor.seq + 1)) {
                        self.state.settled.insert(id.clone());
                    }
                }
                after = page.into_iter().next_back().map(|(id, _)| id);
                if is_last {
                    break;
                }
            }
        }
        self.refresh().await
    }

    fn take(&mut self, pending: &Pending) {
        let key = (pending.target.as_str().into(), pending.subject.as_str().into());
        let entry = Entry {
            seq: pending.seq,
            due: pending.due,
            failures: pending.failures,
            event: None,
        };
        self.state.lanes.add(key, entry);
    }

    /// Takes over who gets events. Who is new gets those of later changes only.
    async fn refresh(&mut self) -> Result<(), AppError> {
        let Some(app) = self.app.upgrade() else { return Ok(()) };
        let targets = Targets::of(&app.code().sources.load(), &app.settings());
        drop(app);
        let ids = targets.ids();
        self.signal.want(targets.places());
        let newest = self.store.stats().await?.last_seq.0;
        let mut cursor = self.state.cursor.clone();
        if cursor.since.is_empty() {
            // Nobody was interested in what is behind the cursor.
            cursor.seq = cursor.seq.max(newest);
        }
        cursor.since.retain(|id, _| ids.contains(id.as_str()));
        for id in ids {
            cursor.since.entry(id.to_string()).or_insert(newest);
        }
        if cursor != self.state.cursor {
            commit(&*self.store, vec![put_cursor(&cursor)?]).await?;
        }
        self.state.read = self.state.read.max(cursor.seq);
        self.state.cursor = cursor;
        self.state.targets = targets;
        self.signal.set_read(self.state.read);
        Ok(())
    }

    /// Reads and starts as much as possible.
    async fn step(&mut self) -> Result<(), AppError> {
        loop {
            self.start();
            let state = &self.state;
            let is_full = state.lanes.n_open() >= OPEN || state.lanes.n_written_down() >= WRITTEN_DOWN;
            if is_full || state.targets.is_empty() || !self.read_some().await? {
                break;
            }
        }
        self.start();
        self.save(false).await
    }

    fn start(&mut self) {
        let Some(app) = self.app.upgrade() else { return };
        let now = self.clock.now().millis();
        while self.state.running.len() < AT_ONCE {
            let Some((key, entry)) = self.state.lanes.start(now) else {
                return;
            };
            self.state.running.spawn(attempt(app.clone(), key, entry));
        }
    }

    /// Reads the next changes; false if there are none.
    async fn read_some(&mut self) -> Result<bool, AppError> {
        let from = self.state.read;
        let changes = self.store.changes_after(Seq(from), CHANGES).await?;
        let (Some(first), Some(last)) = (changes.first(), changes.last()) else {
            self.signal.set_read(from);
            return Ok(false);
        };
        let missing = first.seq.0.saturating_sub(from + 1);
        let last = last.seq.0;
        if missing > 0 {
            self.miss(missing);
        }
        let notes = self.store.records(NOTES, Some(&note_key(Seq(from))), CHANGES).await?;
        let mut notes = notes.into_iter().peekable();
        let mut seen = Vec::new();
        for change in &changes {
            let key = note_key(change.seq);
            while notes.next_if(|(found, _)| *found < key).is_some() {}
            let note = match notes.next_if(|(found, _)| *found == key) {
                Some((_, value)) => {
                    seen.push(change.seq.0);
                    Some(read::<Note>(&value)?)
                }
                None => None,
            };
            self.take_change(change, note).await?;
            // One after the other, so that a failure repeats none of them.
            self.state.read = change.seq.0;
        }
        self.state.notes.extend(seen);
        self.signal.set_read(last);
        Ok(true)
    }

    async fn take_change(&mut self, change: &Change, note: Option<Note>) -> Result<(), AppError> {
        let Some(kind) = EventKind::of(change, note.as_ref()) else {
            return Ok(());
        };
        let seq = change.seq.0;
        let mut wants = |target: &Arc<str>| {
            let is_later = self.state.cursor.since.get(&**target).is_none_or(|since| seq > *since);
            let is_new = !note
                .as_ref()
                .is_some_and(|note| note.chain.iter().any(|id| **id == **target));
            is_later && is_new && !self.state.settled.remove(&entry_id(seq, target))
        };
        let targets = self.state.targets.of_event(&change.subject, kind).to_vec();
        let targets: Vec<Arc<str>> = targets.into_iter().filter(&mut wants).collect();
        if targets.is_empty() {
            return Ok(());
        }
        let subject: Arc<str> = subject_id(&change.subject).into();
        let event = Arc::new(Event::of(change, kind, note));
        let mut writes = Vec::new();
        let mut entries = Vec::new();
        for target in targets {
            let key: LaneKey = (target, subject.clone());
            let is_blocked = self.state.lanes.is_blocked(&key);
            let entry = Entry {
                seq,
                due: 0,
                failures: 0,
                event: (!is_blocked).then(|| event.clone()),
            };
            if is_blocked {
                writes.extend(put_pending(&pending(&key, &entry), Some(&event))?);
            }
            entries.push((key, entry));
        }
        if !writes.is_empty() {
            commit(&*self.store, writes).await?;
        }
        for (key, entry) in entries {
            self.state.lanes.add(key, entry);
        }
        Ok(())
    }

    fn miss(&self, missing: u64) {
        self.counts.lost.fetch_add(missing, Ordering::Relaxed);
        tracing::error!(
            missing,
            "{missing} changes were removed before triggers and webhooks had read them"
        );
        if let Some(app) = self.app.upgrade() {
            let text =
                format!("{missing} changes were removed from the feed before triggers and webhooks had read them");
            app.log_line(Level::Error, &text, json!({ "missing": missing }), None);
        }
    }

    /// Writes the cursor if that is worth while.
    async fn save(&mut self, at_once: bool) -> Result<(), AppError> {
        let state = &mut self.state;
        let seq = match state.lanes.oldest_open() {
            Some(oldest) => oldest - 1,
            None => state.read,
        };
        let ahead = seq.saturating_sub(state.cursor.seq);
        let is_due = at_once || state.lanes.n_open() == 0 || ahead >= STRIDE;
        if ahead == 0 || !is_due || state.targets.is_empty() {
            return Ok(());
        }
        let cursor = Cursor {
            seq,
            ..state.cursor.clone()
        };
        let mut writes = vec![put_cursor(&cursor)?];
        let passed = state.notes.iter().filter(|note| **note <= seq);
        writes.extend(passed.map(|note| remove_note(*note)));
        commit(&*self.store, writes).await?;
        state.notes.retain(|note| *note > seq);
        state.cursor = cursor;
        Ok(())
    }

    async fn settle(&mut self, attempt: Attempt) {
        let (key, failures) = (attempt.key.clone(), attempt.entry.failures);
        if let Err(error) = self.try_settle(attempt).await {
            tracing::warn!(error = %error, "what became of an event could not be written down; it is delivered again");
            self.state.lanes.again(&key, self.clock.now().millis() + REST, failures);
        }
    }

    async fn try_settle(&mut self, attempt: Attempt) -> Result<(), AppError> {
        let Attempt {
            key,
            mut entry,
            event,
            outcome,
        } = attempt;
        let id = entry_id(entry.seq, &key.0);
        let is_written_down = entry.event.is_none();
        let (error, is_final) = match outcome {
            Delivered::Done | Delivered::Gone => {
                if is_written_down {
                    commit(&*self.store, remove_pending(&id).into()).await?;
                }
                self.state.lanes.finish(&key);
                if matches!(outcome, Delivered::Done) {
                    self.counts.delivered.fetch_add(1, Ordering::Relaxed);
                }
                return Ok(());
            }
            Delivered::Later => {
                let due = self.clock.now().millis() + REST;
                self.state.lanes.again(&key, due, entry.failures);
                return Ok(());
            }
            Delivered::Failed(error) => (error, false),
            Delivered::GivenUp(error) => (error, true),
        };
        self.counts.failed.fetch_add(1, Ordering::Relaxed);
        entry.failures += 1;
        let due = due_after(self.clock.now(), entry.failures).filter(|_| !is_final);
        match (due, event) {
            (Some(due), _) => {
                entry.due = due;
                self.write_down(&key, &entry).await?;
                self.state.lanes.wrote_down(&key);
                self.state.lanes.again(&key, due, entry.failures);
            }
            (None, Some(event)) => {
                self.give_up(&key, &entry, &event, error).await?;
                self.state.lanes.finish(&key);
            }
            (None, None) => self.state.lanes.finish(&key),
        }
        Ok(())
    }

    /// Writes down an entry that failed, and those that wait behind it.
    async fn write_down(&mut self, key: &LaneKey, failed: &Entry) -> Result<(), AppError> {
        let mut writes = put_pending(&pending(key, failed), failed.event.as_deref())?;
        for entry in self.state.lanes.open_of(key) {
            if entry.seq != failed.seq {
                writes.extend(put_pending(&pending(key, &entry), entry.event.as_deref())?);
            }
        }
        commit(&*self.store, writes).await
    }

    async fn give_up(&mut self, key: &LaneKey, entry: &Entry, event: &Event, error: String) -> Result<(), AppError> {
        let dead = Dead {
            target: key.0.to_string(),
            subject: event.id.clone(),
            operation: event.operation.as_str().to_owned(),
            seq: entry.seq,
            date: event.date.clone(),
            failed_at: self.clock.now().to_string(),
            attempts: entry.failures,
            error,
        };
        let id = entry_id(entry.seq, &key.0);
        let mut writes: Vec<Write> = remove_pending(&id).into();
        writes.extend(put_dead(&dead, event)?);
        if self.state.n_dead >= MAX_DEAD
            && let Some((oldest, _)) = self.store.records(DEAD, None, 1).await?.into_iter().next()
        {
            writes.extend(super::records::remove_dead(&oldest));
            self.state.n_dead -= 1;
        }
        commit(&*self.store, writes).await?;
        self.state.n_dead += 1;
        self.counts.given_up.fetch_add(1, Ordering::Relaxed);
        if let Some(app) = self.app.upgrade() {
            let text = format!(
                "gave up an event for {} after {} attempts: {}",
                dead.target, dead.attempts, dead.error
            );
            let data = json!({ "deadLetter": id, "object": dead.subject, "operation": dead.operation });
            app.log_line(Level::Error, &text, data, None);
        }
        Ok(())
    }
}

fn pending(key: &LaneKey, entry: &Entry) -> Pending {
    Pending {
        target: key.0.to_string(),
        subject: key.1.to_string(),
        seq: entry.seq,
        due: entry.due,
        failures: entry.failures,
    }
}
