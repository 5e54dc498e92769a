//! Commits of batches.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use fb_store::{
    Batch, Committed, Effect, Expect, NOTES, ObjectWrite, Outcome, RecordWrite, Refusal, StoreError, Write, note_key,
};
use fb_types::{ChangeKind, ClassName, ObjectId, Seq, Stored, Subject, Timestamp};
use rusqlite::{ErrorCode, ffi, params};

use super::{Reply, Session};
use crate::catalog::Table;
use crate::error::{broken, store_error};
use crate::feed::{Entry, text};
use crate::read::load;
use crate::{keys, record, rules};

/// Most batches and about the most bytes in one transaction.
const MAX_BATCHES: usize = 512;
const MAX_BYTES: usize = 8 << 20;

type Waiting = (Batch, Reply<Vec<Outcome>>);

/// Why a batch was not applied.
pub(super) enum Failure {
    /// It concerns this batch alone; its writes are undone.
    Batch(StoreError),
    /// The whole transaction is lost.
    Transaction(StoreError),
}

impl Session {
    /// Commits batches, as many as fit at a time, and answers each. False if the session must not be used any more.
    pub(crate) fn commit(&mut self, waiting: Vec<Waiting>) -> bool {
        let mut waiting = waiting.into_iter().peekable();
        while waiting.peek().is_some() {
            let mut results = Vec::new();
            let mut replies = Vec::new();
            let mut changes = Vec::new();
            let before = self.catalog.clone();
            let outcome = self.apply_some(&mut waiting, &mut results, &mut replies, &mut changes);
            if let Err(error) = outcome {
                tracing::error!(error = %chain(&error), "a transaction failed");
                let _ = self.conn.execute_batch("ROLLBACK");
                let failed = replies.into_iter().chain(waiting.map(|(_, reply)| reply));
                failed.for_each(|reply| drop(reply.send(Err(lost(&error)))));
                return false;
            }
            if !Arc::ptr_eq(&before, &self.catalog) {
                *self.shared.catalog_mut() = self.catalog.clone();
            }
            self.tell(&changes);
            for (reply, result) in replies.into_iter().zip(results) {
                // The caller may have gone away; the write stays.
                let _ = reply.send(result);
            }
        }
        true
    }

    fn apply_some(
        &mut self,
        waiting: &mut impl Iterator<Item = Waiting>,
        results: &mut Vec<Result<Vec<Outcome>, StoreError>>,
        replies: &mut Vec<Reply<Vec<Outcome>>>,
        changes: &mut Vec<Committed>,
    ) -> Result<(), StoreError> {
        let sql = |e| store_error("committing", e);
        self.conn
            .prepare_cached("BEGIN IMMEDIATE")
            .and_then(|mut s| s.execute([]))
            .map_err(sql)?;
        let mut bytes = 0;
        for (batch, reply) in waiting.take(MAX_BATCHES) {
            replies.push(reply);
            let n_changes = changes.len();
            let position = self.position;
            match self.apply(&batch, changes) {
                Ok(outcomes) => results.push(Ok(outcomes)),
                Err(Failure::Batch(error)) => {
                    changes.truncate(n_changes);
                    self.position = position;
                    results.push(Err(error));
                }
                Err(Failure::Transaction(error)) => return Err(error),
            }
            bytes += changes[n_changes..]
                .iter()
                .filter_map(|c| c.after.as_ref())
                .map(|s| s.body.len())
                .sum::<usize>();
            if bytes > MAX_BYTES {
                break;
            }
        }
        self.sweep_records().map_err(sql)?;
        self.conn
            .prepare_cached("COMMIT")
            .and_then(|mut s| s.execute([]))
            .map_err(sql)?;
        Ok(())
    }

    /// Removes expired records if the transaction has written some that will expire: they are removed as they come.
    fn sweep_records(&mut self) -> rusqlite::Result<()> {
        match std::mem::take(&mut self.n_expiring) {
            0 => Ok(()),
            n_written => record::sweep(&self.conn, self.shared.clock.now(), n_written),
        }
    }

    /// Tells the observer, whose panic must not end the writer.
    pub(crate) fn tell(&self, changes: &[Committed]) {
        if changes.is_empty() {
            return;
        }
        let observer = &self.shared.observer;
        if catch_unwind(AssertUnwindSafe(|| observer.committed(changes))).is_err() {
            tracing::error!("an observer of commits panicked");
        }
    }

    /// Applies a batch within a transaction that is undone if this fails.
    pub(crate) fn apply_within(&mut self, batch: &Batch) -> Result<Vec<Committed>, StoreError> {
        let mut changes = Vec::new();
        if batch.writes.is_empty() {
            return Ok(changes);
        }
        match self.apply(batch, &mut changes) {
            Ok(_) => self.sweep_records().map_err(|e| store_error("committing", e))?,
            Err(Failure::Batch(error) | Failure::Transaction(error)) => return Err(error),
        }
        Ok(changes)
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Vec<Committed>) -> Result<Vec<Outcome>, Failure> {
        for write in &batch.writes {
            if let Write::Object(write) = write {
                self.check_schema(write)?;
                // Outside of the savepoint: an empty table does no harm if the batch is refused.
                self.table(write.grant.class()).map_err(lose)?;
            }
        }
        if batch.writes.len() == 1 {
            return self.apply_all(batch, changes);
        }
        let catalog = self.catalog.clone();
        self.conn
            .prepare_cached("SAVEPOINT batch")
            .and_then(|mut s| s.execute([]))
            .map_err(lose)?;
        let result = self.apply_all(batch, changes);
        if let Err(Failure::Batch(_)) = &result {
            self.conn.execute_batch("ROLLBACK TO batch").map_err(lose)?;
            self.counters.clear();
            self.catalog = catalog;
        }
        if !matches!(result, Err(Failure::Transaction(_))) {
            self.conn
                .prepare_cached("RELEASE batch")
                .and_then(|mut s| s.execute([]))
                .map_err(lose)?;
        }
        result
    }

    fn check_schema(&self, write: &ObjectWrite) -> Result<(), Failure> {
        let class = self.catalog.schema.class(write.grant.class().as_str());
        match class {
            Some(class) if !class.is_embedded() && write.checked_under >= class.floor() => Ok(()),
            _ => Err(Failure::Batch(StoreError::SchemaChanged)),
        }
    }

    fn apply_all(&mut self, batch: &Batch, changes: &mut Vec<Committed>) -> Result<Vec<Outcome>, Failure> {
        let mut outcomes = Vec::with_capacity(batch.writes.len());
        let mut noted = changes.len();
        for (index, write) in batch.writes.iter().enumerate() {
            let outcome = match write {
                Write::Object(write) => self.apply_object(index, write, changes)?,
                Write::Record(write) => self.apply_record(index, write)?,
                Write::File(write) => self.apply_file(index, write, changes)?,
                Write::Bucket(write) => self.apply_bucket(index, write, changes)?,
                Write::Content(write) => self.apply_content(*write)?,
                Write::Note(note) => {
                    for Committed { change, .. } in changes.get(noted..).unwrap_or_default() {
                        self.put_note(change.seq, note).map_err(lose)?;
                    }
                    noted = changes.len();
                    Outcome::Recorded
                }
            };
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    fn apply_object(
        &mut self,
        index: usize,
        write: &ObjectWrite,
        changes: &mut Vec<Committed>,
    ) -> Result<Outcome, Failure> {
        let class = write.grant.class();
        let Some(table) = self.table(class).map_err(lose)? else {
            return Err(Failure::Batch(StoreError::SchemaChanged));
        };
        let found = load(&self.conn, &table, &write.key).map_err(lose)?;
        let before = found.as_ref().map(|(_, stored)| stored);
        let now = self.shared.clock.now();
        let decision = catch_unwind(AssertUnwindSafe(|| write.decide(before, now)));
        let Ok(decision) = decision else {
            return Err(Failure::Batch(broken(
                "deciding about a write",
                "the decision panicked",
            )));
        };
        let effect = decision.map_err(|refusal| refused(index, refusal))?;
        match (effect, found) {
            (Effect::Keep, _) | (Effect::Delete, None) => Ok(Outcome::Kept),
            (Effect::Put(stored), found) => {
                if stored.key != write.key {
                    let error = broken("deciding about a write", "the new object has another key");
                    return Err(Failure::Batch(error));
                }
                let kind = if found.is_some() {
                    ChangeKind::Update
                } else {
                    ChangeKind::Insert
                };
                self.put(&table, found.as_ref(), &stored)?;
                let entry = Entry {
                    subject: Subject::Object(ObjectId::new(class.clone(), write.key.clone())),
                    version: stored.version,
                    kind,
                    after: Some(&stored),
                };
                self.record_change(entry, now, changes)?;
                Ok(Outcome::Written(stored))
            }
            (Effect::Delete, Some((rid, before))) => {
                self.remove(&table, rid, &before).map_err(lose)?;
                let entry = Entry {
                    subject: Subject::Object(ObjectId::new(class.clone(), write.key.clone())),
                    version: before.version.next(),
                    kind: ChangeKind::Delete,
                    after: None,
                };
                self.record_change(entry, now, changes)?;
                Ok(Outcome::Deleted(before.version))
            }
        }
    }

    pub(super) fn record_change(
        &mut self,
        entry: Entry<'_>,
        now: Timestamp,
        changes: &mut Vec<Committed>,
    ) -> Result<(), Failure> {
        let origin = self.shared.options.origin;
        changes.push(self.position.append(&self.conn, entry, now, origin).map_err(lose)?);
        Ok(())
    }

    fn put(&mut self, table: &Table, before: Option<&(i64, Stored)>, stored: &Stored) -> Result<(), Failure> {
        if before.is_none() {
            self.note_key(&table.class, stored).map_err(lose)?;
        }
        self.put_row(table, before, stored)
            .map_err(|error| match duplicate(table, &error) {
                Some(error) => Failure::Batch(error),
                None => lose(error),
            })
    }

    /// Writes a row, given the one before it, and what hangs on it. Fails with a violated constraint before any row was
    /// changed.
    pub(crate) fn put_row(
        &mut self,
        table: &Table,
        before: Option<&(i64, Stored)>,
        stored: &Stored,
    ) -> rusqlite::Result<()> {
        if stored.acl.is_some() && !table.has_rules {
            self.begin_rules(&table.class)?;
        }
        let acl = match stored.acl.as_deref() {
            None => None,
            Some(acl) => {
                Some(serde_json::to_string(acl).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?)
            }
        };
        let body = text(&stored.body)?;
        let version = stored.version.0.cast_signed();
        let (created, updated) = (stored.created_at.millis(), stored.updated_at.millis());
        let rid = match before {
            None => {
                let row = params![stored.key.as_str(), version, stored.shape, created, updated, acl, body];
                self.conn.prepare_cached(&table.insert)?.execute(row)?;
                self.conn.last_insert_rowid()
            }
            Some(&(rid, _)) => {
                let row = params![version, stored.shape, created, updated, acl, body, rid];
                self.conn.prepare_cached(&table.update)?.execute(row)?;
                for statement in &table.side_remove {
                    self.conn.prepare_cached(statement)?.execute([rid])?;
                }
                rid
            }
        };
        for statement in &table.side_add {
            self.conn.prepare_cached(statement)?.execute(params![rid, body])?;
        }
        let are_rules_new = match before {
            None => table.has_rules || stored.acl.is_some(),
            Some((_, old)) => old.acl != stored.acl,
        };
        if are_rules_new {
            let old = before.map_or_else(Vec::new, |(_, old)| rules::entries(old.acl.as_deref()));
            let new = rules::entries(stored.acl.as_deref());
            rules::change(&self.conn, table.id, rid, &old, &new)?;
        }
        self.statistics.changed(table.id);
        Ok(())
    }

    /// Removes a row and what hangs on it.
    fn remove(&mut self, table: &Table, rid: i64, before: &Stored) -> rusqlite::Result<()> {
        if table.has_rules {
            let old = rules::entries(before.acl.as_deref());
            rules::change(&self.conn, table.id, rid, &old, &[])?;
        }
        for statement in table.side_remove.iter().chain([&table.delete]) {
            self.conn.prepare_cached(statement)?.execute([rid])?;
        }
        self.statistics.changed(table.id);
        Ok(())
    }

    /// A key that is a small number will never be handed out as a new one.
    fn note_key(&mut self, class: &ClassName, stored: &Stored) -> rusqlite::Result<()> {
        let Some(number) = keys::as_number(&stored.key) else {
            return Ok(());
        };
        if number >= self.counter(class)? {
            self.set_counter(class, number + 1)?;
        }
        self.shared.reserved.skip(class, number);
        Ok(())
    }

    fn put_note(&self, seq: Seq, note: &[u8]) -> rusqlite::Result<()> {
        let write = RecordWrite {
            space: NOTES,
            key: note_key(seq),
            expect: Expect::Anything,
            value: Some(note.to_vec()),
            expires_at: None,
        };
        record::put(&self.conn, &write)
    }

    fn apply_record(&mut self, index: usize, write: &RecordWrite) -> Result<Outcome, Failure> {
        let now = self.shared.clock.now();
        let found = record::get(&self.conn, write.space, &write.key, now).map_err(lose)?;
        if !write.expect.holds(found.as_deref()) {
            let refusal = Refusal::Record {
                space: write.space,
                key: write.key.clone(),
            };
            return Err(refused(index, refusal));
        }
        self.n_expiring += u64::from(write.expires_at.is_some());
        record::put(&self.conn, write).map_err(lose)?;
        Ok(Outcome::Recorded)
    }
}

pub(super) fn refused(index: usize, refusal: Refusal) -> Failure {
    Failure::Batch(StoreError::Refused { index, refusal })
}

pub(super) fn lose(error: rusqlite::Error) -> Failure {
    Failure::Transaction(store_error("committing", error))
}

/// The violated unique index, if that is what happened. The engine names the index in its message only.
pub(crate) fn duplicate(table: &Table, error: &rusqlite::Error) -> Option<StoreError> {
    let rusqlite::Error::SqliteFailure(code, message) = error else {
        return None;
    };
    if code.code != ErrorCode::ConstraintViolation || code.extended_code != ffi::SQLITE_CONSTRAINT_UNIQUE {
        return None;
    }
    let message = message.as_deref().unwrap_or_default();
    let mut unique = table.structures.iter().filter(|(_, def, _)| def.unique);
    let named = unique
        .clone()
        .find(|(id, _, _)| message.contains(&format!("index 'x{id}'")));
    let (_, def, _) = named.or_else(|| unique.next())?;
    Some(StoreError::Duplicate {
        class: table.class.to_string(),
        index: def.describe(),
    })
}

/// What each caller is told of a lost transaction.
fn lost(error: &StoreError) -> StoreError {
    StoreError::Unavailable {
        source: chain(error).into(),
    }
}

fn chain(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}
