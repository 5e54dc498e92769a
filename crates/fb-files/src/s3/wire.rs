//! The requests of object_store on hyper, with connections that are kept for a while, and an end to waiting.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use fb_dial::Dial;
use http::Method;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpResponseBody,
    HttpService,
};
use tokio::time::{Instant, Sleep};

use crate::FilesError;

/// Time for a connection with its encryption.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a connection is kept for the next request. Storages close them after 15 s or more.
const IDLE: Duration = Duration::from_secs(10);
const MAX_IDLE: usize = 32;
/// How much more patience there is with the completion of an upload in parts: some storages copy all of it before they answer.
const COMPLETION: u32 = 15;
/// Bytes of a request that are sent as one, so that it can be seen that there is progress.
const STRIDE: usize = 64 * 1024;

/// Makes the client; and is the client, because object_store asks for one and the list of interrupted uploads needs one too.
#[derive(Clone)]
pub(super) struct Wire {
    client: Client<Dial, Watched>,
    patience: Duration,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl Wire {
    pub(super) fn new(authorities: &[String], patience: Duration) -> Result<Self, FilesError> {
        let authorities = authorities.iter().map(String::as_bytes);
        let dial = Dial::new(authorities, CONNECT_TIMEOUT).map_err(|error| FilesError::Setup {
            reason: format!("{error}: {}", error.source),
        })?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MAX_IDLE)
            .build(dial);
        Ok(Self { client, patience })
    }

    pub(super) fn client(&self) -> HttpClient {
        HttpClient::new(self.clone())
    }
}

impl HttpConnector for Wire {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(self.client())
    }
}

#[async_trait::async_trait]
impl HttpService for Wire {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let patience = match is_completion(&request) {
            true => self.patience * COMPLETION,
            false => self.patience,
        };
        let pulse = Pulse::default();
        let request = request.map(|body| Watched {
            body,
            rest: Bytes::new(),
            pulse: pulse.clone(),
        });
        let mut answer = self.client.request(request);
        let answer = loop {
            let deadline = pulse.last() + patience;
            tokio::select! {
                answer = &mut answer => break answer.map_err(request_error)?,
                () = tokio::time::sleep_until(deadline) => if pulse.last() + patience <= Instant::now() {
                    return Err(timeout());
                }
            }
        };
        let (head, body) = answer.into_parts();
        let body = Patient {
            body,
            patience,
            alarm: None,
        };
        Ok(HttpResponse::from_parts(head, HttpResponseBody::new(body)))
    }
}

fn is_completion(request: &HttpRequest) -> bool {
    let query = request.uri().query().unwrap_or_default();
    request.method() == Method::POST && query.starts_with("uploadId=")
}

fn timeout() -> HttpError {
    HttpError::new(HttpErrorKind::Timeout, io::Error::from(io::ErrorKind::TimedOut))
}

/// Which kind decides whether object_store tries again: `Connect` always, `Interrupted` only what may be done twice. Once a
/// connection stands, the storage may have done what it was asked for.
fn request_error(error: hyper_util::client::legacy::Error) -> HttpError {
    let kind = match error.is_connect() {
        true => HttpErrorKind::Connect,
        false => HttpErrorKind::Interrupted,
    };
    HttpError::new(kind, error)
}

/// When something was last taken from the body of a request.
#[derive(Clone)]
struct Pulse(Arc<Mutex<Instant>>);

impl Default for Pulse {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl Pulse {
    fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body of a request in strides, each of which is a sign of life.
struct Watched {
    body: HttpRequestBody,
    rest: Bytes,
    pulse: Pulse,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                end => return Poll::Ready(end),
            }
        }
        self.pulse.beat();
        let stride = self.rest.len().min(STRIDE);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(stride)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        if let Some(exact) = hint.exact() {
            hint.set_exact(exact + self.rest.len() as u64);
        }
        hint
    }
}

/// The body of an answer, with an error when the storage is silent. The time in which nobody asks does not count.
struct Patient {
    body: Incoming,
    patience: Duration,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Body for Patient {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.alarm = None;
            let failed = |error| HttpError::new(HttpErrorKind::Interrupted, error);
            return Poll::Ready(frame.map(|frame| frame.map_err(failed)));
        }
        let patience = self.patience;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(alarm.as_mut().poll(cx));
        Poll::Ready(Some(Err(timeout())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
