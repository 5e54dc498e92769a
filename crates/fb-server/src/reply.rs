//! Answers on their way out.

use std::convert::Infallible;

use bytes::Bytes;
use fb_app::caching::Lifetime;
use fb_store::BoxError;
use futures_util::{Stream, StreamExt};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, VARY};
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::Frame;
use serde_json::Value;

use crate::live::Answered;

/// The body of a response: one piece, or a stream, which may fail on the way: the connection is cut off then.
pub(crate) type Body = Answered;

type Pieces = Either<Full<Bytes>, UnsyncBoxBody<Bytes, CutOff>>;

/// What was being sent cannot be read any further.
#[derive(Debug, thiserror::Error)]
#[error("what was being sent cannot be read any further")]
pub(crate) struct CutOff(#[source] BoxError);

/// The header that carries new user tokens.
pub(crate) const TOKEN_HEADER: HeaderName = HeaderName::from_static("baqend-authorization-token");

/// The header with the token of a login's second step.
pub(crate) const MFA_HEADER: HeaderName = HeaderName::from_static("baqend-mfa-auth-token");

/// A response to be.
pub(crate) struct Reply(Response<Body>);

const JSON: HeaderValue = HeaderValue::from_static("application/json;charset=utf-8");

impl Reply {
    fn with(status: u16, body: Pieces) -> Self {
        let mut response = Response::new(Answered::new(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self(response)
    }

    /// Without a body.
    pub(crate) fn empty(status: u16) -> Self {
        Self::with(status, Either::Left(Full::new(Bytes::new())))
    }

    /// The same with further headers; its own stay.
    pub(crate) fn under(mut self, headers: http::HeaderMap) -> Self {
        let own = std::mem::replace(self.0.headers_mut(), headers);
        self.0.headers_mut().extend(own);
        self
    }

    /// The same with another status.
    pub(crate) fn with_status(mut self, status: u16) -> Self {
        *self.0.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self
    }

    /// With a JSON value.
    pub(crate) fn json(status: u16, value: &Value) -> Self {
        Self::json_bytes(status, Bytes::from(value.to_string()))
    }

    /// With a text that is JSON already.
    pub(crate) fn json_bytes(status: u16, json: Bytes) -> Self {
        let mut reply = Self::with(status, Either::Left(Full::new(json)));
        reply.0.headers_mut().insert(CONTENT_TYPE, JSON);
        reply
    }

    /// With a text of some other type.
    pub(crate) fn text(status: u16, content_type: &'static str, text: impl Into<Bytes>) -> Self {
        let mut reply = Self::with(status, Either::Left(Full::new(text.into())));
        reply
            .0
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        reply
    }

    /// With a stream of JSON.
    pub(crate) fn json_stream(body: UnsyncBoxBody<Bytes, Infallible>) -> Self {
        let body = body.map_err(|never| match never {}).boxed_unsync();
        let mut reply = Self::with(200, Either::Right(body));
        reply.0.headers_mut().insert(CONTENT_TYPE, JSON);
        reply
    }

    /// With bytes, whose type is not said yet.
    pub(crate) fn bytes(status: u16, bytes: Bytes) -> Self {
        Self::with(status, Either::Left(Full::new(bytes)))
    }

    /// With pieces of bytes, whose type is not said yet.
    pub(crate) fn stream<E>(status: u16, pieces: impl Stream<Item = Result<Bytes, E>> + Send + 'static) -> Self
    where
        E: Into<BoxError> + 'static,
    {
        let frames = pieces.map(|piece| piece.map(Frame::data).map_err(|e| CutOff(e.into())));
        Self::with(status, Either::Right(StreamBody::new(frames).boxed_unsync()))
    }

    /// Sets a header; values that no header can hold are left out.
    pub(crate) fn set_header(&mut self, name: HeaderName, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers_mut().insert(name, value);
        }
    }

    /// Adds a header beside others of its name; a content type replaces the one there is.
    pub(crate) fn add_header(&mut self, name: HeaderName, value: HeaderValue) {
        match name == CONTENT_TYPE {
            true => drop(self.0.headers_mut().insert(name, value)),
            false => drop(self.0.headers_mut().append(name, value)),
        }
    }

    /// The same with a header.
    pub(crate) fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.0.headers_mut().insert(name, HeaderValue::from_static(value));
        self
    }

    /// The same as what everybody may keep for so long. Answers to pages of other origins have further headers.
    pub(crate) fn kept_for(mut self, lifetime: Lifetime) -> Self {
        use std::io::Write;
        let Lifetime { browser, edge } = lifetime;
        // On the stack, like tags.
        let mut text = [0_u8; 72];
        let mut rest = &mut text[..];
        let _ = write!(rest, "public, max-age={browser}, s-maxage={edge}");
        let free = rest.len();
        if let Ok(value) = HeaderValue::from_bytes(&text[..72 - free]) {
            self.0.headers_mut().insert(CACHE_CONTROL, value);
        }
        self.vary_on("Origin");
        self
    }

    /// Says that the answer depends on a header of the request, in the one header that lists them.
    pub(crate) fn vary_on(&mut self, name: &'static str) {
        let headers = self.0.headers_mut();
        let mut said = headers.get_all(VARY).iter().filter_map(|value| value.to_str().ok());
        let Some(first) = said.next() else {
            headers.insert(VARY, HeaderValue::from_static(name));
            return;
        };
        let all = said.fold(first.to_owned(), |all, more| all + ", " + more);
        let is_said = all.split(',').any(|other| other.trim().eq_ignore_ascii_case(name));
        let all = if is_said { all } else { all + ", " + name };
        self.set_header(VARY, &all);
    }

    /// The same with an object's version as its tag.
    pub(crate) fn etag(mut self, version: fb_types::Version) -> Self {
        use std::io::Write;
        // 20 digits and two quotes at most; formatting into a String would cost every read two allocations.
        let mut tag = [0_u8; 22];
        let mut rest = &mut tag[..];
        let _ = write!(rest, "\"{version}\"");
        let free = rest.len();
        if let Ok(value) = HeaderValue::from_bytes(&tag[..22 - free]) {
            self.0.headers_mut().insert(ETAG, value);
        }
        self
    }

    /// The same with a new user token.
    pub(crate) fn token(mut self, token: Option<&fb_auth::Secret>) -> Self {
        if let Some(token) = token {
            self.set_header(TOKEN_HEADER, token.expose());
        }
        self
    }

    pub(crate) fn has_token(&self) -> bool {
        self.0.headers().contains_key(TOKEN_HEADER)
    }

    pub(crate) fn status(&self) -> u16 {
        self.0.status().as_u16()
    }

    pub(crate) fn headers_mut(&mut self) -> &mut http::HeaderMap {
        self.0.headers_mut()
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        self.0
    }
}
