//! What clients wanted is asked for again when it is purged.

use fb_edge::Purge;

use crate::kit::{World, keys, until};

/// An object with names, which is in memory; a client got it from there.
async fn wanted(world: &World, path: &str, names: &str) {
    shown(world, path, names, "old");
    world.get(path, &[]).await;
    assert_eq!(world.get(path, &[]).await.way(), "hit");
}

fn shown(world: &World, path: &str, names: &str, text: &str) {
    let headers = [("cache-control", "public, s-maxage=600"), ("surrogate-key", names)];
    world.origin.text(path, text, &headers);
}

#[tokio::test]
async fn what_was_wanted_is_there_again_before_anybody_asks() {
    let world = World::start().await;
    wanted(&world, "/o/1", "app app:1").await;
    shown(&world, "/o/1", "app app:1", "new");
    for purge in [keys(&["app:1"]), Purge::Urls(vec!["app.example/o/1".to_owned()])] {
        let (n_seen, entries) = (world.origin.n_seen(), world.edge.stats().refreshed);
        world.purge(purge).await;
        until("it is asked for", || world.origin.n_seen() == n_seen + 1).await;
        assert_eq!(world.edge.stats().refreshed, entries + 1);
        let asked = world.origin.seen().pop().unwrap();
        assert!(
            !asked.headers.contains_key("x-forwarded-for"),
            "no client's limits count for it"
        );
        until("it is there", || world.edge.stats().under_way == 0).await;
        let got = world.get("/o/1", &[]).await;
        assert_eq!(
            (got.body.as_str(), got.way(), world.origin.n_seen()),
            ("new", "hit", n_seen + 1)
        );
    }
}

#[tokio::test]
async fn what_nobody_wanted_since_it_was_stored_is_not_asked_for() {
    let world = World::start().await;
    wanted(&world, "/o/1", "app:1").await;
    let n_seen = world.origin.n_seen();
    world.purge(keys(&["app:1"])).await;
    until("it is asked for", || world.edge.stats().refreshed == 1).await;
    until("it is there", || world.edge.stats().under_way == 0).await;
    // These find that it was not wanted again.
    for _ in 0..3 {
        world.purge(keys(&["app:1"])).await;
    }
    assert_ne!(world.get("/o/1", &[]).await.way(), "hit");
    world.purge(keys(&["app:2"])).await;
    assert_eq!((world.edge.stats().refreshed, world.origin.n_seen()), (1, n_seen + 2));
}

#[tokio::test]
async fn a_name_of_many_answers_has_none_of_them_asked_for() {
    let world = World::start().await;
    for n in 1..=5 {
        wanted(&world, &format!("/o/{n}"), &format!("app app:{n}")).await;
    }
    world.purge(keys(&["app"])).await;
    world.purge(Purge::All).await;
    // Their own names are none of many.
    for n in 1..=5 {
        world.purge(keys(&[&format!("app:{n}")])).await;
    }
    until("they are asked for", || world.edge.stats().refreshed >= 5).await;
    world.purge(keys(&["other"])).await;
    assert_eq!(world.edge.stats().refreshed, 5);
}
