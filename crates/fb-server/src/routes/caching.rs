//! `/bloomfilter` and `/caching`: which copies are out of date. Source: protocol 07.

use std::time::Duration;

use fb_app::caching::{FilterVersion, Snapshot, Traffic};
use http::header;
use serde_json::{Value, json};

use crate::context::{Ctx, Request};
use crate::error::ApiError;
use crate::reply::Reply;
use crate::route::{Access, Route, route};

/// The whole filter as bytes: `fb_sketch::Snapshot::binary`.
const BINARY: &str = "application/vnd.freshbase.filter";
/// What makes it out of the version in `If-None-Match`: `fb_sketch::delta`.
const DELTA: &str = "application/vnd.freshbase.filter-delta";

pub(crate) fn routes() -> Vec<Route> {
    vec![
        route!(GET "/bloomfilter" get_bloom_filter, "The filter of what changed in caches lately", Access::Public,
            answers: &[(200, Some("BloomFilter")), (304, None)]),
        route!(DELETE "/bloomfilter" flush_bloom_filter,
            "Make clients ask about all their copies until the last one has ended", Access::Admin,
            query: &[("flush", "must be true")], answers: &[(204, None)]),
        route!(GET "/bloomfilter/expirations" get_expirations, "Seconds until keys leave the filter", Access::Admin,
            answers: &[(200, Some("Anything"))]),
        route!(GET "/caching" get_caching, "Figures of caching, by class, bucket, query and module", Access::Admin,
            answers: &[(200, Some("Anything"))]),
    ]
}

async fn get_bloom_filter(ctx: Ctx) -> Result<Reply, ApiError> {
    let edge = ctx.app.settings().caching.edge_staleness;
    let snapshot = ctx.app.filter().await;
    let tags = ctx.request.header(header::IF_NONE_MATCH).unwrap_or_default();
    let mut known = tags.split(',').filter_map(FilterVersion::parse);
    let (reply, is_for_all) = if known.any(|version| version == snapshot.version()) {
        (Reply::empty(304), true)
    } else if let Some(delta) = delta(&ctx.request, &snapshot) {
        (typed(DELTA, delta), false)
    } else if accepts(&ctx.request, BINARY) {
        (typed(BINARY, snapshot.binary()), true)
    } else {
        (Reply::json_bytes(200, snapshot.json()), true)
    };
    // Forms of one version are equal, but not byte by byte.
    let mut reply = reply.header(header::VARY, "Accept");
    reply.set_header(header::ETAG, &format!("W/\"{}\"", snapshot.version().tag()));
    Ok(match is_for_all {
        true => micro_cached(reply, edge),
        false => reply.header(header::CACHE_CONTROL, "no-store"),
    })
}

fn typed(media_type: &'static str, bytes: bytes::Bytes) -> Reply {
    let reply = Reply::bytes(200, bytes).header(header::CONTENT_TYPE, media_type);
    reply.header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
}

/// For `edge` seconds in shared caches, which is part of the bound; browsers ask each time. Pages of other origins get headers of their own.
pub(super) fn micro_cached(mut reply: Reply, edge: u32) -> Reply {
    reply.vary_on("Origin");
    match edge {
        0 => reply.header(header::CACHE_CONTROL, "no-cache"),
        edge => {
            reply.set_header(header::CACHE_CONTROL, &format!("public, max-age=0, s-maxage={edge}"));
            reply
        }
    }
}

fn accepts(request: &Request, media_type: &str) -> bool {
    let accept = request.header(header::ACCEPT).unwrap_or_default();
    let mut types = accept
        .split(',')
        .map(|part| part.split(';').next().unwrap_or_default().trim());
    types.any(|part| part.eq_ignore_ascii_case(media_type))
}

fn delta(request: &Request, snapshot: &Snapshot) -> Option<bytes::Bytes> {
    if !accepts(request, DELTA) {
        return None;
    }
    let tags = request.header(header::IF_NONE_MATCH)?;
    tags.split(',')
        .filter_map(FilterVersion::parse)
        .find_map(|known| snapshot.since(known))
}

async fn flush_bloom_filter(ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    if ctx.request.query("flush")?.as_deref() != Some("true") {
        fb_auth::authorize_admin(&caller, "flush the filter").map_err(fb_app::AppError::from)?;
        let text = "The filter names copies that are out there, so it cannot be deleted. With ?flush=true clients ask about all of their copies.";
        return Err(ApiError::bad_request(text));
    }
    ctx.app.distrust_copies(&caller).await?;
    Ok(Reply::empty(204))
}

async fn get_expirations(ctx: Ctx) -> Result<Reply, ApiError> {
    let figures = ctx.app.show_caching(&ctx.caller()?)?;
    let body = json!({
        "blind": figures.blind_seconds,
        "next": figures.next_expiry_seconds,
        "last": figures.last_expiry_seconds,
    });
    Ok(Reply::json(200, &body).header(header::CACHE_CONTROL, "private, no-store"))
}

async fn get_caching(ctx: Ctx) -> Result<Reply, ApiError> {
    let figures = ctx.app.show_caching(&ctx.caller()?)?;
    let sketch = figures.sketch;
    let areas = figures.areas.iter().map(|area| {
        let mean = match area.reads {
            0 => 0.0,
            reads => area.granted_seconds as f64 / reads as f64,
        };
        let figures = json!({
            "name": area.name,
            "reads": area.reads,
            "meanLifetime": Duration::from_secs_f64(mean).as_secs(),
            "staleWrites": area.stale_writes,
        });
        with_traffic(figures, &area.traffic)
    });
    let queries = figures.queries.iter().map(|query| {
        let figures = json!({
            "query": query.text,
            "form": query.form,
            "objects": query.objects,
            "requestsPerSecond": query.requests,
            "copies": query.copies,
            "meanLifetime": query.mean_lifetime,
            "outdated": query.outdated,
            "evaluationMicros": u64::try_from(query.evaluation.as_micros()).unwrap_or(u64::MAX),
            "urls": query.urls,
        });
        with_traffic(figures, &query.traffic)
    });
    let queries: Vec<Value> = queries.collect();
    let settings = ctx.app.settings();
    let body = json!({
        "staleness": settings.caching.staleness,
        "edgeStaleness": settings.caching.edge_staleness,
        "queries": queries,
        "keys": sketch.keys,
        "stale": sketch.stale,
        "bits": sketch.bits,
        "fill": sketch.fill,
        "falsePositives": sketch.false_positives,
        "blindSeconds": figures.blind_seconds,
        "reads": sketch.reads,
        "refused": sketch.refused,
        "writes": sketch.writes,
        "staleWrites": sketch.purges,
        "areas": areas.collect::<Vec<Value>>(),
    });
    let all = figures.areas.iter().map(|area| area.traffic).sum();
    let body = with_traffic(body, &all);
    Ok(Reply::json(200, &body).header(header::CACHE_CONTROL, "private, no-store"))
}

/// The figures with those of requests.
fn with_traffic(mut figures: Value, traffic: &Traffic) -> Value {
    figures["requests"] = traffic.requests.into();
    figures["confirmed"] = traffic.confirmed.into();
    figures["edgeRequests"] = traffic.edge_requests.into();
    figures["edgeHits"] = traffic.edge_hits.into();
    figures["hitRate"] = traffic.hit_rate().into();
    figures
}
