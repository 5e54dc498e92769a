//! What is not for everybody: who gets it from memory, and until when.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use fb_edge::Purge;
use http::request::Parts;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::kit::{Got, World, keys};

const PATH: &str = "/v1/db/Doc/1";
const NAMES: &str = "~main ~main/db/Doc/1";

fn in_header(value: &Value) -> String {
    BASE64URL_NOPAD.encode(value.to_string().as_bytes())
}

/// An origin whose users `ann` and `bob` may read a document, with tokens that live for `seconds`.
fn doc(world: &World, text: &str, seconds: u64) {
    document(world, PATH, "main", ["ann", "bob"], text, seconds);
}

fn document(world: &World, path: &str, app: &'static str, readers: [&'static str; 2], text: &str, seconds: u64) {
    let text = text.to_owned();
    world.origin.page(path, move |request: &Parts| {
        let token = request
            .headers
            .get("authorization")
            .map(|value| value.to_str().unwrap());
        let user = token.and_then(|token| token.strip_prefix("BAT "));
        let answer = Response::builder();
        let Some(user) = user.filter(|user| readers.contains(user)) else {
            return answer.status(404).body(Full::default()).unwrap();
        };
        let rules = json!({ "load": {}, "read": {
            format!("/db/User/{}", readers[0]): "allow", format!("/db/User/{}", readers[1]): "allow",
        } });
        let caller = json!({ "user": format!("/db/User/{user}"), "roles": [] });
        let names = [
            "~main".to_owned(),
            "~main/rights".to_owned(),
            format!("~main/user/{user}"),
        ];
        let answer = answer
            .header("cache-control", "private, no-cache")
            .header("etag", format!("\"{text}\""))
            .header("surrogate-key", NAMES)
            .header("surrogate-control", "max-age=300")
            .header("freshbase-guard", in_header(&json!({ "app": app, "rules": rules })))
            .header(
                "freshbase-caller",
                in_header(&json!({ "app": app, "caller": caller, "seconds": seconds, "names": names })),
            );
        let known = request.headers.get("if-none-match");
        match known.is_some_and(|tag| *tag == *format!("\"{text}\"")) {
            true => answer.status(304).body(Full::default()).unwrap(),
            false => answer.body(text.clone().into()).unwrap(),
        }
    });
}

async fn get(world: &World, user: &str) -> Got {
    world.get(PATH, &[("authorization", &format!("BAT {user}"))]).await
}

/// Until the edge decides by itself.
async fn warm(world: &World, user: &str) {
    for _ in 0..3 {
        get(world, user).await;
    }
    assert_eq!(get(world, user).await.way(), "hit", "{user}");
}

#[tokio::test]
async fn s39_the_edge_decides_for_those_it_knows_and_asks_for_all_others() {
    let world = World::start().await;
    doc(&world, "one", 300);
    warm(&world, "ann").await;
    warm(&world, "bob").await;
    let (n_seen, hit) = (world.origin.n_seen(), get(&world, "ann").await);
    assert_eq!((world.origin.n_seen(), hit.body.as_str()), (n_seen, "one"));
    assert_eq!(hit.header("cache-control"), "private, no-cache");
    for name in [
        "freshbase-guard",
        "freshbase-caller",
        "surrogate-key",
        "surrogate-control",
    ] {
        assert!(!hit.headers.contains_key(name), "{name}");
    }
    for token in ["eve", "", "ann bob"] {
        let got = get(&world, token).await;
        assert_eq!((got.status, got.body.as_str()), (StatusCode::NOT_FOUND, ""), "{token}");
    }
    let nobody = world.get(PATH, &[]).await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
    let both = world
        .get(&format!("{PATH}?BAT=ann"), &[("authorization", "BAT bob")])
        .await;
    assert_ne!(both.way(), "hit", "another address, and it is not clear who asks");
}

#[tokio::test]
async fn s39_who_is_known_still_has_to_be_let_by_the_rules_and_by_those_of_the_same_app() {
    let world = World::start().await;
    doc(&world, "one", 300);
    document(&world, "/v1/db/Doc/2", "main", ["eve", "bob"], "two", 300);
    document(&world, "/v1/db/Doc/3", "other", ["zoe", "ann"], "three", 300);
    warm(&world, "ann").await;
    for (path, user) in [("/v1/db/Doc/2", "eve"), ("/v1/db/Doc/3", "zoe")] {
        let token = format!("BAT {user}");
        for _ in 0..4 {
            world.get(path, &[("authorization", &token)]).await;
        }
        assert_eq!(world.get(path, &[("authorization", &token)]).await.way(), "hit");
        assert_eq!(get(&world, user).await.status, StatusCode::NOT_FOUND, "{user}");
    }
    // By name ann may read this one too, but she is another app's ann.
    let other = world.get("/v1/db/Doc/3", &[("authorization", "BAT ann")]).await;
    assert_ne!(other.way(), "hit");
}

#[tokio::test]
async fn s26_a_token_ends_at_the_edge_when_the_origin_said_it_would() {
    let world = World::start().await;
    doc(&world, "one", 10);
    warm(&world, "ann").await;
    let seen = world.origin.n_seen();
    world.pass(Duration::from_millis(9_999)).await;
    assert_eq!((get(&world, "ann").await.way(), world.origin.n_seen()), ("hit", seen));
    world.pass(Duration::from_millis(1)).await;
    assert_ne!(get(&world, "ann").await.way(), "hit");
    // It is over: the origin says so, and nothing that is here is for it.
    world
        .origin
        .page(PATH, |_| Response::builder().status(460).body(Full::default()).unwrap());
    world.pass(Duration::from_secs(10)).await;
    assert_eq!(get(&world, "ann").await.status.as_u16(), 460);
}

#[tokio::test]
async fn s40_purges_of_the_object_the_user_and_the_rights_end_it() {
    for (purge, is_bob_known, is_ann_known) in [
        ("~main", false, false),
        // Bob's request brings the object back; what ann is has not changed.
        ("~main/db/Doc/1", false, true),
        ("~main/rights", false, false),
        ("~main/user/ann", true, false),
    ] {
        let world = World::start().await;
        doc(&world, "one", 300);
        warm(&world, "ann").await;
        warm(&world, "bob").await;
        world.purge(keys(&[purge])).await;
        assert_eq!(get(&world, "bob").await.way() == "hit", is_bob_known, "{purge}");
        assert_eq!(get(&world, "ann").await.way() == "hit", is_ann_known, "{purge}");
    }
}

#[tokio::test]
async fn s40_without_the_stream_or_the_origin_nobody_gets_it_from_memory() {
    let world = World::start().await;
    doc(&world, "one", 300);
    warm(&world, "ann").await;
    world.ticks.forward(Duration::from_secs(6));
    assert_ne!(get(&world, "ann").await.way(), "hit", "behind the bound");
    world.origin.is_down.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(get(&world, "ann").await.status, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn s40_a_purge_that_crosses_an_answer_forbids_its_use() {
    let world = World::start().await;
    doc(&world, "one", 300);
    get(&world, "ann").await;
    let gate = world.origin.gate(PATH);
    let asking = world.begin(crate::kit::request("GET", PATH, &[("authorization", "BAT ann")]));
    gate.arrived.acquire().await.unwrap().forget();
    world.purge(Purge::Keys(vec!["~main/user/ann".to_owned()])).await;
    gate.open.add_permits(100);
    asking.await.unwrap();
    assert_ne!(get(&world, "ann").await.way(), "hit");
}
