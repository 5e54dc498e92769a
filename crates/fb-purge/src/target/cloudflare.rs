//! Cloudflare's cache API.

use bytes::Bytes;
use fb_auth::Secret;
use http::{HeaderValue, Method, Request, header};
use http_body_util::Full;
use serde_json::{Value, json};

use super::{Asked, Room, TargetError, Told, base, id, sensitive};

/// 100 operations are what the API takes in one request on every plan.
pub(super) const ROOM: Room = Room {
    keys: 100,
    urls: 100,
    bytes: 128 * 1024,
};

pub(super) struct Cloudflare {
    url: String,
    token: HeaderValue,
}

impl Cloudflare {
    pub(super) fn new(api: &str, zone: &str, token: &Secret) -> Result<Self, TargetError> {
        // What a token may not have is not to be hidden by the word before it.
        sensitive(token.expose())?;
        Ok(Self {
            url: format!("{}/zones/{}/purge_cache", base(api)?, id(zone)?),
            token: sensitive(&format!("Bearer {}", token.expose()))?,
        })
    }

    pub(super) fn ask(&self, told: &Told<'_>) -> Option<Asked> {
        let body = match told {
            Told::Keys(keys) => json!({ "tags": keys }),
            Told::Urls(urls) => json!({ "files": urls }),
            Told::Everything => json!({ "purge_everything": true }),
        };
        let mut request = Request::new(Full::new(Bytes::from(body.to_string())));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.parse().ok()?;
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::AUTHORIZATION, self.token.clone());
        Some(request)
    }
}

/// Its envelope says itself whether it worked.
pub(super) fn denies(body: &[u8]) -> bool {
    let envelope: Option<Value> = serde_json::from_slice(body).ok();
    envelope.is_some_and(|envelope| envelope.get("success") == Some(&Value::Bool(false)))
}
