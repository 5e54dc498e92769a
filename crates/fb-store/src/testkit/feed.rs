//! The change feed and the observer.

use std::collections::BTreeMap;

use fb_types::{Change, ChangeKind, ObjectId, Seq, Timestamp, Version};
use serde_json::json;

use super::bench::Bench;
use crate::{Batch, NOTES, Outcome, Write, note_key};

/// The object that a change is about.
pub(super) fn object(change: &Change) -> &ObjectId {
    change.subject.object().expect("it is about an object")
}

/// Every write is one record, in order.
pub async fn changes_are_in_order_without_gaps(bench: Bench) {
    let stored = bench.insert("a", json!({ "rank": 1 })).await;
    bench.commit(bench.updating("a", &json!({ "rank": 2 }))).await.unwrap();
    bench.insert("b", json!({})).await;
    bench.delete("a").await;
    let changes = bench.changes().await;
    let facts: Vec<_> = changes
        .iter()
        .map(|c| (c.seq.0, object(c).key().as_str(), c.version.0, c.kind))
        .collect();
    let (insert, update, delete) = (ChangeKind::Insert, ChangeKind::Update, ChangeKind::Delete);
    assert_eq!(
        facts,
        [
            (1, "a", 1, insert),
            (2, "a", 2, update),
            (3, "b", 1, insert),
            (4, "a", 3, delete)
        ]
    );
    assert_eq!(changes[0].body.as_ref(), Some(&stored.body));
    assert_eq!(changes[3].body, None);
    assert!(changes.iter().all(|c| object(c).class().as_str() == "Todo"));

    let rest = bench.store().changes_after(Seq(1), 2).await.unwrap();
    assert_eq!(rest, changes[1..3]);
    assert!(bench.store().changes_after(Seq(4), 10).await.unwrap().is_empty());
    assert_eq!(bench.store().stats().await.unwrap().last_seq, Seq(4));
}

/// Stamps order all writes of an app, whatever the clock does.
pub async fn stamps_grow_although_the_clock_goes_back(mut bench: Bench) {
    for (i, millis) in [2_000_000_000_000, 1_000, 2_000_000_000_000, 5].into_iter().enumerate() {
        bench.clock.set(Timestamp::from_millis(millis));
        bench.insert(&format!("k{i}"), json!({})).await;
        bench.reopen().await;
    }
    let stamps: Vec<u64> = bench.changes().await.iter().map(|c| c.stamp).collect();
    assert!(stamps.is_sorted_by(|a, b| a < b), "{stamps:?}");
    assert_eq!(stamps[0] >> 16, 2_000_000_000_000);
}

/// The observer is told everything, in commit order, before the acknowledgement.
pub async fn the_observer_sees_what_the_feed_says(bench: Bench) {
    let bench = std::sync::Arc::new(bench);
    let mut tasks = Vec::new();
    for t in 0..4 {
        let bench = bench.clone();
        tasks.push(tokio::spawn(async move {
            for i in 0..25 {
                let key = format!("t{t}-{i}");
                let stored = bench.insert(&key, json!({ "rank": i })).await;
                let told = bench.log.commits();
                let mine = told
                    .iter()
                    .find(|c| *object(&c.change).key() == stored.key)
                    .expect("told before the acknowledgement");
                assert_eq!(mine.after.as_ref(), Some(&stored));
            }
            bench.delete(&format!("t{t}-0")).await;
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let told: Vec<_> = bench.log.commits().into_iter().map(|c| c.change).collect();
    assert_eq!(told, bench.changes().await);
    let deleted = bench.log.commits().into_iter().filter(|c| c.after.is_none()).count();
    assert_eq!(deleted, 4);
}

/// A class without objects is known up to the same position as any other.
pub async fn snapshots_of_nothing_have_a_position(bench: Bench) {
    let store = bench.store();
    let empty = super::query(&store.schema(), &json!({}), &json!({}), 0, 100);
    bench.insert("a", json!({})).await;
    bench.delete("a").await;
    bench.add_class(&json!({ "class": "/db/Other" })).await;
    let other = fb_types::ClassName::new("Other").unwrap();
    let query = fb_query::Query {
        class: other.clone(),
        ..empty.clone()
    };
    let last = store.stats().await.unwrap().last_seq;
    for (grant, query) in [(bench.grant(), empty), (bench.admin().grant(&other), query)] {
        let (seq, rows) = store.snapshot(&grant, &query).await.unwrap();
        assert_eq!((seq, rows.rows().len()), (last, 0), "{query:?}");
    }
}

/// A snapshot is what the changes up to its position make.
pub async fn snapshots_know_their_position(bench: Bench) {
    let bench = std::sync::Arc::new(bench);
    let mut tasks = Vec::new();
    for t in 0..3 {
        let bench = bench.clone();
        tasks.push(tokio::spawn(async move {
            for i in 0..40 {
                let key = format!("t{t}-{}", i % 7);
                bench.insert(&key, json!({ "rank": i })).await;
                bench
                    .commit(bench.updating(&key, &json!({ "rank": i + 1 })))
                    .await
                    .unwrap();
                bench.delete(&key).await;
            }
        }));
    }
    let query = super::query(&bench.store().schema(), &json!({}), &json!({}), 0, 100);
    let mut snapshots = Vec::new();
    while tasks.iter().any(|task| !task.is_finished()) {
        let (seq, rows) = bench.store().snapshot(&bench.grant(), &query).await.unwrap();
        let rows: BTreeMap<_, _> = rows.rows().iter().map(|r| (r.key.clone(), r.version)).collect();
        snapshots.push((seq, rows));
        tokio::task::yield_now().await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    let changes = bench.changes().await;
    for (seq, rows) in snapshots {
        let mut expected = BTreeMap::new();
        for change in changes.iter().filter(|change| change.seq <= seq) {
            match change.kind {
                ChangeKind::Delete => expected.remove(object(change).key()),
                ChangeKind::Insert | ChangeKind::Update => {
                    expected.insert(object(change).key().clone(), change.version)
                }
            };
        }
        assert_eq!(rows, expected, "at {seq:?}");
    }
}

/// A bug in an observer costs no write.
pub async fn a_panicking_observer_does_no_harm(bench: Bench) {
    bench.log.panic();
    for key in ["a", "b"] {
        assert_eq!(bench.insert(key, json!({})).await.version, Version(1));
    }
    assert_eq!(bench.changes().await.len(), 2);
}

/// A note is on the changes of its own batch, back to the note before it; a refused batch leaves none.
pub async fn notes_are_on_the_changes_before_them(bench: Bench) {
    bench.insert("before", json!({})).await;
    let insert = |key: &str| Write::Object(bench.inserting(key, &json!({})));
    let note = |text: &str| Write::Note(text.as_bytes().to_vec());
    let writes = vec![insert("a"), insert("b"), note("x"), insert("c"), note("y"), insert("d")];
    let outcomes = bench.store().commit(Batch { writes }).await.unwrap();
    assert_eq!(outcomes[2], Outcome::Recorded);
    let refused = vec![insert("e"), note("z"), insert("a")];
    assert!(bench.store().commit(Batch { writes: refused }).await.is_err());
    let notes = bench.store().records(NOTES, None, 10).await.unwrap();
    let expected = [(2, "x"), (3, "x"), (4, "y")];
    let expected = expected.map(|(seq, text)| (note_key(Seq(seq)), text.as_bytes().to_vec()));
    assert_eq!(notes, expected);
}
