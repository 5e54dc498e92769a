//! The root of the API: what there is, which version, is it well.

use http::header;
use serde_json::json;

use crate::context::Ctx;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::route::{Access, Route, route};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        route!(GET "/" list_all_resources, "List all resource paths", Access::Public,
            answers: &[(200, Some("StringList"))]),
        route!(GET "/version" api_version, "Version of API and server", Access::Public,
            answers: &[(200, Some("Anything"))]),
        route!(GET "/spec" specification, "This document", Access::Public, answers: &[(200, Some("Anything"))]),
        route!(GET "/status" status, "Status of the app", Access::Public, answers: &[(200, Some("Anything"))]),
        route!(GET "/-/ready" ready, "Ready for requests?", Access::Public, answers: &[(200, Some("Anything"))]),
        route!(GET "/-/live" live, "Alive?", Access::Public, answers: &[(200, Some("Anything"))]),
        route!(GET "/-/startup" startup, "Started?", Access::Public, answers: &[(200, Some("Anything"))]),
    ]
}

async fn list_all_resources(ctx: Ctx) -> Result<Reply, ApiError> {
    // As in the OpenAPI document, which has no word for a parameter that takes the rest of the path.
    let routes = ctx.state.router.routes.iter();
    let mut paths: Vec<String> = routes.map(|route| route.path.replace("{*", "{")).collect();
    paths.dedup();
    Ok(Reply::json(200, &json!(paths)))
}

async fn api_version(_ctx: Ctx) -> Result<Reply, ApiError> {
    Ok(Reply::json(
        200,
        &json!({ "api": "v1", "server": "freshbase", "version": env!("CARGO_PKG_VERSION") }),
    ))
}

async fn specification(ctx: Ctx) -> Result<Reply, ApiError> {
    Ok(Reply::json_bytes(200, ctx.state.openapi.clone()).header(header::CACHE_CONTROL, "no-cache"))
}

async fn status(ctx: Ctx) -> Result<Reply, ApiError> {
    Ok(Reply::json(
        200,
        &json!({ "status": "running", "app": ctx.app.id().as_str() }),
    ))
}

async fn ready(_ctx: Ctx) -> Result<Reply, ApiError> {
    Ok(Reply::json(200, &json!({ "status": "ready" })))
}

async fn live(_ctx: Ctx) -> Result<Reply, ApiError> {
    Ok(Reply::json(200, &json!({ "status": "live" })))
}

async fn startup(_ctx: Ctx) -> Result<Reply, ApiError> {
    Ok(Reply::json(200, &json!({ "status": "started" })))
}
