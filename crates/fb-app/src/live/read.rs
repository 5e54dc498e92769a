//! First and renewed results.

use bytes::Bytes;
use fb_auth::{Errand, Grant, Operation, Scope, authorize, system};
use fb_live::{LiveQuery, Row};
use fb_query::{Order, parse_sort};
use fb_types::{Acl, Class, Schema, Seq};
use serde::Deserialize;
use serde_json::json;

use super::MAX_MEMBERS;
use crate::{App, AppError};

/// A result at one position.
pub(crate) struct Snapshot {
    pub(crate) seq: Seq,
    pub(crate) rows: Vec<Row>,
}

impl App {
    /// The rows that a live query is registered with, in the current shape of the class. More than `most` are an error.
    pub(crate) async fn live_snapshot(
        &self,
        schema: &Schema,
        class: &Class,
        grant: &Grant,
        query: &LiveQuery,
        most: u64,
    ) -> Result<Snapshot, AppError> {
        let mut bootstrap = query.bootstrap();
        if query.is_by_id() {
            let by_id = parse_sort(&json!({ "id": 1 }), schema, class, &self.limits().query)?;
            bootstrap.order = Order::By(by_id);
        }
        bootstrap.limit = bootstrap.limit.min(most.saturating_add(1));
        let (seq, rows) = self.store().snapshot(grant, &bootstrap).await?;
        if rows.rows().len() as u64 > most {
            return Err(AppError::NotLive(format!(
                "a live query without a limit may have {most} results at most: add conditions, or a sort order and a limit"
            )));
        }
        let row = |row: &fb_store::Row| {
            let body = Bytes::copy_from_slice(rows.body(row));
            let body = if row.shape < class.shape() {
                schema
                    .complete_body(class, &body)
                    .map_err(|e| AppError::internal("reading an object", e))?
            } else {
                body
            };
            Ok(Row {
                key: row.key.clone(),
                body,
            })
        };
        let rows: Result<Vec<Row>, AppError> = rows.rows().iter().map(row).collect();
        Ok(Snapshot { seq, rows: rows? })
    }

    /// The rows of a view that several scopes share. `None` if these may differ for them.
    pub(super) async fn live_renewal(&self, query: &LiveQuery, scopes: &[Scope]) -> Result<Option<Snapshot>, AppError> {
        let schema = self.schema();
        let class = self.entity(&schema, query.class().as_str())?;
        let grant = match scopes {
            [Scope::Of(principal)] => authorize(principal, Operation::Query, class)?,
            _ => system(Errand::KeepLive).grant(class.name()),
        };
        let snapshot = self.live_snapshot(&schema, class, &grant, query, MAX_MEMBERS).await?;
        // What everybody may read is what each of them reads.
        let is_the_same = scopes.len() == 1 || snapshot.rows.iter().all(|row| is_public(&row.body));
        Ok(is_the_same.then_some(snapshot))
    }
}

fn is_public(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Rules {
        acl: Option<Acl>,
    }
    serde_json::from_slice(body).is_ok_and(|Rules { acl }| acl.is_none_or(|acl| acl.read.is_empty()))
}
