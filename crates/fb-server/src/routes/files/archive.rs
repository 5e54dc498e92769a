//! Buckets as archives.

use fb_app::AppError;
use fb_app::files::{PackedBucket, UploadingArchive};
use fb_types::{BucketName, FolderPath};
use futures_util::stream;
use http::{Method, header};

use super::upload::take_body;
use crate::context::{Ctx, Request};
use crate::error::ApiError;
use crate::reply::Reply;

/// Parameters of both routes.
pub(super) const QUERY: &[(&str, &str)] = &[
    ("archive", "Name of the bucket and .zip, such as www.zip"),
    (
        "path",
        "Folder of the bucket that names are relative to; the whole bucket without",
    ),
];

/// What archives are called in requests. Browsers on Windows have a name of their own.
const ZIP: [&str; 3] = [
    "application/zip",
    "application/x-zip-compressed",
    "application/octet-stream",
];

pub(super) async fn download_archive(ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let (bucket, folder) = wanted(&ctx.request)?;
    let packed = ctx.app.pack_bucket(&caller, &bucket, folder).await?;
    let mut reply = match ctx.request.method {
        Method::HEAD => Reply::empty(200),
        _ => Reply::stream(200, stream::unfold(packed, next)),
    };
    reply.set_header(header::CONTENT_TYPE, "application/zip");
    // Names of buckets need no quoting.
    reply.set_header(
        header::CONTENT_DISPOSITION,
        &format!("attachment; filename=\"{bucket}.zip\""),
    );
    reply.set_header(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    reply.set_header(header::CACHE_CONTROL, "no-store");
    Ok(reply)
}

async fn next(mut packed: PackedBucket) -> Option<(Result<bytes::Bytes, AppError>, PackedBucket)> {
    let piece = packed.next().await?;
    if let Err(error) = &piece {
        tracing::warn!(error = %error, "an archive was cut off on its way out");
    }
    Some((piece, packed))
}

pub(super) async fn upload_archive(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let begun = begin(&ctx).await;
    let uploading = take_body(&mut ctx, begun).await?;
    let ids = uploading.finish(&ctx.app).await?;
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    Ok(Reply::json(200, &serde_json::json!(ids)))
}

async fn begin(ctx: &Ctx) -> Result<UploadingArchive, ApiError> {
    let caller = ctx.caller()?;
    let (bucket, folder) = wanted(&ctx.request)?;
    let is_said = ctx.request.headers.contains_key(header::CONTENT_TYPE);
    if is_said && !ZIP.iter().any(|name| ctx.request.content_type_is(name)) {
        return Err(ApiError::bad_request(
            "The body must be a zip archive, with the content-type application/zip.",
        ));
    }
    Ok(ctx.app.begin_archive(&caller, &bucket, folder).await?)
}

/// The bucket and the folder that the query names.
fn wanted(request: &Request) -> Result<(BucketName, FolderPath), ApiError> {
    let missing = || ApiError::bad_request("The parameter archive must name a bucket, such as ?archive=www.zip.");
    let archive = request.query("archive")?.ok_or_else(missing)?;
    let bucket = BucketName::new(archive.strip_suffix(".zip").ok_or_else(missing)?)?;
    let folder = request.query("path")?.unwrap_or_default();
    Ok((bucket, FolderPath::new(folder.strip_prefix('/').unwrap_or(&folder))?))
}
