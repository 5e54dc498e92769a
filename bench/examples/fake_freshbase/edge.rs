//! Pretends to be `freshbase edge`: asks the origin for each path once, and answers from memory ever after.
//!
//! `FAKE_DEFECT=forgetful-edge` asks about every tenth request of those that say what they have.

use std::{
    collections::HashMap,
    convert::Infallible,
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{Arc, Mutex},
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

#[derive(Default)]
struct State {
    origin: String,
    kept: HashMap<String, Bytes>,
    asked: u64,
    hits: u64,
    is_forgetful: bool,
}

/// Serves until the process is ended.
pub(crate) async fn serve(args: &[String], defect: Option<&str>) -> Result<()> {
    let place = args.iter().position(|arg| arg == "--origin").context("no --origin")?;
    let origin = args.get(place + 1).context("no --origin")?;
    let origin = origin.strip_prefix("http://").context("an origin is http://")?;
    let state = Arc::new(Mutex::new(State {
        origin: origin.to_owned(),
        is_forgetful: defect == Some("forgetful-edge"),
        ..State::default()
    }));
    let (listener, figures) = (
        TcpListener::bind("127.0.0.1:0").await?,
        TcpListener::bind("127.0.0.1:0").await?,
    );
    writeln!(
        std::io::stdout(),
        "fake edge is ready at http://{} (origin: http://{origin}, figures: http://{})",
        listener.local_addr()?,
        figures.local_addr()?
    )?;
    tokio::spawn(accept_all(figures, state.clone()));
    accept_all(listener, state).await
}

async fn accept_all(listener: TcpListener, state: Arc<Mutex<State>>) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let state = state.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = answer(&request, &state).unwrap_or_else(|_| {
                    let mut response = Response::new(Full::new(Bytes::new()));
                    *response.status_mut() = StatusCode::BAD_GATEWAY;
                    response
                });
                async move { Ok::<_, Infallible>(answer) }
            });
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

fn answer(request: &Request<Incoming>, state: &Mutex<State>) -> Result<Response<Full<Bytes>>> {
    let mut state = state.lock().ok().context("the state is poisoned")?;
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    if path == "/metrics" {
        let hits = state.hits;
        let text = format!("freshbase_edge_intact 1\nfreshbase_edge_hits_total {hits}\n");
        return Ok(Response::new(Full::new(Bytes::from(text))));
    }
    let has_copy = request.headers().contains_key("if-none-match");
    state.asked += 1;
    let forgets = state.is_forgetful && has_copy && state.asked.is_multiple_of(10);
    let body = match state.kept.get(path).filter(|_| !forgets) {
        Some(body) => body.clone(),
        None => {
            let body = fetch(&state.origin, path)?;
            state.kept.insert(path.to_owned(), body.clone());
            return Ok(Response::new(Full::new(body)));
        }
    };
    state.hits += 1;
    let mut response = Response::new(Full::new(body));
    if has_copy {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Full::new(Bytes::new());
    }
    let headers = response.headers_mut();
    headers.insert("cache-status", "freshbase-edge; hit".parse()?);
    headers.insert("age", "1".parse()?);
    Ok(response)
}

fn fetch(origin: &str, path: &str) -> Result<Bytes> {
    let mut stream = TcpStream::connect(origin)?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {origin}\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let text = String::from_utf8(answer)?;
    let (_, body) = text
        .split_once("\r\n\r\n")
        .context("an answer without end of its head")?;
    Ok(Bytes::from(body.to_owned()))
}
