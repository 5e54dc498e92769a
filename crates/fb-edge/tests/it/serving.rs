//! Connections of clients: HTTP/1.1, HTTP/2, WebSockets.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::kit::World;

async fn listening(world: &World) -> (std::net::SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let edge = world.edge.clone();
    let served = tokio::spawn(async move { edge.serve(listener, async { drop(stopped.await) }).await });
    (address, stop, served)
}

async fn exchange(stream: &mut TcpStream, request: &str, end: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).ends_with(end) {
        let mut piece = [0; 1024];
        let n_bytes = stream.read(&mut piece).await.unwrap();
        assert!(
            n_bytes > 0,
            "the connection ended after {:?}",
            String::from_utf8_lossy(&answer)
        );
        answer.extend_from_slice(&piece[..n_bytes]);
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn http_1_connections_are_kept_and_end_with_the_edge() {
    let world = World::start().await;
    world
        .origin
        .text("/x", "text", &[("cache-control", "public, max-age=60")]);
    let (address, stop, served) = listening(&world).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = "GET /x HTTP/1.1\r\nHost: app.example\r\n\r\n";
    assert!(exchange(&mut stream, request, "text").await.contains("fwd=miss"));
    let answer = exchange(&mut stream, request, "text").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("cache-status: freshbase-edge; hit\r\n"));
    stop.send(()).unwrap();
    served.await.unwrap();
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn http_2_is_answered_from_the_same_memory() {
    let world = World::start().await;
    world
        .origin
        .text("/x", "text", &[("cache-control", "public, max-age=60")]);
    world.get("/x", &[]).await;
    let (address, _stop, _served) = listening(&world).await;
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream)
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://app.example/x")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.headers()["cache-status"], "freshbase-edge; hit");
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "text");
}

#[tokio::test]
async fn websockets_go_through_and_nothing_else_is_upgraded() {
    let world = World::start().await;
    let (address, _stop, _served) = listening(&world).await;
    // An origin of one connection, which echoes what comes after the handshake.
    world.origin.echo("/v1/events");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = "GET /v1/events HTTP/1.1\r\nHost: app.example\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let answer = exchange(&mut stream, request, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert_eq!(exchange(&mut stream, "ping", "ping").await, "ping");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = "GET /v1/events HTTP/1.1\r\nHost: app.example\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n";
    let answer = exchange(&mut stream, request, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}
