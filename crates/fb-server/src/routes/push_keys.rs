//! `/config/VAPIDKeys`, `/config/GCMKey`, `/config/APNSCert`: keys for push services, set and never read back.

use fb_app::{ApnsUpload, AppError};
use fb_auth::{Secret, authorize_admin};
use http::header;
use serde_json::json;

use crate::codes;
use crate::context::Ctx;
use crate::error::ApiError;
use crate::multipart::{self, Part};
use crate::reply::Reply;
use crate::route::{Access, Route, route};

/// Largest body with a key.
const KEY_BYTES: usize = 64 << 10;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        route!(POST "/config/VAPIDKeys" generate_vapid_keys,
            "Generate a new key pair for web push; browsers have to subscribe anew", Access::Admin,
            answers: &[(200, Some("VapidPublicKey"))]),
        route!(GET "/config/VAPIDPublicKey" vapid_public_key,
            "The public key that browsers subscribe with: the 65 bytes of a point of P-256", Access::Public,
            answers: &[(200, Some("FileContent"))]),
        route!(POST "/config/GCMKey" set_fcm_key,
            "Set the key for Firebase Cloud Messaging: the JSON file of a service account", Access::Admin,
            body: "PushKey", answers: &[(204, None)]),
        route!(POST "/config/APNSCert" set_apns_key,
            "Set the key for Apple's push service: a .p8 file with its keyId, teamId and the app's topic", Access::Admin,
            body: "ApnsUpload", answers: &[(204, None)]),
    ]
}

async fn generate_vapid_keys(ctx: Ctx) -> Result<Reply, ApiError> {
    let public = ctx.app.generate_vapid_keys(&ctx.caller()?).await?;
    let key = data_encoding::BASE64URL_NOPAD.encode(&public);
    Ok(Reply::json(200, &json!({ "publicKey": key })))
}

async fn vapid_public_key(ctx: Ctx) -> Result<Reply, ApiError> {
    match ctx.app.vapid_public_key().await? {
        Some(key) => Ok(Reply::bytes(200, bytes::Bytes::copy_from_slice(&key))
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::CACHE_CONTROL, "no-cache")),
        None => {
            let text = "There are no keys for web push; an administrator generates them with POST /config/VAPIDKeys.";
            Err(ApiError::new(codes::NOT_FOUND, text))
        }
    }
}

async fn set_fcm_key(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    authorize_admin(&caller, "set the key for Firebase").map_err(AppError::from)?;
    let body = ctx.request.bytes(KEY_BYTES).await?;
    let text = std::str::from_utf8(&body).map_err(|_| ApiError::bad_request("The body is not UTF-8."))?;
    ctx.app.set_fcm_key(&caller, text).await?;
    Ok(Reply::empty(204))
}

async fn set_apns_key(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    authorize_admin(&caller, "set the key for Apple").map_err(AppError::from)?;
    let content_type = ctx.request.header(header::CONTENT_TYPE).unwrap_or_default().to_owned();
    let body = ctx.request.bytes(KEY_BYTES).await?;
    let parts = multipart::parse(&content_type, &body)
        .map_err(|problem| ApiError::bad_request(format!("The body must be multipart/form-data: {problem}.")))?;
    let mut upload = ApnsUpload::default();
    for part in &parts {
        let text = || String::from_utf8_lossy(part.content).trim().to_owned();
        match part.name.as_str() {
            "keyId" => upload.key_id = text(),
            "teamId" => upload.team_id = text(),
            "topic" => upload.topic = text(),
            "environment" => upload.environment = text(),
            _ => take_file(&mut upload, part)?,
        }
    }
    if upload.key_id.is_empty()
        && let Some(name) = parts.iter().find_map(|part| part.filename.as_deref())
        && let Some(id) = name.strip_prefix("AuthKey_").and_then(|rest| rest.strip_suffix(".p8"))
    {
        // As Apple names the file.
        id.clone_into(&mut upload.key_id);
    }
    ctx.app.set_apns_key(&caller, upload).await?;
    Ok(Reply::empty(204))
}

/// The one part that is a key.
fn take_file(upload: &mut ApnsUpload, part: &Part<'_>) -> Result<(), ApiError> {
    let text = std::str::from_utf8(part.content).ok();
    match text.filter(|text| text.contains("-----BEGIN PRIVATE KEY-----") && !text.contains("CERTIFICATE")) {
        Some(text) if upload.private_key.is_none() => {
            upload.private_key = Some(Secret::new(text));
            Ok(())
        }
        Some(_) => Err(ApiError::bad_request("There are two keys in the body.")),
        None => Err(ApiError::bad_request(
            "Certificates (.p12) are not taken, nor keys in other forms. Create a key (.p8) in Apple's developer account \
             under Keys, and upload it with keyId, teamId and topic.",
        )),
    }
}
