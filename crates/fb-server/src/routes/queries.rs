//! `/db/{bucket}/query` and `/db/{bucket}/count`.

use fb_app::QueryRequest;
use fb_app::caching::{Group, ResultForm, tags};
use fb_app::functions::Read;
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
            query: &[Q, PART[0], PART[1], PART[2], ("eager", "false: ids and versions only"),
                ("cached", "objects, ids, or true for whichever is cheaper: what everybody may see, with a lifetime")],
            answers: &[(200, Some("ObjectList")), (304, None)]),
        route!(POST "/db/{bucket}/query" adhoc_query_post, "Query objects with the filter in the body",
            Access::Class(&["query"]), query: &PART, body: "Filter", answers: &[(200, Some("ObjectList"))]),
        route!(GET "/db/{bucket}/count" adhoc_count, "Count objects", Access::Class(&["query"]),
            query: &[Q, ("cached", "true: of what everybody may see, with a lifetime")],
            answers: &[(200, Some("Count")), (304, None)]),
        route!(POST "/db/{bucket}/count" adhoc_count_post, "Count objects with the filter in the body",
            Access::Class(&["query"]), body: "Filter", answers: &[(200, Some("Count"))]),
    ]
}

async fn adhoc_query(ctx: Ctx) -> Result<Reply, ApiError> {
    let filter = filter_from_url(&ctx)?;
    match cached_form(&ctx)? {
        Some(form) => run_to_keep(&ctx, filter, form).await,
        None => run(&ctx, filter).await,
    }
}

async fn adhoc_query_post(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let filter = filter_from_body(&mut ctx).await?;
    run(&ctx, filter).await
}

async fn adhoc_count(ctx: Ctx) -> Result<Reply, ApiError> {
    let filter = filter_from_url(&ctx)?;
    match ctx.request.query("cached")?.as_deref() {
        None | Some("" | "false") => count(&ctx, filter).await,
        Some("true") => run_to_keep(&ctx, filter, ResultForm::Count).await,
        Some(_) => Err(ApiError::bad_request("cached must be true for a count.")),
    }
}

async fn adhoc_count_post(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let filter = filter_from_body(&mut ctx).await?;
    count(&ctx, filter).await
}

/// The form of a result that may be kept, if it is asked for.
fn cached_form(ctx: &Ctx) -> Result<Option<ResultForm>, ApiError> {
    Ok(match ctx.request.query("cached")?.as_deref() {
        None | Some("" | "false") => None,
        Some("true") => Some(ResultForm::Any),
        Some("objects") => Some(ResultForm::Objects),
        Some("ids") => Some(ResultForm::Ids),
        Some(_) => return Err(ApiError::bad_request("cached must be true, objects or ids.")),
    })
}

/// The result that everybody gets, under the URL as it was asked for: that is the name of its copies in the filter.
async fn run_to_keep(ctx: &Ctx, filter: Value, form: ResultForm) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    if ctx.code.is_some() || ctx.request.has_token_in_url() {
        // Such URLs are nobody else's.
        return match form {
            ResultForm::Count => count(ctx, filter).await,
            ResultForm::Any | ResultForm::Objects | ResultForm::Ids => run(ctx, filter).await,
        };
    }
    let query = match form {
        ResultForm::Count => QueryRequest::all_that_pass(filter),
        ResultForm::Any | ResultForm::Objects | ResultForm::Ids => query_request(ctx, filter)?,
    };
    let name = ctx.bucket()?;
    let (bucket, rest) = (ctx.request.raw_param("bucket"), ctx.request.uri.query());
    let resource = if form == ResultForm::Count { "count" } else { "query" };
    let url = format!("/db/{bucket}/{resource}?{}", rest.unwrap_or_default());
    let kept = ctx.app.query_to_keep(&caller, &name, query, form, &url).await?;
    let tag = tag_of([&kept.body[..]]);
    let mut reply = match is_known(ctx, &tag) {
        true => Reply::empty(304),
        false => Reply::json_bytes(200, kept.body),
    };
    reply.set_header(header::ETAG, &tag);
    if kept.lifetime.is_some() {
        ctx.count(&mut reply, Group::Query(&name, kept.number));
    }
    Ok(match kept.lifetime {
        Some(lifetime) => {
            let at_edges = if kept.is_purged {
                lifetime.browser
            } else {
                lifetime.edge
            };
            ctx.kept_and_purged_late(reply, lifetime, at_edges, || {
                let app = ctx.app.id();
                vec![tags::app(app), tags::class(app, &name), tags::query(app, kept.number)]
            })
        }
        None if kept.is_public => reply.header(header::CACHE_CONTROL, "no-cache"),
        None => reply.header(header::CACHE_CONTROL, "private, no-cache"),
    })
}

/// The same bytes have the same tag, also after a restart.
pub(super) fn tag_of<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> String {
    use std::hash::Hasher;
    let mut hasher = std::hash::DefaultHasher::new();
    for piece in pieces {
        hasher.write(piece);
    }
    format!("\"{:016x}\"", hasher.finish())
}

/// Whether the client has the answer with this tag.
pub(super) fn is_known(ctx: &Ctx, tag: &str) -> bool {
    let tags = ctx.request.header(header::IF_NONE_MATCH).unwrap_or_default();
    let mut known = tags.split(',').map(|known| known.trim().trim_start_matches("W/"));
    known.any(|known| known == tag.trim_start_matches("W/"))
}

async fn run(ctx: &Ctx, filter: Value) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let query = query_request(ctx, filter)?;
    let name = ctx.bucket()?;
    let found = match ctx.take_down(|| Read::Query(name.to_string(), query.clone())) {
        true => ctx.app.query_in_order(&caller, &name, &query).await?,
        false => ctx.app.query(&caller, &name, query).await?,
    };
    let found = match ctx.request.query("eager")?.as_deref() {
        Some("false") => ids_and_versions(&found)?,
        _ => found,
    };
    Ok(Reply::json_bytes(200, found).header(header::CACHE_CONTROL, "private, no-cache"))
}

/// The query of a request with this filter.
fn query_request(ctx: &Ctx, filter: Value) -> Result<QueryRequest, ApiError> {
    let request = &ctx.request;
    let sort = match request.query("sort")?.as_deref() {
        None | Some("") => Value::Null,
        Some(text) => parse_query_json(text, "the sort order")?,
    };
    Ok(QueryRequest {
        filter,
        sort,
        offset: request.number("start")?.unwrap_or(0),
        // A negative count is no number of objects: it stands for the default.
        limit: request.number("count")?,
    })
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
    let name = ctx.bucket()?;
    ctx.take_down(|| Read::Count(name.to_string(), filter.clone()));
    let count = ctx.app.count(&caller, &name, &filter).await?;
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
