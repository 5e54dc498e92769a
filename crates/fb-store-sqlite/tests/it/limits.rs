//! Time limits, full queues and full disks.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use fb_store::testkit::{schema_with, todo_class};
use fb_store::{Batch, Node, OpenOptions, Refusal, Store, StoreError};
use fb_store_sqlite::{Retention, SqliteOptions};
use fb_types::{Clock, Schema, Seq, Timestamp};
use serde_json::{Value, json};

use crate::fixture::{DataDir, World, app, open_options};

fn schema() -> Arc<Schema> {
    Arc::new(schema_with(&Schema::initial().unwrap(), &todo_class(), &[]))
}

fn object(key: &str, title: &str) -> Value {
    json!({
        "id": format!("/db/Todo/{key}"), "version": 1, "acl": null, "createdAt": "2024-01-01T00:00:00Z",
        "updatedAt": "2024-01-01T00:00:00Z", "title": title, "group": null, "rank": null, "score": null, "done": null,
        "due": null, "tags": null, "place": null, "data": null, "alarms": null,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_beyond_its_time_is_stopped() {
    let dir = DataDir::fast();
    let node = dir.node();
    let world = World::new(&node, "app", schema(), "Todo").await;
    let objects: Vec<Value> = (0..500).map(|i| object(&format!("k{i}"), "x")).collect();
    world.put(&objects).await.unwrap();
    world.store.close().await;

    let store = node.open_store(&app("app").id, open_options(Duration::ZERO)).unwrap();
    for filter in [json!({ "title": "y" }), json!({ "tags": "y" })] {
        let query = world.query(&filter, &json!({}), 0, 10);
        let error = store.query(&world.grant(), &query).await.unwrap_err();
        assert!(
            matches!(error, StoreError::TooSlow { limit: Duration::ZERO }),
            "{error:?}"
        );
    }
    // What is quick enough is never stopped.
    let key = fb_types::ObjectKey::from_raw("k7").unwrap();
    assert!(store.load(&world.grant(), &key).await.unwrap().is_some());
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_takes_longer_is_finished_elsewhere() {
    let dir = DataDir::fast();
    let node = dir.node();
    let world = World::new(&node, "app", schema(), "Todo").await;
    let objects: Vec<Value> = (0..20_000)
        .map(|i| object(&format!("k{i}"), &format!("{}", i % 1000)))
        .collect();
    world.put(&objects).await.unwrap();
    let query = world.query(
        &json!({ "title": { "$ne": "7" }, "tags": null }),
        &json!({ "title": 1 }),
        0,
        30_000,
    );
    let finds = (0..8).map(|_| world.find(&query));
    for find in finds {
        assert_eq!(find.await.len(), 19_980);
    }
    world.store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_beyond_the_queue_are_refused() {
    let dir = DataDir::with(SqliteOptions {
        max_waiting_writes: 10,
        ..SqliteOptions::default()
    });
    let node = dir.node();
    let world = Arc::new(World::new(&node, "app", schema(), "Todo").await);
    // The writer stands still in the middle of this decision.
    let (entered, has_entered) = mpsc::channel();
    let (leave, may_leave) = mpsc::channel::<()>();
    let may_leave = std::sync::Mutex::new(may_leave);
    let mut blocking = world.write(&object("blocking", "x"));
    blocking.decide = Box::new(move |_, _| {
        entered.send(()).unwrap();
        may_leave.lock().unwrap().recv().unwrap();
        Err(Refusal::Missing)
    });
    let first = {
        let world = world.clone();
        tokio::spawn(async move { world.store.commit(Batch::object(blocking)).await })
    };
    tokio::task::spawn_blocking(move || has_entered.recv().unwrap())
        .await
        .unwrap();
    let mut waiting = Vec::new();
    for i in 0..10 {
        let write = world.write(&object(&format!("k{i}"), "x"));
        // Polled once, so that it is queued.
        let mut commit = Box::pin({
            let world = world.clone();
            async move { world.store.commit(Batch::object(write)).await }
        });
        assert!(futures_poll(&mut commit).is_none());
        waiting.push(commit);
    }
    assert_eq!(world.store.stats().await.unwrap().queued_writes, 10);
    let late = Batch::object(world.write(&object("late", "x")));
    let refused = futures_poll(&mut world.store.commit(late)).expect("it is refused at once");
    let error = refused.unwrap_err();
    assert!(
        matches!(error, StoreError::Overloaded { retry_after } if !retry_after.is_zero()),
        "{error:?}"
    );
    leave.send(()).unwrap();
    assert!(matches!(
        first.await.unwrap(),
        Err(StoreError::Refused {
            refusal: Refusal::Missing,
            ..
        })
    ));
    // A caller who goes away does not take its write back.
    drop(waiting.pop());
    for commit in waiting {
        commit.await.unwrap();
    }
    world.put(&[object("now", "x")]).await.unwrap();
    assert_eq!(world.find(&world.query(&json!({}), &json!({}), 0, 100)).await.len(), 11);
    world.store.close().await;
}

/// Polls once, without waiting.
fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::Pin::new(future).poll(&mut context) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_reported_and_survived() {
    let dir = DataDir::with(SqliteOptions {
        max_pages: Some(200),
        ..SqliteOptions::default()
    });
    let node = dir.node();
    let world = World::new(&node, "app", schema(), "Todo").await;
    let text = "x".repeat(20_000);
    let mut written = Vec::new();
    let mut n_refused = 0;
    for i in 0..60 {
        let key = format!("k{i:02}");
        match world.put(&[object(&key, &text)]).await {
            Ok(()) => written.push(key),
            Err(StoreError::Unavailable { .. }) => n_refused += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(n_refused > 0, "the file never got full");
    assert!(written.len() > 3, "hardly anything was written");
    // What was acknowledged is there, nothing else is, and the feed has no gap.
    let all = world.query(&json!({}), &json!({ "id": 1 }), 0, 100);
    assert_eq!(world.find(&all).await, written);
    let changes = world.store.changes_after(Seq(0), 1000).await.unwrap();
    assert!(changes.iter().zip(1..).all(|(change, seq)| change.seq.0 == seq));
    assert_eq!(changes.len(), written.len());
    // Room again, and the writer goes on.
    world.delete(&written[0]).await;
    world.put(&[object("again", "short")]).await.unwrap();
    world.store.close().await;
    let store = node
        .open_store(&app("app").id, open_options(Duration::from_secs(5)))
        .unwrap();
    assert_eq!(
        store.query(&world.grant(), &all).await.unwrap().rows().len(),
        written.len()
    );
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_change_feed_is_trimmed() {
    let dir = DataDir::with(SqliteOptions {
        retention: Retention {
            records: 100,
            ..Retention::default()
        },
        ..SqliteOptions::default()
    });
    let node = dir.node();
    let world = World::new(&node, "app", schema(), "Todo").await;
    for i in 0..1024 {
        world.put(&[object(&format!("k{i}"), "x")]).await.unwrap();
    }
    world.store.close().await;
    let store = node
        .open(&app("app").id, open_options(Duration::from_secs(5)))
        .await
        .unwrap();
    let changes = store.changes_after(Seq(0), 10_000).await.unwrap();
    assert!(
        (100..700).contains(&changes.len()),
        "{} records were kept",
        changes.len()
    );
    assert_eq!(changes.last().unwrap().seq, Seq(1024));
    assert!(changes.windows(2).all(|pair| pair[0].seq.0 + 1 == pair[1].seq.0));
    store.close().await;
}

/// A clock that goes on by a millisecond with every look.
struct Stepping(AtomicI64);

impl Clock for Stepping {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_change_is_kept_however_old() {
    let dir = DataDir::with(SqliteOptions {
        retention: Retention {
            age: Duration::ZERO,
            ..Retention::default()
        },
        ..SqliteOptions::default()
    });
    let node = dir.node();
    let mut world = World::new(&node, "app", schema(), "Todo").await;
    world.store.close().await;
    let options = || OpenOptions {
        clock: Arc::new(Stepping(AtomicI64::new(1_000_000))),
        ..open_options(Duration::from_secs(5))
    };
    world.store = node.open_store(&app("app").id, options()).unwrap();
    let objects: Vec<Value> = (0..300).map(|i| object(&format!("k{i}"), "x")).collect();
    world.put(&objects).await.unwrap();
    world.store.close().await;
    world.store = node.open_store(&app("app").id, options()).unwrap();
    let changes = world.store.changes_after(Seq(0), 10_000).await.unwrap();
    assert_eq!(changes.iter().map(|c| c.seq).collect::<Vec<_>>(), [Seq(300)]);
    world.store.close().await;
    world.store = node.open_store(&app("app").id, options()).unwrap();
    world.put(&[object("next", "x")]).await.unwrap();
    assert_eq!(world.store.stats().await.unwrap().last_seq, Seq(301));
    world.store.close().await;
}
