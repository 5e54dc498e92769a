//! The statements of reading.

use std::sync::Arc;

use bytes::Bytes;
use fb_auth::Scope;
use fb_query::{Filter, Order, Query};
use fb_store::{Oldest, Rows, RowsBuilder};
use fb_types::{ObjectKey, Stored, Timestamp, Version};
use rusqlite::types::{FromSqlError, Type, Value as Sql};
use rusqlite::{OptionalExtension, Row, params_from_iter};

use crate::catalog::Table;
use crate::functions::Work;
use crate::reader::{Reader, Shape};
use crate::sight::{Command, Sight, Wanted};
use crate::sql::{order, predicate};

/// A read that is ready to run.
#[derive(Debug)]
pub(crate) struct Plan {
    command: Command,
    work: Work,
    /// Set if the caller may not read everything, and the class has objects with rules.
    sight: Option<Sight>,
}

/// Most bytes of objects that a scan collects.
const SCAN_BYTES: usize = 4 << 20;

/// A plan that is being made: WHERE and what follows it are still open.
struct Draft {
    plan: Plan,
    has_where: bool,
}

impl Draft {
    /// Begins with the columns of the result.
    fn new(columns: &str, table: &Table) -> Self {
        Self {
            plan: Plan {
                command: Command {
                    sql: format!("SELECT {columns} FROM c{}", table.id),
                    params: Vec::new(),
                },
                work: Work::default(),
                sight: None,
            },
            has_where: false,
        }
    }

    fn push(&mut self, sql: &str) {
        self.plan.command.sql.push_str(sql);
    }

    /// Adds a condition.
    fn and(&mut self, condition: &str, params: Vec<Sql>) {
        self.push(if self.has_where { " AND " } else { " WHERE " });
        self.has_where = true;
        self.push(condition);
        self.plan.command.params.extend(params);
    }

    /// Adds the condition that lets only objects through that the scope may read.
    fn and_readable(&mut self, table: &Table, scope: &Scope, few: usize, wanted: Wanted, filtered: bool) {
        let Scope::Of(principal) = scope else { return };
        let readable = "(acl IS NULL OR fb_readable(acl))";
        self.and(readable, Vec::new());
        self.plan.work.scope = Some(scope.clone());
        // Without rules everything is public; admins may read what is listed for nobody.
        if table.has_rules && !principal.is_admin() {
            self.plan.sight = Some(Sight {
                table: table.id,
                principal: principal.clone(),
                at: self.plan.command.sql.len() - readable.len(),
                n_params: self.plan.command.params.len(),
                wanted,
                filtered,
                few,
            });
        }
    }

    /// Adds the conditions of a filter and a scope.
    fn filter(&mut self, table: &Table, scope: &Scope, filter: &Filter, few: usize, wanted: Wanted) {
        let predicate = predicate(table, filter);
        if !predicate.sql.is_empty() {
            self.and(&predicate.sql, predicate.params);
        }
        self.and_readable(table, scope, few, wanted, *filter != Filter::ALL);
        if let Some(residual) = predicate.residual {
            self.and("fb_match(body)", Vec::new());
            self.plan.work.filter = Some(Arc::new(residual));
        }
    }

    fn finish(mut self, end: &str, params: impl IntoIterator<Item = u64>) -> Plan {
        self.push(end);
        self.plan.command.params.extend(params.into_iter().map(integer));
        self.plan.work.complete();
        self.plan
    }
}

/// The plan of a query. `few` is what [`Sight`] takes for few, here and below.
pub(crate) fn query_plan(table: &Table, scope: &Scope, query: &Query, few: usize) -> Plan {
    let wanted = match query.order {
        Order::Natural => Wanted::Any,
        Order::By(_) | Order::Distance(..) => Wanted::First(query.offset.saturating_add(query.limit)),
    };
    let mut draft = Draft::new("key, version, shape, body", table);
    draft.filter(table, scope, &query.filter, few, wanted);
    let order = order(&query.order, &query.filter);
    draft.push(&order.sql);
    draft.plan.work.sort_keys = order.keys.into();
    draft.plan.work.distance = order.distance;
    draft.plan.work.order = order.whole;
    draft.finish(" LIMIT ? OFFSET ?", [query.limit, query.offset])
}

/// The plan of a count.
pub(crate) fn count_plan(table: &Table, scope: &Scope, filter: &Filter, few: usize) -> Plan {
    let mut draft = Draft::new("count(*)", table);
    draft.filter(table, scope, filter, few, Wanted::All);
    draft.finish("", [])
}

/// The plan of a scan in key order.
pub(crate) fn scan_plan(table: &Table, scope: &Scope, after: Option<&ObjectKey>, limit: usize, few: usize) -> Plan {
    let mut draft = Draft::new("key, version, shape, body", table);
    if let Some(key) = after {
        draft.and("key > ?", vec![Sql::Text(key.as_str().to_owned())]);
    }
    draft.and_readable(table, scope, few, Wanted::First(limit as u64), false);
    draft.finish(" ORDER BY key LIMIT ?", [limit as u64])
}

/// The plan of a list of keys.
pub(crate) fn keys_plan(table: &Table, scope: &Scope, offset: u64, limit: u64, few: usize) -> Plan {
    let mut draft = Draft::new("key", table);
    draft.and_readable(table, scope, few, Wanted::First(offset.saturating_add(limit)), false);
    draft.finish(" ORDER BY key LIMIT ? OFFSET ?", [limit, offset])
}

/// The plan of the oldest objects. Row numbers are never used again while a later row is there, so their order is that of
/// the insertions, and their range says how many there are at most.
pub(crate) fn oldest_plan(table: &Table, scope: &Scope, limit: usize, few: usize) -> Plan {
    let extent = format!(
        "(SELECT ifnull(max(rid), 0) FROM c{id}) - (SELECT ifnull(min(rid), 1) FROM c{id}) + 1",
        id = table.id
    );
    let mut draft = Draft::new(&format!("key, created_at, {extent}"), table);
    draft.and_readable(table, scope, few, Wanted::First(limit as u64), false);
    draft.finish(" ORDER BY rid LIMIT ?", [limit as u64])
}

fn integer(n: u64) -> Sql {
    Sql::Integer(i64::try_from(n).unwrap_or(i64::MAX))
}

impl Plan {
    /// What the plan has in common with others that are as quick or slow: its text, and the caller if that matters.
    pub(crate) fn shape(&self) -> Shape {
        let ids = self.sight.as_ref().map(|sight| sight.principal.ids());
        Shape::of(&(&self.command.sql, ids))
    }

    /// Runs a query and collects all rows.
    pub(crate) fn rows(&self, reader: &Reader) -> rusqlite::Result<Rows> {
        self.read(reader, |command| self.collect(reader, command, usize::MAX))
    }

    /// Runs a scan and collects rows until there are enough bytes.
    pub(crate) fn some_rows(&self, reader: &Reader) -> rusqlite::Result<Rows> {
        self.read(reader, |command| self.collect(reader, command, SCAN_BYTES))
    }

    fn read<T>(&self, reader: &Reader, execute: impl Fn(&Command) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        match &self.sight {
            Some(sight) => sight.read(reader, &self.command, execute),
            None => execute(&self.command),
        }
    }

    fn collect(&self, reader: &Reader, command: &Command, max_bytes: usize) -> rusqlite::Result<Rows> {
        reader.functions.set(self.work.clone());
        let mut statement = reader.conn.prepare_cached(&command.sql)?;
        let mut rows = statement.query(params_from_iter(&command.params))?;
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
        self.read(reader, |command| {
            reader.functions.set(self.work.clone());
            let mut statement = reader.conn.prepare_cached(&command.sql)?;
            let count: i64 = statement.query_row(params_from_iter(&command.params), |row| row.get(0))?;
            Ok(count.unsigned_abs())
        })
    }

    /// Runs a list of keys.
    pub(crate) fn keys(&self, reader: &Reader) -> rusqlite::Result<Vec<ObjectKey>> {
        self.read(reader, |command| {
            reader.functions.set(self.work.clone());
            let mut statement = reader.conn.prepare_cached(&command.sql)?;
            let mut rows = statement.query(params_from_iter(&command.params))?;
            let mut keys = Vec::new();
            while let Some(row) = rows.next()? {
                keys.push(key(row, 0)?);
            }
            Ok(keys)
        })
    }

    /// Runs a look at the oldest objects.
    pub(crate) fn oldest(&self, reader: &Reader) -> rusqlite::Result<Oldest> {
        self.read(reader, |command| {
            reader.functions.set(self.work.clone());
            let mut statement = reader.conn.prepare_cached(&command.sql)?;
            let mut rows = statement.query(params_from_iter(&command.params))?;
            let mut oldest = Oldest::default();
            while let Some(row) = rows.next()? {
                oldest.keys.push((key(row, 0)?, Timestamp::from_millis(row.get(1)?)));
                oldest.at_most = row.get::<_, i64>(2)?.unsigned_abs();
            }
            Ok(oldest)
        })
    }

    /// What the engine does for this plan, one line per step.
    pub(crate) fn explain(&self, reader: &Reader) -> rusqlite::Result<Vec<String>> {
        self.read(reader, |command| {
            reader.functions.set(self.work.clone());
            let mut statement = reader.conn.prepare(&format!("EXPLAIN QUERY PLAN {}", command.sql))?;
            let lines = statement.query_map(params_from_iter(&command.params), |row| row.get(3))?;
            lines.collect()
        })
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
