//! Uploads.

use fb_app::AppError;
use fb_app::files::{FileCondition, NewFile, NewRules, Receive, Uploading};
use fb_types::{Acl, FileHeaders};
use http::header;
use serde_json::Value;

use super::metadata_json;
use crate::content;
use crate::context::{Ctx, Request, parse_json};
use crate::error::ApiError;
use crate::reply::Reply;

pub(super) async fn upload_file(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let begun = begin_at_path(&ctx).await;
    finish(&mut ctx, begun).await
}

async fn begin_at_path(ctx: &Ctx) -> Result<Uploading, ApiError> {
    let caller = ctx.caller()?;
    let id = ctx.file_id()?;
    let new = new_file(&ctx.request, content::of_write(&ctx.request.headers)?)?;
    Ok(ctx.app.begin_upload(&caller, &id, new).await?)
}

pub(super) async fn create_file(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let begun = begin_new(&ctx).await;
    finish(&mut ctx, begun).await
}

async fn begin_new(ctx: &Ctx) -> Result<Uploading, ApiError> {
    let caller = ctx.caller()?;
    let new = new_file(&ctx.request, FileCondition::Absent)?;
    Ok(ctx.app.begin_new_file(&caller, &ctx.bucket_name()?, new).await?)
}

/// Takes the body, if it is wanted. A client that is still sending would not see why it is not.
pub(super) async fn take_body<R: Receive>(ctx: &mut Ctx, begun: Result<R, ApiError>) -> Result<R, ApiError> {
    let mut receiver = match begun {
        Ok(receiver) => receiver,
        Err(error) => {
            ctx.request.drain().await;
            return Err(error);
        }
    };
    while let Some(piece) = ctx.request.next_piece().await? {
        if let Err(error) = receiver.write(piece).await {
            receiver.abort().await;
            ctx.request.drain().await;
            return Err(error.into());
        }
    }
    Ok(receiver)
}

async fn finish(ctx: &mut Ctx, begun: Result<Uploading, ApiError>) -> Result<Reply, ApiError> {
    let uploading = take_body(ctx, begun).await?;
    let (id, entry) = uploading.finish(&ctx.app).await?;
    Ok(Reply::json(200, &metadata_json(&id, &entry)))
}

fn new_file(request: &Request, condition: FileCondition) -> Result<NewFile, ApiError> {
    let json = |name: header::HeaderName| match request.headers.get(&name) {
        None => Ok(None),
        Some(text) => parse_json(text.as_bytes(), "the header").map(Some),
    };
    let rules = match json(content::ACL)? {
        None => NewRules::Unchanged,
        Some(acl) => NewRules::Set(Acl::from_json(&acl).map_err(AppError::from)?),
    };
    let headers = json(content::CUSTOM)?.map(|headers| headers_of(&headers)).transpose()?;
    Ok(NewFile {
        condition,
        media_type: request.header(header::CONTENT_TYPE).map(str::to_owned),
        rules,
        headers,
        size: request.header(header::CONTENT_LENGTH).and_then(|n| n.parse().ok()),
    })
}

/// Headers of a file in JSON: names and values, or `null` for none.
pub(super) fn headers_of(value: &Value) -> Result<FileHeaders, ApiError> {
    let wrong =
        || ApiError::bad_request("The headers of a file must be an object of strings, such as {\"x-note\": \"hi\"}.");
    let members = match value {
        Value::Null => return Ok(FileHeaders::new()),
        Value::Object(members) => members,
        _ => return Err(wrong()),
    };
    let mut headers = FileHeaders::new();
    for (name, value) in members {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(value) => value.to_string(),
            _ => return Err(wrong()),
        };
        if headers.insert(name.to_ascii_lowercase(), text).is_some() {
            return Err(ApiError::bad_request(format!(
                "The header {} is given twice.",
                name.chars().take(80).collect::<String>()
            )));
        }
    }
    Ok(headers)
}
