//! What goes through.

use std::time::Duration;

use bytes::Bytes;
use fb_edge::{Edge, EdgeError, EdgeOptions, Monotonic};
use http::Request;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use tokio::sync::mpsc;

use crate::kit::{HOST, World, request};

#[tokio::test]
async fn bodies_go_through_and_hop_by_hop_headers_do_not() {
    let world = World::start().await;
    world.origin.page("/x", |_| {
        let answer = http::Response::builder()
            .status(201)
            .header("x-own", "1")
            .header("connection", "x-own");
        answer
            .header("keep-alive", "1")
            .header("set-cookie", "a")
            .header("set-cookie", "b")
            .body("made".into())
            .unwrap()
    });
    let mut put = request(
        "PUT",
        "/x?y",
        &[
            ("te", "trailers"),
            ("keep-alive", "1"),
            ("x-a", "1"),
            ("authorization", "BAT x"),
        ],
    );
    *put.body_mut() = Full::from("body");
    let got = world.send(put).await;
    assert_eq!((got.status.as_u16(), got.body.as_str()), (201, "made"));
    assert_eq!(got.headers.get_all("set-cookie").iter().count(), 2);
    assert!(!got.headers.contains_key("x-own") && !got.headers.contains_key("keep-alive"));
    let seen = world.origin.seen().pop().unwrap();
    assert_eq!(
        (
            seen.uri.to_string().as_str(),
            world.origin.bodies.lock().unwrap().pop().unwrap()
        ),
        ("/x?y", Bytes::from("body"))
    );
    assert!(!seen.headers.contains_key("te") && !seen.headers.contains_key("keep-alive"));
    assert!(seen.headers["x-a"] == "1" && seen.headers["authorization"] == "BAT x" && seen.headers["host"] == HOST);
}

#[tokio::test]
async fn uploads_are_not_held_back() {
    let world = World::start().await;
    let (sender, receiver) = mpsc::channel::<Result<Frame<Bytes>, std::convert::Infallible>>(1);
    let frames = futures_util::stream::unfold(receiver, |mut receiver| async {
        Some((receiver.recv().await?, receiver))
    });
    let upload = Request::post("/x")
        .header("host", HOST)
        .body(StreamBody::new(Box::pin(frames)))
        .unwrap();
    let answer = world.begin(upload);
    sender.send(Ok(Frame::data(Bytes::from("first")))).await.unwrap();
    // The origin has the head while the body is still being sent.
    crate::kit::until("the request has arrived", || world.origin.n_seen() == 1).await;
    sender.send(Ok(Frame::data(Bytes::from("second")))).await.unwrap();
    drop(sender);
    assert_eq!(answer.await.unwrap().status(), 404);
    assert_eq!(world.origin.bodies.lock().unwrap()[0], "firstsecond");
}

#[tokio::test]
async fn an_origin_that_says_nothing_is_given_up() {
    let world = World::with(|options| options.limits.silence = Duration::from_millis(20)).await;
    world
        .origin
        .text("/x", "text", &[("cache-control", "public, max-age=60")]);
    world.origin.gate("/x");
    for method in ["GET", "POST"] {
        let got = world.send(request(method, "/x", &[])).await;
        assert_eq!(got.status, 504);
        assert!(got.body.contains("OriginTimeout"));
    }
}

#[tokio::test]
async fn beyond_the_limit_of_requests_clients_are_told_to_come_again() {
    let world = World::with(|options| options.limits.origin_requests = 1).await;
    world.origin.text("/x", "text", &[]);
    let gate = world.origin.gate("/x");
    let first = world.begin(request("POST", "/x", &[]));
    gate.arrived.acquire().await.unwrap().forget();
    let got = world.send(request("POST", "/x", &[])).await;
    assert_eq!((got.status.as_u16(), got.header("retry-after")), (503, "1"));
    gate.open.add_permits(5);
    let body = first.await.unwrap().into_body();
    assert_eq!(
        world.send(request("POST", "/x", &[])).await.status,
        503,
        "until the body has gone through"
    );
    body.collect().await.unwrap();
    assert_eq!(world.send(request("POST", "/x", &[])).await.status, 200);
}

#[tokio::test]
async fn s39_clients_do_not_see_the_purge_stream() {
    let world = World::start().await;
    for path in ["/.freshbase/purges", "/.freshbase/purges?after=0", "/.freshbase/x"] {
        let got = world.get(path, &[("freshbase-edge", "edges only")]).await;
        assert_eq!((got.status.as_u16(), world.origin.log.followers()), (404, 1));
    }
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let check = |options| Edge::new(options, std::sync::Arc::new(Monotonic::default())).map(|_| ());
    for origin in ["", "host", "ftp://host", "http://host/path", "http://user@host"] {
        assert!(
            matches!(check(EdgeOptions::of(origin)), Err(EdgeError::Origin)),
            "{origin}"
        );
    }
    let mut options = EdgeOptions::of("http://host:1");
    assert!(check(options.clone()).is_ok());
    options.purge_path = "purges".to_owned();
    assert!(matches!(check(options.clone()), Err(EdgeError::Purges)));
    options.purge_path = "/purges".to_owned();
    options.secret = "a\nb".to_owned();
    assert!(matches!(check(options), Err(EdgeError::Purges)));
}
