//! The HTTP client: kept connections, TLS, patience and retries. Unlike `fb-outbound` it connects to whatever its user
//! names, this machine included; redirects are not followed, because they would take the token elsewhere.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fb_dial::Dial;
use futures_util::{TryStreamExt, stream};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode, Uri};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper_util::client::legacy::Client as Pool;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::io::AsyncReadExt;

use crate::error::BoxError;
use crate::{CliError, Target};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for an answer, besides what its and the request's size takes at a slow line's speed.
const PATIENCE: Duration = Duration::from_secs(60);
const SLOW_BYTES_PER_SECOND: u64 = 64 * 1024;
/// Largest answer that is taken into memory: all code of an app, or its schema.
const MAX_ANSWER: usize = 64 * 1024 * 1024;
const PIECE: usize = 64 * 1024;
/// Waiting before the first repetition; doubled with each further one.
const PAUSE: Duration = Duration::from_millis(200);
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// What is sent along.
#[derive(Debug, Clone)]
pub(crate) enum Payload {
    Nothing,
    Bytes(Bytes),
    /// A file, read again for each repetition.
    File {
        path: PathBuf,
        size: u64,
    },
}

/// A request to the app.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Below the API's base, encoded.
    pub(crate) path: String,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) payload: Payload,
    /// How often it is sent again when the connection breaks or the server is busy. Only for what may be done twice.
    pub(crate) retries: u32,
}

impl Request {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            content_type: None,
            payload: Payload::Nothing,
            retries: 0,
        }
    }

    fn patience(&self) -> Duration {
        let size = match &self.payload {
            Payload::Nothing => 0,
            Payload::Bytes(bytes) => bytes.len() as u64,
            Payload::File { size, .. } => *size,
        };
        PATIENCE + Duration::from_secs(size / SLOW_BYTES_PER_SECOND)
    }
}

/// A complete answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

type Outgoing = BoxBody<Bytes, io::Error>;

/// A client of one app's API.
#[derive(Clone)]
pub(crate) struct Http {
    pool: Pool<Dial, Outgoing>,
    target: Target,
    user_agent: HeaderValue,
    token: Option<HeaderValue>,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl Http {
    /// `authorities` are certificates in PEM of further authorities, beside those that browsers trust.
    pub(crate) fn new(target: Target, authorities: Option<&[u8]>, user_agent: &str) -> Result<Self, CliError> {
        let unusable = |error: fb_dial::SetupError| CliError::Usage(format!("{error}: {}", error.source));
        let dial = Dial::new(authorities, CONNECT_TIMEOUT).map_err(unusable)?;
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(10))
            .pool_max_idle_per_host(16)
            .build(dial);
        let wrong = |_| CliError::Usage("the user agent is no header".into());
        Ok(Self {
            pool,
            target,
            user_agent: HeaderValue::from_str(user_agent).map_err(wrong)?,
            token: None,
        })
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    pub(crate) fn set_token(&mut self, token: &str) -> Result<(), CliError> {
        let wrong = |_| CliError::Login("the token is not one: it has characters that no token has".into());
        let mut value = HeaderValue::from_str(&format!("BAT {token}")).map_err(wrong)?;
        value.set_sensitive(true);
        self.token = Some(value);
        Ok(())
    }

    /// Sends a request, and again as often as it allows. An answer of any status is an answer, but for those of a server that
    /// is busy or on its way up.
    pub(crate) async fn send(&self, request: &Request) -> Result<Answer, CliError> {
        let (mut pause, mut left) = (PAUSE, request.retries);
        loop {
            let result = self.send_once(request).await;
            let wait = match &result {
                Ok(answer) if is_busy(answer.status) => retry_after(answer).unwrap_or(pause),
                Err(CliError::Unreachable { .. }) => pause,
                // Also a file that cannot be read: it cannot be read the next time either.
                Ok(_) | Err(_) => return result,
            };
            if left == 0 {
                return result;
            }
            left -= 1;
            tokio::time::sleep(wait.min(MAX_PAUSE)).await;
            pause *= 2;
        }
    }

    async fn send_once(&self, request: &Request) -> Result<Answer, CliError> {
        let url = self.target.url(&request.path);
        let failed = |source: BoxError| CliError::Unreachable {
            url: self.target.to_string(),
            source,
        };
        let uri: Uri = url.parse().map_err(|_| CliError::Usage(format!("{url} is no URL")))?;
        let mut out = http::Request::new(self.body(&request.payload).await?);
        *out.method_mut() = request.method.clone();
        *out.uri_mut() = uri;
        let headers = out.headers_mut();
        headers.insert(header::USER_AGENT, self.user_agent.clone());
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, */*;q=0.1"));
        if let Some(content_type) = request.content_type {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        if let Some(token) = &self.token {
            headers.insert(header::AUTHORIZATION, token.clone());
        }
        if let Payload::File { size, .. } = &request.payload {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(*size));
        }
        let exchange = async {
            let answer = self.pool.request(out).await?;
            let (head, body) = answer.into_parts();
            let body = http_body_util::Limited::new(body, MAX_ANSWER)
                .collect()
                .await?
                .to_bytes();
            Ok::<_, BoxError>(Answer {
                status: head.status,
                headers: head.headers,
                body,
            })
        };
        match tokio::time::timeout(request.patience(), exchange).await {
            Ok(answer) => answer.map_err(failed),
            Err(late) => Err(failed(late.into())),
        }
    }

    async fn body(&self, payload: &Payload) -> Result<Outgoing, CliError> {
        let bytes = match payload {
            Payload::Nothing => Bytes::new(),
            Payload::Bytes(bytes) => bytes.clone(),
            Payload::File { path, .. } => {
                let file = tokio::fs::File::open(path)
                    .await
                    .map_err(CliError::io("reading", path))?;
                let pieces = stream::try_unfold(file, |mut file| async move {
                    let mut piece = BytesMut::with_capacity(PIECE);
                    let n = file.read_buf(&mut piece).await?;
                    Ok::<_, io::Error>((n > 0).then(|| (piece.freeze(), file)))
                });
                return Ok(BodyExt::boxed(StreamBody::new(pieces.map_ok(Frame::data))));
            }
        };
        Ok(Full::new(bytes).map_err(|never| match never {}).boxed())
    }
}

fn is_busy(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

fn retry_after(answer: &Answer) -> Option<Duration> {
    let seconds = answer.header("retry-after")?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
