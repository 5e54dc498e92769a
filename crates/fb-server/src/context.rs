//! What a handler gets: the app, the caller, and the request.

use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fb_app::functions::{CodeCaller, Read};
use fb_app::{App, AppError, Session, Source};
use fb_auth::Principal;
use fb_types::ObjectKey;
use http::{HeaderMap, Method, Uri, header};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::codes;
use crate::edges::Edge;
use crate::error::ApiError;
use crate::server::ServerState;
use crate::source::{address_of, source_of};

/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(30);

/// How much of a body that is not wanted is taken nevertheless, and for how long.
const DRAINED: usize = 4 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// A request to one app.
pub(crate) struct Ctx {
    pub(crate) state: Arc<ServerState>,
    pub(crate) app: Arc<App>,
    /// Who is asking: a session, nobody, or somebody with a token that is not valid.
    pub(crate) session: Result<Option<Session>, AppError>,
    /// It is the app's own code that asks, on behalf of this caller.
    pub(crate) code: Option<CodeCaller>,
    pub(crate) request: Request,
}

/// The body of a request: from a client, or from code in the same process.
pub(crate) type RequestBody = Either<Incoming, Full<Bytes>>;

/// The request itself.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    /// As it was sent, with the API's base.
    pub(crate) uri: Uri,
    pub(crate) params: Params,
    pub(crate) body: Option<RequestBody>,
    /// Its number, which its id is made from.
    pub(crate) number: u64,
    /// The other end of the connection.
    pub(crate) peer: IpAddr,
    /// It came encrypted to this server, or to an edge; what other proxies in front did is not known here.
    pub(crate) is_tls: bool,
    /// It came through an edge that proved to be one; the rest is then as the edge's client sent it.
    pub(crate) edge: Option<Edge>,
    /// The connection, if the client wants to speak something else on it.
    pub(crate) upgrade: Option<OnUpgrade>,
}

/// Most parameters a route's path has.
const MAX_PARAMS: usize = 2;

/// Path parameters: their names, and where in the raw path their values are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Params([(&'static str, Range<usize>); MAX_PARAMS]);

impl Params {
    /// `values` are pieces of `path`, in the order of `names`.
    pub(crate) fn new<'p>(path: &'p str, names: &[&'static str], values: impl Iterator<Item = &'p str>) -> Self {
        let mut params = Self::default();
        for ((slot, name), value) in params.0.iter_mut().zip(names).zip(values) {
            let start = value.as_ptr() as usize - path.as_ptr() as usize;
            *slot = (name, start..start + value.len());
        }
        params
    }
}

impl Ctx {
    /// The caller; a token that is not valid is an error.
    pub(crate) fn caller(&self) -> Result<Principal, ApiError> {
        match &self.session {
            // Code that logged in acts as that user from then on.
            Ok(Some(session)) if self.code.is_some() => Ok(session.principal.as_code()),
            Ok(Some(session)) => Ok(session.principal.clone()),
            Ok(None) => Ok(match &self.code {
                Some(code) => code.principal.clone(),
                None => Principal::anonymous(),
            }),
            Err(AppError::BadToken) => Err(AppError::BadToken.into()),
            Err(error) => {
                tracing::error!(app = %self.app.id(), error = %error, "a caller could not be resolved");
                Err(ApiError::new(
                    codes::UNAVAILABLE,
                    "The caller's rights could not be read; try again shortly.",
                ))
            }
        }
    }

    /// Takes down what code reads with this request as nobody in particular. False if nobody wants to know.
    pub(crate) fn take_down(&self, read: impl FnOnce() -> Read) -> bool {
        let reads = self.code.as_ref().and_then(|code| code.reads.as_ref());
        match (reads, &self.session) {
            (Some(reads), Ok(None)) => {
                reads.take_down(read());
                true
            }
            _ => false,
        }
    }

    /// Where the request comes from, as far as limits are concerned.
    pub(crate) fn source(&self) -> Source {
        if self.code.is_some() {
            return Source::code();
        }
        source_of(self.request.peer, &self.request.headers, &self.state.trusted_proxies)
    }

    /// The address that the request comes from; the server's own for code.
    pub(crate) fn address(&self) -> IpAddr {
        address_of(self.request.peer, &self.request.headers, &self.state.trusted_proxies)
    }

    /// The id under which this request is logged, and named in errors.
    pub(crate) fn request_id(&self) -> String {
        self.state.request_ids.text(self.request.number)
    }

    /// Logs an error that is part of an answer of another kind.
    pub(crate) fn log(&self, error: &ApiError) {
        let id = self.request_id();
        let source = error.source.as_deref().map(ToString::to_string).unwrap_or_default();
        tracing::error!(request.id = %id, app = %self.app.id(), code = error.code.name, "{}: {source}", error.message);
    }

    /// The bucket of the path, decoded.
    pub(crate) fn bucket(&self) -> Result<Cow<'_, str>, ApiError> {
        self.request.param("bucket")
    }

    /// The object key of the path in its canonical spelling.
    pub(crate) fn key(&self) -> Result<ObjectKey, ApiError> {
        Ok(ObjectKey::from_encoded(self.request.raw_param("oid"))?)
    }

    /// The body as a JSON value. An empty body is an error.
    pub(crate) async fn json(&mut self) -> Result<Value, ApiError> {
        let limit = self.state.limits.body_bytes;
        let body = self.request.bytes(limit).await?;
        parse_json(&body, "the body")
    }

    /// The body as a JSON object.
    pub(crate) async fn json_object(&mut self) -> Result<Map<String, Value>, ApiError> {
        match self.json().await? {
            Value::Object(object) => Ok(object),
            other => {
                let found = fb_types::kind_of(&other);
                Err(ApiError::bad_request(format!(
                    "The body must be a JSON object, found {found}."
                )))
            }
        }
    }
}

impl Request {
    /// The raw path as it was sent, with the API's base.
    pub(crate) fn path(&self) -> &str {
        self.uri.path()
    }

    pub(crate) fn raw_param(&self, name: &str) -> &str {
        let found = self.params.0.iter().find(|(n, _)| *n == name);
        found
            .and_then(|(_, range)| self.path().get(range.clone()))
            .unwrap_or("")
    }

    /// A path parameter, decoded.
    pub(crate) fn param(&self, name: &str) -> Result<Cow<'_, str>, ApiError> {
        decode(self.raw_param(name), name)
    }

    /// A query parameter, decoded; the first one of this name.
    pub(crate) fn query(&self, name: &str) -> Result<Option<String>, ApiError> {
        for pair in self.uri.query().unwrap_or("").split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if key == name {
                // Forms and some clients spell blanks as plus signs; a plus itself always comes encoded.
                return decode(&value.replace('+', " "), name).map(|text| Some(text.into_owned()));
            }
        }
        Ok(None)
    }

    /// A query parameter as a number; `None` if it is absent or no number at all. A published client sends other text
    /// in the place of a number by mistake and means its absence.
    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        Ok(self.query(name)?.and_then(|text| text.parse().ok()))
    }

    /// The token in `Authorization`, or the one in the URL of a read, and whether it is that. `None` without one, and if the header
    /// holds something else.
    pub(crate) fn token(&self) -> Option<(&str, bool)> {
        if let Some(value) = self.headers.get(header::AUTHORIZATION) {
            let value = value.to_str().ok()?;
            let token = value.strip_prefix("BAT ").or_else(|| value.strip_prefix("Bearer "))?;
            return Some((token.trim(), false));
        }
        if self.method != Method::GET && self.method != Method::HEAD {
            return None;
        }
        let query = self.uri.query().unwrap_or("");
        let token = query.split('&').find_map(|pair| pair.strip_prefix("BAT="))?;
        Some((token, true))
    }

    /// True if the URL carries a token: whoever has it has what its owner may read.
    pub(crate) fn has_token_in_url(&self) -> bool {
        let query = self.uri.query().unwrap_or("");
        query.split('&').any(|pair| pair.starts_with("BAT="))
    }

    pub(crate) fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// True if the body claims to be of this media type.
    pub(crate) fn content_type_is(&self, media_type: &str) -> bool {
        self.header(header::CONTENT_TYPE)
            .is_some_and(|t| t.split(';').next().is_some_and(|t| t.trim() == media_type))
    }

    /// The whole body, up to `limit` bytes.
    pub(crate) async fn bytes(&mut self, limit: usize) -> Result<Bytes, ApiError> {
        let Some(mut body) = self.body.take() else {
            return Ok(Bytes::new());
        };
        let too_large = || ApiError::new(codes::TOO_LARGE, format!("The body is larger than {limit} bytes."));
        let announced = hyper::body::Body::size_hint(&body).lower();
        if announced > limit as u64 {
            return Err(too_large());
        }
        let collect = async {
            let mut first: Option<Bytes> = None;
            let mut rest = BytesMut::new();
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|_| ApiError::bad_request("The body ended before it was complete."))?;
                let Ok(data) = frame.into_data() else { continue };
                if first.as_ref().map_or(0, Bytes::len) + rest.len() + data.len() > limit {
                    return Err(too_large());
                }
                // Almost every body comes in one piece, which then need not be copied.
                match &first {
                    None => first = Some(data),
                    Some(_) => rest.extend_from_slice(&data),
                }
            }
            Ok(match first {
                Some(first) if rest.is_empty() => first,
                Some(first) => {
                    let mut whole = BytesMut::with_capacity(first.len() + rest.len());
                    whole.extend_from_slice(&first);
                    whole.extend_from_slice(&rest);
                    whole.freeze()
                }
                None => Bytes::new(),
            })
        };
        match tokio::time::timeout(BODY_TIME, collect).await {
            Ok(result) => result,
            Err(_) => Err(ApiError::new(codes::TIMEOUT, "The body did not arrive in time.")),
        }
    }
}

impl Request {
    /// The next piece of the body, `None` at its end. A client may take its time, but not for ever over one piece.
    pub(crate) async fn next_piece(&mut self) -> Result<Option<Bytes>, ApiError> {
        let Some(body) = &mut self.body else { return Ok(None) };
        loop {
            match tokio::time::timeout(BODY_TIME, body.frame()).await {
                Err(_) => return Err(ApiError::new(codes::TIMEOUT, "The body did not arrive in time.")),
                Ok(None) => return Ok(None),
                Ok(Some(Err(_))) => return Err(ApiError::bad_request("The body ended before it was complete.")),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// Takes what is still coming of a body that is not wanted, a little of it and for a short time: a client that is cut off
    /// while it sends may not read the answer. Nothing if the client waits to be asked for its body.
    pub(crate) async fn drain(&mut self) {
        if self.headers.contains_key(header::EXPECT) {
            return;
        }
        let take = async {
            let mut taken = 0;
            while let Ok(Some(piece)) = self.next_piece().await {
                taken += piece.len();
                if taken > DRAINED {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(DRAIN_TIME, take).await;
    }
}

/// Parses JSON; `what` names the place in the error.
pub(crate) fn parse_json(text: &[u8], what: &str) -> Result<Value, ApiError> {
    read_json(text, what)
}

/// Refuses what [`parse_json`] refuses, without making anything of it.
pub(crate) fn check_json(text: &[u8], what: &str) -> Result<(), ApiError> {
    read_json::<Checked>(text, what).map(drop)
}

/// Like `serde::de::IgnoredAny`, within the parser's limit of depth, which that one goes around.
struct Checked;

impl<'de> serde::Deserialize<'de> for Checked {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Checked)
    }
}

impl<'de> serde::de::Visitor<'de> for Checked {
    type Value = Self;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Checked>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        while members.next_entry::<Checked, Checked>()?.is_some() {}
        Ok(self)
    }
}

fn read_json<'t, T: serde::Deserialize<'t>>(text: &'t [u8], what: &str) -> Result<T, ApiError> {
    serde_json::from_slice(text).map_err(|error| {
        let place = if error.line() == 0 {
            String::new()
        } else {
            format!(" (line {}, column {})", error.line(), error.column())
        };
        let problem = match error.classify() {
            serde_json::error::Category::Eof if text.is_empty() => "is empty",
            serde_json::error::Category::Eof => "ends too early",
            _ if error.to_string().starts_with("recursion limit") => "nests deeper than 128 levels",
            _ => "is not valid JSON",
        };
        ApiError::new(
            codes::BAD_JSON,
            format!("{}{} {problem}{place}.", what[..1].to_uppercase(), &what[1..]),
        )
    })
}

fn decode<'t>(text: &'t str, name: &str) -> Result<Cow<'t, str>, ApiError> {
    percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| ApiError::bad_request(format!("The parameter {name} is not UTF-8.")))
}
