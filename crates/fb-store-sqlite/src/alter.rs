//! Changes of the schema and of the declared indexes.

use std::sync::Arc;

use fb_store::{Alteration, IndexDef, Rewrite, StoreError};
use fb_types::{ChangeKind, ClassName, Document, ObjectId, Schema, Subject, Timestamp};
use rusqlite::{ErrorCode, params};

use crate::catalog::{Catalog, Table};
use crate::error::{broken, store_error};
use crate::feed::Entry;
use crate::index::{drop_statements, signature, structures};
use crate::read::{key, stored};
use crate::rules;
use crate::writer::Session;

/// Rows rewritten at a time, which bounds memory.
const CHUNK: usize = 500;

const ALTERING: &str = "changing the schema";
const INDEXING: &str = "changing indexes";

impl Session {
    /// Changes the schema and what is stored, in one transaction.
    pub(crate) fn alter(&mut self, alteration: &Alteration) -> Result<(), StoreError> {
        let changes = self.transaction(ALTERING, |s| {
            if s.catalog.schema.rev() != alteration.from_rev {
                return Err(StoreError::SchemaChanged);
            }
            let schema = &alteration.schema;
            let now = s.shared.clock.now();
            let text = schema.to_json().to_string();
            s.conn
                .execute("UPDATE meta SET value = ?1 WHERE key = 'schema'", [text])
                .map_err(altering)?;
            for table in s.catalog.tables.clone().into_values() {
                let stays = schema.class(table.class.as_str()).is_some_and(|c| !c.is_embedded());
                if !stays {
                    s.drop_class(&table, now)?;
                }
            }
            s.drop_orphaned_indexes(schema)?;
            s.reload()?;
            s.drop_outdated_structures()?;
            for rewrite in &alteration.rewrites {
                s.rewrite(rewrite, schema, now)?;
            }
            for (class, wanted) in &alteration.indexes {
                s.declare(class, wanted)?;
            }
            s.reload_and_reconcile()?;
            s.apply_within(&alteration.also)
        })?;
        self.tell_altered();
        self.tell(&changes);
        Ok(())
    }

    /// Replaces the declared indexes of a class. What stays the same is not touched.
    pub(crate) fn set_indexes(&mut self, class: &ClassName, wanted: &[IndexDef]) -> Result<(), StoreError> {
        self.transaction(INDEXING, |s| {
            s.declare(class, wanted)?;
            s.reload_and_reconcile()
        })?;
        if let Err(error) = self.refresh_statistics() {
            tracing::warn!(%error, "statistics could not be refreshed");
        }
        Ok(())
    }

    /// Stores the definitions of the indexes of a class; what they mean for the engine is reconciled later.
    fn declare(&mut self, class: &ClassName, wanted: &[IndexDef]) -> Result<(), StoreError> {
        let declared = self.catalog.indexes.get(class).cloned().unwrap_or_default();
        let mut missing: Vec<&IndexDef> = wanted.iter().collect();
        for index in declared {
            match missing.iter().position(|def| **def == index.def) {
                Some(i) => {
                    missing.remove(i);
                }
                None => self.drop_index(index.id)?,
            }
        }
        for def in missing {
            let text = serde_json::to_string(def).map_err(|e| broken(INDEXING, e))?;
            self.conn
                .execute(
                    "INSERT INTO indexes(class, def) VALUES(?1, ?2)",
                    [class.as_str(), &text],
                )
                .map_err(indexing)?;
        }
        Ok(())
    }

    fn tell_altered(&self) {
        let observer = &self.shared.observer;
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| observer.altered())).is_err() {
            tracing::error!("an observer of commits panicked");
        }
    }

    fn drop_class(&mut self, table: &Table, now: Timestamp) -> Result<(), StoreError> {
        let mut after = 0;
        loop {
            let rows = self.chunk(table, after)?;
            let Some((last, _)) = rows.last() else { break };
            after = *last;
            for (_, stored) in &rows {
                let entry = Entry {
                    subject: Subject::Object(ObjectId::new(table.class.clone(), stored.key.clone())),
                    version: stored.version.next(),
                    kind: ChangeKind::Delete,
                    after: None,
                };
                self.append(entry, now)?;
            }
        }
        for (id, _, _) in &table.structures {
            self.drop_index(*id)?;
        }
        self.conn
            .execute_batch(&format!("DROP TABLE c{}", table.id))
            .map_err(altering)?;
        self.conn
            .execute_batch(&rules::drop_statement(table.id))
            .map_err(altering)?;
        self.conn
            .execute("DELETE FROM classes WHERE id = ?1", [table.id])
            .map_err(altering)?;
        Ok(())
    }

    fn drop_orphaned_indexes(&mut self, schema: &Schema) -> Result<(), StoreError> {
        for (class, declared) in &self.catalog.indexes.clone() {
            let stays = schema.class(class.as_str()).is_some_and(|c| !c.is_embedded());
            for index in declared.iter().filter(|_| !stays) {
                self.drop_index(index.id)?;
            }
        }
        Ok(())
    }

    /// What was built for fields that are no more, or have another type, must not hinder the rewriting.
    fn drop_outdated_structures(&mut self) -> Result<(), StoreError> {
        for (class, declared) in &self.catalog.indexes.clone() {
            let current = self
                .catalog
                .tables
                .get(class)
                .map_or(&[][..], |t| t.structures.as_slice());
            for index in declared
                .iter()
                .filter(|i| !current.iter().any(|(id, _, _)| *id == i.id))
            {
                for statement in drop_statements(index.id) {
                    self.conn.execute_batch(&statement).map_err(indexing)?;
                }
                self.conn
                    .execute("UPDATE indexes SET built = NULL WHERE id = ?1", [index.id])
                    .map_err(indexing)?;
            }
        }
        Ok(())
    }

    fn drop_index(&mut self, id: i64) -> Result<(), StoreError> {
        for statement in drop_statements(id) {
            self.conn.execute_batch(&statement).map_err(indexing)?;
        }
        self.conn
            .execute("DELETE FROM indexes WHERE id = ?1", [id])
            .map_err(indexing)?;
        Ok(())
    }

    fn rewrite(&mut self, rewrite: &Rewrite, schema: &Schema, now: Timestamp) -> Result<(), StoreError> {
        let Some(table) = self.catalog.tables.get(&rewrite.class).cloned() else {
            return Ok(());
        };
        let Some(class) = schema.class(rewrite.class.as_str()) else {
            return Ok(());
        };
        let mut after = 0;
        loop {
            let rows = self.chunk(&table, after)?;
            let Some((last, _)) = rows.last() else { break };
            after = *last;
            for row in rows {
                let old = &row.1;
                let id = ObjectId::new(rewrite.class.clone(), old.key.clone());
                let mut document = Document::open(id, old).map_err(|e| broken(ALTERING, e))?;
                if !(rewrite.apply)(&mut document) {
                    continue;
                }
                schema.complete(class, &mut document.fields);
                document.version = old.version.next();
                document.updated_at = now.max(Timestamp::from_millis(old.updated_at.millis() + 1));
                let new = document.store(class.shape());
                self.put_row(&table, Some(&row), &new)
                    .map_err(|e| not_unique(&table, e))?;
                let entry = Entry {
                    subject: Subject::Object(ObjectId::new(rewrite.class.clone(), new.key.clone())),
                    version: new.version,
                    kind: ChangeKind::Update,
                    after: Some(&new),
                };
                self.append(entry, now)?;
            }
        }
        Ok(())
    }

    fn chunk(&self, table: &Table, after: i64) -> Result<Vec<(i64, fb_types::Stored)>, StoreError> {
        let mut statement = self
            .conn
            .prepare_cached(&format!(
                "SELECT version, shape, created_at, updated_at, acl, body, rid, key FROM c{} WHERE rid > ?1 \
                 ORDER BY rid LIMIT {CHUNK}",
                table.id
            ))
            .map_err(altering)?;
        let rows = statement.query_map([after], |row| Ok((row.get(6)?, stored(row, key(row, 7)?)?)));
        rows.and_then(Iterator::collect).map_err(altering)
    }

    fn append(&mut self, entry: Entry<'_>, now: Timestamp) -> Result<(), StoreError> {
        let origin = self.shared.options.origin;
        self.position.append(&self.conn, entry, now, origin).map_err(altering)?;
        Ok(())
    }

    pub(crate) fn reload(&mut self) -> Result<(), StoreError> {
        self.catalog = Arc::new(Catalog::load(&self.conn)?);
        Ok(())
    }

    /// Builds what the declared indexes want and drops what they do not want any more.
    pub(crate) fn reload_and_reconcile(&mut self) -> Result<(), StoreError> {
        self.reload()?;
        let catalog = self.catalog.clone();
        let mut changed = false;
        for table in catalog.tables.values() {
            let Some(class) = catalog.schema.class(table.class.as_str()) else {
                continue;
            };
            for index in catalog.indexes.get(&table.class).into_iter().flatten() {
                let wanted = structures(&catalog.schema, class, &index.def);
                let signature = signature(&wanted, table.id, index.id);
                if index.built.as_deref() == Some(signature.as_str()) {
                    continue;
                }
                changed = true;
                for statement in drop_statements(index.id) {
                    self.conn.execute_batch(&statement).map_err(indexing)?;
                }
                let create = wanted.iter().flat_map(|s| s.create(table.id, index.id));
                let fill = wanted.iter().filter_map(|s| s.fill(table.id, index.id));
                for statement in create.chain(fill) {
                    self.conn
                        .execute_batch(&statement)
                        .map_err(|e| index_error(&table.class, &index.def, e))?;
                }
                self.conn
                    .execute(
                        "UPDATE indexes SET built = ?1 WHERE id = ?2",
                        params![signature, index.id],
                    )
                    .map_err(indexing)?;
                self.statistics.outdate(table.id);
            }
        }
        if changed { self.reload() } else { Ok(()) }
    }
}

fn altering(error: rusqlite::Error) -> StoreError {
    store_error(ALTERING, error)
}

fn indexing(error: rusqlite::Error) -> StoreError {
    store_error(INDEXING, error)
}

fn index_error(class: &ClassName, def: &IndexDef, error: rusqlite::Error) -> StoreError {
    if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) {
        return StoreError::NotUnique {
            class: class.to_string(),
            index: def.describe(),
        };
    }
    indexing(error)
}

fn not_unique(table: &Table, error: rusqlite::Error) -> StoreError {
    match crate::writer::duplicate(table, &error) {
        Some(StoreError::Duplicate { class, index }) => StoreError::NotUnique { class, index },
        Some(other) => other,
        None => altering(error),
    }
}
