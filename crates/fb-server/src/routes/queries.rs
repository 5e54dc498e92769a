//! `/db/{bucket}/query` and `/db/{bucket}/count`.

use fb_app::QueryRequest;
use http::header;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::codes;
use crate::context::{Ctx, parse_json};
use crate::error::ApiError;
use crate::reply::Reply;
use crate::route::{Access, Route, route};

const Q: (&str, &str) = ("q", "Filter, JSON");
const PART: [(&str, &str); 3] = [
    ("start", "How many matching objects to skip; default 0"),
    ("count", "How many objects to return at most; default and maximum 500"),
    ("sort", "Sort order, JSON: {\"field\": 1 or -1, …}"),
];

pub(crate) fn routes() -> Vec<Route> {
    vec![
        route!(GET "/db/{bucket}/query" adhoc_query, "Query objects", Access::Class(&["query"]),
            query: &[Q, PART[0], PART[1], PART[2], ("eager", "false: ids and versions only")],
            answers: &[(200, Some("ObjectList"))]),
        route!(POST "/db/{bucket}/query" adhoc_query_post, "Query objects with the filter in the body",
            Access::Class(&["query"]), query: &PART, body: "Filter", answers: &[(200, Some("ObjectList"))]),
        route!(GET "/db/{bucket}/count" adhoc_count, "Count objects", Access::Class(&["query"]),
            query: &[Q], answers: &[(200, Some("Count"))]),
        route!(POST "/db/{bucket}/count" adhoc_count_post, "Count objects with the filter in the body",
            Access::Class(&["query"]), body: "Filter", answers: &[(200, Some("Count"))]),
    ]
}

async fn adhoc_query(ctx: Ctx) -> Result<Reply, ApiError> {
    let filter = filter_from_url(&ctx)?;
    run(&ctx, filter).await
}

async fn adhoc_query_post(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let filter = filter_from_body(&mut ctx).await?;
    run(&ctx, filter).await
}

async fn adhoc_count(ctx: Ctx) -> Result<Reply, ApiError> {
    let filter = filter_from_url(&ctx)?;
    count(&ctx, filter).await
}

async fn adhoc_count_post(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let filter = filter_from_body(&mut ctx).await?;
    count(&ctx, filter).await
}

async fn run(ctx: &Ctx, filter: Value) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let request = &ctx.request;
    let sort = match request.query("sort")?.as_deref() {
        None | Some("") => Value::Null,
        Some(text) => parse_query_json(text, "the sort order")?,
    };
    let query = QueryRequest {
        filter,
        sort,
        offset: request.number("start")?.unwrap_or(0),
        // A negative count is no number of objects: it stands for the default.
        limit: request.number("count")?,
    };
    let found = ctx.app.query(&caller, &ctx.bucket()?, query).await?;
    let found = match request.query("eager")?.as_deref() {
        Some("false") => ids_and_versions(&found)?,
        _ => found,
    };
    Ok(Reply::json_bytes(200, found).header(header::CACHE_CONTROL, "private, no-cache"))
}

/// The form of results that asks the client to load the objects one by one: `[{"/db/Todo/1": 3}, …]`.
fn ids_and_versions(found: &[u8]) -> Result<bytes::Bytes, ApiError> {
    let unreadable = |e| ApiError::from(fb_app::AppError::internal("reading results", e));
    // One by one: in the array an object may nest deeper than a parser goes.
    let objects: Vec<Box<RawValue>> = serde_json::from_slice(found).map_err(unreadable)?;
    let mut short = Vec::with_capacity(objects.len());
    for object in objects {
        let object: Value = serde_json::from_str(object.get()).map_err(unreadable)?;
        if let Some(id) = object["id"].as_str() {
            short.push(json!({ id: object["version"] }));
        }
    }
    Ok(Value::Array(short).to_string().into())
}

async fn count(ctx: &Ctx, filter: Value) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let count = ctx.app.count(&caller, &ctx.bucket()?, &filter).await?;
    let reply = Reply::json(200, &json!({ "count": count }));
    Ok(reply.header(header::CACHE_CONTROL, "private, no-cache"))
}

pub(super) fn filter_from_url(ctx: &Ctx) -> Result<Value, ApiError> {
    match ctx.request.query("q")?.as_deref() {
        None | Some("") => Ok(json!({})),
        Some(text) => parse_query_json(text, "the filter"),
    }
}

async fn filter_from_body(ctx: &mut Ctx) -> Result<Value, ApiError> {
    let limit = ctx.state.limits.body_bytes;
    let body = ctx.request.bytes(limit).await?;
    if body.is_empty() {
        return Ok(json!({}));
    }
    let text = std::str::from_utf8(&body).map_err(|_| ApiError::new(codes::SYNTAX, "The filter is not UTF-8."))?;
    parse_query_json(text, "the filter")
}

/// Filters and sort orders that are no JSON are syntax errors of the query language.
pub(super) fn parse_query_json(text: &str, what: &str) -> Result<Value, ApiError> {
    parse_json(text.as_bytes(), what).map_err(|error| ApiError::new(codes::SYNTAX, error.message))
}
