//! The writer's connection and what it remembers of the file.

use std::collections::HashMap;
use std::sync::Arc;

use fb_store::StoreError;
use fb_types::ClassName;
use rusqlite::{Connection, OptionalExtension};

use super::Reply;
use crate::catalog::{Catalog, Table};
use crate::error::{broken, store_error};
use crate::feed::{self, Position};
use crate::format::{class_table, open_writer};
use crate::stats::Statistics;
use crate::store::Shared;
use crate::{keys, rules};

/// An open connection for writing. It is dropped, and opened anew, after every failure that leaves it in doubt.
pub(crate) struct Session {
    pub(crate) conn: Connection,
    pub(crate) shared: Arc<Shared>,
    /// What the file has, uncommitted changes included.
    pub(crate) catalog: Arc<Catalog>,
    /// The end of the feed, uncommitted records included.
    pub(crate) position: Position,
    /// The stored counters of keys, as far as they were looked at.
    pub(crate) counters: HashMap<ClassName, u64>,
    pub(crate) statistics: Statistics,
    /// Records with a time of expiry that were written since the last sweep.
    pub(crate) n_expiring: u64,
    /// End of the feed when things were last tidied.
    tidied_at: u64,
}

/// Changes after which it is time to tidy up.
const TIDY_WHEN_QUIET: u64 = 100;
const TIDY_WHEN_BUSY: u64 = 5_000;

impl Session {
    pub(crate) fn open(shared: Arc<Shared>) -> Result<Self, StoreError> {
        let sql = |e| store_error("opening for writing", e);
        let conn = open_writer(&shared.path, &shared.options).map_err(sql)?;
        let position = Position::load(&conn).map_err(sql)?;
        let catalog = Arc::new(Catalog::load(&conn)?);
        let mut statistics = Statistics::load(&conn).map_err(sql)?;
        statistics.outdate_missing(catalog.tables.values().map(|table| table.id));
        Ok(Self {
            conn,
            catalog,
            position,
            counters: HashMap::new(),
            statistics,
            n_expiring: 0,
            tidied_at: position.seq,
            shared,
        })
    }

    /// Runs `work` in a transaction of its own and answers. False if the session must not be used any more.
    pub(crate) fn answer<T>(&mut self, reply: Reply<T>, work: impl FnOnce(&mut Self) -> Result<T, StoreError>) -> bool {
        let result = work(self);
        let doubtful = matches!(
            result,
            Err(StoreError::Unavailable { .. } | StoreError::Internal { .. })
        );
        let sound = self.conn.is_autocommit() && !doubtful;
        // The caller may have gone away; nobody else needs the answer.
        let _ = reply.send(result);
        sound
    }

    /// Runs `work` between BEGIN and COMMIT. On an error the caller drops the session, which rolls back; so does this
    /// function if it can.
    pub(crate) fn transaction<T>(
        &mut self,
        during: &'static str,
        work: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let sql = |e| store_error(during, e);
        self.conn.execute_batch("BEGIN IMMEDIATE").map_err(sql)?;
        let before = (self.position, self.catalog.clone());
        let result = work(self).and_then(|value| {
            // Readers that stumble over a table that is gone wait here for the new catalog.
            let mut public = self.shared.catalog_mut();
            self.conn.execute_batch("COMMIT").map_err(sql)?;
            *public = self.catalog.clone();
            Ok(value)
        });
        if result.is_err() {
            (self.position, self.catalog) = before;
            self.counters.clear();
            // If this fails the transaction stays open, which is how the caller knows.
            let _ = self.conn.execute_batch("ROLLBACK");
        }
        result
    }

    /// The table of a class of entities; created if need be. `None` if the schema has no such class.
    pub(crate) fn table(&mut self, class: &ClassName) -> Result<Option<Arc<Table>>, rusqlite::Error> {
        if let Some(table) = self.catalog.tables.get(class) {
            return Ok(Some(table.clone()));
        }
        let is_entity = self
            .catalog
            .schema
            .class(class.as_str())
            .is_some_and(|c| !c.is_embedded());
        if !is_entity {
            return Ok(None);
        }
        self.conn
            .execute("INSERT INTO classes(name) VALUES(?1)", [class.as_str()])?;
        let id = self.conn.last_insert_rowid();
        self.conn.execute_batch(&class_table(id))?;
        self.reload_and_reconcile().map_err(as_sql_error)?;
        Ok(self.catalog.tables.get(class).cloned())
    }

    /// Makes the table of read rules of a class that is about to get its first object with rules. Cost: once in the life
    /// of a class, about a second per million objects that are there.
    pub(crate) fn begin_rules(&mut self, class: &ClassName) -> rusqlite::Result<()> {
        let Some(table) = self.catalog.tables.get(class).filter(|table| !table.has_rules) else {
            // An earlier write of the same alteration was the first.
            return Ok(());
        };
        let id = table.id;
        self.conn.execute_batch(&rules::create(id))?;
        self.conn.execute_batch(&rules::fill(id))?;
        self.conn
            .execute("UPDATE classes SET has_rules = 1 WHERE id = ?1", [id])?;
        self.reload().map_err(as_sql_error)
    }

    /// Reserves a block of key numbers and hands out the first of them.
    pub(crate) fn reserve(&mut self, class: &ClassName) -> Result<u64, StoreError> {
        let during = "reserving keys";
        let (from, end) = self.transaction(during, |s| {
            let from = s.counter(class).map_err(|e| store_error(during, e))?;
            let end = from + keys::BLOCK;
            s.set_counter(class, end).map_err(|e| store_error(during, e))?;
            Ok((from, end))
        })?;
        self.shared.reserved.add(class, from, end);
        self.shared
            .reserved
            .take(class)
            .ok_or_else(|| broken(during, "the block is empty"))
    }

    /// The next key number of a class that is not reserved yet.
    pub(crate) fn counter(&mut self, class: &ClassName) -> rusqlite::Result<u64> {
        if let Some(next) = self.counters.get(class) {
            return Ok(*next);
        }
        let stored: Option<i64> = self
            .conn
            .prepare_cached("SELECT next FROM counters WHERE class = ?1")?
            .query_row([class.as_str()], |row| row.get(0))
            .optional()?;
        let next = stored.map_or(1, i64::unsigned_abs);
        self.counters.insert(class.clone(), next);
        Ok(next)
    }

    pub(crate) fn set_counter(&mut self, class: &ClassName, next: u64) -> rusqlite::Result<()> {
        self.conn
            .prepare_cached(
                "INSERT INTO counters(class, next) VALUES(?1, ?2) ON CONFLICT(class) DO UPDATE SET next = ?2",
            )?
            .execute(rusqlite::params![class.as_str(), next.cast_signed()])?;
        self.counters.insert(class.clone(), next);
        Ok(())
    }

    /// What is done now and then, preferably when no writes wait.
    pub(crate) fn tidy(&mut self, is_quiet: bool) {
        let n_changes = self.position.seq.saturating_sub(self.tidied_at);
        if n_changes < if is_quiet { TIDY_WHEN_QUIET } else { TIDY_WHEN_BUSY } && !self.statistics.is_urgent() {
            return;
        }
        self.tidied_at = self.position.seq;
        if let Err(error) = self.refresh_statistics() {
            tracing::warn!(%error, "statistics could not be refreshed");
        }
        let now = self.shared.clock.now();
        // A little more than what came in, so that a feed that is too long gets shorter.
        for _ in 0..=n_changes / feed::TRIM_STEP + 1 {
            match feed::trim(&self.conn, self.shared.options.retention, now) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(%error, "the change feed could not be trimmed");
                    break;
                }
            }
        }
    }

    /// Copies the log to the file, as far as reads that have begun allow. Cost: two flushes, and a write per page that was changed.
    pub(crate) fn copy_log(&self) {
        if let Err(error) = self.conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
            tracing::warn!(%error, "the log was not copied");
        }
    }

    /// Gives back what was reserved, empties the log, and closes.
    pub(crate) fn finish(mut self) {
        if let Err(error) = self.give_back() {
            tracing::warn!(%error, "reserved keys were not given back");
        }
        if let Err(error) = self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
            tracing::warn!(%error, "the log was not emptied");
        }
        if let Err((_, error)) = self.conn.close() {
            tracing::warn!(%error, "the connection was not closed");
        }
    }

    fn give_back(&mut self) -> Result<(), StoreError> {
        let during = "giving back keys";
        let shared = self.shared.clone();
        let left = shared.reserved.give_back();
        if left.is_empty() {
            return Ok(());
        }
        self.transaction(during, |s| {
            for (class, next, end) in &left {
                // Another block may have been reserved behind this one by a process that shares the file.
                if s.counter(class).map_err(|e| store_error(during, e))? == *end {
                    s.set_counter(class, *next).map_err(|e| store_error(during, e))?;
                }
            }
            Ok(())
        })
    }
}

fn as_sql_error(error: StoreError) -> rusqlite::Error {
    match error {
        StoreError::Internal { source, .. } | StoreError::Unavailable { source } => {
            rusqlite::Error::UserFunctionError(source)
        }
        other => rusqlite::Error::UserFunctionError(other.into()),
    }
}
