//! What administrators see of events, and what they do about dead letters.

use std::sync::atomic::Ordering;

use fb_auth::{Principal, authorize_admin};
use fb_store::{Batch, Refusal, StoreError, Write};
use serde_json::{Value, json};

use super::NEVER;
use super::follow::Command;
use super::letters::target_of;
use super::records::{DEAD, Dead, PAGE, Pending, dead_event, put_pending, read, remove_dead};
use crate::audit::Action;
use crate::{App, AppError};

/// How far the delivery of events is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggerState {
    /// Receivers: `code.<bucket>.<type>` and `webhook.<name>`.
    pub receivers: Vec<String>,
    /// Every change up to here was delivered, or is written down to be tried again.
    pub cursor: u64,
    /// The newest change.
    pub newest: u64,
    /// Changes that were not looked at for the receiver that is farthest behind.
    pub lag: u64,
    /// Deliveries that run.
    pub running: usize,
    /// Events that wait to be tried again, or for one of the same object that does.
    pub pending: usize,
    /// When the next of them is due, in milliseconds since the epoch.
    pub next_due: Option<i64>,
    /// Events that were given up.
    pub dead: usize,
    /// Events that were delivered since the app woke up.
    pub delivered: u64,
    /// Attempts that failed since the app woke up.
    pub failed: u64,
    /// Events that were given up since the app woke up.
    pub given_up: u64,
    /// Changes that were removed from the feed before they were looked at, and dead letters that made room for newer ones,
    /// since the app woke up.
    pub lost: u64,
}

/// An event that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its id, in the order of the feed.
    pub id: String,
    /// Who was to get it.
    pub receiver: String,
    /// The object or file.
    pub subject: String,
    /// `insert`, `update`, `delete` or `upload`.
    pub operation: String,
    /// Position of the change in the feed.
    pub seq: u64,
    /// When the change was committed.
    pub date: String,
    /// When the event was given up.
    pub failed_at: String,
    /// How often it was delivered in vain.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub error: String,
}

/// A page of dead letters, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetters {
    /// The letters.
    pub letters: Vec<DeadLetter>,
    /// What to pass as `after` for the next page; `None` at the end.
    pub next: Option<String>,
}

impl DeadLetter {
    fn new(id: String, dead: Dead) -> Self {
        Self {
            id,
            receiver: dead.target,
            subject: dead.subject,
            operation: dead.operation,
            seq: dead.seq,
            date: dead.date,
            failed_at: dead.failed_at,
            attempts: dead.attempts,
            error: dead.error,
        }
    }
}

/// Replayed or deleted in one commit.
const STEP: usize = 50;

impl App {
    /// How far the delivery of events is.
    pub async fn trigger_state(&self, caller: &Principal) -> Result<TriggerState, AppError> {
        authorize_admin(caller, "look at triggers")?;
        let newest = self.store().stats().await?.last_seq.0;
        let (report, duties) = (self.duties().report().await, self.duties());
        let due = duties.due().earliest();
        let load = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
        let counts = &duties.counts;
        let dead = match &report {
            Some(report) => report.dead,
            None => self.all_dead().await?.len(),
        };
        Ok(TriggerState {
            cursor: report.as_ref().map_or(newest, |r| r.cursor),
            lag: report.as_ref().map_or(0, |r| newest.saturating_sub(r.read)),
            running: report.as_ref().map_or(0, |r| r.running),
            pending: report.as_ref().map_or(0, |r| r.pending),
            receivers: report.map(|r| r.targets).unwrap_or_default(),
            newest,
            next_due: (due != NEVER).then_some(due),
            dead,
            delivered: load(&counts.delivered),
            failed: load(&counts.failed),
            given_up: load(&counts.given_up),
            lost: load(&counts.lost),
        })
    }

    async fn all_dead(&self) -> Result<Vec<String>, AppError> {
        let mut ids: Vec<String> = Vec::new();
        loop {
            let page = self.store().records(DEAD, ids.last().map(String::as_str), PAGE).await?;
            let is_last = page.len() < PAGE;
            ids.extend(page.into_iter().map(|(id, _)| id));
            if is_last {
                return Ok(ids);
            }
        }
    }

    /// Dead letters behind `after`, at most `limit` of them and 200.
    pub async fn dead_letters(
        &self,
        caller: &Principal,
        after: Option<&str>,
        limit: usize,
    ) -> Result<DeadLetters, AppError> {
        authorize_admin(caller, "look at dead letters")?;
        let limit = limit.clamp(1, PAGE);
        let page = self.store().records(DEAD, after, limit).await?;
        let next = (page.len() == limit)
            .then(|| page.last().map(|(id, _)| id.clone()))
            .flatten();
        let letters = page
            .into_iter()
            .map(|(id, value)| Ok(DeadLetter::new(id, read(&value)?)));
        Ok(DeadLetters {
            letters: letters.collect::<Result<_, AppError>>()?,
            next,
        })
    }

    /// One dead letter with its event.
    pub async fn dead_letter(&self, caller: &Principal, id: &str) -> Result<(DeadLetter, Value), AppError> {
        authorize_admin(caller, "look at dead letters")?;
        let dead = self.store().record(DEAD, id).await?.ok_or_else(|| no_letter(id))?;
        let event = dead_event(self.store(), id).await?.ok_or_else(|| no_letter(id))?;
        Ok((
            DeadLetter::new(id.to_owned(), read(&dead)?),
            Value::Object(event.told()),
        ))
    }

    /// Delivers a dead letter anew, as if it had never failed.
    pub async fn replay_dead_letter(&self, caller: &Principal, id: &str) -> Result<(), AppError> {
        authorize_admin(caller, "replay dead letters")?;
        if self.store().record(DEAD, id).await?.is_some() && !self.has_receiver(id) {
            return Err(AppError::Invalid(
                "the receiver of this event is gone or not active; set it up before you replay the event".into(),
            ));
        }
        self.replay(caller, &[id.to_owned()]).await
    }

    /// True if there is somebody to get the event of this dead letter.
    fn has_receiver(&self, id: &str) -> bool {
        self.targets().ids().contains(target_of(id))
    }

    /// Delivers all dead letters anew whose receivers are there and active; how many these were.
    pub async fn replay_dead_letters(&self, caller: &Principal) -> Result<usize, AppError> {
        authorize_admin(caller, "replay dead letters")?;
        let targets = self.targets().ids();
        let mut ids = self.all_dead().await?;
        ids.retain(|id| targets.contains(target_of(id)));
        for step in ids.chunks(STEP) {
            self.replay(caller, step).await?;
        }
        Ok(ids.len())
    }

    /// Deletes a dead letter.
    pub async fn delete_dead_letter(&self, caller: &Principal, id: &str) -> Result<(), AppError> {
        authorize_admin(caller, "delete dead letters")?;
        self.bury(caller, &[id.to_owned()]).await
    }

    /// Deletes all dead letters; how many there were.
    pub async fn delete_dead_letters(&self, caller: &Principal) -> Result<usize, AppError> {
        authorize_admin(caller, "delete dead letters")?;
        let ids = self.all_dead().await?;
        for step in ids.chunks(STEP) {
            self.bury(caller, step).await?;
        }
        Ok(ids.len())
    }

    async fn replay(&self, caller: &Principal, ids: &[String]) -> Result<(), AppError> {
        let mut writes = Vec::new();
        let mut all = Vec::new();
        for id in ids {
            let dead = self.store().record(DEAD, id).await?.ok_or_else(|| no_letter(id))?;
            let event = dead_event(self.store(), id).await?.ok_or_else(|| no_letter(id))?;
            let dead: Dead = read(&dead)?;
            let pending = Pending {
                target: dead.target,
                subject: dead.subject,
                seq: dead.seq,
                due: 0,
                failures: 0,
            };
            writes.extend(remove_dead(id));
            writes.extend(put_pending(&pending, Some(&event))?);
            all.push(pending);
        }
        self.write_letters(caller, Action::DeadLettersReplayed, ids, writes)
            .await?;
        self.duties().tell(Command::Removed(ids.to_vec())).await;
        self.resume_events(all).await;
        Ok(())
    }

    async fn bury(&self, caller: &Principal, ids: &[String]) -> Result<(), AppError> {
        let writes = ids.iter().flat_map(|id| remove_dead(id)).collect();
        self.write_letters(caller, Action::DeadLettersDeleted, ids, writes)
            .await?;
        self.duties().tell(Command::Removed(ids.to_vec())).await;
        Ok(())
    }

    async fn write_letters(
        &self,
        caller: &Principal,
        action: Action,
        ids: &[String],
        mut writes: Vec<Write>,
    ) -> Result<(), AppError> {
        let Some(first) = ids.first() else { return Ok(()) };
        writes.push(self.audit(&self.schema(), caller, action, first, json!({ "letters": ids }))?);
        match self.store().commit(Batch { writes }).await {
            Ok(_) => Ok(()),
            Err(StoreError::Refused {
                refusal: Refusal::Record { .. },
                ..
            }) => Err(no_letter(first)),
            Err(error) => Err(error.into()),
        }
    }
}

fn no_letter(id: &str) -> AppError {
    AppError::NoDeadLetter(id.chars().take(200).collect())
}
