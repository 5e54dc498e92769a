//! The second factor.

use fb_app::{AppError, MfaStatus};
use fb_auth::Secret;
use http::header;
use serde_json::{Map, Value, json};

use super::{flag, session, string, user};
use crate::context::Ctx;
use crate::error::ApiError;
use crate::qr;
use crate::reply::Reply;
use crate::route::{Access, Route, route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        route!(GET "/db/User/mfa/init" mfa_init, "Begin a second factor: its secret as a URI and as a picture",
            Access::LoggedIn, answers: &[(200, Some("NewFactor"))]),
        route!(POST "/db/User/mfa/init" mfa_confirm, "Confirm it with a code of the device; gives recovery codes",
            Access::LoggedIn, body: "Code", answers: &[(200, Some("RecoveryCodes"))]),
        route!(POST "/db/User/mfa/token" mfa_token, "Second step of a login: a code of the device or a recovery code",
            Access::Public, body: "SecondStep", answers: &[(200, Some("Object"))]),
        route!(DELETE "/db/User/mfa" mfa_delete, "Remove the own second factor", Access::LoggedIn,
            answers: &[(204, None)]),
        route!(GET "/db/User/mfa/status" mfa_status, "DISABLED, PENDING or REQUIRED", Access::LoggedIn,
            answers: &[(200, Some("Anything"))]),
        route!(DELETE "/db/User/{oid}/mfa" mfa_delete_of, "Remove the second factor of whoever lost the device",
            Access::Admin, answers: &[(204, None)]),
    ]
}

async fn mfa_init(ctx: Ctx) -> Result<Reply, ApiError> {
    let new = ctx.app.begin_mfa(session(&ctx)?).await?;
    let uri = new.uri.expose();
    let picture = qr::png_data_uri(uri).ok_or_else(|| AppError::internal("drawing a QR code", "it does not fit"))?;
    let body = json!({ "qrCode": picture, "keyUri": uri });
    Ok(Reply::json(200, &body).header(header::CACHE_CONTROL, "private, no-store"))
}

async fn mfa_confirm(mut ctx: Ctx) -> Result<Reply, ApiError> {
    session(&ctx)?;
    let body = ctx.json_object().await?;
    let session = session(&ctx)?;
    let codes = ctx.app.confirm_mfa(&ctx.source(), session, &code(&body)?).await?;
    let codes: Vec<&str> = codes.iter().map(Secret::expose).collect();
    Ok(Reply::json(200, &json!({ "recoveryCodes": codes })).header(header::CACHE_CONTROL, "private, no-store"))
}

async fn mfa_token(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let body = ctx.json_object().await?;
    let long = match body.get("global") {
        None | Some(Value::Null) => None,
        Some(_) => Some(flag(&body, "global", true)?),
    };
    let token = string(&body, "authToken")?;
    let account = ctx
        .app
        .login_with_code(&ctx.source(), &token, &code(&body)?, long)
        .await?;
    Ok(user(&account))
}

async fn mfa_delete(ctx: Ctx) -> Result<Reply, ApiError> {
    ctx.app.remove_mfa(session(&ctx)?).await?;
    Ok(Reply::empty(204))
}

async fn mfa_status(ctx: Ctx) -> Result<Reply, ApiError> {
    let status = match ctx.app.mfa_status(session(&ctx)?).await? {
        MfaStatus::Disabled => "DISABLED",
        MfaStatus::Pending => "PENDING",
        MfaStatus::Required => "REQUIRED",
    };
    Ok(Reply::json(200, &json!(status)).header(header::CACHE_CONTROL, "private, no-store"))
}

async fn mfa_delete_of(ctx: Ctx) -> Result<Reply, ApiError> {
    ctx.app.remove_mfa_of(&ctx.caller()?, &ctx.key()?).await?;
    Ok(Reply::empty(204))
}

/// Clients send codes as strings, or as numbers without leading zeros.
fn code(body: &Map<String, Value>) -> Result<String, ApiError> {
    match body.get("code") {
        Some(Value::String(code)) => Ok(code.trim().to_owned()),
        Some(Value::Number(code)) if code.as_u64().is_some() => Ok(format!("{:0>6}", code.to_string())),
        _ => Err(ApiError::bad_request("The body needs the member `code`.")),
    }
}
