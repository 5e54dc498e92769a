//! What administrators do with accounts, and tokens of single roles.

use http::header;
use serde_json::{Value, json};

use super::session;
use crate::context::Ctx;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::route::{Access, Route, route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        route!(POST "/db/User/{oid}/token" create_user_token, "Create a token for scripts that acts as the user",
            Access::Admin, answers: &[(200, Some("Token"))]),
        route!(DELETE "/db/User/{oid}/token" revoke_user_token, "Make all tokens of the user die", Access::Admin,
            answers: &[(204, None)]),
        route!(PUT "/db/User/{oid}/inactive" set_inactive, "Deactivate (true) or activate (false) an account",
            Access::Admin, body: "Flag", answers: &[(200, Some("Object"))]),
        route!(POST "/db/Role/{oid}/assume" assume_role, "A token with the rights of one of the own roles, and no others",
            Access::LoggedIn, answers: &[(200, Some("Token"))]),
    ]
}

async fn create_user_token(ctx: Ctx) -> Result<Reply, ApiError> {
    let token = ctx.app.create_api_token(&ctx.caller()?, &ctx.key()?).await?;
    Ok(Reply::json(200, &json!({ "token": token.expose() })).header(header::CACHE_CONTROL, "private, no-store"))
}

async fn revoke_user_token(ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let session = ctx.session.as_ref().ok().and_then(Option::as_ref);
    let token = ctx.app.revoke_tokens(&caller, session, &ctx.key()?).await?;
    Ok(Reply::empty(204).token(token.as_ref()))
}

async fn set_inactive(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let inactive = match ctx.json().await? {
        Value::Bool(inactive) => inactive,
        _ => return Err(ApiError::bad_request("The body must be true or false.")),
    };
    let user = ctx.app.set_inactive(&caller, &ctx.key()?, inactive).await?;
    Ok(Reply::json_bytes(200, user.body())
        .etag(user.version())
        .header(header::CACHE_CONTROL, "private, no-store"))
}

async fn assume_role(ctx: Ctx) -> Result<Reply, ApiError> {
    let token = ctx.app.assume_role(session(&ctx)?, &ctx.key()?).await?;
    Ok(Reply::json(200, &json!({ "token": token.expose() })).header(header::CACHE_CONTROL, "private, no-store"))
}
