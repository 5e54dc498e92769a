//! Requests: one connection each. Logins and hooks are rare enough that a pool would only blur which address was checked.
//! Whoever sends many requests to one host opens a [`Session`](crate::Session).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::resolve::{Resolve, Share, SystemResolver};
use crate::target::{Host, Target};
use crate::{AllowedTarget, OutboundError, why_refused};

/// Addresses of one host that are tried, and the time each of them has to accept the connection.
const MAX_ADDRESSES: usize = 4;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// Largest head of an answer in bytes.
pub(crate) const MAX_HEAD: usize = 64 * 1024;

/// Headers that this client sets itself: what delimits messages, and what would make the answer something else than the
/// bytes that were counted.
const OWN_HEADERS: &[HeaderName] = &[
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::EXPECT,
    header::ACCEPT_ENCODING,
];

/// How requests are made.
#[derive(Debug, Clone)]
pub struct OutboundOptions {
    /// Targets outside of the public internet that are permitted, and targets that may be requested without TLS. Whoever
    /// can make the server request a URL can reach them.
    pub allow: Vec<AllowedTarget>,
    /// Time for a whole request: lookup, connection, answer with its body. 10 s by default.
    pub timeout: Duration,
    /// Largest body of an answer in bytes. 1 MiB by default.
    pub max_response_bytes: usize,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// Certificates in PEM of further authorities, beside those that browsers trust. The system's store is not read.
    pub extra_authorities: Vec<String>,
}

impl Default for OutboundOptions {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            timeout: Duration::from_secs(10),
            max_response_bytes: 1024 * 1024,
            user_agent: "Freshbase".to_owned(),
            extra_authorities: Vec::new(),
        }
    }
}

/// A request. `Host`, `Content-Length` and the like are set by the client and refused in `headers`.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// An absolute URL.
    pub url: String,
    /// Further headers.
    pub headers: HeaderMap,
    /// The body, empty for none.
    pub body: Bytes,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers and body carry credentials, and so may the query.
        let path = self.url.split('?').next().unwrap_or_default();
        write!(f, "Request({} {path})", self.method)
    }
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// A POST of `fields` as a form.
    pub fn form(url: impl Into<String>, fields: &[(&str, &str)]) -> Self {
        let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let mut body = String::new();
        for (name, value) in fields {
            if !body.is_empty() {
                body.push('&');
            }
            body.push_str(&format!("{}={}", encode(name), encode(value)));
        }
        let mut request = Self::new(Method::POST, url);
        request.body = body.into();
        request.headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        request
    }
}

/// A complete answer, whatever its status; redirects are answers like any other.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it was sent.
    pub body: Bytes,
}

/// The client. Clones share everything; a clone costs one reference count.
#[derive(Clone)]
pub struct Outbound {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) options: OutboundOptions,
    user_agent: HeaderValue,
    tls: TlsConnector,
    /// The same, offering HTTP/2 and nothing else.
    pub(crate) tls_http2: TlsConnector,
    resolver: Arc<dyn Resolve>,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound")
            .field("options", &self.inner.options)
            .finish_non_exhaustive()
    }
}

impl Outbound {
    /// A client that looks names up with the system's resolver: 32 at once, which no other client takes away. Fails with [`OutboundError::Setup`] when the user agent
    /// or a certificate is malformed.
    pub fn new(options: OutboundOptions) -> Result<Self, OutboundError> {
        Self::with_resolver(options, Arc::new(SystemResolver::default()))
    }

    /// A client that looks names up with `resolver`.
    pub fn with_resolver(options: OutboundOptions, resolver: Arc<dyn Resolve>) -> Result<Self, OutboundError> {
        let user_agent = HeaderValue::from_str(&options.user_agent).map_err(setup("reading the user agent"))?;
        let authorities = options.extra_authorities.iter().map(String::as_bytes);
        let config = fb_dial::client_config(authorities).map_err(|error| OutboundError::Setup {
            during: error.during,
            source: error.source,
        })?;
        let mut http2 = config.clone();
        http2.alpn_protocols = vec![b"h2".to_vec()];
        let inner = Inner {
            options,
            user_agent,
            tls: TlsConnector::from(Arc::new(config)),
            tls_http2: TlsConnector::from(Arc::new(http2)),
            resolver,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The same client with other limits: time for a whole request, and bytes of an answer's body.
    pub fn with_limits(&self, timeout: Duration, max_response_bytes: usize) -> Self {
        let options = OutboundOptions {
            timeout,
            max_response_bytes,
            ..self.inner.options.clone()
        };
        self.with(options, self.inner.resolver.clone())
    }

    /// The same client for one of many who share it, such as an app: its clones look up 4 names at once, further ones wait
    /// for these. Without that, names that hang would keep the lookups of all others waiting.
    pub fn share(&self) -> Self {
        let share = Share::of(self.inner.resolver.clone());
        self.with(self.inner.options.clone(), Arc::new(share))
    }

    fn with(&self, options: OutboundOptions, resolver: Arc<dyn Resolve>) -> Self {
        let inner = Inner {
            options,
            user_agent: self.inner.user_agent.clone(),
            tls: self.inner.tls.clone(),
            tls_http2: self.inner.tls_http2.clone(),
            resolver,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Requests `url` with GET.
    pub async fn get(&self, url: &str) -> Result<Response, OutboundError> {
        self.send(Request::new(Method::GET, url)).await
    }

    /// Posts `fields` as a form to `url`.
    pub async fn post_form(&self, url: &str, fields: &[(&str, &str)]) -> Result<Response, OutboundError> {
        self.send(Request::form(url, fields)).await
    }

    /// Sends a request and reads the whole answer. Nothing is retried. Dropping the future closes the connection.
    pub async fn send(&self, request: Request) -> Result<Response, OutboundError> {
        self.send_until(request, None).await
    }

    /// Sends a request of which the status is all that counts. What follows the head is read within the limits of size and
    /// time, so that the other side can finish, and dropped; more of it, or less than was announced, is no error.
    pub async fn send_for_status(&self, request: Request) -> Result<StatusCode, OutboundError> {
        let end = Instant::now() + self.inner.options.timeout;
        let answer = self.send_until(request, Some(end)).await?;
        Ok(answer.status)
    }

    /// With `body_until`, what there is of the body by then is enough, and not kept.
    async fn send_until(&self, request: Request, body_until: Option<Instant>) -> Result<Response, OutboundError> {
        let limit = self.inner.options.timeout;
        let end = body_until.unwrap_or_else(|| Instant::now() + limit);
        // At the end of both, the inner one is asked first.
        match tokio::time::timeout_at(end, self.inner.send(request, body_until)).await {
            Ok(result) => result,
            Err(_) => Err(OutboundError::Timeout { limit }),
        }
    }
}

impl Inner {
    async fn send(&self, request: Request, body_until: Option<Instant>) -> Result<Response, OutboundError> {
        let target = Target::parse(&request.url)?;
        let request = self.prepare(&target, request)?;
        let addresses = self.checked_addresses(&target).await?;
        let stream = connect(&addresses).await?;
        if target.is_tls {
            let stream = encrypt(&self.tls, &target, stream).await?;
            self.exchange(stream, request, body_until).await
        } else {
            self.exchange(stream, request, body_until).await
        }
    }

    pub(crate) fn prepare(
        &self,
        target: &Target,
        request: Request,
    ) -> Result<http::Request<Full<Bytes>>, OutboundError> {
        let invalid = |reason| OutboundError::Invalid { reason };
        if OWN_HEADERS.iter().any(|name| request.headers.contains_key(name)) {
            return Err(invalid("a header is given that the client sets itself"));
        }
        let host = HeaderValue::from_str(&target.authority).map_err(|_| invalid("its host is no name"))?;
        let mut prepared = http::Request::new(Full::new(request.body));
        *prepared.method_mut() = request.method;
        *prepared.uri_mut() = target.path.clone().into();
        *prepared.headers_mut() = request.headers;
        let headers = prepared.headers_mut();
        headers.insert(header::HOST, host);
        if !headers.contains_key(header::USER_AGENT) {
            headers.insert(header::USER_AGENT, self.user_agent.clone());
        }
        Ok(prepared)
    }

    /// The addresses to connect to: one lookup, and of its answer what passes the guard.
    pub(crate) async fn checked_addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, OutboundError> {
        let (host, addresses) = match &target.host {
            Host::Ip(ip) => (ip.to_string(), vec![*ip]),
            Host::Name(name) => {
                let addresses = self.resolver.resolve(name).await;
                (name.clone(), addresses.map_err(unreachable("looking up the host"))?)
            }
        };
        let mut reason = "its name has no address";
        let mut checked = Vec::new();
        for ip in addresses {
            match self.check(target, ip) {
                Ok(()) => checked.push(SocketAddr::new(ip, target.port)),
                Err(why) => reason = why,
            }
        }
        checked.truncate(MAX_ADDRESSES);
        if checked.is_empty() {
            return Err(OutboundError::Refused { host, reason });
        }
        Ok(checked)
    }

    fn check(&self, target: &Target, ip: IpAddr) -> Result<(), &'static str> {
        if self.options.allow.iter().any(|allowed| allowed.permits(target, ip)) {
            return Ok(());
        }
        match why_refused(ip) {
            Some(why) => Err(why),
            None if target.is_tls => Ok(()),
            None => Err("plain http is only for targets that the operator allowed"),
        }
    }

    async fn exchange<S>(
        &self,
        stream: S,
        request: http::Request<Full<Bytes>>,
        body_until: Option<Instant>,
    ) -> Result<Response, OutboundError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(unreachable("starting the connection"))?;
        let mut exchange = pin!(async {
            let answer = sender
                .send_request(request)
                .await
                .map_err(unreachable("waiting for the answer"))?;
            let (head, body) = answer.into_parts();
            let body = read_body(body, self.options.max_response_bytes);
            let body = match body_until {
                None => body.await?,
                Some(end) => {
                    // The head has said everything.
                    let _ = tokio::time::timeout_at(end, body).await;
                    Bytes::new()
                }
            };
            Ok(Response {
                status: head.status,
                headers: head.headers,
                body,
            })
        });
        // The connection is driven here and not in a task of its own, so that nothing outlives the request.
        let mut connection = pin!(connection);
        tokio::select! {
            result = &mut exchange => result,
            // It has ended; what was received before is still to be read.
            _ = &mut connection => exchange.await,
        }
    }
}

/// Starts TLS with the host that the URL names.
pub(crate) async fn encrypt(
    tls: &TlsConnector,
    target: &Target,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, OutboundError> {
    let name = match &target.host {
        Host::Ip(ip) => ServerName::from(*ip),
        Host::Name(name) => ServerName::try_from(name.clone()).map_err(unreachable("reading the host's name"))?,
    };
    tls.connect(name, stream).await.map_err(unreachable("starting TLS"))
}

/// Connects to the first of `addresses` that accepts.
pub(crate) async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, OutboundError> {
    let mut last: Result<TcpStream, std::io::Error> = Err(std::io::ErrorKind::AddrNotAvailable.into());
    for address in addresses {
        last = match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(connected) => connected,
            Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
        };
        if last.is_ok() {
            break;
        }
    }
    let stream = last.map_err(unreachable("connecting"))?;
    // Small requests should not wait for more to send; a failure only costs time.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

pub(crate) async fn read_body(mut body: hyper::body::Incoming, limit: usize) -> Result<Bytes, OutboundError> {
    // An announced size is refused before anything is read.
    if body.size_hint().lower() > limit as u64 {
        return Err(OutboundError::TooLarge { limit });
    }
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(unreachable("reading the answer"))?;
        let Ok(data) = frame.into_data() else { continue };
        if read.len() + data.len() > limit {
            return Err(OutboundError::TooLarge { limit });
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}

pub(crate) fn unreachable<E: Into<crate::BoxError>>(during: &'static str) -> impl FnOnce(E) -> OutboundError {
    move |source| OutboundError::Unreachable {
        during,
        source: source.into(),
    }
}

fn setup<E: Into<crate::BoxError>>(during: &'static str) -> impl FnOnce(E) -> OutboundError {
    move |source| OutboundError::Setup {
        during,
        source: source.into(),
    }
}
