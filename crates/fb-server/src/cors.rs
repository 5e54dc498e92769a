//! Cross-origin rules of the app API: any page may call it. Tokens travel in a header that pages have to set
//! themselves, so a foreign page gains nothing by sending a visitor's browser here.

use http::header::{self, HeaderMap, HeaderValue};

use crate::reply::Reply;

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE, OPTIONS");
const ALLOWED: &str = "accept, authorization, content-type, cache-control, if-match, if-none-match, \
    if-unmodified-since, baqend-acl, baqend-custom-headers, content-length";
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "baqend-authorization-token, content-type, baqend-size, baqend-acl, etag, last-modified, baqend-created-at, \
     baqend-custom-headers, baqend-mfa-auth-token, x-request-id",
);
/// A day: what browsers honour at most, or more.
const MAX_AGE: HeaderValue = HeaderValue::from_static("86400");

/// The answer to a preflight request.
pub(crate) fn preflight(request: &HeaderMap) -> Reply {
    let mut reply = Reply::empty(204);
    let headers = reply.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    let mut allowed = ALLOWED.to_owned();
    if let Some(asked) = request
        .get(header::ACCESS_CONTROL_REQUEST_HEADERS)
        .and_then(|v| v.to_str().ok())
    {
        allowed.push_str(", ");
        allowed.push_str(asked);
    }
    reply.set_header(header::ACCESS_CONTROL_ALLOW_HEADERS, &allowed);
    reply
}

/// Adds to any answer what a page of another origin needs to read it.
pub(crate) fn decorate(request: &HeaderMap, reply: &mut Reply) {
    let Some(origin) = request.get(header::ORIGIN) else {
        return;
    };
    let headers = reply.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
        HeaderValue::from_static("true"),
    );
    // Files name their own headers besides.
    let own = headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    if let Some(own) = own {
        headers.append(header::ACCESS_CONTROL_EXPOSE_HEADERS, own);
    }
    reply.vary_on("Origin");
}
