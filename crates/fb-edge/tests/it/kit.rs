//! An origin that does what tests say, an edge in front of it, and a clock.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fb_edge::{Edge, EdgeBody, EdgeOptions, Pace, Peer, Purge, PurgeLog, Resume, Ticks};
use futures_util::StreamExt;
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

pub const HOST: &str = "app.example";

/// A clock that tests move.
#[derive(Debug, Default)]
pub struct Hand(AtomicU64);

impl Ticks for Hand {
    fn now(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }
}

impl Hand {
    pub fn forward(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as u64, Ordering::SeqCst);
    }
}

type Page = Arc<dyn Fn(&Parts) -> Response<Full<Bytes>> + Send + Sync>;

/// The origin.
pub struct Origin {
    pages: Mutex<HashMap<String, Page>>,
    seen: Mutex<Vec<Parts>>,
    pub bodies: Mutex<Vec<Bytes>>,
    gates: Mutex<HashMap<String, Arc<Gate>>>,
    pub is_down: AtomicBool,
    pub refuses_streams: AtomicBool,
    echoing: Mutex<Option<String>>,
    cut: watch::Sender<u64>,
    pub log: Arc<PurgeLog>,
    ticks: Arc<Hand>,
    pub address: SocketAddr,
}

/// Holds answers back after they were made.
pub struct Gate {
    pub arrived: Semaphore,
    pub open: Semaphore,
}

type OriginBody = UnsyncBoxBody<Bytes, Infallible>;

impl Origin {
    async fn start(ticks: Arc<Hand>) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = Arc::new(Self {
            pages: Mutex::default(),
            seen: Mutex::default(),
            bodies: Mutex::default(),
            gates: Mutex::default(),
            is_down: AtomicBool::new(false),
            refuses_streams: AtomicBool::new(false),
            echoing: Mutex::default(),
            cut: watch::Sender::new(0),
            log: Arc::new(PurgeLog::new(7, 100)),
            ticks,
            address: listener.local_addr().unwrap(),
        });
        let shared = origin.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let origin = shared.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let origin = origin.clone();
                        async move { origin.answer(request).await }
                    });
                    let builder = auto::Builder::new(TokioExecutor::new());
                    let _ = builder
                        .serve_connection_with_upgrades(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        origin
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<OriginBody>, &'static str> {
        if request.uri().path() == "/.freshbase/purges" {
            return self.stream(&request);
        }
        let echoing = self.echoing.lock().unwrap().clone();
        if echoing.as_deref() == Some(request.uri().path()) && request.headers().contains_key("upgrade") {
            return Ok(echo(request));
        }
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        self.seen.lock().unwrap().push(parts.clone());
        if self.is_down.load(Ordering::SeqCst) {
            return Err("down");
        }
        if let Ok(body) = body.collect().await {
            self.bodies.lock().unwrap().push(body.to_bytes());
        }
        let page = self.pages.lock().unwrap().get(&path).cloned();
        let answer = match page {
            Some(page) => page(&parts),
            None => Response::builder().status(404).body(Full::default()).unwrap(),
        };
        let gate = self.gates.lock().unwrap().get(&path).cloned();
        if let Some(gate) = gate {
            gate.arrived.add_permits(1);
            gate.open.acquire().await.unwrap().forget();
        }
        Ok(answer.map(BodyExt::boxed_unsync))
    }

    fn stream(&self, request: &Request<Incoming>) -> Result<Response<OriginBody>, &'static str> {
        if self.refuses_streams.load(Ordering::SeqCst) {
            return Err("refused");
        }
        assert_eq!(request.headers()["freshbase-edge"], "edges only");
        let resume = request.uri().query().and_then(Resume::of_query);
        let lines = self.log.clone().stream(
            resume,
            self.ticks.clone(),
            Pace {
                beat: Duration::from_secs(3600),
                patience: Duration::ZERO,
            },
        );
        let mut cut = self.cut.subscribe();
        let until_cut = Box::pin(async move { cut.changed().await });
        let frames = lines.take_until(until_cut).map(|piece| Ok(Frame::data(piece)));
        Ok(Response::new(StreamBody::new(frames).boxed_unsync()))
    }

    pub fn page(&self, path: &str, page: impl Fn(&Parts) -> Response<Full<Bytes>> + Send + Sync + 'static) {
        self.pages.lock().unwrap().insert(path.to_owned(), Arc::new(page));
    }

    /// A page with these headers.
    pub fn text(&self, path: &str, text: &str, headers: &[(&str, &str)]) {
        let (text, headers) = (Bytes::from(text.to_owned()), header_map(headers));
        self.page(path, move |request| {
            let known = request.headers.get("if-none-match");
            let is_known = known.is_some() && known == headers.get("etag");
            let mut answer = Response::new(Full::new(if is_known { Bytes::new() } else { text.clone() }));
            if is_known {
                *answer.status_mut() = StatusCode::NOT_MODIFIED;
            }
            answer.headers_mut().extend(headers.clone());
            answer
        });
    }

    /// Upgrades requests for a path, and sends back what comes then.
    pub fn echo(&self, path: &str) {
        *self.echoing.lock().unwrap() = Some(path.to_owned());
    }

    pub fn gate(&self, path: &str) -> Arc<Gate> {
        let gate = Arc::new(Gate {
            arrived: Semaphore::new(0),
            open: Semaphore::new(0),
        });
        self.gates.lock().unwrap().insert(path.to_owned(), gate.clone());
        gate
    }

    pub fn seen(&self) -> Vec<Parts> {
        self.seen.lock().unwrap().clone()
    }

    pub fn n_seen(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// Ends the purge streams.
    pub fn cut(&self) {
        self.cut.send_modify(|cut| *cut += 1);
    }
}

fn echo(mut request: Request<Incoming>) -> Response<OriginBody> {
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let (mut reader, mut writer) = tokio::io::split(TokioIo::new(upgraded.await.unwrap()));
        tokio::io::copy(&mut reader, &mut writer).await.unwrap();
    });
    let answer = Response::builder()
        .status(101)
        .header("connection", "upgrade")
        .header("upgrade", "websocket");
    answer.body(Full::<Bytes>::default().boxed_unsync()).unwrap()
}

/// Everything.
pub struct World {
    pub origin: Arc<Origin>,
    pub edge: Edge,
    pub ticks: Arc<Hand>,
    follower: tokio::task::JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

/// An answer with its whole body.
#[derive(Debug, Clone)]
pub struct Got {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Got {
    pub async fn of(answer: Response<EdgeBody>) -> Self {
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// How the answer came about.
    pub fn way(&self) -> &str {
        self.header("cache-status").trim_start_matches("freshbase-edge; ")
    }
}

pub fn peer() -> Peer {
    Peer {
        ip: [192, 0, 2, 1].into(),
        is_tls: false,
    }
}

pub fn header_map(list: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        headers.append(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
    }
    headers
}

pub fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<Full<Bytes>> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .body(Full::default())
        .unwrap();
    *request.headers_mut() = header_map(headers);
    if !request.headers().contains_key("host") {
        request.headers_mut().insert("host", HOST.parse().unwrap());
    }
    request
}

/// Waits for what other tasks bring about.
pub async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(30), waiting).await.is_err() {
        panic!("this did not happen: {what}");
    }
}

impl World {
    pub async fn start() -> Self {
        Self::with(|_| ()).await
    }

    pub async fn with(change: impl FnOnce(&mut EdgeOptions)) -> Self {
        let ticks = Arc::new(Hand::default());
        let origin = Origin::start(ticks.clone()).await;
        let mut options = EdgeOptions::of(format!("http://{}", origin.address));
        options.secret = "edges only".to_owned();
        change(&mut options);
        let edge = Edge::new(options, ticks.clone()).unwrap();
        let following = edge.clone();
        let follower = tokio::spawn(async move { following.follow_purges().await });
        let world = Self {
            origin,
            edge,
            ticks,
            follower,
        };
        world.caught_up().await;
        world
    }

    /// From now on purges do not come; the edge does not notice.
    pub fn stop_following(&self) {
        self.follower.abort();
    }

    pub async fn caught_up(&self) {
        until("the edge has caught up", || self.edge.stats().is_intact).await;
    }

    pub async fn send(&self, request: Request<Full<Bytes>>) -> Got {
        Got::of(self.edge.answer(request, peer()).await).await
    }

    /// Has a request answered by a task of its own.
    pub fn begin<B>(&self, request: Request<B>) -> tokio::task::JoinHandle<Response<EdgeBody>>
    where
        B: hyper::body::Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
    {
        let edge = self.edge.clone();
        tokio::spawn(async move { edge.answer(request, peer()).await })
    }

    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Got {
        self.send(request("GET", path, headers)).await
    }

    /// Lets time pass, with a sign of life of the stream at its end.
    pub async fn pass(&self, time: Duration) {
        self.ticks.forward(time);
        self.origin.log.beat();
        self.caught_up().await;
    }

    /// Purges, and waits until the edge knows.
    pub async fn purge(&self, purge: Purge) {
        let before = self.edge.stats().purges;
        self.origin.log.push(purge);
        until("the purge has arrived", || self.edge.stats().purges > before).await;
    }
}

pub fn keys(keys: &[&str]) -> Purge {
    Purge::Keys(keys.iter().map(|&key| key.to_owned()).collect())
}
