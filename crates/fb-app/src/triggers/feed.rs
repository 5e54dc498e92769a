//! How the feed is read for the receivers of an app's events.
//!
//! Each receiver has a place of its own in the feed. As long as all keep up they are at the same place, and one look serves
//! them all; one that has no room for more stays behind, where the feed itself is its queue, and is read for again when it
//! has.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use fb_store::{NOTES, note_key};
use fb_types::{Change, Seq};
use serde_json::json;

use super::cause::Note;
use super::event::{Event, subject_id};
use super::follow::Follower;
use super::lanes::{Entry, LaneKey};
use super::records::{Cursor, PAGE, Pending, commit, entry_id, put_cursor, put_pending, read, remove_note};
use super::targets::EventKind;
use crate::AppError;
use crate::app_log::Level;

/// Changes that are read at once.
const CHANGES: usize = 64;

/// The cursor is written when everything is done, and after so many changes.
const STRIDE: u64 = 64;

/// Receivers that are read for, and behind which changes.
type Readers = HashMap<Arc<str>, u64>;

impl Follower {
    /// Reads the next changes for those receivers that have room; false if there are none.
    pub(super) async fn read_some(&mut self) -> Result<bool, AppError> {
        let state = &mut self.state;
        let lanes = &mut state.lanes;
        let with_room: Readers = state
            .at
            .iter()
            .filter(|(target, _)| lanes.has_room(target))
            .map(|(target, at)| (target.clone(), *at))
            .collect();
        let (Some(behind), Some(ahead)) = (with_room.values().min(), with_room.values().max()) else {
            return Ok(false);
        };
        // In turns, so that who has much to catch up with keeps nobody waiting.
        state.is_turn_of_first = !state.is_turn_of_first;
        let order = match state.is_turn_of_first {
            true => [*ahead, *behind],
            false => [*behind, *ahead],
        };
        let n_places = if ahead == behind { 1 } else { 2 };
        for from in &order[..n_places] {
            if self.read_from(*from, &with_room).await? {
                return Ok(true);
            }
        }
        self.tell_read();
        Ok(false)
    }

    async fn read_from(&mut self, from: u64, with_room: &Readers) -> Result<bool, AppError> {
        let changes = self.store.changes_after(Seq(from), CHANGES).await?;
        let (Some(first), Some(last)) = (changes.first(), changes.last()) else {
            return Ok(false);
        };
        let readers = with_room.iter().filter(|(_, at)| (from..last.seq.0).contains(*at));
        let mut readers: Readers = readers.map(|(target, at)| (target.clone(), *at)).collect();
        let notes = self.store.records(NOTES, Some(&note_key(Seq(from))), CHANGES).await?;
        let mut notes = notes.into_iter().peekable();
        let missing = first.seq.0.saturating_sub(from + 1);
        if missing > 0 {
            self.miss(missing);
        }
        let mut done = first.seq.0 - 1;
        let mut result = Ok(true);
        for change in &changes {
            let key = note_key(change.seq);
            while notes.next_if(|(found, _)| *found < key).is_some() {}
            let note = match notes.next_if(|(found, _)| *found == key) {
                Some((_, value)) => read::<Note>(&value).map(Some),
                None => Ok(None),
            };
            let taken = match note {
                Ok(note) => {
                    self.state.has_notes |= note.is_some();
                    self.take_change(change, note, &mut readers).await
                }
                Err(error) => Err(error),
            };
            if let Err(error) = taken {
                result = Err(error);
                break;
            }
            // One after the other, so that a failure repeats none of them.
            done = change.seq.0;
        }
        for (target, at) in readers {
            self.state.at.insert(target, at.max(done));
        }
        self.tell_read();
        result
    }

    async fn take_change(
        &mut self,
        change: &Change,
        note: Option<Note>,
        readers: &mut Readers,
    ) -> Result<(), AppError> {
        let Some(kind) = EventKind::of(change, note.as_ref()) else {
            return Ok(());
        };
        let seq = change.seq.0;
        let is_in_chain = |target: &str| {
            let chain = note.as_ref().map_or(&[][..], |note| &note.chain);
            chain.iter().any(|id| **id == *target)
        };
        let mut targets: Vec<Arc<str>> = Vec::new();
        let mut settled: Vec<String> = Vec::new();
        for target in self.state.targets.of_event(&change.subject, kind) {
            if readers.get(target).is_none_or(|at| seq <= *at) || is_in_chain(target) {
                continue;
            }
            let id = entry_id(seq, target);
            if self.state.settled.contains(&id) {
                settled.push(id);
            } else if self.state.lanes.has_room(target) {
                targets.push(target.clone());
            } else if let Some(at) = readers.remove(target) {
                self.state.at.insert(target.clone(), at.max(seq - 1));
            }
        }
        if !targets.is_empty() {
            let subject: Arc<str> = subject_id(&change.subject).into();
            let event = Arc::new(Event::of(change, kind, note));
            // In the order in which they came, also beside those that are due again.
            let due = self.clock.now().millis();
            let mut writes = Vec::new();
            let mut entries = Vec::new();
            for target in targets {
                let key: LaneKey = (target, subject.clone());
                let is_blocked = self.state.lanes.is_blocked(&key);
                let entry = Entry {
                    seq,
                    due,
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
        }
        for id in settled {
            self.state.settled.remove(&id);
        }
        Ok(())
    }

    /// Says how far those are read for that keep up.
    pub(super) fn tell_read(&mut self) {
        let lanes = &mut self.state.lanes;
        let with_room = self.state.at.iter().filter(|(target, _)| lanes.has_room(target));
        let behind = with_room.map(|(_, at)| *at).min();
        if let Some(at) = behind.or(self.state.at.values().max().copied()) {
            self.signal.set_read(at);
        }
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

    /// Writes the cursor if that is worth while, and removes the notes that it has passed.
    pub(super) async fn save(&mut self, at_once: bool) -> Result<(), AppError> {
        let state = &mut self.state;
        let places: Vec<(&Arc<str>, u64)> = state
            .at
            .iter()
            .map(|(target, at)| {
                let open = state.lanes.oldest_open(target);
                (target, open.map_or(*at, |oldest| (*at).min(oldest - 1)))
            })
            .collect();
        let Some(seq) = places.iter().map(|(_, at)| *at).min() else {
            return Ok(());
        };
        let mut cursor = Cursor {
            seq: seq.max(state.cursor.seq),
            ..state.cursor.clone()
        };
        let mut ahead = cursor.seq - state.cursor.seq;
        for (target, at) in places {
            ahead = ahead.max(at.saturating_sub(state.cursor.of(target)));
            if at > cursor.seq
                && let Some(since) = cursor.since.get_mut(&**target)
            {
                *since = at.max(*since);
            }
        }
        let is_due = at_once || state.lanes.n_open() == 0 || ahead >= STRIDE;
        if ahead == 0 || !is_due {
            return Ok(());
        }
        let mut writes = vec![put_cursor(&cursor)?];
        let mut has_notes = state.has_notes;
        if has_notes {
            let passed = note_key(Seq(cursor.seq + 1));
            let notes = self.store.records(NOTES, None, PAGE).await?;
            has_notes = !notes.is_empty();
            let old = notes.iter().take_while(|(key, _)| *key < passed);
            writes.extend(old.map(|(key, _)| remove_note(key)));
        }
        commit(&*self.store, writes).await?;
        state.cursor = cursor;
        state.has_notes = has_notes;
        Ok(())
    }
}

pub(super) fn pending(key: &LaneKey, entry: &Entry) -> Pending {
    Pending {
        target: key.0.to_string(),
        subject: key.1.to_string(),
        seq: entry.seq,
        due: entry.due,
        failures: entry.failures,
    }
}
