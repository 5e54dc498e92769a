//! `/events`: live queries, by WebSocket and as server-sent events. `/events-url` says where.

use fb_app::{LiveCaller, LiveWish, Resume};
use http::header::{self, HeaderName};
use serde_json::{Value, json};

use super::queries::{filter_from_url, parse_query_json};
use crate::codes;
use crate::context::Ctx;
use crate::error::ApiError;
use crate::live::{self, EventStream, Kind, Socket};
use crate::reply::Reply;
use crate::route::{Access, Route, route};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        route!(GET "/events" live_socket,
            "Live queries by WebSocket: upgrades the connection; messages bring their own tokens", Access::Public,
            answers: &[(101, None)]),
        route!(GET "/events-url" live_url, "The URL of the WebSocket for live queries", Access::Public,
            answers: &[(200, Some("EventsUrl"))]),
        route!(GET "/events/{bucket}" live_events, "A live query as server-sent events", Access::Class(&["query"]),
            query: &[
                ("q", "Filter, JSON"),
                ("start", "How many matching objects to skip; default 0"),
                ("count", "How many objects to keep up to date at most"),
                ("sort", "Sort order, JSON: {\"field\": 1 or -1, …}"),
                ("initial", "false: without the result as it is at first"),
                ("matchTypes", "all, or any of add, change, changeIndex, match, remove, separated by commas"),
                ("resume", "The id of the last event that came, if the header Last-Event-ID cannot be sent"),
                ("operations", "any, or any of insert, update, delete, none, separated by commas"),
            ],
            answers: &[(200, None)]),
    ]
}

async fn live_socket(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let reply = live::accept(&ctx.request.headers)?;
    let upgrade = ctx.request.upgrade.take().ok_or_else(|| {
        let text = "WebSockets need a connection of their own with HTTP/1.1.";
        ApiError::new(codes::UPGRADE_REQUIRED, text).with(header::UPGRADE, "websocket")
    })?;
    let address = ctx.address();
    let place = ctx.state.places.take(&ctx.app, address, Kind::WebSocket)?;
    let socket = Socket {
        number: ctx.request.number,
        state: ctx.state,
        app: ctx.app,
        place,
        address,
    };
    tokio::spawn(socket.serve(upgrade));
    Ok(reply)
}

async fn live_url(ctx: Ctx) -> Result<Reply, ApiError> {
    let path = ctx.request.path().strip_suffix("-url").unwrap_or("/v1/events");
    let authority = ctx.request.uri.authority().map(|authority| authority.as_str());
    let host = authority.or_else(|| ctx.request.header(header::HOST)).unwrap_or("");
    let scheme = if super::devices::is_https(&ctx) { "wss" } else { "ws" };
    let url = format!("{scheme}://{host}{path}");
    let reply = Reply::json(200, &json!({ "url": url, "websocket": format!("//{host}{path}") }));
    Ok(reply.header(header::CACHE_CONTROL, "no-store"))
}

async fn live_events(ctx: Ctx) -> Result<Reply, ApiError> {
    ctx.caller()?;
    if ctx.code.is_some() {
        let text = "Code cannot subscribe to live queries: it is called when something happens.";
        return Err(ApiError::new(codes::NOT_IMPLEMENTED, text));
    }
    let request = &ctx.request;
    let sort = match request.query("sort")?.as_deref() {
        None | Some("") => Value::Null,
        Some(text) => parse_query_json(text, "the sort order")?,
    };
    let match_types = request.query("matchTypes")?;
    let operations = request.query("operations")?;
    let last = request.header(HeaderName::from_static("last-event-id"));
    let last = match last.filter(|last| !last.is_empty()) {
        Some(last) => Some(last.to_owned()),
        None => request.query("resume")?,
    };
    let wish = LiveWish {
        // Streams come back by themselves.
        resume: last.map_or(Resume::Possible, Resume::After),
        bucket: ctx.bucket()?.into_owned(),
        filter: filter_from_url(&ctx)?,
        sort,
        offset: request.number("start")?.unwrap_or(0),
        limit: request.number("count")?,
        initial: request.query("initial")?.as_deref() != Some("false"),
        events: live::events_of(match_types.as_deref(), operations.as_deref())?,
    };
    let caller = match request.token() {
        Some((token, true)) => LiveCaller::Resource {
            token: token.into(),
            path: request.path().into(),
        },
        other => other.map(|(token, _)| token).into(),
    };
    let place = ctx.state.places.take(&ctx.app, ctx.address(), Kind::Stream)?;
    let connection = ctx.app.live_connection(place.source());
    let id = ctx.request_id();
    connection.subscribe(&id, caller, wish).await?;
    let body = live::events(EventStream {
        number: ctx.request.number,
        state: ctx.state,
        app: ctx.app,
        connection,
        place,
    });
    Ok(Reply::stream(200, body)
        .header(header::CONTENT_TYPE, "text/event-stream;charset=utf-8")
        .header(header::CACHE_CONTROL, "no-store, no-transform")
        // Proxies gather small pieces otherwise.
        .header(HeaderName::from_static("x-accel-buffering"), "no"))
}
