//! `/config`: settings of the app.

use fb_auth::authorize_admin;
use fb_mail::{Purpose, Template};
use serde_json::{Value, json};

use crate::context::Ctx;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::route::{Access, Route, route};

/// How long tokens under the old key stay valid unless the request says otherwise: a day, within which every client in
/// use has renewed its token.
const OVERLAP_SECONDS: u32 = 24 * 3600;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        route!(GET "/config" get_config, "Read the app's settings", Access::Admin, answers: &[(200, Some("Config"))]),
        route!(PUT "/config" update_config, "Change the app's settings; those that are left out stay", Access::Admin,
            body: "Config", answers: &[(200, Some("Config"))]),
        route!(POST "/config/tokenKeys" rotate_token_key,
            "Sign tokens with a new key; those under the old one stay valid for overlapSeconds, a day by default",
            Access::Admin, body: "Overlap", answers: &[(204, None)]),
        route!(POST "/config/mail/preview" preview_mail,
            "What a mail would look like, with the app's template or the given one", Access::Admin,
            body: "MailPreview", answers: &[(200, Some("MailContent"))]),
    ]
}

async fn get_config(ctx: Ctx) -> Result<Reply, ApiError> {
    authorize_admin(&ctx.caller()?, "read the app's configuration").map_err(fb_app::AppError::from)?;
    Ok(Reply::json(200, &json!(ctx.app.settings().without_secrets())))
}

async fn update_config(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let changes = ctx.json_object().await?;
    let settings = ctx.app.update_settings(&caller, &changes).await?;
    Ok(Reply::json(200, &json!(settings.without_secrets())))
}

async fn rotate_token_key(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let body = ctx.json_object().await?;
    let overlap = match body.get("overlapSeconds") {
        None | Some(Value::Null) => OVERLAP_SECONDS,
        Some(seconds) => seconds
            .as_u64()
            .and_then(|n| u32::try_from(n).ok())
            .filter(|n| *n <= 31_536_000)
            .ok_or_else(|| ApiError::bad_request("overlapSeconds must be 0 to 31536000."))?,
    };
    ctx.app.rotate_token_key(&caller, overlap).await?;
    Ok(Reply::empty(204))
}

async fn preview_mail(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let mut body = ctx.json_object().await?;
    let bad = |what: &str, error: serde_json::Error| ApiError::bad_request(format!("`{what}`: {error}."));
    let purpose = body.remove("purpose").unwrap_or_default();
    let purpose: Purpose = serde_json::from_value(purpose).map_err(|e| bad("purpose", e))?;
    let template: Option<Template> =
        serde_json::from_value(body.remove("template").unwrap_or_default()).map_err(|e| bad("template", e))?;
    let content = ctx.app.preview_mail(&caller, purpose, template)?;
    Ok(Reply::json(
        200,
        &json!({ "subject": content.subject, "text": content.text, "html": content.html }),
    ))
}
