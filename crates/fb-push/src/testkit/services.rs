//! All push services behind one address: HTTP/1.1 and HTTP/2 without TLS, on a thread with a runtime of its own.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::json;
use tokio::sync::oneshot;

use crate::Endpoints;

/// A test that waits for longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request that arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// The path, without the query.
    pub path: String,
    /// Which HTTP it came over.
    pub version: Version,
    /// All headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// The connection it came on, counted from 0.
    pub connection: usize,
}

impl Received {
    /// A header as a text, empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// What is answered once, instead of yes.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// A status alone.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// A status and a JSON body.
    pub fn json(status: u16, body: serde_json::Value) -> Self {
        Self {
            body: body.to_string(),
            ..Self::status(status)
        }
    }

    /// The same with a header.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

#[derive(Default)]
struct State {
    received: Vec<Received>,
    /// Beginning of a path, and what it is answered next.
    answers: Vec<(String, VecDeque<Answer>)>,
    connections: usize,
    tokens: usize,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    arrived: Condvar,
}

/// The running services. Dropping them stops them and waits for their thread.
pub struct Services {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Services {
    /// Starts them on a free port of loopback.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::<Shared>::default();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn({
            let shared = shared.clone();
            move || serve(listener, &shared, stopped)
        });
        Self {
            address,
            shared,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// `127.0.0.1:<port>`, for lists of permitted targets.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Where a browser's messages go.
    pub fn endpoint(&self, name: &str) -> String {
        format!("http://{}/wp/{name}", self.address)
    }

    /// All services are here.
    pub fn endpoints(&self) -> Endpoints {
        let base = format!("http://{}", self.address);
        Endpoints {
            fcm: base.clone(),
            fcm_token: format!("{base}/token"),
            apns: base.clone(),
            apns_development: format!("{base}/development"),
        }
    }

    /// What requests whose path begins so are answered next, once each.
    pub fn answer(&self, path: &str, answers: impl IntoIterator<Item = Answer>) {
        let mut state = self.shared.state.lock().unwrap();
        state.answers.push((path.to_owned(), answers.into_iter().collect()));
    }

    /// All requests so far whose path begins so.
    pub fn received(&self, path: &str) -> Vec<Received> {
        let state = self.shared.state.lock().unwrap();
        state
            .received
            .iter()
            .filter(|r| r.path.starts_with(path))
            .cloned()
            .collect()
    }

    /// The first `n` requests whose path begins so, once they are there.
    pub fn wait_for(&self, path: &str, n: usize) -> Vec<Received> {
        let state = self.shared.state.lock().unwrap();
        let is_missing = |state: &mut State| state.received.iter().filter(|r| r.path.starts_with(path)).count() < n;
        let (state, waited) = self
            .shared
            .arrived
            .wait_timeout_while(state, PATIENCE, is_missing)
            .unwrap();
        assert!(!waited.timed_out(), "waited in vain for {n} requests of {path}");
        drop(state);
        self.received(path)
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(listener: TcpListener, shared: &Arc<Shared>, stopped: oneshot::Receiver<Infallible>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        listener.set_nonblocking(true).expect("a socket");
        let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
        let accepting = async {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = shared.clone();
                let connection = {
                    let mut state = shared.state.lock().unwrap();
                    state.connections += 1;
                    state.connections - 1
                };
                tokio::spawn(async move {
                    let service = service_fn(move |request| respond(shared.clone(), connection, request));
                    let _ = auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        };
        tokio::select! {
            () = accepting => {}
            _ = stopped => {}
        }
    });
}

async fn respond(
    shared: Arc<Shared>,
    connection: usize,
    request: http::Request<Incoming>,
) -> Result<http::Response<Full<Bytes>>, &'static str> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| "no body")?.to_bytes();
    let path = head.uri.path().to_owned();
    let mut state = shared.state.lock().unwrap();
    let scripted = state
        .answers
        .iter_mut()
        .find(|(prefix, answers)| path.starts_with(prefix.as_str()) && !answers.is_empty());
    let answer = match scripted.and_then(|(_, answers)| answers.pop_front()) {
        Some(answer) => answer,
        None if path == "/token" => {
            state.tokens += 1;
            let token = format!("access-{}", state.tokens);
            Answer::json(
                200,
                json!({ "access_token": token, "expires_in": 3600, "token_type": "Bearer" }),
            )
        }
        None if path.starts_with("/wp/") => Answer::status(201),
        None => Answer::json(200, json!({})),
    };
    state.received.push(Received {
        path,
        version: head.version,
        headers: head.headers,
        body,
        connection,
    });
    drop(state);
    shared.arrived.notify_all();
    let mut response = http::Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(Full::new(answer.body.into())).map_err(|_| "no answer")
}
