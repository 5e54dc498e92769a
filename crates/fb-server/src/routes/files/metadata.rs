//! Metadata of files, and deletion.

use fb_app::files::{FileChanges, NewRules};
use fb_files::media_type;
use fb_types::{Acl, FolderPath};
use serde_json::{Value, json};

use super::{decode_path, metadata_json, upload};
use crate::content;
use crate::context::Ctx;
use crate::error::ApiError;
use crate::reply::Reply;

pub(super) async fn update_file(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let id = ctx.file_id()?;
    let condition = content::of_write(&ctx.request.headers)?;
    let body = ctx.json_object().await?;
    let media_type = match body.get("mimeType") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => match media_type::normalise(text) {
            Some(media_type) => Some(media_type.as_str().to_owned()),
            None => {
                return Err(ApiError::bad_request(
                    "mimeType must be a media type such as image/png.",
                ));
            }
        },
        Some(_) => return Err(ApiError::bad_request("mimeType must be a string.")),
    };
    let rules = match body.get("acl") {
        None => NewRules::Unchanged,
        Some(acl) => NewRules::Set(Acl::from_json(acl).map_err(fb_app::AppError::from)?),
    };
    let headers = match body.get("headers") {
        None | Some(Value::Null) => None,
        Some(headers) => Some(upload::headers_of(headers)?),
    };
    let changes = FileChanges {
        media_type,
        rules,
        headers,
    };
    let entry = ctx.app.update_file(&caller, &id, condition, changes).await?;
    Ok(Reply::json(200, &metadata_json(&id, &entry)))
}

pub(super) async fn delete_files(ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let path = ctx.request.raw_param("oid");
    if path.ends_with('/') {
        let folder = FolderPath::new(&decode_path(path)?)?;
        let deleted = ctx.app.delete_folder(&caller, &ctx.bucket_name()?, &folder).await?;
        let ids: Vec<String> = deleted.iter().map(ToString::to_string).collect();
        return Ok(Reply::json(200, &json!(ids)));
    }
    let condition = content::of_deletion(&ctx.request.headers)?;
    ctx.app.delete_file(&caller, &ctx.file_id()?, condition).await?;
    Ok(Reply::empty(204))
}
