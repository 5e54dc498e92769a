//! A file as an answer: conditions, ranges, compression, and the headers that make it inert or a page.

mod coding;
mod conditions;
mod range;

use std::ops::Range;

use fb_app::App;
use fb_app::files::{Encoding, FileBody, ImageVariant, OpenFile};
use fb_files::headers as file_headers;
use fb_files::media_type::{self, Disposition, MediaType};
use fb_types::{FileEntry, FileId};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method};

use crate::codes;
use crate::context::Request;
use crate::error::ApiError;
use crate::reply::Reply;

pub(crate) use conditions::{http_date, of_deletion, of_write};

const CREATED: HeaderName = HeaderName::from_static("baqend-created-at");
const SIZE: HeaderName = HeaderName::from_static("baqend-size");
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

/// Nothing that a browser may do with a file which it shows by itself.
const INERT: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:; sandbox";
/// The viewers of browsers do not work in a sandbox.
const INERT_PDF: &str =
    "default-src 'none'; style-src 'unsafe-inline'; object-src 'self'; plugin-types application/pdf";

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
        return image(app, request, id, file, role, &variant).await;
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
    let media_type = file.media_type();
    let cache = cache_control(id, entry, role, file.is_public());
    if is_fresh {
        let mut reply = Reply::empty(304);
        describe(reply.headers_mut(), id, entry, &media_type, role, &cache);
        reply.set_header(header::ETAG, &format!("\"{}\"", entry.etag));
        return Ok(reply);
    }
    let is_head = request.method == Method::HEAD;
    let wanted = match request.header(header::RANGE) {
        Some(range) if !is_head && conditions::may_range(headers, &entry.etag, entry.updated_at) => {
            range::wanted(Some(range), entry.size)
        }
        _ => range::Wanted::Whole,
    };
    let mut reply = match wanted {
        range::Wanted::Nothing => {
            let text = format!("The file has {} bytes; none of them is in the range.", entry.size);
            let size = format!("bytes */{}", entry.size);
            return Err(ApiError::new(codes::BAD_RANGE, text).with(header::CONTENT_RANGE, size));
        }
        range::Wanted::Part(part) => partial(app, file, part).await?,
        range::Wanted::Whole => whole(app, request, file, is_head).await?,
    };
    describe(reply.headers_mut(), id, entry, &media_type, role, &cache);
    Ok(reply)
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
    let is_fresh = conditions::is_fresh(&request.headers, &etag, entry.updated_at);
    // The date alone does not tell whether the variant is still declared as it was.
    let (mut reply, media_type) = match is_fresh && request.headers.contains_key(header::IF_NONE_MATCH) {
        true => (Reply::empty(304), None),
        false => {
            let image = app.image(file, variant).await?;
            (Reply::bytes(200, image.bytes), Some(image.media_type))
        }
    };
    let cache = cache_control(id, entry, role, file.is_public());
    let shown = media_type.unwrap_or_else(|| file.media_type());
    describe(reply.headers_mut(), id, entry, &shown, role, &cache);
    let headers = reply.headers_mut();
    if is_fresh {
        headers.remove(header::CONTENT_TYPE);
    }
    for name in [header::ACCEPT_RANGES, SIZE] {
        headers.remove(name);
    }
    match variant.varies {
        true => drop(headers.insert(header::VARY, HeaderValue::from_static("Accept"))),
        false => drop(headers.remove(header::VARY)),
    }
    reply.set_header(header::ETAG, &format!("\"{etag}\""));
    Ok(reply)
}

/// A page in the place of one that does not exist: always whole, and never confirmed.
pub(crate) async fn stand_in(app: &App, request: &Request, id: &FileId, file: &OpenFile) -> Result<Reply, ApiError> {
    let is_head = request.method == Method::HEAD;
    let mut reply = whole(app, request, file, is_head).await?.with_status(404);
    describe(
        reply.headers_mut(),
        id,
        file.entry(),
        &file.media_type(),
        Role::Page,
        "no-cache",
    );
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
    reply.set_header(header::ETAG, &format!("\"{}\"", entry.etag));
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
        && let Some(encoded) = app.encoded(file, encoding).await?
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
    reply.set_header(header::ETAG, &format!("\"{}\"", entry.etag));
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

/// Everything that is said of a file besides its length and tag.
fn describe(out: &mut HeaderMap, id: &FileId, entry: &FileEntry, media_type: &MediaType, role: Role, cache: &str) {
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            out.insert(name, value);
        }
    };
    for (name, value) in &entry.headers {
        // What only administrators can set is meant for pages, and for nothing that users have uploaded.
        let is_fit = role == Role::Page || !file_headers::is_powerful(name);
        // None of them gets in, except with a backup that somebody has crafted.
        let is_fit = is_fit && !file_headers::is_reserved(name);
        if let (true, Ok(name)) = (is_fit, HeaderName::from_bytes(name.as_bytes())) {
            set(name, value);
        }
    }
    set(header::CONTENT_TYPE, &media_type.header());
    set(header::LAST_MODIFIED, &http_date(entry.updated_at));
    set(header::CACHE_CONTROL, cache);
    if media_type::is_compressible(media_type) {
        set(header::VARY, "Accept-Encoding");
    }
    out.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    out.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if role == Role::Page {
        return;
    }
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            out.insert(name, value);
        }
    };
    set(CREATED, &http_date(entry.created_at));
    set(SIZE, &entry.size.to_string());
    set(ACL, &ascii_json(&acl_json(entry)));
    set(CUSTOM, &ascii_json(&serde_json::json!(entry.headers)));
    let disposition = media_type::disposition(media_type);
    let policy = if media_type.essence() == "application/pdf" {
        INERT_PDF
    } else {
        INERT
    };
    set(header::CONTENT_SECURITY_POLICY, policy);
    if disposition == Disposition::Attachment {
        set(header::CONTENT_DISPOSITION, &attachment(id));
    }
    if !entry.headers.is_empty() {
        let names: Vec<&str> = entry.headers.keys().map(String::as_str).collect();
        set(header::ACCESS_CONTROL_EXPOSE_HEADERS, &names.join(", "));
    }
}

/// `attachment` with the file's own name. Source: RFC 6266.
fn attachment(id: &FileId) -> String {
    let name = id.path().as_str().rsplit('/').next().unwrap_or_default();
    format!(
        "attachment; filename*=UTF-8''{}",
        fb_types::encode_component(name).replace(['\'', '(', ')', '*'], "_")
    )
}

/// The rules as the protocol's clients read them; public is an empty set of rules.
pub(crate) fn acl_json(entry: &FileEntry) -> serde_json::Value {
    match entry.acl.as_deref() {
        None => serde_json::json!({ "read": {}, "write": {} }),
        Some(acl) => serde_json::json!({ "read": acl.read, "write": acl.write }),
    }
}

/// JSON text that fits into a header.
fn ascii_json(value: &serde_json::Value) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for unit in value.to_string().encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

/// The app's own word counts. Built assets carry a hash of their content in their name, so that a copy never gets old; other
/// copies may be kept, but have to be checked before each use.
fn cache_control<'e>(id: &FileId, entry: &'e FileEntry, role: Role, is_public: bool) -> std::borrow::Cow<'e, str> {
    if let Some(own) = entry.headers.get("cache-control") {
        return match is_public {
            true => own.into(),
            // Whatever was said, shared caches must not keep what not everybody may read.
            false => format!("private, {}", own.replace("public", "private")).into(),
        };
    }
    match (role, is_public) {
        (Role::Page, true) if media_type::is_hashed_name(id.path().as_str()) => {
            "public, max-age=31536000, immutable".into()
        }
        (_, true) => "no-cache".into(),
        (_, false) => "private, no-cache".into(),
    }
}
