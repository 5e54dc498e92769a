//! SQL functions through which a query calls the evaluator and the access rules. What they evaluate lies in a slot
//! beside the connection, put there before the statement runs.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use fb_auth::Scope;
use fb_query::{Filter, Near, Order, Path, Point, SortKey};
use fb_types::Acl;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error};
use serde_json::Value;

use crate::projection::Projection;

/// What the functions evaluate for the statement that runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Work {
    /// `fb_match(body)`
    pub(crate) filter: Option<Arc<Filter>>,
    /// `fb_sort_key(i, body)`
    pub(crate) sort_keys: Arc<[SortKey]>,
    /// `fb_distance(body)`; the path is direct
    pub(crate) distance: Option<(Path, Near)>,
    /// `body COLLATE fb_order`
    pub(crate) order: Option<Arc<Order>>,
    /// `fb_readable(acl)`
    pub(crate) scope: Option<Scope>,
    /// What of an object the above look at.
    projection: Projection,
}

impl Work {
    /// To be called when everything else is set.
    pub(crate) fn complete(&mut self) {
        let keys = self.sort_keys.iter().map(|key| &key.path);
        let distance = self.distance.iter().map(|(path, _)| path);
        self.projection = Projection::new(self.filter.as_deref(), keys.chain(distance));
    }
}

#[derive(Default)]
struct Slot {
    work: Work,
    /// Decisions of `scope` by the text of the rules. Most objects of a class share a few.
    readable: HashMap<Box<str>, bool>,
}

/// The slot of one connection. The lock is never waited for: a connection is used by one thread at a time.
#[derive(Clone, Default)]
pub(crate) struct Functions(Arc<Mutex<Slot>>);

/// Most remembered decisions per statement.
const MAX_REMEMBERED: usize = 10_000;

impl Functions {
    /// Adds the functions to a connection. Only statements of ours can call them, no index and no foreign schema.
    pub(crate) fn register(conn: &Connection) -> rusqlite::Result<Self> {
        let slot = Self::default();
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_DIRECTONLY;
        let this = slot.clone();
        conn.create_scalar_function("fb_match", 1, flags, move |ctx| this.matches(ctx))?;
        let this = slot.clone();
        conn.create_scalar_function("fb_sort_key", 2, flags, move |ctx| this.sort_key(ctx))?;
        let this = slot.clone();
        conn.create_scalar_function("fb_distance", 1, flags, move |ctx| this.distance(ctx))?;
        let this = slot.clone();
        conn.create_scalar_function("fb_readable", 1, flags, move |ctx| this.readable(ctx))?;
        let this = slot.clone();
        conn.create_collation("fb_order", move |a, b| this.compare(a, b))?;
        Ok(slot)
    }

    /// Says what the next statement evaluates.
    pub(crate) fn set(&self, work: Work) {
        let mut slot = self.lock();
        slot.work = work;
        slot.readable.clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn matches(&self, ctx: &Context<'_>) -> rusqlite::Result<bool> {
        let slot = self.lock();
        let object = slot.object(ctx, 0)?;
        Ok(slot.work.filter.as_ref().is_some_and(|f| f.matches(&object)))
    }

    fn sort_key(&self, ctx: &Context<'_>) -> rusqlite::Result<Vec<u8>> {
        let index: usize = ctx.get::<i64>(0)?.try_into().unwrap_or(usize::MAX);
        let slot = self.lock();
        let object = slot.object(ctx, 1)?;
        Ok(slot
            .work
            .sort_keys
            .get(index)
            .map(|key| key.bytes(&object))
            .unwrap_or_default())
    }

    fn distance(&self, ctx: &Context<'_>) -> rusqlite::Result<f64> {
        let slot = self.lock();
        let object = slot.object(ctx, 0)?;
        let distance = slot.work.distance.as_ref().and_then(|(path, near)| {
            let mut value = &object;
            for step in path.steps() {
                value = value.get(&**step)?;
            }
            Point::from_json(value).map(|point| near.distance(point))
        });
        Ok(distance.unwrap_or(f64::INFINITY))
    }

    fn compare(&self, a: &str, b: &str) -> Ordering {
        let slot = self.lock();
        let Some(order) = &slot.work.order else {
            return a.cmp(b);
        };
        // Bodies are JSON always; a collation cannot fail.
        let parse = |text| serde_json::from_str(text).unwrap_or(Value::Null);
        order.compare(&parse(a), &parse(b))
    }

    fn readable(&self, ctx: &Context<'_>) -> rusqlite::Result<bool> {
        let text = ctx
            .get_raw(0)
            .as_str()
            .map_err(|e| Error::UserFunctionError(e.into()))?;
        let slot = &mut *self.lock();
        if let Some(known) = slot.readable.get(text) {
            return Ok(*known);
        }
        let acl: Acl = serde_json::from_str(text).map_err(|e| Error::UserFunctionError(e.into()))?;
        let readable = slot.work.scope.as_ref().is_some_and(|scope| scope.may_read(Some(&acl)));
        if slot.readable.len() < MAX_REMEMBERED {
            slot.readable.insert(text.into(), readable);
        }
        Ok(readable)
    }
}

impl Slot {
    fn object(&self, ctx: &Context<'_>, argument: usize) -> rusqlite::Result<Value> {
        match ctx.get_raw(argument) {
            ValueRef::Text(text) => self
                .work
                .projection
                .parse(text)
                .map_err(|e| Error::UserFunctionError(e.into())),
            ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Blob(_) => Ok(Value::Null),
        }
    }
}
