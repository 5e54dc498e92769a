//! Answers to clients.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AGE, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode, response};

use crate::body::EdgeBody;
use crate::entry::{Entry, Validators};
use crate::headers::strip_hop_by_hop;
use crate::proof::FOR_EDGES;

/// How an answer came about (RFC 9211).
pub(crate) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// What is not in an answer to who has the content already.
pub(crate) const CONTENT_HEADERS: [HeaderName; 3] = [CONTENT_LENGTH, CONTENT_TYPE, CONTENT_ENCODING];

/// The values of `Cache-Status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Memory,
    /// Another request's answer that was under way.
    Other,
    /// The origin's, and now in memory.
    Origin,
    /// In memory, out of date, but the origin is down.
    Stale,
    /// The origin's.
    Passed,
}

impl From {
    pub(crate) fn value(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Memory => "freshbase-edge; hit",
            Self::Other => "freshbase-edge; fwd=miss; collapsed",
            Self::Origin => "freshbase-edge; fwd=miss; stored",
            Self::Stale => "freshbase-edge; hit; detail=stale-if-error",
            Self::Passed => "freshbase-edge; fwd=bypass",
        })
    }
}

/// Answers with what is in memory.
///
/// `body` is that of the entry; it may be empty if [`needs_body`] is false.
pub(crate) fn with_entry(entry: &Entry, body: Bytes, request: &Parts, now: Duration, from: From) -> Response<EdgeBody> {
    let is_known = entry.is_known_to(&request.headers);
    let body = match needs_body(entry, request) {
        true => body,
        false => Bytes::new(),
    };
    let mut answer = Response::new(EdgeBody::whole(body));
    if is_known {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = answer.headers_mut();
    *headers = if is_known { &entry.known_headers } else { &entry.headers }.clone();
    headers.insert(AGE, HeaderValue::from(entry.whole_seconds(now)));
    headers.insert(CACHE_STATUS, from.value());
    answer
}

/// Answers with what the origin says. `is_whole`: the origin was not told which copy the client has.
pub(crate) fn with_answer<B>(
    mut head: response::Parts,
    body: B,
    request: &Parts,
    is_whole: bool,
    passing: impl FnOnce(B) -> EdgeBody,
) -> Response<EdgeBody> {
    strip_hop_by_hop(&mut head.headers);
    FOR_EDGES.iter().for_each(|name| drop(head.headers.remove(name)));
    head.headers.append(CACHE_STATUS, From::Passed.value());
    let is_known = || Validators::of(&head.headers).are_known_to(&request.headers);
    if is_whole && head.status == StatusCode::OK && is_known() {
        let mut answer = Response::from_parts(head, EdgeBody::whole(Bytes::new()));
        without_content(&mut answer);
        return answer;
    }
    Response::from_parts(head, passing(body))
}

/// Whether the answer to a request has the entry's body in it.
pub(crate) fn needs_body(entry: &Entry, request: &Parts) -> bool {
    request.method != Method::HEAD && !entry.is_known_to(&request.headers)
}

fn without_content(answer: &mut Response<EdgeBody>) {
    *answer.status_mut() = StatusCode::NOT_MODIFIED;
    for name in &CONTENT_HEADERS {
        answer.headers_mut().remove(name);
    }
}
