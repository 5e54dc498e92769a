//! Purges, lost streams, and requests that are under way meanwhile.

use std::sync::atomic::Ordering;
use std::time::Duration;

use fb_edge::Purge;
use futures_util::future::join_all;

use crate::kit::{World, keys, request, until};

const SECOND: Duration = Duration::from_secs(1);

fn object(world: &World, path: &str, text: &str) {
    let key = format!("app:{path}");
    let etag = format!("\"{text}\"");
    world.origin.text(
        path,
        text,
        &[
            ("cache-control", "public, s-maxage=600"),
            ("surrogate-key", &key),
            ("etag", &etag),
        ],
    );
}

#[tokio::test]
async fn an_answer_waits_for_the_purges_that_came_before_it() {
    let world = World::start().await;
    object(&world, "/o/1", "old");
    world.get("/o/1", &[]).await;
    assert_eq!(world.get("/o/1", &[]).await.way(), "hit");
    // The origin has pushed purge 1, which is still on its way.
    let place = format!("{:016x}:1", 7);
    world.origin.text("/write", "done", &[("freshbase-purges", &place)]);
    let writing = world.begin(request("POST", "/write", &[]));
    until("the write has reached the origin", || world.origin.n_seen() == 2).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!writing.is_finished());
    object(&world, "/o/1", "new");
    world.origin.log.push(keys(&["app:/o/1"]));
    let written = writing.await.unwrap();
    assert!(!written.headers().contains_key("freshbase-purges"));
    assert_eq!(world.get("/o/1", &[]).await.body, "new");
}

#[tokio::test]
async fn a_purge_by_key_by_url_or_of_everything_takes_effect_at_once() {
    let world = World::start().await;
    for (n, purge) in [
        keys(&["app:/o/1"]),
        Purge::Urls(vec!["app.example/o/1".to_owned()]),
        Purge::All,
    ]
    .into_iter()
    .enumerate()
    {
        object(&world, "/o/1", &format!("old {n}"));
        world.get("/o/1", &[]).await;
        object(&world, "/o/1", &format!("new {n}"));
        assert_ne!(world.get("/o/1", &[]).await.body, format!("new {n}"));
        world.purge(purge).await;
        let got = world.get("/o/1", &[]).await;
        assert_eq!(
            (got.body, got.headers.contains_key("surrogate-key")),
            (format!("new {n}"), false)
        );
        assert_eq!(world.get("/o/1", &[]).await.way(), "hit");
    }
}

#[tokio::test]
async fn s40_what_became_private_disappears_with_its_purge() {
    let world = World::start().await;
    object(&world, "/o/1", "secret");
    world.get("/o/1", &[]).await;
    world.origin.page("/o/1", |_| {
        http::Response::builder().status(404).body("".into()).unwrap()
    });
    world.purge(keys(&["app:/o/1"])).await;
    for _ in 0..2 {
        let got = world.get("/o/1", &[]).await;
        assert_eq!((got.status.as_u16(), got.body.as_str()), (404, ""));
    }
    // Nor does it come back when the origin is down.
    world.origin.is_down.store(true, Ordering::SeqCst);
    assert_eq!(world.get("/o/1", &[]).await.status, 502);
}

#[tokio::test]
async fn purges_of_others_change_nothing() {
    let world = World::start().await;
    object(&world, "/o/1", "a");
    world.get("/o/1", &[]).await;
    world.purge(keys(&["app:/o/2", "other:/o/1", "app:/o/"])).await;
    assert_eq!(world.get("/o/1", &[]).await.way(), "hit");
}

#[tokio::test]
async fn an_answer_that_a_purge_crossed_is_not_stored_and_not_waited_for() {
    let world = World::start().await;
    object(&world, "/o/1", "old");
    let gate = world.origin.gate("/o/1");
    let leader = world.begin(request("GET", "/o/1", &[]));
    gate.arrived.acquire().await.unwrap().forget();
    // The origin has made its answer, which is on its way. Now it is out of date.
    object(&world, "/o/1", "new");
    world.purge(keys(&["app:/o/1"])).await;
    gate.open.add_permits(1);
    leader.await.unwrap();
    gate.open.add_permits(10);
    assert_eq!(world.get("/o/1", &[]).await.body, "new");
}

#[tokio::test]
async fn who_comes_after_a_purge_of_the_url_does_not_wait_for_who_came_before() {
    let world = World::start().await;
    object(&world, "/o/1", "old");
    let gate = world.origin.gate("/o/1");
    let leader = world.begin(request("GET", "/o/1", &[]));
    gate.arrived.acquire().await.unwrap().forget();
    object(&world, "/o/1", "new");
    world.purge(Purge::Urls(vec!["app.example/o/1".to_owned()])).await;
    let late = world.begin(request("GET", "/o/1", &[]));
    gate.arrived.acquire().await.unwrap().forget();
    gate.open.add_permits(10);
    let late = crate::kit::Got::of(late.await.unwrap()).await;
    assert_eq!((late.body.as_str(), world.edge.stats().followed), ("new", 0));
    leader.await.unwrap();
    assert_eq!(world.get("/o/1", &[]).await.body, "new");
}

#[tokio::test]
async fn who_waited_for_an_answer_that_a_purge_by_key_crossed_asks_again() {
    let world = World::start().await;
    object(&world, "/o/1", "old");
    let gate = world.origin.gate("/o/1");
    let leader = world.begin(request("GET", "/o/1", &[]));
    gate.arrived.acquire().await.unwrap().forget();
    object(&world, "/o/1", "new");
    world.purge(keys(&["app:/o/1"])).await;
    // The edge cannot know yet that the answer under way has this key.
    let late = world.begin(request("GET", "/o/1", &[]));
    until("it waits", || world.edge.stats().followed == 1).await;
    gate.open.add_permits(10);
    assert_eq!(crate::kit::Got::of(late.await.unwrap()).await.body, "new");
    leader.await.unwrap();
}

#[tokio::test]
async fn concurrent_misses_are_one_request_to_the_origin() {
    let world = World::start().await;
    object(&world, "/o/1", "a");
    let gate = world.origin.gate("/o/1");
    let all: Vec<_> = (0..50).map(|_| world.begin(request("GET", "/o/1", &[]))).collect();
    until("the others wait", || world.edge.stats().followed == 49).await;
    gate.open.add_permits(1);
    for answer in join_all(all).await {
        assert_eq!(crate::kit::Got::of(answer.unwrap()).await.body, "a");
    }
    assert_eq!((world.origin.n_seen(), world.edge.stats().collapsed), (1, 49));
}

#[tokio::test]
async fn after_a_write_everybody_validates_with_one_request() {
    let world = World::start().await;
    object(&world, "/o/1", "old");
    // As the published client asks for what its filter contains.
    let forced = [
        ("cache-control", "max-age=0, no-cache"),
        ("authorization", "BAT x"),
        ("user-agent", "b"),
    ];
    world.get("/o/1", &forced).await;
    world.get("/o/1", &forced).await;
    assert_eq!(
        world.get("/o/1", &forced).await.way(),
        "hit",
        "what is purged need not be asked for again"
    );
    object(&world, "/o/1", "new");
    let (n_seen, n_followed) = (world.origin.n_seen(), world.edge.stats().followed);
    let gate = world.origin.gate("/o/1");
    // The edge itself asks first.
    world.purge(keys(&["app:/o/1"])).await;
    let all: Vec<_> = (0..20).map(|_| world.begin(request("GET", "/o/1", &forced))).collect();
    until("they wait", || world.edge.stats().followed == n_followed + 20).await;
    gate.open.add_permits(1);
    for answer in join_all(all).await {
        assert_eq!(crate::kit::Got::of(answer.unwrap()).await.body, "new");
    }
    assert_eq!(world.origin.n_seen(), n_seen + 1);
}

#[tokio::test]
async fn browsers_of_other_makers_validate_at_the_edge_too() {
    let world = World::start().await;
    object(&world, "/o/1", "a");
    let forced = [("if-match", "\"\""), ("if-none-match", "-")];
    world.get("/o/1", &forced).await;
    let got = world.get("/o/1", &forced).await;
    assert_eq!((got.status.as_u16(), got.way()), (200, "hit"));
}

#[tokio::test]
async fn what_the_origin_does_not_purge_is_validated_at_the_origin() {
    let world = World::start().await;
    world
        .origin
        .text("/x", "old", &[("cache-control", "public, s-maxage=600")]);
    world.get("/x", &[]).await;
    world
        .origin
        .text("/x", "new", &[("cache-control", "public, s-maxage=600")]);
    assert_eq!(world.get("/x", &[("cache-control", "max-age=60")]).await.body, "old");
    assert_eq!(world.get("/x", &[("cache-control", "no-cache")]).await.body, "new");
    let got = world.get("/x", &[]).await;
    assert_eq!((got.body.as_str(), got.way()), ("new", "hit"));
}

#[tokio::test]
async fn s39_followers_never_get_a_private_answer_and_go_on_their_own() {
    let world = World::start().await;
    world.origin.page("/me", |request| {
        let who = request
            .headers
            .get("cookie")
            .map_or("nobody", |who| who.to_str().unwrap())
            .to_owned();
        http::Response::builder()
            .header("cache-control", "private, max-age=60")
            .body(who.into())
            .unwrap()
    });
    let gate = world.origin.gate("/me");
    gate.open.add_permits(100);
    let all: Vec<_> = (0..20)
        .map(|n| {
            let cookie = format!("id={n}");
            let headers = [("cookie", cookie.as_str())];
            world.begin(request("GET", "/me", if n % 2 == 0 { &headers } else { &[] }))
        })
        .collect();
    for (n, answer) in join_all(all).await.into_iter().enumerate() {
        let expected = if n % 2 == 0 {
            format!("id={n}")
        } else {
            "nobody".to_owned()
        };
        assert_eq!(crate::kit::Got::of(answer.unwrap()).await.body, expected);
    }
}

#[tokio::test]
async fn when_the_leader_fails_the_others_go_on_their_own() {
    let world = World::start().await;
    object(&world, "/o/1", "a");
    let gate = world.origin.gate("/o/1");
    world.origin.page("/o/1", |_| {
        http::Response::builder().status(500).body("oh".into()).unwrap()
    });
    let all: Vec<_> = (0..5).map(|_| world.begin(request("GET", "/o/1", &[]))).collect();
    until("the others wait", || world.edge.stats().followed == 4).await;
    gate.arrived.acquire().await.unwrap().forget();
    object(&world, "/o/1", "a");
    gate.open.add_permits(100);
    let mut statuses: Vec<u16> = join_all(all)
        .await
        .into_iter()
        .map(|answer| answer.unwrap().status().as_u16())
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 500]);
}

#[tokio::test]
async fn a_leader_who_leaves_does_not_take_the_answer_along() {
    let world = World::start().await;
    object(&world, "/o/1", "a");
    let gate = world.origin.gate("/o/1");
    let leader = world.begin(request("GET", "/o/1", &[]));
    gate.arrived.acquire().await.unwrap().forget();
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    let follower = world.begin(request("GET", "/o/1", &[]));
    until("it waits", || world.edge.stats().followed == 1).await;
    gate.open.add_permits(1);
    assert_eq!(crate::kit::Got::of(follower.await.unwrap()).await.body, "a");
    assert_eq!(world.origin.n_seen(), 1);
}

#[tokio::test]
async fn without_its_stream_an_edge_asks_each_time_until_it_has_caught_up() {
    let world = World::start().await;
    for path in ["/o/1", "/o/2"] {
        object(&world, path, "old");
        world.get(path, &[]).await;
    }
    world.origin.refuses_streams.store(true, Ordering::SeqCst);
    world.origin.cut();
    until("the loss is noticed", || !world.edge.stats().is_intact).await;
    // This purge is lost with the stream, and comes again later.
    object(&world, "/o/1", "new");
    world.origin.log.push(keys(&["app:/o/1"]));
    let got = world.get("/o/1", &[]).await;
    assert_eq!((got.body.as_str(), got.way()), ("new", "fwd=miss; stored"));
    let n_seen = world.origin.n_seen();
    for n in 1..=2 {
        let got = world.get("/o/2", &[]).await;
        assert_eq!((got.body.as_str(), world.origin.n_seen()), ("old", n_seen + n));
        assert_eq!(
            world.origin.seen().pop().unwrap().headers["if-none-match"],
            "\"old\"",
            "it asks cheaply"
        );
    }
    object(&world, "/o/2", "new");
    world.origin.log.push(keys(&["app:/o/2"]));
    world.origin.refuses_streams.store(false, Ordering::SeqCst);
    world.caught_up().await;
    assert_eq!(world.get("/o/2", &[]).await.body, "new", "the purge was replayed");
    assert_eq!(world.get("/o/2", &[]).await.way(), "hit");
}

#[tokio::test]
async fn misses_are_not_collapsed_without_the_stream() {
    let world = World::start().await;
    object(&world, "/o/1", "a");
    world.origin.refuses_streams.store(true, Ordering::SeqCst);
    world.origin.cut();
    until("the loss is noticed", || !world.edge.stats().is_intact).await;
    let gate = world.origin.gate("/o/1");
    let all: Vec<_> = (0..3).map(|_| world.begin(request("GET", "/o/1", &[]))).collect();
    gate.arrived.acquire_many(3).await.unwrap().forget();
    gate.open.add_permits(3);
    join_all(all).await;
    assert_eq!((world.origin.n_seen(), world.edge.stats().followed), (3, 0));
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_no_longer_trusted_after_the_bound() {
    let world = World::start().await;
    object(&world, "/o/1", "old");
    world.get("/o/1", &[]).await;
    world.ticks.forward(SECOND * 5);
    assert_eq!(world.get("/o/1", &[]).await.way(), "hit");
    object(&world, "/o/1", "new");
    world.ticks.forward(Duration::from_millis(1));
    assert_eq!(world.get("/o/1", &[]).await.body, "new", "without any purge");
    world.origin.log.beat();
    world.caught_up().await;
    assert_eq!(world.get("/o/1", &[]).await.way(), "hit");
}
