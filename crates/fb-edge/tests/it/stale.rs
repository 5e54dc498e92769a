//! Out of date answers while the origin is down.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::kit::{World, keys, until};

const SECOND: Duration = Duration::from_secs(1);

/// The answer `after` the page was stored, with the origin down or failing, and the stream lost or not.
async fn answer_after(directives: &str, after: Duration, is_lost: bool, is_failing: bool) -> (u16, String) {
    let world = World::start().await;
    world
        .origin
        .text("/x", "text", &[("cache-control", directives), ("etag", "\"1\"")]);
    world.get("/x", &[]).await;
    if is_lost {
        world.origin.refuses_streams.store(true, Ordering::SeqCst);
        world.origin.cut();
        until("the loss is noticed", || !world.edge.stats().is_intact).await;
        world.ticks.forward(after);
    } else {
        world.pass(after).await;
    }
    if is_failing {
        world.origin.page("/x", |_| {
            http::Response::builder().status(503).body("failing".into()).unwrap()
        });
    } else {
        world.origin.is_down.store(true, Ordering::SeqCst);
    }
    let got = world.get("/x", &[]).await;
    assert_eq!(got.body == "text", got.way() == "hit; detail=stale-if-error");
    (got.status.as_u16(), got.body)
}

#[tokio::test]
async fn out_of_date_answers_are_served_only_where_the_app_allows_it_and_for_as_long() {
    let text = (200, "text".to_owned());
    let allowed = "public, s-maxage=10, stale-if-error=20";
    assert_eq!(answer_after(allowed, SECOND * 30, false, false).await, text);
    assert_eq!(answer_after(allowed, SECOND * 30, false, true).await, text);
    assert_eq!(answer_after(allowed, SECOND * 31, false, false).await.0, 502);
    assert_eq!(
        answer_after(allowed, SECOND * 31, false, true).await,
        (503, "failing".to_owned())
    );
    for forbidden in [
        "public, s-maxage=10",
        "public, max-age=10, must-revalidate, stale-if-error=20",
        "public, max-age=10, stale-if-error",
    ] {
        assert_eq!(
            answer_after(forbidden, SECOND * 11, false, false).await.0,
            502,
            "{forbidden}"
        );
    }
}

#[tokio::test]
async fn with_the_stream_lost_the_time_counts_from_the_last_sign_of_it() {
    let text = (200, "text".to_owned());
    let directives = "public, s-maxage=1000, stale-if-error=20";
    assert_eq!(answer_after(directives, SECOND * 20, true, false).await, text);
    assert_eq!(
        answer_after(directives, SECOND * 21, true, false).await.0,
        502,
        "its lifetime does not help"
    );
    assert_eq!(answer_after("public, s-maxage=1000", SECOND, true, false).await.0, 502);
}

#[tokio::test]
async fn s40_what_was_purged_is_never_served_however_down_the_origin_is() {
    let world = World::start().await;
    let headers = [
        ("cache-control", "public, s-maxage=1000, stale-if-error=1000"),
        ("surrogate-key", "k"),
    ];
    world.origin.text("/x", "text", &headers);
    world.get("/x", &[]).await;
    world.purge(keys(&["k"])).await;
    world.origin.is_down.store(true, Ordering::SeqCst);
    assert_eq!(world.get("/x", &[]).await.status, 502);
}

#[tokio::test]
async fn with_the_origin_down_errors_are_in_the_protocols_form() {
    let world = World::start().await;
    world.origin.is_down.store(true, Ordering::SeqCst);
    let got = world.get("/x", &[("origin", "https://a.example")]).await;
    assert_eq!((got.status.as_u16(), got.header("cache-control")), (502, "no-store"));
    assert_eq!(got.header("access-control-allow-origin"), "https://a.example");
    assert_eq!(
        got.body,
        "{\"className\":\"OriginUnreachable\",\"message\":\"The server behind this edge cannot be reached. Try again later.\",\
         \"reason\":\"Bad Gateway\",\"stackTrace\":[]}"
    );
}
