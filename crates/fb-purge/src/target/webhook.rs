//! A service of somebody's own, told by signed requests.

use bytes::Bytes;
use fb_auth::Secret;
use fb_types::Timestamp;
use http::{HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;
use serde_json::json;
use uuid::Uuid;

use super::{Asked, Room, TargetError, Told, address};
use crate::signature::{key_of, sign};

pub(super) const ROOM: Room = Room {
    keys: 1000,
    urls: 1000,
    bytes: 256 * 1024,
};

pub(super) struct Webhook {
    url: Uri,
    key: Vec<u8>,
}

impl Webhook {
    pub(super) fn new(url: &str, secret: &Secret) -> Result<(String, Self), TargetError> {
        let (url, name) = address(url, "a URL such as https://cdn.example.com/purge")?;
        let key = key_of(secret).ok_or(TargetError::Secret("whsec_ and Base64 of 24 to 64 bytes"))?;
        Ok((name, Self { url, key }))
    }

    pub(super) fn ask(&self, told: &Told<'_>, now: Timestamp) -> Option<Asked> {
        let (keys, urls): (&[&str], &[&str]) = match told {
            Told::Keys(keys) => (keys, &[]),
            Told::Urls(urls) => (&[], urls),
            Told::Everything => (&[], &[]),
        };
        let body = json!({
            "type": "cache.purge",
            "timestamp": now.to_string(),
            "data": { "keys": keys, "urls": urls, "everything": matches!(told, Told::Everything) },
        });
        let body = Bytes::from(body.to_string());
        let id = format!("msg_{}", Uuid::new_v4().simple());
        let seconds = now.millis().div_euclid(1000);
        let signature = sign(&self.key, &id, seconds, &body)?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.clone();
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("webhook-id", id.parse().ok()?);
        headers.insert("webhook-timestamp", HeaderValue::from(seconds));
        headers.insert("webhook-signature", signature.parse().ok()?);
        Some(request)
    }
}
