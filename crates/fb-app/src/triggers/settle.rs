//! What becomes of an event after a delivery.

use std::sync::atomic::Ordering;

use fb_store::Write;
use fb_types::Timestamp;
use serde_json::json;

use super::deliver::{Attempt, Delivered};
use super::event::Event;
use super::feed::pending;
use super::follow::{Follower, REST};
use super::lanes::{Entry, LaneKey};
use super::records::{Dead, commit, drop_dead, entry_id, put_dead, put_pending, remove_pending};
use super::{PATIENCE, due_after};
use crate::AppError;
use crate::app_log::Level;

impl Follower {
    pub(super) async fn settle(&mut self, attempt: Attempt) {
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
        let now = self.clock.now();
        let (error, is_final) = match outcome {
            Delivered::Done | Delivered::Gone => {
                if is_written_down {
                    commit(&*self.store, remove_pending(&id).into()).await?;
                }
                if matches!(outcome, Delivered::Done) {
                    self.counts.delivered.fetch_add(1, Ordering::Relaxed);
                    self.state.lanes.succeeded(&key);
                }
                self.state.lanes.finish(&key);
                return Ok(());
            }
            Delivered::Later => {
                let due = now.millis() + REST;
                self.state.lanes.again(&key, due, entry.failures);
                return Ok(());
            }
            Delivered::Failed(error) => (error, false),
            Delivered::GivenUp(error) => (error, true),
        };
        self.counts.failed.fetch_add(1, Ordering::Relaxed);
        self.state.lanes.failed(&key, now.millis());
        entry.failures += 1;
        let is_final = is_final || event.as_ref().is_some_and(|event| self.is_hopeless(&key, event, now));
        let due = due_after(now, entry.failures).filter(|_| !is_final);
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

    /// True if the receiver has had as long for this event as for any other, and did nothing but fail, be it for others than
    /// this one: each event of a long queue would else need all its own attempts.
    fn is_hopeless(&self, key: &LaneKey, event: &Event, now: Timestamp) -> bool {
        let committed = event.date.parse().map_or(now, |date: Timestamp| date);
        let failing = self.state.lanes.failing_since(key);
        failing.is_some_and(|since| now.millis() - since.max(committed.millis()) >= PATIENCE)
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
        let superfluous = self.state.letters.superfluous().map(str::to_owned);
        writes.extend(superfluous.iter().flat_map(|id| drop_dead(id)));
        commit(&*self.store, writes).await?;
        self.state.letters.insert(id.clone());
        self.counts.given_up.fetch_add(1, Ordering::Relaxed);
        if let Some(app) = self.app.upgrade() {
            let text = format!(
                "gave up an event for {} after {} attempts: {}",
                dead.target, dead.attempts, dead.error
            );
            let data = json!({ "deadLetter": id, "object": dead.subject, "operation": dead.operation });
            app.log_line(Level::Error, &text, data, None);
        }
        if let Some(dropped) = superfluous {
            self.state.letters.remove(&dropped);
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
            if let Some(app) = self.app.upgrade() {
                let text = "there are too many dead letters; the oldest of the receiver with the most was dropped";
                app.log_line(Level::Error, text, json!({ "deadLetter": dropped }), None);
            }
        }
        Ok(())
    }
}
