//! Varnish with the VCL of this project.

use bytes::Bytes;
use fb_auth::Secret;
use http::{HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;

use super::{Asked, Room, TargetError, Told, address, sensitive};

/// Varnish refuses headers of more than 8 KiB (`http_req_hdr_len`).
pub(super) const ROOM: Room = Room {
    keys: 500,
    urls: 1,
    bytes: 6 * 1024,
};

pub(super) struct Varnish {
    /// Scheme, host and port, without a slash at the end.
    address: String,
    secret: HeaderValue,
}

impl Varnish {
    pub(super) fn new(url: &str, secret: &Secret) -> Result<(String, Self), TargetError> {
        const EXPECTED: &str = "an address such as http://10.0.0.2:6081, without a path";
        let (uri, name) = address(url, EXPECTED)?;
        if uri.path_and_query().is_some_and(|path| path.as_str() != "/") {
            return Err(TargetError::Url(EXPECTED));
        }
        let varnish = Self {
            address: url.trim_end_matches('/').to_owned(),
            secret: sensitive(secret.expose())?,
        };
        Ok((name, varnish))
    }

    pub(super) fn ask(&self, told: &Told<'_>) -> Option<Asked> {
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.method_mut() = Method::from_bytes(b"PURGE").ok()?;
        let (path, header) = match told {
            Told::Keys(keys) => ("/".to_owned(), Some(("purge-keys", keys.join(" ")))),
            Told::Everything => ("/".to_owned(), Some(("purge-everything", "1".to_owned()))),
            Told::Urls(urls) => {
                let url: Uri = urls.first()?.parse().ok()?;
                let host = url.authority()?.as_str();
                request.headers_mut().insert(header::HOST, host.parse().ok()?);
                (url.path_and_query()?.to_string(), None)
            }
        };
        *request.uri_mut() = format!("{}{path}", self.address).parse().ok()?;
        let headers = request.headers_mut();
        headers.insert("purge-secret", self.secret.clone());
        if let Some((name, value)) = header {
            headers.insert(name, value.parse().ok()?);
        }
        Some(request)
    }
}
