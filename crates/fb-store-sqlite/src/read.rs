//! The statements of reading.

use std::sync::Arc;

use bytes::Bytes;
use fb_auth::Scope;
use fb_query::{Filter, Query};
use fb_store::{Rows, RowsBuilder};
use fb_types::{ObjectKey, Stored, Timestamp, Version};
use rusqlite::types::{FromSqlError, Type, Value as Sql};
use rusqlite::{OptionalExtension, Row, params_from_iter};

use crate::catalog::Table;
use crate::functions::Work;
use crate::reader::Reader;
use crate::sql::{order, predicate};

/// A statement that is ready to run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) sql: String,
    pub(crate) params: Vec<Sql>,
    pub(crate) work: Work,
}

/// Most bytes of objects that a scan collects.
const SCAN_BYTES: usize = 4 << 20;

/// The condition that lets only objects through that the scope may read, as part of a WHERE clause.
fn push_scope(scope: &Scope, has_where: bool, sql: &mut String, work: &mut Work) {
    match scope {
        Scope::Everything => {}
        Scope::Of(_) => {
            sql.push_str(if has_where { " AND " } else { " WHERE " });
            sql.push_str("(acl IS NULL OR fb_readable(acl))");
            work.scope = Some(scope.clone());
        }
    }
}

/// FROM and WHERE for a filter and a scope.
fn from_where(table: &Table, scope: &Scope, filter: &Filter) -> Plan {
    let predicate = predicate(table, filter);
    let mut sql = format!(" FROM c{}", table.id);
    let mut work = Work::default();
    let mut has_where = false;
    if !predicate.sql.is_empty() {
        sql.push_str(" WHERE ");
        sql.push_str(&predicate.sql);
        has_where = true;
    }
    push_scope(scope, has_where, &mut sql, &mut work);
    has_where |= work.scope.is_some();
    if let Some(residual) = predicate.residual {
        sql.push_str(if has_where { " AND " } else { " WHERE " });
        sql.push_str("fb_match(body)");
        work.filter = Some(Arc::new(residual));
    }
    Plan {
        sql,
        params: predicate.params,
        work,
    }
}

/// The plan of a query.
pub(crate) fn query_plan(table: &Table, scope: &Scope, query: &Query) -> Plan {
    let mut plan = from_where(table, scope, &query.filter);
    let order = order(&query.order, &query.filter);
    plan.sql.insert_str(0, "SELECT key, version, shape, body");
    plan.sql.push_str(&order.sql);
    plan.sql.push_str(" LIMIT ? OFFSET ?");
    plan.params.extend([query.limit, query.offset].map(integer));
    plan.work.sort_keys = order.keys.into();
    plan.work.distance = order.distance;
    plan.work.order = order.whole;
    plan.work.complete();
    plan
}

/// The plan of a count.
pub(crate) fn count_plan(table: &Table, scope: &Scope, filter: &Filter) -> Plan {
    let mut plan = from_where(table, scope, filter);
    plan.sql.insert_str(0, "SELECT count(*)");
    plan.work.complete();
    plan
}

/// The plan of a scan in key order.
pub(crate) fn scan_plan(table: &Table, scope: &Scope, after: Option<&ObjectKey>, limit: usize) -> Plan {
    let mut sql = format!("SELECT key, version, shape, body FROM c{}", table.id);
    let mut work = Work::default();
    let mut params = Vec::new();
    if let Some(key) = after {
        sql.push_str(" WHERE key > ?");
        params.push(Sql::Text(key.as_str().to_owned()));
    }
    push_scope(scope, after.is_some(), &mut sql, &mut work);
    sql.push_str(" ORDER BY key LIMIT ?");
    params.push(integer(limit as u64));
    Plan { sql, params, work }
}

/// The plan of a list of keys.
pub(crate) fn keys_plan(table: &Table, scope: &Scope, offset: u64, limit: u64) -> Plan {
    let mut sql = format!("SELECT key FROM c{}", table.id);
    let mut work = Work::default();
    push_scope(scope, false, &mut sql, &mut work);
    sql.push_str(" ORDER BY key LIMIT ? OFFSET ?");
    Plan {
        sql,
        params: vec![integer(limit), integer(offset)],
        work,
    }
}

fn integer(n: u64) -> Sql {
    Sql::Integer(i64::try_from(n).unwrap_or(i64::MAX))
}

impl Plan {
    /// Runs a query and collects all rows.
    pub(crate) fn rows(&self, reader: &Reader) -> rusqlite::Result<Rows> {
        self.collect(reader, usize::MAX)
    }

    /// Runs a scan and collects rows until there are enough bytes.
    pub(crate) fn some_rows(&self, reader: &Reader) -> rusqlite::Result<Rows> {
        self.collect(reader, SCAN_BYTES)
    }

    fn collect(&self, reader: &Reader, max_bytes: usize) -> rusqlite::Result<Rows> {
        reader.functions.set(self.work.clone());
        let mut statement = reader.conn.prepare_cached(&self.sql)?;
        let mut rows = statement.query(params_from_iter(&self.params))?;
        let mut out = RowsBuilder::default();
        while let Some(row) = rows.next()? {
            let body = row.get_ref(3)?.as_bytes().map_err(|e| conversion(3, e))?;
            out.push(key(row, 0)?, version(row, 1)?, row.get(2)?, body);
            if out.size() >= max_bytes {
                break;
            }
        }
        Ok(out.finish())
    }

    /// Runs a count.
    pub(crate) fn count(&self, reader: &Reader) -> rusqlite::Result<u64> {
        reader.functions.set(self.work.clone());
        let mut statement = reader.conn.prepare_cached(&self.sql)?;
        let count: i64 = statement.query_row(params_from_iter(&self.params), |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    /// Runs a list of keys.
    pub(crate) fn keys(&self, reader: &Reader) -> rusqlite::Result<Vec<ObjectKey>> {
        reader.functions.set(self.work.clone());
        let mut statement = reader.conn.prepare_cached(&self.sql)?;
        let mut rows = statement.query(params_from_iter(&self.params))?;
        let mut keys = Vec::new();
        while let Some(row) = rows.next()? {
            keys.push(key(row, 0)?);
        }
        Ok(keys)
    }

    /// What the engine does for this plan, one line per step.
    pub(crate) fn explain(&self, reader: &Reader) -> rusqlite::Result<Vec<String>> {
        reader.functions.set(self.work.clone());
        let mut statement = reader.conn.prepare(&format!("EXPLAIN QUERY PLAN {}", self.sql))?;
        let lines = statement.query_map(params_from_iter(&self.params), |row| row.get(3))?;
        lines.collect()
    }
}

/// One object by its key, with its row number.
pub(crate) fn load(
    conn: &rusqlite::Connection,
    table: &Table,
    wanted: &ObjectKey,
) -> rusqlite::Result<Option<(i64, Stored)>> {
    let mut statement = conn.prepare_cached(&table.load)?;
    statement
        .query_row([wanted.as_str()], |row| Ok((row.get(6)?, stored(row, wanted.clone())?)))
        .optional()
}

/// The object in a row of `version, shape, created_at, updated_at, acl, body`.
pub(crate) fn stored(row: &Row<'_>, key: ObjectKey) -> rusqlite::Result<Stored> {
    let acl = match row.get_ref(4)?.as_str_or_null().map_err(|e| conversion(4, e))? {
        None => None,
        Some(text) => {
            let acl = serde_json::from_str(text)
                .map_err(|e| rusqlite::Error::FromSqlConversionFailure(4, Type::Text, Box::new(e)))?;
            Some(Arc::new(acl))
        }
    };
    Ok(Stored {
        key,
        version: version(row, 0)?,
        shape: row.get(1)?,
        created_at: Timestamp::from_millis(row.get(2)?),
        updated_at: Timestamp::from_millis(row.get(3)?),
        acl,
        body: Bytes::copy_from_slice(row.get_ref(5)?.as_bytes().map_err(|e| conversion(5, e))?),
    })
}

/// The key in a column.
pub(crate) fn key(row: &Row<'_>, column: usize) -> rusqlite::Result<ObjectKey> {
    let text = row.get_ref(column)?.as_str().map_err(|e| conversion(column, e))?;
    ObjectKey::from_encoded(text)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(e)))
}

/// The version in a column.
pub(crate) fn version(row: &Row<'_>, column: usize) -> rusqlite::Result<Version> {
    row.get::<_, i64>(column).map(|v| Version(v.unsigned_abs()))
}

fn conversion(column: usize, error: FromSqlError) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}
