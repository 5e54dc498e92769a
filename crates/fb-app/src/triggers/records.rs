//! What is written down of events: the cursor, events that are to be tried again, and dead letters.

use std::collections::BTreeMap;

use fb_store::{Batch, Expect, NOTES, Store, Write, note_key};
use fb_types::Seq;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::event::Event;
use crate::AppError;
use crate::accounts::record;

/// The space of the cursor, and its key.
const STATE: &str = "triggers";
const CURSOR: &str = "cursor";
/// What is to be tried again; the events themselves are in a space of their own, so that lists are cheap.
pub(super) const PENDING: &str = "pending";
const PENDING_EVENTS: &str = "pendingEvent";
/// What failed too often, likewise.
pub(super) const DEAD: &str = "dead";
const DEAD_EVENTS: &str = "deadEvent";

/// Records of one page.
pub(super) const PAGE: usize = 200;

/// How far the feed was followed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// Everything up to here was delivered, or is written down, for all receivers.
    pub(super) seq: u64,
    /// The changes behind which each receiver gets events, as far as they are behind `seq`.
    pub(super) since: BTreeMap<String, u64>,
}

impl Cursor {
    /// Behind which change this receiver gets events.
    pub(super) fn of(&self, target: &str) -> u64 {
        self.since.get(target).map_or(self.seq, |since| self.seq.max(*since))
    }
}

/// An event that is to be tried again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) target: String,
    /// The object or file.
    pub(super) subject: String,
    pub(super) seq: u64,
    /// Not before.
    pub(super) due: i64,
    pub(super) failures: u32,
}

/// An event that was given up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Dead {
    pub(super) target: String,
    pub(super) subject: String,
    pub(super) operation: String,
    pub(super) seq: u64,
    /// When the change was committed.
    pub(super) date: String,
    /// When the event was given up.
    pub(super) failed_at: String,
    pub(super) attempts: u32,
    pub(super) error: String,
}

/// The id of an event for one receiver. Ids are in the order of the feed.
pub(super) fn entry_id(seq: u64, target: &str) -> String {
    format!("{}.{target}", note_key(Seq(seq)))
}

fn text(value: &impl Serialize) -> Result<Vec<u8>, AppError> {
    serde_json::to_vec(value).map_err(|e| AppError::internal("writing an event", e))
}

pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, AppError> {
    serde_json::from_slice(bytes).map_err(|e| AppError::internal("reading an event", e))
}

pub(super) async fn load_cursor(store: &dyn Store) -> Result<Option<Cursor>, AppError> {
    let found = store.record(STATE, CURSOR).await?;
    found.map(|bytes| read(&bytes)).transpose()
}

pub(super) fn put_cursor(cursor: &Cursor) -> Result<Write, AppError> {
    Ok(record(STATE, CURSOR, Expect::Anything, Some(&text(cursor)?)))
}

pub(super) fn put_pending(pending: &Pending, event: Option<&Event>) -> Result<Vec<Write>, AppError> {
    let id = entry_id(pending.seq, &pending.target);
    let mut writes = vec![record(PENDING, &id, Expect::Anything, Some(&text(pending)?))];
    if let Some(event) = event {
        writes.push(record(PENDING_EVENTS, &id, Expect::Anything, Some(&text(event)?)));
    }
    Ok(writes)
}

pub(super) fn remove_pending(id: &str) -> [Write; 2] {
    [
        record(PENDING, id, Expect::Anything, None),
        record(PENDING_EVENTS, id, Expect::Anything, None),
    ]
}

pub(super) fn put_dead(dead: &Dead, event: &Event) -> Result<[Write; 2], AppError> {
    let id = entry_id(dead.seq, &dead.target);
    Ok([
        record(DEAD, &id, Expect::Anything, Some(&text(dead)?)),
        record(DEAD_EVENTS, &id, Expect::Anything, Some(&text(event)?)),
    ])
}

/// Fails if there is no such letter any more.
pub(super) fn remove_dead(id: &str) -> [Write; 2] {
    [
        record(DEAD, id, Expect::Present, None),
        record(DEAD_EVENTS, id, Expect::Anything, None),
    ]
}

/// Like [`remove_dead`], but an administrator may have been faster.
pub(super) fn drop_dead(id: &str) -> [Write; 2] {
    [DEAD, DEAD_EVENTS].map(|space| record(space, id, Expect::Anything, None))
}

pub(super) async fn pending_event(store: &dyn Store, id: &str) -> Result<Option<Event>, AppError> {
    let found = store.record(PENDING_EVENTS, id).await?;
    found.map(|bytes| read(&bytes)).transpose()
}

pub(super) async fn dead_event(store: &dyn Store, id: &str) -> Result<Option<Event>, AppError> {
    let found = store.record(DEAD_EVENTS, id).await?;
    found.map(|bytes| read(&bytes)).transpose()
}

pub(super) fn remove_note(key: &str) -> Write {
    record(NOTES, key, Expect::Anything, None)
}

pub(super) async fn commit(store: &dyn Store, writes: Vec<Write>) -> Result<(), AppError> {
    store.commit(Batch { writes }).await?;
    Ok(())
}
