//! The provider's HTTP server: one thread with a runtime of its own.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use http::header;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;

use super::server::Shared;

/// Largest body of a request in bytes.
const MAX_BODY: usize = 64 * 1024;

/// A running server. Dropping it stops it and waits for its thread.
pub(super) struct Listening {
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Listening {
    pub(super) fn start(listener: TcpListener, shared: Arc<Shared>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("idp".to_owned())
            .spawn(move || serve(listener, &shared, stopped))
            .expect("the system has a thread to spare");
        Self {
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // The receiver notices that the sender is gone.
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(listener: TcpListener, shared: &Arc<Shared>, stopped: oneshot::Receiver<Infallible>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    runtime.block_on(async {
        listener
            .set_nonblocking(true)
            .expect("a socket can be set to non-blocking");
        let listener = tokio::net::TcpListener::from_std(listener).expect("the socket is good");
        let accepting = async {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(shared);
                // Ends with the runtime, that is with the `Idp`.
                tokio::spawn(async move {
                    let service = service_fn(|request| respond(&shared, request));
                    // Clients hang up when they have seen enough.
                    let _ = http1::Builder::new()
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

/// An error makes hyper close the connection without an answer.
async fn respond(
    shared: &Shared,
    request: http::Request<Incoming>,
) -> Result<http::Response<Full<Bytes>>, &'static str> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY)
        .collect()
        .await
        .map_err(|_| "no body")?
        .to_bytes();
    let form = String::from_utf8_lossy(&body);
    let authorization = head
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let answer = shared
        .answer(
            head.method.as_str(),
            head.uri.path(),
            head.uri.query().unwrap_or_default(),
            authorization,
            &form,
        )
        .ok_or("no answer")?;
    let mut response = http::Response::builder()
        .status(answer.status)
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(location) = answer.location {
        response = response.header(header::LOCATION, location);
    }
    response.body(Full::new(answer.body.into())).map_err(|_| "no answer")
}
