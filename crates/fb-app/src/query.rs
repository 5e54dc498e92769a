//! Queries and counts.

use bytes::Bytes;
use fb_auth::{Operation, Principal, authorize};
use fb_query::{Query, parse_filter, parse_sort};
use fb_store::Row;
use fb_types::{Class, Schema};
use serde_json::Value;

use crate::{App, AppError};

/// A filter as it came, parsed as JSON but not yet against a schema.
pub type RawFilter = Value;

/// A query as it came.
#[derive(Debug, Clone)]
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

impl App {
    /// The matching objects that the caller may read, as one JSON array.
    pub async fn query(&self, caller: &Principal, bucket: &str, request: QueryRequest) -> Result<Bytes, AppError> {
        let schema = self.schema();
        let class = self.entity(&schema, bucket)?;
        let grant = authorize(caller, Operation::Query, class)?;
        let filter = parse_filter(&request.filter, &schema, class, &self.limits().query)?;
        let sort = parse_sort(&request.sort, &schema, class, &self.limits().query)?;
        let most = self.limits().results;
        let limit = request.limit.unwrap_or(most).min(most);
        let query = Query::new(class, filter, sort, request.offset, limit);
        let rows = self.store().query(&grant, &query).await?;
        if rows.rows().iter().all(|row| row.shape >= class.shape()) {
            return Ok(rows.into_json().into());
        }
        let mut json = vec![b'['];
        for (i, row) in rows.rows().iter().enumerate() {
            if i > 0 {
                json.push(b',');
            }
            json.extend_from_slice(&current_body(&schema, class, row, rows.body(row))?);
        }
        json.push(b']');
        Ok(json.into())
    }

    /// How many objects match that the caller may read.
    pub async fn count(&self, caller: &Principal, bucket: &str, filter: &RawFilter) -> Result<u64, AppError> {
        let schema = self.schema();
        let class = self.entity(&schema, bucket)?;
        let grant = authorize(caller, Operation::Query, class)?;
        let filter = parse_filter(filter, &schema, class, &self.limits().query)?;
        Ok(self.store().count(&grant, &filter).await?)
    }
}

/// The JSON text of a row in the current shape of its class.
pub(crate) fn current_body(schema: &Schema, class: &Class, row: &Row, body: &[u8]) -> Result<Bytes, AppError> {
    if row.shape >= class.shape() {
        return Ok(Bytes::copy_from_slice(body));
    }
    schema
        .complete_body(class, body)
        .map_err(|e| AppError::internal("reading an object", e))
}
