//! A file as an answer: conditions, ranges, compression, and the headers that make it inert or a page.

mod coding;
mod conditions;
mod describe;
mod range;

use std::ops::Range;

use fb_app::App;
use fb_app::files::{Encoding, FileBody, ImageVariant, OpenFile};
use fb_types::FileId;
use http::Method;
use http::header::{self, HeaderName, HeaderValue};

use crate::codes;
use crate::context::Request;
use crate::error::ApiError;
use crate::reply::Reply;

pub(crate) use conditions::{of_deletion, of_write};
use describe::SIZE;
pub(crate) use describe::acl_json;

pub(crate) const ACL: HeaderName = HeaderName::from_static("baqend-acl");
pub(crate) const CUSTOM: HeaderName = HeaderName::from_static("baqend-custom-headers");
/// Sent by browsers that load the script of a service worker. Source: Service Workers, section "Fetch a script".
const SERVICE_WORKER: HeaderName = HeaderName::from_static("service-worker");

/// Parameters of URLs of files that say nothing of images: the token of a signed URL, and what gets around caches.
const OTHER_PARAMETERS: [&str; 2] = ["BAT", "BCB"];

/// What files may be for a browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// What users have uploaded: shown if it can do nothing, else saved.
    Data,
    /// Part of the app's website.
    Page,
}

/// The answer to a request for a file: 200, 206, 304, 412 or 416.
pub(crate) async fn answer(
    app: &App,
    request: &Request,
    id: &FileId,
    file: &OpenFile,
    role: Role,
) -> Result<Reply, ApiError> {
    // It would answer for every file beside it, with scripts of its own and without the headers below.
    if role == Role::Data && request.headers.contains_key(SERVICE_WORKER) {
        let text = "A file of a bucket is no service worker. Serve its script as a file of a website.";
        return Err(ApiError::new(codes::DENIED, text));
    }
    let query = request.uri.query().unwrap_or_default();
    if let Some(variant) = app.image_variant(id, query, &OTHER_PARAMETERS, request.header(header::ACCEPT))? {
        return Box::pin(image(app, request, id, file, role, &variant)).await;
    }
    let entry = file.entry();
    let headers = &request.headers;
    if conditions::is_unwanted(headers, &entry.etag, entry.updated_at) {
        return Err(ApiError::new(
            codes::OUT_OF_DATE,
            format!("The file {id} is out of date."),
        ));
    }
    let is_fresh = conditions::is_fresh(headers, &entry.etag, entry.updated_at);
    if is_fresh {
        return Ok(Reply::empty(304).under(describe::headers(id, file, role)));
    }
    let is_head = request.method == Method::HEAD;
    let wanted = match request.header(header::RANGE) {
        Some(range) if !is_head && conditions::may_range(headers, &entry.etag, entry.updated_at) => {
            range::wanted(Some(range), entry.size)
        }
        _ => range::Wanted::Whole,
    };
    let reply = match wanted {
        range::Wanted::Nothing => {
            let text = format!("The file has {} bytes; none of them is in the range.", entry.size);
            let size = format!("bytes */{}", entry.size);
            return Err(ApiError::new(codes::BAD_RANGE, text).with(header::CONTENT_RANGE, size));
        }
        range::Wanted::Part(part) => Box::pin(partial(app, file, part)).await?,
        range::Wanted::Whole => whole(app, request, file, is_head).await?,
    };
    Ok(reply.under(describe::headers(id, file, role)))
}

/// A variant of an image. It has a validator of its own, and no ranges.
async fn image(
    app: &App,
    request: &Request,
    id: &FileId,
    file: &OpenFile,
    role: Role,
    variant: &ImageVariant,
) -> Result<Reply, ApiError> {
    let entry = file.entry();
    let etag = variant.etag(&entry.etag);
    // The date alone does not tell whether the variant is still declared as it was.
    let is_confirmed = request.headers.contains_key(header::IF_NONE_MATCH)
        && conditions::is_fresh(&request.headers, &etag, entry.updated_at);
    let mut headers = describe::headers(id, file, role);
    for name in [header::ACCEPT_RANGES, header::CONTENT_TYPE, header::VARY, SIZE] {
        headers.remove(name);
    }
    let reply = match is_confirmed {
        true => Reply::empty(304),
        false => {
            let image = app.image(file, variant).await?;
            let mut reply = Reply::bytes(200, image.bytes);
            reply.set_header(header::CONTENT_TYPE, &image.media_type.header());
            reply
        }
    };
    let mut reply = reply.under(headers);
    if variant.varies {
        reply.set_header(header::VARY, "Accept");
    }
    reply.set_header(header::ETAG, &format!("\"{etag}\""));
    Ok(reply)
}

/// A page in the place of one that does not exist: always whole, and never confirmed.
pub(crate) async fn stand_in(app: &App, request: &Request, id: &FileId, file: &OpenFile) -> Result<Reply, ApiError> {
    let is_head = request.method == Method::HEAD;
    let reply = whole(app, request, file, is_head).await?.with_status(404);
    let mut reply = reply.under(describe::headers(id, file, Role::Page));
    let cache = match file.is_public() {
        true => "no-cache",
        false => "private, no-cache",
    };
    reply.set_header(header::CACHE_CONTROL, cache);
    for name in [header::ETAG, header::LAST_MODIFIED, header::ACCEPT_RANGES] {
        reply.headers_mut().remove(name);
    }
    Ok(reply)
}

async fn partial(app: &App, file: &OpenFile, part: Range<u64>) -> Result<Reply, ApiError> {
    let entry = file.entry();
    let mut reply = body_reply(206, app.body(file, Some(part.clone())).await?);
    reply.set_header(header::CONTENT_LENGTH, &(part.end - part.start).to_string());
    let text = format!("bytes {}-{}/{}", part.start, part.end - 1, entry.size);
    reply.set_header(header::CONTENT_RANGE, &text);
    Ok(reply)
}

async fn whole(app: &App, request: &Request, file: &OpenFile, is_head: bool) -> Result<Reply, ApiError> {
    let entry = file.entry();
    let encoding = match request.headers.get(header::RANGE) {
        None => coding::best(request.header(header::ACCEPT_ENCODING)),
        Some(_) => Encoding::Identity,
    };
    if encoding != Encoding::Identity
        && !is_head
        && let Some(encoded) = Box::pin(app.encoded(file, encoding)).await?
    {
        let mut reply = body_reply(200, FileBody::Whole(encoded));
        reply.set_header(header::CONTENT_ENCODING, encoding.token());
        reply.set_header(header::ETAG, &format!("\"{}--{}\"", entry.etag, encoding.token()));
        return Ok(reply);
    }
    let mut reply = match is_head {
        true => Reply::empty(200),
        false => body_reply(200, app.body(file, None).await?),
    };
    reply
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from(entry.size));
    Ok(reply)
}

fn body_reply(status: u16, body: FileBody) -> Reply {
    match body {
        FileBody::Whole(bytes) => Reply::bytes(status, bytes),
        FileBody::Stream(download) => {
            let pieces = futures_util::stream::unfold(download, |mut download| async move {
                let piece = download.next().await?;
                Some((piece, download))
            });
            Reply::stream(status, pieces)
        }
    }
}
