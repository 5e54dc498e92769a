//! What an answer from memory costs: an edge and a plain hyper server that sends the same bytes, in turns in one run.
//!
//! `cargo run --release -p fb-edge --example hits [seconds per turn]`

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement, for people")]

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fb_edge::{Edge, EdgeOptions, Monotonic, Pace, PurgeLog, Resume, Ticks};
use futures_util::StreamExt;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};

const N_CONNECTIONS: usize = 32;
const N_TURNS: usize = 5;
const OBJECT: &str = "{\"id\":\"/db/Todo/42\",\"version\":7,\"acl\":null,\"title\":\"what an object looks like\",\"done\":false,\
                      \"tags\":[\"a\",\"b\",\"c\"],\"text\":\"and some text, so that it is of some 300 bytes, as objects of apps often are. \
                      Neither side looks at it; both only send it, from memory, over a connection that is kept.\"}";

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", "application/json;charset=utf-8"),
        ("cache-control", "public, max-age=60, s-maxage=600"),
        ("etag", "\"7\""),
        ("access-control-allow-origin", "*"),
        (
            "access-control-expose-headers",
            "baqend-authorization-token, content-type, etag, last-modified",
        ),
        ("x-content-type-options", "nosniff"),
    ] {
        headers.insert(name, value.parse().unwrap());
    }
    headers
}

/// The plain server: it knows its one answer, and compares the tag.
async fn plain(headers: HeaderMap) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            let headers = headers.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    let is_known = request.headers().get("if-none-match").is_some_and(|tag| tag == "\"7\"");
                    let body = if is_known {
                        Bytes::new()
                    } else {
                        Bytes::from_static(OBJECT.as_bytes())
                    };
                    let mut answer = Response::new(Full::new(body));
                    *answer.headers_mut() = headers.clone();
                    if is_known {
                        *answer.status_mut() = StatusCode::NOT_MODIFIED;
                    }
                    async move { Ok::<_, Infallible>(answer) }
                });
                let _ = auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    address
}

/// An origin with a purge stream.
async fn origin(headers: HeaderMap) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let log = Arc::new(PurgeLog::new(1, 1000));
    let ticks: Arc<dyn Ticks> = Arc::new(Monotonic::default());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (headers, log, ticks) = (headers.clone(), log.clone(), ticks.clone());
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    let answer: Response<UnsyncBoxBody<Bytes, Infallible>> =
                        if request.uri().path() == "/.freshbase/purges" {
                            let resume = request.uri().query().and_then(Resume::of_query);
                            let lines = log.clone().stream(
                                resume,
                                ticks.clone(),
                                Pace {
                                    beat: Duration::from_secs(1),
                                    patience: Duration::ZERO,
                                },
                            );
                            Response::new(StreamBody::new(lines.map(|piece| Ok(Frame::data(piece)))).boxed_unsync())
                        } else {
                            let mut answer = Response::new(Full::from(OBJECT).boxed_unsync());
                            *answer.headers_mut() = headers.clone();
                            answer
                                .headers_mut()
                                .insert("surrogate-key", "app:/db/Todo/42".parse().unwrap());
                            answer
                        };
                    async move { Ok::<_, Infallible>(answer) }
                });
                let _ = auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    address
}

/// Requests per second.
async fn load(address: std::net::SocketAddr, tag: Option<&'static str>, time: Duration) -> f64 {
    let (n_done, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..N_CONNECTIONS {
        let (n_done, is_over) = (n_done.clone(), is_over.clone());
        clients.spawn(async move {
            let stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
                .await
                .unwrap();
            tokio::spawn(connection);
            while !is_over.load(Ordering::Relaxed) {
                let mut request = Request::get("/v1/db/Todo/42")
                    .header("host", "app.example")
                    .header("accept", "application/json");
                if let Some(tag) = tag {
                    request = request.header("if-none-match", tag);
                }
                let answer = sender
                    .send_request(request.body(Empty::<Bytes>::new()).unwrap())
                    .await
                    .unwrap();
                assert_eq!(answer.status(), if tag.is_some() { 304 } else { 200 });
                answer.into_body().collect().await.unwrap();
                n_done.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let begun = Instant::now();
    tokio::time::sleep(time).await;
    let n_requests = n_done.load(Ordering::Relaxed);
    let rate = n_requests as f64 / begun.elapsed().as_secs_f64();
    is_over.store(true, Ordering::Relaxed);
    while clients.join_next().await.is_some() {}
    rate
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_unstable_by(f64::total_cmp);
    rates[rates.len() / 2]
}

#[tokio::main]
async fn main() {
    let seconds = std::env::args().nth(1).and_then(|arg| arg.parse().ok()).unwrap_or(2.0);
    let time = Duration::from_secs_f64(seconds);
    let plain = plain(headers()).await;
    let options = EdgeOptions::of(format!("http://{}", origin(headers()).await));
    let edge = Edge::new(options, Arc::new(Monotonic::default())).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (following, serving) = (edge.clone(), edge.clone());
    tokio::spawn(async move { following.follow_purges().await });
    tokio::spawn(async move { serving.serve(listener, std::future::pending()).await });
    while !edge.stats().is_intact {
        tokio::task::yield_now().await;
    }
    for (name, tag) in [("200", None), ("304", Some("\"7\""))] {
        let (mut of_plain, mut of_edge) = (Vec::new(), Vec::new());
        for _ in 0..N_TURNS {
            of_plain.push(load(plain, tag, time).await);
            of_edge.push(load(address, tag, time).await);
        }
        let (plain, edge) = (median(&mut of_plain), median(&mut of_edge));
        println!(
            "{name}: plain {plain:.0}/s, edge {edge:.0}/s, ratio {:.2}",
            edge / plain
        );
    }
    println!("{:?}", edge.stats());
}
