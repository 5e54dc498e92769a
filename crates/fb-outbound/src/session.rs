//! HTTP/2 sessions: one checked connection to one origin, for whoever sends many requests there, such as push services
//! that take a new connection for each message as an attack.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header;
use http_body_util::Full;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;

use crate::client::{Inner, MAX_HEAD, connect, encrypt, read_body, unreachable};
use crate::target::Target;
use crate::{Outbound, OutboundError, Request, Response};

/// An HTTP/2 connection to one origin. The address was checked when it was opened, and stays the same; dropping the session
/// closes it. Any number of requests may be under way at once.
pub struct Session {
    inner: Arc<Inner>,
    origin: Target,
    sender: SendRequest<Full<Bytes>>,
    _tasks: Tasks,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({})", self.origin.authority)
    }
}

impl Outbound {
    /// Opens a session with the origin of `url`: with TLS and ALPN where it is `https`, by prior knowledge where it is
    /// `http` to a target that the operator allowed.
    pub async fn open_session(&self, url: &str) -> Result<Session, OutboundError> {
        let limit = self.inner.options.timeout;
        match tokio::time::timeout(limit, open(self.inner.clone(), url)).await {
            Ok(result) => result,
            Err(_) => Err(OutboundError::Timeout { limit }),
        }
    }
}

async fn open(inner: Arc<Inner>, url: &str) -> Result<Session, OutboundError> {
    let origin = Target::parse(url)?;
    let addresses = inner.checked_addresses(&origin).await?;
    let stream = connect(&addresses).await?;
    let tasks = Tasks::default();
    let sender = if origin.is_tls {
        let stream = encrypt(&inner.tls_http2, &origin, stream).await?;
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(unreachable("agreeing on HTTP/2")("the server speaks another protocol"));
        }
        start(stream, &tasks).await?
    } else {
        start(stream, &tasks).await?
    };
    Ok(Session {
        inner,
        origin,
        sender,
        _tasks: tasks,
    })
}

async fn start<S>(stream: S, tasks: &Tasks) -> Result<SendRequest<Full<Bytes>>, OutboundError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let header_bytes = u32::try_from(MAX_HEAD).unwrap_or(u32::MAX);
    let (sender, connection) = http2::Builder::new(tasks.executor())
        .max_header_list_size(header_bytes)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(unreachable("starting the connection"))?;
    tasks.executor().execute(async move {
        // Requests that are under way learn of its end themselves.
        let _ = connection.await;
    });
    Ok(sender)
}

impl Session {
    /// False once the other side has closed it, or said that it is about to.
    pub fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Sends a request to the session's origin and reads the whole answer. A URL of another origin is
    /// [`OutboundError::Invalid`]. Nothing is retried. Dropping the future ends the request, not the session.
    pub async fn send(&self, request: Request) -> Result<Response, OutboundError> {
        let limit = self.inner.options.timeout;
        match tokio::time::timeout(limit, self.exchange(request)).await {
            Ok(result) => result,
            Err(_) => Err(OutboundError::Timeout { limit }),
        }
    }

    async fn exchange(&self, request: Request) -> Result<Response, OutboundError> {
        let target = Target::parse(&request.url)?;
        if (target.is_tls, &target.authority) != (self.origin.is_tls, &self.origin.authority) {
            let reason = "it does not belong to the session's origin";
            return Err(OutboundError::Invalid { reason });
        }
        let mut request = self.inner.prepare(&target, request)?;
        // The origin is part of the address here, and not a header.
        request.headers_mut().remove(header::HOST);
        let scheme = if target.is_tls { "https" } else { "http" };
        let uri = http::Uri::builder()
            .scheme(scheme)
            .authority(target.authority)
            .path_and_query(target.path)
            .build();
        *request.uri_mut() = uri.map_err(|_| OutboundError::Invalid {
            reason: "it is malformed",
        })?;
        let mut sender = self.sender.clone();
        sender
            .ready()
            .await
            .map_err(unreachable("waiting for the connection"))?;
        let answer = sender
            .send_request(request)
            .await
            .map_err(unreachable("waiting for the answer"))?;
        let (head, body) = answer.into_parts();
        let body = read_body(body, self.inner.options.max_response_bytes).await?;
        Ok(Response {
            status: head.status,
            headers: head.headers,
            body,
        })
    }
}

/// What drives the connection. It ends with the session.
#[derive(Default)]
struct Tasks(Arc<Mutex<Vec<AbortHandle>>>);

impl Tasks {
    fn executor(&self) -> Spawner {
        Spawner(self.0.clone())
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
    }
}

#[derive(Clone)]
struct Spawner(Arc<Mutex<Vec<AbortHandle>>>);

impl<F> Executor<F> for Spawner
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        let task = tokio::spawn(future).abort_handle();
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|task| !task.is_finished());
        tasks.push(task);
    }
}
