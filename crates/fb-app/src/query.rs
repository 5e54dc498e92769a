//! Queries and counts.

use bytes::Bytes;
use fb_auth::{Grant, Objects, Operation, Principal, authorize};
use fb_query::{Order, Query, parse_filter, parse_sort};
use fb_types::{Class, Schema};
use serde_json::{Value, json};

use crate::view::visible_rows;
use crate::{App, AppError};

/// A filter as it came, parsed as JSON but not yet against a schema.
pub type RawFilter = Value;

/// A query as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryRequest {
    /// The filter.
    pub filter: RawFilter,
    /// The sort order.
    pub sort: Value,
    /// How many matching objects to skip.
    pub offset: u64,
    /// How many to return; `None` is the limit of the app, which is also the most.
    pub limit: Option<u64>,
}

impl QueryRequest {
    /// For all objects that pass a filter, as counts mean them.
    pub fn all_that_pass(filter: RawFilter) -> Self {
        Self {
            filter,
            sort: Value::Null,
            offset: 0,
            limit: None,
        }
    }
}

impl App {
    /// The matching objects that the caller may read, as one JSON array.
    pub async fn query(&self, caller: &Principal, bucket: &str, request: QueryRequest) -> Result<Bytes, AppError> {
        self.despite_schema_changes(|| self.try_query(caller, bucket, &request, false))
            .await
    }

    /// The same; what has no order comes in that of ids, in which it is kept up to date.
    pub async fn query_in_order(
        &self,
        caller: &Principal,
        bucket: &str,
        request: &QueryRequest,
    ) -> Result<Bytes, AppError> {
        self.despite_schema_changes(|| self.try_query(caller, bucket, request, true))
            .await
    }

    async fn try_query(
        &self,
        caller: &Principal,
        bucket: &str,
        request: &QueryRequest,
        has_order: bool,
    ) -> Result<Bytes, AppError> {
        let schema = self.schema();
        let class = self.entity(&schema, bucket)?;
        let grant = authorize(caller, Operation::Query, class)?;
        let mut query = self.checked(&schema, class, &grant, request)?;
        if has_order && matches!(query.order, Order::Natural) {
            query.order = Order::By(parse_sort(&json!({ "id": 1 }), &schema, class, &self.limits().query)?);
        }
        let rows = self.store().query(&grant, &query).await?;
        visible_rows(&schema, class, &grant, rows)
    }

    /// How many objects match that the caller may read.
    pub async fn count(&self, caller: &Principal, bucket: &str, filter: &RawFilter) -> Result<u64, AppError> {
        let schema = self.schema();
        let class = self.entity(&schema, bucket)?;
        let grant = authorize(caller, Operation::Query, class)?;
        let request = QueryRequest {
            filter: filter.clone(),
            sort: Value::Null,
            offset: 0,
            limit: None,
        };
        let query = self.checked(&schema, class, &grant, &request)?;
        Ok(self.store().count(&grant, &query.filter).await?)
    }

    /// A caller's query in typed form. Which objects it finds, and in which order, tells about the fields it names: all
    /// of them must be readable on every object.
    pub(crate) fn checked(
        &self,
        schema: &Schema,
        class: &Class,
        grant: &Grant,
        request: &QueryRequest,
    ) -> Result<Query, AppError> {
        let limits = self.limits();
        let filter = parse_filter(&request.filter, schema, class, &limits.query)?;
        let sort = parse_sort(&request.sort, schema, class, &limits.query)?;
        let limit = request.limit.unwrap_or(limits.results).min(limits.results);
        let query = Query::new(class, filter, sort, request.offset, limit);
        if !grant.fields().read_everything() {
            for field in query.fields() {
                grant.fields().authorize_read(field, Objects::All)?;
            }
        }
        Ok(query)
    }
}
