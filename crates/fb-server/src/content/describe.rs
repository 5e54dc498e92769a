//! What answers say of a file: its headers, and those that make it inert or a page.

use fb_app::files::OpenFile;
use fb_files::headers as file_headers;
use fb_files::media_type::{self, Disposition};
use fb_types::{FileEntry, FileId};
use http::HeaderMap;
use http::header::{self, HeaderName, HeaderValue};

use super::conditions::http_date;
use super::{ACL, CUSTOM, Role};

const CREATED: HeaderName = HeaderName::from_static("baqend-created-at");
pub(super) const SIZE: HeaderName = HeaderName::from_static("baqend-size");

/// Nothing that a browser may do with a file which it shows by itself.
const INERT: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:; sandbox";
/// The viewers of browsers do not work in a sandbox.
const INERT_PDF: &str = "default-src 'none'; style-src 'unsafe-inline'; object-src 'self'";

/// What is said of a page that everybody may read. It is made once per state of the file, because that is what most requests
/// ask for.
struct OfPublicPage(HeaderMap);

/// Everything that is said of a file besides its length.
pub(super) fn headers(id: &FileId, file: &OpenFile, role: Role) -> HeaderMap {
    if role == Role::Page && file.is_public() {
        let made = file.attached(|| OfPublicPage(make(id, file, role)));
        if let Some(OfPublicPage(headers)) = made {
            return headers.clone();
        }
    }
    make(id, file, role)
}

fn make(id: &FileId, file: &OpenFile, role: Role) -> HeaderMap {
    let (entry, media_type) = (file.entry(), file.media_type());
    let mut out = HeaderMap::new();
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
        let is_kept_by_others = !file.is_public() && file_headers::is_for_shared_caches(name);
        if let (true, Ok(name)) = (is_fit && !is_kept_by_others, HeaderName::from_bytes(name.as_bytes())) {
            set(name, value);
        }
    }
    set(header::CONTENT_TYPE, &media_type.header());
    set(header::LAST_MODIFIED, &http_date(entry.updated_at));
    set(header::CACHE_CONTROL, &cache_control(id, entry, role, file.is_public()));
    set(header::ETAG, &format!("\"{}\"", entry.etag));
    if media_type::is_compressible(media_type) {
        set(header::VARY, "Accept-Encoding");
    }
    out.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    out.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if role == Role::Page {
        return out;
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
    out
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
            false => {
                let is_for_others = |directive: &&str| {
                    let name = directive.split('=').next().unwrap_or_default().trim();
                    ["public", "private", "s-maxage"]
                        .iter()
                        .any(|other| name.eq_ignore_ascii_case(other))
                };
                let rest = own
                    .split(',')
                    .map(str::trim)
                    .filter(|directive| !is_for_others(directive));
                let all: Vec<&str> = std::iter::once("private").chain(rest).collect();
                all.join(", ").into()
            }
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
