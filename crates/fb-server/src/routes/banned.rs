//! `/banned`: sources that made too many requests.

use std::net::IpAddr;

use fb_app::AppError;
use fb_auth::{Banned, authorize_admin};
use http::header;
use serde_json::json;

use crate::context::Ctx;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::route::{Access, Route, route};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        route!(GET "/banned" am_i_banned, "Whether the caller's address is banned: 204 if not, 429 if it is",
            Access::Public, answers: &[(200, Some("Ban")), (204, None)]),
        route!(DELETE "/banned" unban_all, "Lift all bans", Access::Admin, answers: &[(204, None)]),
        route!(GET "/banned/{ip}" is_banned, "Whether an address is banned: 204 if not", Access::Admin,
            answers: &[(200, Some("Ban")), (204, None)]),
        route!(DELETE "/banned/{ip}" unban, "Lift the ban of an address", Access::Admin, answers: &[(204, None)]),
    ]
}

/// Whoever is banned is answered before it gets here, unless it is an administrator.
async fn am_i_banned(ctx: Ctx) -> Result<Reply, ApiError> {
    let banned = match ctx.code.is_some() {
        true => None,
        false => ctx.app.ban_of(ctx.address()),
    };
    Ok(answer(banned))
}

async fn is_banned(ctx: Ctx) -> Result<Reply, ApiError> {
    authorize_admin(&ctx.caller()?, "look at bans").map_err(AppError::from)?;
    Ok(answer(ctx.app.ban_of(address(&ctx)?)))
}

async fn unban_all(ctx: Ctx) -> Result<Reply, ApiError> {
    ctx.app.lift_bans(&ctx.caller()?, None).await?;
    Ok(Reply::empty(204))
}

async fn unban(ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    authorize_admin(&caller, "lift bans").map_err(AppError::from)?;
    ctx.app.lift_bans(&caller, Some(address(&ctx)?)).await?;
    Ok(Reply::empty(204))
}

fn answer(banned: Option<Banned>) -> Reply {
    let reply = match banned {
        None => Reply::empty(204),
        Some(banned) => Reply::json(
            200,
            &json!({ "until": banned.until.to_string(), "retryAfter": banned.retry_after }),
        ),
    };
    reply.header(header::CACHE_CONTROL, "private, no-store")
}

fn address(ctx: &Ctx) -> Result<IpAddr, ApiError> {
    let text = ctx.request.param("ip")?;
    text.parse()
        .map_err(|_| ApiError::bad_request("The path must end with an IP address."))
}
