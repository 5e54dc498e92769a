//! Hits that the origin is told of.

use std::future::ready;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fb_edge::{Counted, REPORT_PATH, read_report};
use http::{Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use crate::kit::{World, peer, until};

const KEPT: (&str, &str) = ("cache-control", "public, max-age=60");
const GROUP: (&str, &str) = ("freshbase-group", "app/things");

/// An edge that tells as soon as there is something.
async fn telling() -> (World, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let world = World::with(|options| options.report_every = Duration::from_millis(1)).await;
    world.origin.page(REPORT_PATH, |_| Response::new(Default::default()));
    let (edge, (stop, stopped)) = (world.edge.clone(), oneshot::channel());
    let telling = tokio::spawn(async move { edge.report_hits(async { drop(stopped.await) }).await });
    (world, stop, telling)
}

/// All that was told, of all reports together: hits and misses of the group.
fn told(world: &World) -> (u32, u32) {
    let mut sum = (0, 0);
    for body in world
        .origin
        .bodies
        .lock()
        .unwrap()
        .iter()
        .filter(|body| !body.is_empty())
    {
        for Counted { group, hits, misses } in read_report(body).unwrap() {
            assert_eq!(group, "app/things");
            sum = (sum.0 + hits, sum.1 + misses);
        }
    }
    sum
}

fn n_reports(world: &World) -> usize {
    let seen = world.origin.seen();
    seen.iter().filter(|parts| parts.uri.path() == REPORT_PATH).count()
}

#[tokio::test]
async fn hits_and_misses_are_told_once() {
    let (world, _stop, _telling) = telling().await;
    world.origin.text("/x", "text", &[KEPT, GROUP]);
    world.origin.text("/y", "text", &[KEPT, GROUP]);
    world.origin.text("/other", "text", &[KEPT]);
    for _ in 0..4 {
        for path in ["/x", "/y", "/other"] {
            let got = world.get(path, &[]).await;
            assert_eq!(got.header("freshbase-group"), "");
        }
    }
    until("all is told", || told(&world) == (6, 2)).await;
    let report = world
        .origin
        .seen()
        .into_iter()
        .find(|parts| parts.uri.path() == REPORT_PATH);
    let report = report.unwrap();
    assert_eq!(
        (report.method.as_str(), &report.headers["freshbase-edge"]),
        ("POST", &"edges only".parse().unwrap())
    );
    world.get("/x", &[]).await;
    until("what came since is told", || told(&world) == (7, 2)).await;
    let stats = world.edge.groups();
    assert_eq!((stats.len(), stats[0].hits, stats[0].misses), (1, 7, 2));
}

#[tokio::test]
async fn the_last_ones_are_told_when_the_edge_stops() {
    let world = World::start().await;
    world.origin.page(REPORT_PATH, |_| Response::new(Default::default()));
    world.origin.text("/x", "text", &[KEPT, GROUP]);
    for _ in 0..3 {
        world.get("/x", &[]).await;
    }
    world.edge.report_hits(ready(())).await;
    assert_eq!((told(&world), n_reports(&world)), ((2, 1), 1));
    world.edge.report_hits(ready(())).await;
    assert_eq!(n_reports(&world), 1, "there is nothing to tell");
}

#[tokio::test]
async fn what_may_have_been_counted_is_not_told_again() {
    let (world, _stop, _telling) = telling().await;
    world.origin.text("/x", "text", &[KEPT, GROUP]);
    // The origin takes the report, and says something else.
    let n_answers = AtomicUsize::new(0);
    world.origin.page(REPORT_PATH, move |_| {
        let mut answer = Response::new(Default::default());
        if n_answers.fetch_add(1, Ordering::SeqCst) == 0 {
            *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        answer
    });
    world.get("/x", &[]).await;
    until("the miss is told", || told(&world) == (0, 1)).await;
    world.get("/x", &[]).await;
    until("the hit is told", || told(&world) == (1, 1)).await;
    // It does not get there.
    world.origin.is_down.store(true, Ordering::SeqCst);
    world.get("/x", &[]).await;
    until("a report is lost", || n_reports(&world) == 3).await;
    world.origin.is_down.store(false, Ordering::SeqCst);
    world.get("/x", &[]).await;
    until("the next one arrives", || told(&world) == (2, 1)).await;
    assert_eq!(n_reports(&world), 4);
}

#[tokio::test]
async fn without_the_stream_of_purges_numbers_wait() {
    let world = World::start().await;
    world.origin.page(REPORT_PATH, |_| Response::new(Default::default()));
    world.origin.text("/x", "text", &[KEPT, GROUP]);
    world.origin.refuses_streams.store(true, Ordering::SeqCst);
    world.origin.cut();
    until("the edge has noticed", || !world.edge.stats().is_intact).await;
    for _ in 0..3 {
        world.get("/x", &[]).await;
    }
    world.edge.report_hits(ready(())).await;
    assert_eq!(n_reports(&world), 0);
    world.origin.refuses_streams.store(false, Ordering::SeqCst);
    world.caught_up().await;
    world.edge.report_hits(ready(())).await;
    assert_eq!(told(&world), (0, 3));
}

#[tokio::test]
async fn what_the_edge_asks_for_itself_is_no_miss() {
    let world = World::start().await;
    world
        .origin
        .text("/x", "text", &[("cache-control", "public, s-maxage=1"), GROUP]);
    world.get("/x", &[]).await;
    // With the third one it has the second one's answer.
    until("it is asked for again", || world.edge.stats().fills >= 3).await;
    let stats = world.edge.groups();
    assert_eq!((stats[0].hits, stats[0].misses), (0, 1));
    world.get("/x", &[]).await;
    assert_eq!(world.edge.groups()[0].hits, 1, "it counts for the same group");
}

#[tokio::test]
async fn answers_that_go_past_hyper_are_hits_as_well() {
    let world = World::start().await;
    let date = ("date", "Sun, 22 Nov 2026 06:00:00 GMT");
    let shared = ("cache-control", "public, s-maxage=60");
    world.origin.text("/x", "text", &[shared, date, GROUP]);
    for _ in 0..2 {
        world.get("/x", &[]).await;
    }
    let (mut client, server) = tokio::io::duplex(1 << 16);
    let edge = world.edge.clone();
    tokio::spawn(async move { edge.connection(server, peer(), std::future::pending()).await });
    for _ in 0..3 {
        client
            .write_all(b"GET /x HTTP/1.1\r\nHost: app.example\r\n\r\n")
            .await
            .unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"text") {
            assert!(client.read_buf(&mut answer).await.unwrap() > 0);
        }
        assert!(answer.windows(5).any(|piece| piece == b"; hit"));
    }
    let stats = world.edge.groups();
    assert_eq!((stats[0].hits, stats[0].misses), (4, 1));
}

#[tokio::test]
async fn collapsed_and_stale_answers_are_hits() {
    let world = World::start().await;
    let stale = ("surrogate-control", "max-age=60, stale-if-error=100");
    world
        .origin
        .text("/x", "text", &[KEPT, GROUP, stale, ("surrogate-key", "x")]);
    let gate = world.origin.gate("/x");
    let first = world.begin(crate::kit::request("GET", "/x", &[]));
    gate.arrived.acquire().await.unwrap().forget();
    let second = world.begin(crate::kit::request("GET", "/x", &[]));
    until("the second one waits", || world.edge.stats().followed == 1).await;
    gate.open.add_permits(100);
    first.await.unwrap();
    second.await.unwrap();
    let counted = || {
        world
            .edge
            .groups()
            .iter()
            .map(|group| (group.hits, group.misses))
            .next()
    };
    assert_eq!(counted(), Some((1, 1)));
    world.pass(Duration::from_secs(61)).await;
    world.origin.is_down.store(true, Ordering::SeqCst);
    let got = world.get("/x", &[]).await;
    assert_eq!(got.way(), "hit; detail=stale-if-error");
    assert_eq!(counted(), Some((2, 1)));
}
