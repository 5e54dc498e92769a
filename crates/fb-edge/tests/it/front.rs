//! What is answered before hyper sees it is answered as hyper's way would, and hyper does not notice.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf};
use tokio::sync::oneshot;

use crate::kit::{Got, World, header_map, peer, request};

const LARGE: usize = 100_000;

/// Path, text and fields.
type Page<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

/// Pages of all kinds; those that may be kept were asked for twice, so that what is to be noted of them is.
async fn world() -> World {
    let world = World::start().await;
    let date = ("date", "Sun, 22 Nov 2026 06:00:00 GMT");
    let public = ("cache-control", "public, s-maxage=600");
    let large = "x".repeat(LARGE);
    let pages: [Page<'_>; 7] = [
        (
            "/object",
            "object",
            &[public, date, ("etag", "\"1\""), ("surrogate-key", "app:1")],
        ),
        ("/large", &large, &[public, date, ("etag", "W/\"2\"")]),
        (
            "/varies",
            "varies",
            &[public, date, ("vary", "Origin, Accept-Encoding")],
        ),
        ("/shared", "shared", &[("cache-control", "max-age=600"), date]),
        ("/dateless", "dateless", &[public]),
        (
            "/private",
            "private",
            &[("cache-control", "private, max-age=600"), date],
        ),
        (
            "/momentary",
            "momentary",
            &[("cache-control", "public, s-maxage=1"), date],
        ),
    ];
    for (path, text, headers) in pages {
        world.origin.text(path, text, headers);
        for origin in ["http://a.example", "http://b.example"] {
            for _ in 0..3 {
                world
                    .get(path, &[("origin", origin), ("accept-encoding", "gzip")])
                    .await;
                world.get(path, &[]).await;
            }
        }
    }
    world
}

/// A request as it is sent.
#[derive(Debug, Clone)]
struct Sent {
    method: &'static str,
    path: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    body: &'static str,
}

impl Sent {
    fn text(&self) -> String {
        let mut text = format!("{} {} HTTP/1.1\r\nHost: app.example\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        if !self.body.is_empty() {
            text += &format!("content-length: {}\r\n", self.body.len());
        }
        text + "\r\n" + self.body
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    let path = prop::sample::select(vec![
        "/object",
        "/object",
        "/large",
        "/varies",
        "/shared",
        "/dateless",
        "/private",
        "/momentary",
        "/object?x",
        "/none",
    ]);
    let header = prop::sample::select(vec![
        ("if-none-match", "\"1\""),
        ("If-None-Match", "\"0\", W/\"2\""),
        ("if-none-match", "*"),
        ("Origin", "http://a.example"),
        ("origin", "http://b.example"),
        ("accept-encoding", "gzip, deflate"),
        ("accept-encoding", "identity"),
        ("authorization", "BAT x"),
        ("cookie", "a=b"),
        ("cache-control", "no-cache"),
        ("cache-control", "no-store"),
        ("cache-control", "only-if-cached"),
        ("pragma", "no-cache"),
        ("range", "bytes=0-1"),
        ("if-match", "\"\""),
        ("user-agent", "Browser"),
        ("x-forwarded-host", "evil.example"),
        ("connection", "keep-alive"),
        ("referer", "http://a.example/"),
    ]);
    let headers = prop::collection::vec(header, 0..4);
    let method = prop::sample::select(vec![
        ("GET", ""),
        ("GET", ""),
        ("GET", ""),
        ("GET", "body"),
        ("HEAD", ""),
        ("POST", "body"),
        ("DELETE", ""),
    ]);
    (method, path, headers).prop_map(|((method, body), path, headers)| Sent {
        method,
        path,
        headers,
        body,
    })
}

/// A connection to the edge.
struct Line {
    stream: DuplexStream,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
}

/// `room`: how many bytes may be on their way.
fn line(world: &World, room: usize) -> Line {
    let (stream, end) = tokio::io::duplex(room);
    let (stop, stopped) = oneshot::channel::<()>();
    let edge = world.edge.clone();
    let served = tokio::spawn(async move {
        let _ = edge.connection(end, peer(), async { drop(stopped.await) }).await;
    });
    Line { stream, stop, served }
}

/// Reads one answer. Whatever comes behind it stays in `rest`.
async fn read(stream: &mut (impl AsyncRead + Unpin), rest: &mut Vec<u8>, is_head: bool) -> Got {
    let end = loop {
        if let Some(end) = rest.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break end + 4;
        }
        assert!(
            stream.read_buf(rest).await.unwrap() > 0,
            "the connection ended: {}",
            String::from_utf8_lossy(rest)
        );
    };
    let head = String::from_utf8(rest.drain(..end).collect()).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let status: u16 = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let fields: Vec<(&str, &str)> = lines.map(|line| line.split_once(": ").unwrap()).collect();
    let headers = header_map(&fields);
    let length = match headers.get("content-length") {
        Some(length) if !is_head => length.to_str().unwrap().parse().unwrap(),
        _ => 0,
    };
    assert!(!headers.contains_key("transfer-encoding"));
    while rest.len() < length {
        assert!(
            stream.read_buf(rest).await.unwrap() > 0,
            "the connection ended in a body"
        );
    }
    let body = String::from_utf8(rest.drain(..length).collect()).unwrap();
    Got {
        status: status.try_into().unwrap(),
        headers,
        body,
    }
}

/// Status, fields and body.
type Said = (u16, HashMap<String, Vec<String>>, String);

/// What an answer says, without what hyper adds.
fn said(got: &Got, is_head: bool) -> Said {
    let mut fields: HashMap<String, Vec<String>> = HashMap::new();
    // Answers without a body have a length of 0 only where hyper says so.
    for (name, value) in got
        .headers
        .iter()
        .filter(|(name, _)| !["date", "content-length"].contains(&name.as_str()))
    {
        fields
            .entry(name.to_string())
            .or_default()
            .push(value.to_str().unwrap().to_owned());
    }
    let body = if is_head { String::new() } else { got.body.clone() };
    (got.status.as_u16(), fields, body)
}

async fn send_in_pieces(mut writer: tokio::io::WriteHalf<DuplexStream>, text: String, cuts: Vec<usize>) {
    let mut text = text.as_bytes();
    for cut in cuts.into_iter().cycle() {
        if text.is_empty() {
            return;
        }
        let (piece, rest) = text.split_at(cut.min(text.len()));
        writer.write_all(piece).await.unwrap();
        // So that pieces arrive as such, mostly.
        tokio::task::yield_now().await;
        text = rest;
    }
}

/// Requests of all kinds behind each other, cut into pieces anywhere, are answered in their order, each as if it had come alone and
/// not over a connection.
#[test]
fn s39_requests_behind_each_other_are_answered_like_each_alone() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let world = runtime.block_on(world());
    let cases = (
        prop::collection::vec(sent(), 1..12),
        prop::collection::vec(1_usize..200, 1..5),
    );
    let before = world.edge.stats();
    TestRunner::new(Config::with_cases(400))
        .run(&cases, |(all, cuts)| {
            runtime.block_on(async {
                let line = line(&world, 1 << 20);
                let (mut reader, writer): (ReadHalf<DuplexStream>, _) = tokio::io::split(line.stream);
                let text: String = all.iter().map(Sent::text).collect();
                let sending = tokio::spawn(send_in_pieces(writer, text, cuts));
                let mut rest = Vec::new();
                for sent in &all {
                    let is_head = sent.method == "HEAD";
                    let got = read(&mut reader, &mut rest, is_head).await;
                    let alone =
                        request(sent.method, sent.path, &sent.headers).map(|_| http_body_util::Full::from(sent.body));
                    let alone = world.send(alone).await;
                    let (got, alone) = (said(&got, is_head), said(&alone, is_head));
                    let is_hit = |of: &Said| of.1.get("cache-status").is_some_and(|way| way[0].ends_with("; hit"));
                    // What is asked for twice may be found the second time, but not the other way round.
                    if is_hit(&got) {
                        prop_assert_eq!(got, alone, "{:?}", sent);
                    } else {
                        prop_assert_eq!((got.0, got.2), (alone.0, alone.2), "{:?}", sent);
                    }
                }
                prop_assert!(rest.is_empty());
                drop(line.stop);
                sending.await.unwrap();
                Ok(())
            })
        })
        .unwrap();
    assert!(
        world.edge.stats().hits > before.hits + 1_000,
        "that was about answers from memory"
    );
}

#[tokio::test]
async fn a_request_that_does_not_come_ends_the_connection_and_others_do_not() {
    let world = world().await;
    world.stop_following();
    tokio::time::pause();
    let limit = Duration::from_secs(10);
    let mut rest = Vec::new();
    for asks_hyper in [false, true] {
        let mut line = line(&world, 1 << 20);
        if asks_hyper {
            line.stream
                .write_all(b"GET /.freshbase/x HTTP/1.1\r\nhost: app.example\r\n\r\n")
                .await
                .unwrap();
            assert_eq!(read(&mut line.stream, &mut rest, false).await.status, 404);
        }
        for _ in 0..10 {
            tokio::time::sleep(limit * 2 / 3).await;
            line.stream
                .write_all(b"GET /object HTTP/1.1\r\nhost: app.example\r\n\r\n")
                .await
                .unwrap();
            assert_eq!(read(&mut line.stream, &mut rest, false).await.way(), "hit");
        }
        line.stream.write_all(b"GET /object HTTP/1.1\r\nhost: ").await.unwrap();
        let begun = tokio::time::Instant::now();
        assert_eq!(line.stream.read(&mut [0]).await.unwrap(), 0);
        let took = begun.elapsed();
        assert!(limit <= took && took < limit + Duration::from_secs(1), "{took:?}");
    }
}

/// An edge that stops finishes what it writes.
#[tokio::test]
async fn an_answer_from_memory_is_finished_when_the_edge_stops() {
    let world = world().await;
    let mut line = line(&world, 64);
    let hits = world.edge.stats().hits;
    line.stream
        .write_all(b"GET /large HTTP/1.1\r\nhost: app.example\r\n\r\n")
        .await
        .unwrap();
    crate::kit::until("the answer has begun", || world.edge.stats().hits > hits).await;
    line.stop.send(()).unwrap();
    tokio::task::yield_now().await;
    let mut rest = Vec::new();
    assert_eq!(read(&mut line.stream, &mut rest, false).await.body.len(), LARGE);
    assert_eq!(line.stream.read(&mut [0]).await.unwrap(), 0);
    line.served.await.unwrap();
}

/// What was purged is not answered here either, and neither is anything without proof that no purge is missing.
#[tokio::test]
async fn what_is_out_of_date_is_hypers_business() {
    let world = world().await;
    let mut line = line(&world, 1 << 20);
    let mut rest = Vec::new();
    let mut way = async |stream: &mut DuplexStream| {
        stream
            .write_all(b"GET /object HTTP/1.1\r\nhost: app.example\r\n\r\n")
            .await
            .unwrap();
        read(stream, &mut rest, false).await.way().to_owned()
    };
    assert_eq!(way(&mut line.stream).await, "hit");
    world
        .origin
        .refuses_streams
        .store(true, std::sync::atomic::Ordering::SeqCst);
    world.origin.cut();
    crate::kit::until("the stream is lost", || !world.edge.stats().is_intact).await;
    assert_ne!(way(&mut line.stream).await, "hit");
    world
        .origin
        .refuses_streams
        .store(false, std::sync::atomic::Ordering::SeqCst);
    world.caught_up().await;
    assert_eq!(way(&mut line.stream).await, "hit");
    world.ticks.forward(Duration::from_secs(600));
    world.origin.log.beat();
    world.caught_up().await;
    assert_ne!(way(&mut line.stream).await, "hit", "its lifetime is over");
}

#[tokio::test]
async fn what_clients_want_is_noted_here_too() {
    let world = World::start().await;
    let headers = [
        ("cache-control", "public, s-maxage=600"),
        ("surrogate-key", "app:1"),
        ("date", "Sun, 22 Nov 2026 06:00:00 GMT"),
    ];
    world.origin.text("/object", "object", &headers);
    let mut line = line(&world, 1 << 20);
    let mut rest = Vec::new();
    for way in ["fwd=miss; stored", "hit", "hit"] {
        line.stream
            .write_all(b"GET /object HTTP/1.1\r\nhost: app.example\r\n\r\n")
            .await
            .unwrap();
        assert_eq!(read(&mut line.stream, &mut rest, false).await.way(), way);
    }
    world.purge(crate::kit::keys(&["app:1"])).await;
    crate::kit::until("it is asked for again", || world.edge.stats().refreshed == 1).await;
}
