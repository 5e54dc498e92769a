//! `/db/{bucket}` and `/db/{bucket}/{oid}`: single objects.

use fb_app::caching::{Group, tags};
use fb_app::functions::Read;
use fb_app::objects::{Condition, Seen};
use fb_types::Version;
use fb_types::schema::DEVICE;
use http::header;

use crate::context::{Ctx, Request};
use crate::error::ApiError;
use crate::reply::Reply;
use crate::route::{Access, Route, route};
use crate::routes::devices;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        route!(POST "/db/{bucket}" create_object, "Insert an object", Access::Class(&["insert"]),
            body: "Object", answers: &[(201, Some("Object"))]),
        route!(GET "/db/{bucket}/{oid}" get_object, "Load an object", Access::Class(&["load"]),
            answers: &[(200, Some("Object")), (304, None)]),
        route!(PUT "/db/{bucket}/{oid}" replace_object,
            "Replace an object (If-Match: \"<version>\" or *), or insert or replace it (no condition)",
            Access::Class(&["insert", "update"]), body: "Object", answers: &[(200, Some("Object"))]),
        route!(DELETE "/db/{bucket}/{oid}" delete_object, "Delete an object", Access::Class(&["delete"]),
            answers: &[(204, None)]),
        route!(POST "/db/{bucket}/{oid}" update_partially, "Apply update operators to an object",
            Access::Class(&["update"]), body: "PartialUpdate", answers: &[(200, Some("Object"))]),
    ]
}

async fn create_object(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let input = ctx.json_object().await?;
    let bucket = ctx.bucket()?;
    let seen = ctx.app.insert(&caller, &bucket, &input).await?;
    let mut reply = answer(201, &seen);
    let collection = ctx.request.path().trim_end_matches('/');
    reply.set_header(header::LOCATION, &format!("{collection}/{}", seen.key()));
    Ok(reply)
}

async fn get_object(ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let (bucket, key) = (ctx.bucket()?, ctx.key()?);
    ctx.take_down(|| Read::Object(bucket.to_string(), key.clone()));
    let (seen, lifetime) = match devices::own_device(&ctx, &caller, &bucket, &key).await? {
        Some(own) => (own, None),
        // The filter knows the object by its id: it could not name copies under other URLs.
        None if ctx.code.is_some() || ctx.request.uri.query().is_some_and(|query| !query.is_empty()) => {
            (ctx.app.load(&caller, &bucket, &key).await?, None)
        }
        None => ctx.app.load_to_keep(&caller, &bucket, &key).await?,
    };
    let for_edge = match &lifetime {
        None => ctx.object_for_edge(&bucket, &key).await?,
        Some(_) => None,
    };
    let (seen, guarded) = for_edge.map_or((seen, None), |(seen, guarded)| (seen, Some(guarded)));
    let mut reply = match !seen.depends_on_caller() && not_modified(&ctx.request, seen.version()) {
        true => {
            let reply = Reply::empty(304).etag(seen.version());
            reply.header(header::CACHE_CONTROL, cache_control(&seen))
        }
        false => answer(200, &seen),
    };
    if lifetime.is_some() || guarded.is_some() {
        ctx.count(&mut reply, Group::Class(&bucket));
    }
    Ok(match lifetime {
        Some(lifetime) => ctx.kept(reply, lifetime, || {
            let app = ctx.app.id();
            vec![
                tags::app(app),
                tags::class(app, &bucket),
                tags::object(app, &bucket, &key),
            ]
        }),
        None => guarded.iter().fold(reply, |reply, guarded| ctx.guarded(reply, guarded)),
    })
}

async fn replace_object(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let condition = condition(&ctx.request)?;
    let input = ctx.json_object().await?;
    let (bucket, key) = (ctx.bucket()?, ctx.key()?);
    let written = ctx.app.update(&caller, &bucket, &key, condition, &input).await?;
    Ok(answer(200, &written))
}

async fn delete_object(ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let (bucket, key) = (ctx.bucket()?, ctx.key()?);
    let condition = condition(&ctx.request)?;
    if bucket == DEVICE
        && let Some(cookie) = devices::cookie(&ctx)
        && ctx.app.delete_own_device(&caller, &cookie, &key, condition).await?
    {
        return Ok(Reply::empty(204));
    }
    ctx.app.delete(&caller, &bucket, &key, condition).await?;
    Ok(Reply::empty(204))
}

async fn update_partially(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let condition = condition(&ctx.request)?;
    let operations = ctx.json().await?;
    let (bucket, key) = (ctx.bucket()?, ctx.key()?);
    let written = ctx
        .app
        .update_partially(&caller, &bucket, &key, condition, &operations)
        .await?;
    Ok(answer(200, &written))
}

/// The stored JSON as it is, or what the caller may read of it, with its version as tag.
fn answer(status: u16, seen: &Seen) -> Reply {
    let mut reply = Reply::json_bytes(status, seen.body()).etag(seen.version());
    if seen.is_cut() {
        reply.set_header(header::ETAG, &format!("\"{}{CUT}\"", seen.version()));
    }
    reply.header(header::CACHE_CONTROL, cache_control(seen))
}

/// Without a lifetime copies may be kept, but have to be checked before each use; shared caches keep only what everybody may read.
fn cache_control(seen: &Seen) -> &'static str {
    if seen.is_public() {
        "no-cache"
    } else {
        "private, no-cache"
    }
}

/// The caller's condition on a write. Both `"3"` and `3` are versions; absent, empty and `""` are no condition.
fn condition(request: &Request) -> Result<Condition, ApiError> {
    let Some(value) = request.headers.get(header::IF_MATCH) else {
        return Ok(Condition::None);
    };
    match value.to_str().map(str::trim) {
        Ok("" | "\"\"") => Ok(Condition::None),
        Ok("*") => Ok(Condition::Exists),
        Ok(tag) => match version_of(tag) {
            Some(version) => Ok(Condition::Version(version)),
            None => Err(ApiError::bad_request("If-Match must be * or a version such as \"3\".")),
        },
        Err(_) => Err(ApiError::bad_request("If-Match must be * or a version such as \"3\".")),
    }
}

/// The version in a tag, without weak prefix, quotes and the suffix that compressing proxies add.
fn version_of(tag: &str) -> Option<Version> {
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    let tag = tag.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(tag);
    let number = tag.split_once("--").map_or(tag, |(number, _)| number);
    number.parse().ok().map(Version)
}

/// Behind the version in the tag of a body that lacks fields. It may be written back, but is never the current one: the
/// caller may have got rights since.
const CUT: &str = "--cut";

fn not_modified(request: &Request, version: Version) -> bool {
    let Some(tags) = request.header(header::IF_NONE_MATCH) else {
        return false;
    };
    tags.split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || (!tag.contains(CUT) && version_of(tag) == Some(version)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_all_spellings_of_a_tag() {
        for tag in ["3", "\"3\"", "W/\"3\"", "\"3--gzip\"", "\"3--cut\""] {
            assert_eq!(version_of(tag), Some(Version(3)), "{tag}");
        }
        for tag in ["", "\"-\"", "-", "x", "\"3", "-1", "99999999999999999999"] {
            assert_eq!(version_of(tag), None, "{tag}");
        }
    }
}
