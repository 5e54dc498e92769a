//! `/mail`: mails that administrators and the app's own code write.

use fb_app::{AppError, Letter};
use serde_json::{Value, json};

use crate::context::Ctx;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::route::{Access, Route, route};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        route!(POST "/mail" send_mail, "Send a mail; for administrators and the app's own code", Access::Admin,
            body: "Letter", answers: &[(200, Some("SentLetter"))]),
    ]
}

async fn send_mail(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    fb_auth::authorize_code(&caller, "send mail").map_err(AppError::from)?;
    let body = Value::Object(ctx.json_object().await?);
    let letter: Letter = serde_json::from_value(body)
        .map_err(|e| ApiError::bad_request(format!("The body must be a mail such as {EXAMPLE}: {e}.")))?;
    let ids = ctx.app.send_letter(&caller, letter)?;
    Ok(Reply::json(200, &json!({ "id": ids.first(), "ids": ids })))
}

const EXAMPLE: &str = r#"{"to": "ann@shop.example", "subject": "…", "text": "…"}"#;
