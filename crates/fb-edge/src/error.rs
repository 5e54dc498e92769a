//! Answers that the edge gives itself, in the form of the protocol's errors.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, ORIGIN,
    RETRY_AFTER, VARY,
};
use http::{HeaderMap, Response, StatusCode};

use crate::body::EdgeBody;

/// Why the edge has no other answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The request is malformed.
    Malformed(&'static str),
    /// A method that does not go through proxies.
    Method,
    /// What is not for clients.
    NotHere,
    /// The origin cannot be reached, or broke off.
    Down,
    /// The origin does not answer.
    Slow,
    /// The origin has enough to do already.
    Busy,
    /// The client wants nothing but what is stored.
    NotStored,
}

impl Failure {
    /// Whether the origin is to blame.
    pub(crate) fn is_origins(self) -> bool {
        matches!(self, Self::Down | Self::Slow)
    }

    fn parts(self) -> (StatusCode, &'static str, String) {
        let text = |text: &str| text.to_owned();
        match self {
            Self::Malformed(what) => {
                let message = format!("The request is malformed: {what}.");
                (StatusCode::BAD_REQUEST, "BadRequest", message)
            }
            Self::Method => {
                let message = text("This method is not allowed here.");
                (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
            }
            Self::NotHere => (StatusCode::NOT_FOUND, "NotFound", text("There is nothing here.")),
            Self::Down => {
                let message = text("The server behind this edge cannot be reached. Try again later.");
                (StatusCode::BAD_GATEWAY, "OriginUnreachable", message)
            }
            Self::Slow => {
                let message = text("The server behind this edge did not answer in time. Try again later.");
                (StatusCode::GATEWAY_TIMEOUT, "OriginTimeout", message)
            }
            Self::Busy => {
                let message = text("The edge has too many requests under way. Try again later.");
                (StatusCode::SERVICE_UNAVAILABLE, "EdgeBusy", message)
            }
            Self::NotStored => {
                let message = text("There is no stored answer, and the request wants no other.");
                (StatusCode::GATEWAY_TIMEOUT, "NotStored", message)
            }
        }
    }

    /// The answer to a request with these headers. It may be read by whoever asked, also from other sites: it has no secrets.
    pub(crate) fn answer(self, request: &HeaderMap) -> Response<EdgeBody> {
        let (status, name, message) = self.parts();
        let reason = status.canonical_reason();
        let body = serde_json::json!({ "className": name, "message": message, "reason": reason, "stackTrace": [] });
        let mut answer = Response::new(EdgeBody::whole(Bytes::from(body.to_string())));
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(origin) = request.get(ORIGIN) {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            headers.insert(VARY, HeaderValue::from_static("Origin"));
        }
        if self == Self::Busy {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        answer
    }
}
