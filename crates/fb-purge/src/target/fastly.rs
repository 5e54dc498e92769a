//! Fastly's purging API.

use bytes::Bytes;
use fb_auth::Secret;
use http::{HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;

use super::{Asked, Room, TargetError, Told, base, id, sensitive};

/// 256 keys are what the API takes in one request; the header may have 16 KiB.
pub(super) const ROOM: Room = Room {
    keys: 256,
    urls: 1,
    bytes: 15 * 1024,
};

pub(super) struct Fastly {
    api: String,
    service: String,
    token: HeaderValue,
    soft: bool,
}

impl Fastly {
    pub(super) fn new(api: &str, service: &str, token: &Secret, soft: bool) -> Result<Self, TargetError> {
        Ok(Self {
            api: base(api)?,
            service: id(service)?.to_owned(),
            token: sensitive(token.expose())?,
            soft,
        })
    }

    pub(super) fn ask(&self, told: &Told<'_>) -> Option<Asked> {
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.method_mut() = Method::POST;
        let headers = request.headers_mut();
        headers.insert("fastly-key", self.token.clone());
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        // There is no soft form of "everything".
        if self.soft && !matches!(told, Told::Everything) {
            headers.insert("fastly-soft-purge", HeaderValue::from_static("1"));
        }
        let (api, service) = (&self.api, &self.service);
        let url = match told {
            Told::Keys(keys) => {
                headers.insert("surrogate-key", keys.join(" ").parse().ok()?);
                format!("{api}/service/{service}/purge")
            }
            Told::Urls(urls) => {
                let url: Uri = urls.first()?.parse().ok()?;
                format!("{api}/purge/{}{}", url.authority()?, url.path_and_query()?)
            }
            Told::Everything => format!("{api}/service/{service}/purge_all"),
        };
        *request.uri_mut() = url.parse().ok()?;
        Some(request)
    }
}
