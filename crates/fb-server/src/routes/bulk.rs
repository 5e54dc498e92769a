//! Whole buckets: names, ids, export, import, truncate.

use std::convert::Infallible;

use bytes::{Bytes, BytesMut};
use fb_types::ObjectKey;
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::context::{Ctx, parse_json};
use crate::error::ApiError;
use crate::reply::Reply;
use crate::route::{Access, Route, route};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        route!(GET "/db" get_bucket_names, "List all classes and basic types", Access::Public,
            answers: &[(200, Some("StringList"))]),
        route!(GET "/db/{bucket}/ids" get_bucket_ids, "List the ids of a class", Access::Admin,
            query: &[("start", "How many ids to skip; default 0"), ("count", "How many ids; default all")],
            answers: &[(200, Some("StringList"))]),
        route!(GET "/db/{bucket}" export_bucket, "Export all objects of a class as a JSON array", Access::Admin,
            answers: &[(200, Some("ObjectList"))]),
        route!(PUT "/db/{bucket}" import_bucket,
            "Insert or overwrite objects: a JSON array, or one object per line", Access::Admin,
            body: "ObjectList", answers: &[(200, Some("ImportReport"))]),
        route!(DELETE "/db/{bucket}" truncate_bucket, "Delete all objects of a class", Access::Admin,
            answers: &[(200, Some("Count"))]),
    ]
}

const BASIC_TYPES: [&str; 11] = [
    "Boolean",
    "Date",
    "DateTime",
    "Double",
    "File",
    "GeoPoint",
    "Integer",
    "JsonArray",
    "JsonObject",
    "String",
    "Time",
];

async fn get_bucket_names(ctx: Ctx) -> Result<Reply, ApiError> {
    ctx.caller()?;
    let schema = ctx.app.schema();
    let classes = schema.classes().map(|class| class.name().reference());
    let names: Vec<String> = classes
        .chain(BASIC_TYPES.iter().map(|name| format!("/db/{name}")))
        .collect();
    Ok(Reply::json(200, &json!(names)))
}

async fn get_bucket_ids(ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let start = ctx.request.number("start")?.unwrap_or(0);
    let ids = ctx
        .app
        .list_ids(&caller, &ctx.bucket()?, start, ctx.request.number("count")?)
        .await?;
    Ok(Reply::json(
        200,
        &json!(ids.iter().map(ToString::to_string).collect::<Vec<_>>()),
    ))
}

/// Streams piece by piece, so that memory stays bounded. An error in the middle ends the connection: a cut-off array is
/// not valid JSON, so nobody takes it for the whole.
async fn export_bucket(ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let bucket = ctx.bucket()?.into_owned();
    let (first, next) = ctx.app.export_piece(&caller, &bucket, None).await?;
    let start = Export::Piece {
        objects: first,
        next,
        is_first: true,
    };
    let stream = stream::unfold(start, move |state| {
        let (app, caller, bucket) = (ctx.app.clone(), caller.clone(), bucket.clone());
        async move {
            let Export::Piece {
                objects,
                next,
                is_first,
            } = state
            else {
                return None;
            };
            let text = join(&objects, is_first);
            let following = match &next {
                Some(after) => match app.export_piece(&caller, &bucket, Some(after)).await {
                    Ok((objects, next)) => Export::Piece {
                        objects,
                        next,
                        is_first: false,
                    },
                    Err(error) => {
                        tracing::error!(app = %app.id(), error = %error, "an export was cut off");
                        Export::End
                    }
                },
                None => Export::End,
            };
            let done = next.is_none();
            let text = if done { [&text[..], b"]"].concat().into() } else { text };
            Some((Ok::<_, Infallible>(Frame::data(text)), following))
        }
    });
    Ok(Reply::json_stream(StreamBody::new(stream).boxed_unsync()))
}

enum Export {
    Piece {
        objects: Vec<Bytes>,
        next: Option<ObjectKey>,
        is_first: bool,
    },
    End,
}

fn join(objects: &[Bytes], is_first: bool) -> Bytes {
    let mut text = BytesMut::new();
    if is_first {
        text.extend_from_slice(b"[");
    }
    for (i, object) in objects.iter().enumerate() {
        if i > 0 || !is_first {
            text.extend_from_slice(b",\n");
        }
        text.extend_from_slice(object);
    }
    text.freeze()
}

async fn import_bucket(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let limit = ctx.state.limits.import_bytes;
    let body = ctx.request.bytes(limit).await?;
    let objects = parse_import(&body)?;
    let imported = ctx.app.import(&caller, &ctx.bucket()?, objects).await?;
    let failures: Vec<Value> = imported
        .failures
        .into_iter()
        .map(|failure| {
            let error = ApiError::from(failure.error);
            json!({
                "index": failure.index,
                "id": failure.id,
                "status": error.code.status,
                "className": error.code.name,
                "message": error.message,
            })
        })
        .collect();
    Ok(Reply::json(
        200,
        &json!({ "count": imported.count, "failed": failures }),
    ))
}

/// A JSON array, or objects line by line.
fn parse_import(body: &[u8]) -> Result<Vec<Value>, ApiError> {
    let is_array = body.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'[');
    if is_array {
        // Element by element: each may nest as deeply as when it is sent by itself.
        let elements: Vec<&RawValue> = match serde_json::from_slice(body) {
            Ok(elements) => elements,
            Err(_) => return parse_json(body, "the body").map(|one| vec![one]),
        };
        let elements = elements.iter().enumerate();
        return elements
            .map(|(i, element)| parse_json(element.get().as_bytes(), &format!("element {i} of the body")))
            .collect();
    }
    let lines = body.split(|b| *b == b'\n').enumerate();
    let filled = lines.filter(|(_, line)| !line.iter().all(u8::is_ascii_whitespace));
    filled
        .map(|(i, line)| parse_json(line, &format!("line {} of the body", i + 1)))
        .collect()
}

async fn truncate_bucket(ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let count = ctx.app.truncate(&caller, &ctx.bucket()?).await?;
    Ok(Reply::json(200, &json!({ "count": count })))
}
