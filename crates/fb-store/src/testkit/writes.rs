//! Commits, records and keys.

use std::collections::HashSet;
use std::sync::Arc;

use fb_auth::{Operation, authorize};
use fb_types::{Acl, ObjectKey, Timestamp, Version};
use serde_json::{Value, json};

use super::bench::{Bench, class, update};
use super::user;
use crate::{Batch, Effect, Expect, Outcome, RecordWrite, Refusal, StoreError, Write};

fn body(stored: &fb_types::Stored) -> Value {
    serde_json::from_slice(&stored.body).expect("bodies are JSON")
}

/// Objects go through their life.
pub async fn insert_update_and_delete(bench: Bench) {
    let inserted = bench.insert("a", json!({ "title": "x", "rank": 1 })).await;
    assert_eq!(bench.load("a").await, Some(inserted.clone()));
    assert_eq!(inserted.version, Version(1));

    let outcome = bench
        .commit(bench.updating("a", &json!({ "title": "y" })))
        .await
        .unwrap();
    let Outcome::Written(updated) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(bench.load("a").await, Some(updated.clone()));
    assert_eq!(updated.version, Version(2));
    assert_eq!(updated.created_at, inserted.created_at);
    assert_eq!(body(&updated)["title"], "y");

    assert_eq!(bench.delete("a").await, Outcome::Deleted(Version(2)));
    assert_eq!(bench.load("a").await, None);
    assert_eq!(bench.delete("a").await, Outcome::Kept);
    bench.insert("a", json!({ "title": "again" })).await;
}

/// Inserting twice is refused, also when the object is not the caller's to see.
pub async fn an_insert_under_a_taken_id_is_refused(bench: Bench) {
    bench
        .insert_with_acl("a", json!({ "title": "x" }), Acl::private_to("/db/User/7"))
        .await;
    let mut write = bench.inserting("a", &json!({ "title": "y" }));
    let schema = bench.store().schema();
    write.grant = authorize(&user("1"), Operation::Insert, schema.class("Todo").unwrap()).unwrap();
    let error = bench.commit(write).await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Refused {
                index: 0,
                refusal: Refusal::Exists
            }
        ),
        "{error:?}"
    );
    assert_eq!(body(&bench.load("a").await.unwrap())["title"], "x");
}

/// A refused write leaves no trace.
pub async fn a_version_mismatch_changes_nothing(bench: Bench) {
    let before = bench.insert("a", json!({ "title": "x" })).await;
    let n_changes = bench.changes().await.len();
    let write = bench.write(
        "a",
        Box::new(|before, _| match before {
            Some(stored) => Err(Refusal::VersionMismatch { found: stored.version }),
            None => Err(Refusal::Missing),
        }),
    );
    let error = bench.commit(write).await.unwrap_err();
    let expected = Refusal::VersionMismatch { found: Version(1) };
    assert!(
        matches!(&error, StoreError::Refused { refusal, .. } if refusal.to_string() == expected.to_string()),
        "{error:?}"
    );
    assert_eq!(bench.load("a").await, Some(before));
    assert_eq!(bench.changes().await.len(), n_changes);
}

/// All writes of a batch, or none.
pub async fn a_batch_is_atomic(bench: Bench) {
    bench.insert("taken", json!({})).await;
    let n_changes = bench.changes().await.len();
    let writes = ["a", "b", "taken", "c"].map(|key| Write::Object(bench.inserting(key, &json!({ "title": key }))));
    let error = bench.store().commit(Batch { writes: writes.into() }).await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Refused {
                index: 2,
                refusal: Refusal::Exists
            }
        ),
        "{error:?}"
    );
    assert_eq!(bench.load("a").await, None);
    assert_eq!(bench.load("c").await, None);
    assert_eq!(bench.changes().await.len(), n_changes);

    let writes = ["a", "b", "c"].map(|key| Write::Object(bench.inserting(key, &json!({ "title": key }))));
    let outcomes = bench.store().commit(Batch { writes: writes.into() }).await.unwrap();
    assert_eq!(outcomes.len(), 3);
    let changes = bench.changes().await;
    let keys: Vec<_> = changes[n_changes..]
        .iter()
        .map(|c| super::feed::object(c).key().as_str())
        .collect();
    assert_eq!(keys, ["a", "b", "c"]);

    // The second write of a batch sees the first one.
    let writes = vec![
        Write::Object(bench.updating("a", &json!({ "rank": 1 }))),
        Write::Object(bench.updating("a", &json!({ "rank": 2 }))),
    ];
    bench.store().commit(Batch { writes }).await.unwrap();
    assert_eq!(bench.load("a").await.unwrap().version, Version(3));
}

/// Batches that are committed at the same time do not know of each other.
pub async fn a_failing_batch_does_not_harm_its_neighbours(bench: Bench) {
    bench.insert("taken", json!({})).await;
    let mut tasks = Vec::new();
    for i in 0..200 {
        let mut writes = vec![Write::Object(bench.inserting(&format!("n{i}"), &json!({ "rank": i })))];
        if i % 3 == 0 {
            writes.push(Write::Object(bench.inserting("taken", &json!({}))));
        }
        let store = bench.store().clone();
        tasks.push(tokio::spawn(async move { store.commit(Batch { writes }).await }));
    }
    for (i, task) in tasks.into_iter().enumerate() {
        let result = task.await.unwrap();
        let is_there = bench.load(&format!("n{i}")).await.is_some();
        if i % 3 == 0 {
            assert!(
                matches!(result, Err(StoreError::Refused { index: 1, .. })),
                "{i}: {result:?}"
            );
            assert!(!is_there, "{i} is there although its batch was refused");
        } else {
            assert!(is_there, "{i} is missing: {result:?}");
        }
    }
    let changes = bench.changes().await;
    assert_eq!(changes.len(), 1 + 200 - 67);
    assert!(
        changes.iter().zip(1..).all(|(change, seq)| change.seq.0 == seq),
        "the feed has gaps"
    );
}

/// Keeping is no change.
pub async fn a_write_that_keeps_is_not_recorded(bench: Bench) {
    let before = bench.insert("a", json!({})).await;
    let outcome = bench
        .commit(bench.write("a", Box::new(|_, _| Ok(Effect::Keep))))
        .await
        .unwrap();
    assert_eq!(outcome, Outcome::Kept);
    assert_eq!(bench.load("a").await, Some(before));
    assert_eq!(bench.changes().await.len(), 1);
}

/// A decision that answers with another object is a bug and is not carried out.
pub async fn an_object_cannot_change_its_key(bench: Bench) {
    let other = bench.document("other", &json!({})).store(1);
    let write = bench.write("a", Box::new(move |_, _| Ok(Effect::Put(other.clone()))));
    let error = bench.commit(write).await.unwrap_err();
    assert!(matches!(error, StoreError::Internal { .. }), "{error:?}");
    assert_eq!(bench.load("a").await, None);
    assert_eq!(bench.load("other").await, None);
}

/// A bug in one decision is one failed write.
pub async fn a_panicking_decision_harms_only_itself(bench: Bench) {
    let bad = bench.write("a", Box::new(|_, _| panic!("a bug")));
    let writes = vec![Write::Object(bench.inserting("b", &json!({}))), Write::Object(bad)];
    let error = bench.store().commit(Batch { writes }).await.unwrap_err();
    assert!(matches!(error, StoreError::Internal { .. }), "{error:?}");
    assert_eq!(bench.load("b").await, None);
    bench.insert("c", json!({})).await;
}

/// Two writes in one millisecond have different times.
pub async fn moments_grow_strictly(bench: Bench) {
    let first = bench.insert("a", json!({})).await;
    let mut last = first.updated_at;
    for i in 0..3 {
        if i == 2 {
            bench.clock.set(Timestamp::from_millis(5));
        }
        bench.commit(bench.updating("a", &json!({ "rank": i }))).await.unwrap();
        let now = bench.load("a").await.unwrap().updated_at;
        assert!(now > last, "{now} is not later than {last}");
        last = now;
    }
}

/// Object rules decide inside of the commit.
pub async fn object_rules_refuse_writes(bench: Bench) {
    bench
        .insert_with_acl("a", json!({ "title": "x" }), Acl::private_to("/db/User/7"))
        .await;
    let schema = bench.store().schema();
    let todo = schema.class("Todo").unwrap();
    for (key, may) in [("1", false), ("7", true)] {
        let mut write = bench.updating("a", &json!({ "title": key }));
        write.grant = authorize(&user(key), Operation::Update, todo).unwrap();
        let result = bench.commit(write).await;
        match result {
            Ok(Outcome::Written(_)) if may => {}
            Err(StoreError::Refused {
                refusal: Refusal::Denied,
                ..
            }) if !may => {}
            other => panic!("user {key}: {other:?}"),
        }
    }
    let mut write = bench.write("a", Box::new(|_, _| Ok(Effect::Delete)));
    write.grant = authorize(&user("1"), Operation::Delete, todo).unwrap();
    let error = bench.commit(write).await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Refused {
                refusal: Refusal::Denied,
                ..
            }
        ),
        "{error:?}"
    );
}

fn record(key: &str, expect: Expect, value: Option<&str>) -> RecordWrite {
    RecordWrite {
        space: "test",
        key: key.to_owned(),
        expect,
        value: value.map(|v| v.as_bytes().to_vec()),
        expires_at: None,
    }
}

/// Preconditions of records.
pub async fn records_are_written_as_expected(bench: Bench) {
    let store = bench.store();
    let one = |expect, value| {
        let batch = Batch {
            writes: vec![Write::Record(record("k", expect, value))],
        };
        async move { store.commit(batch).await.is_ok() }
    };
    assert!(!one(Expect::Present, Some("x")).await);
    assert!(!one(Expect::Value(b"x".to_vec()), None).await);
    assert!(one(Expect::Absent, Some("x")).await);
    assert!(!one(Expect::Absent, Some("y")).await);
    assert!(!one(Expect::Value(b"y".to_vec()), Some("z")).await);
    assert_eq!(store.record("test", "k").await.unwrap(), Some(b"x".to_vec()));
    assert!(one(Expect::Value(b"x".to_vec()), Some("z")).await);
    assert!(one(Expect::Anything, Some("")).await);
    assert_eq!(store.record("test", "k").await.unwrap(), Some(Vec::new()));
    assert_eq!(store.record("other", "k").await.unwrap(), None);
    assert!(one(Expect::Present, None).await);
    assert_eq!(store.record("test", "k").await.unwrap(), None);
    assert!(bench.changes().await.is_empty(), "records are not part of the feed");
}

/// A secret is consumed together with what it permits.
pub async fn records_and_objects_are_one_batch(bench: Bench) {
    let store = bench.store();
    let secret = Write::Record(record("secret", Expect::Absent, Some("1")));
    store.commit(Batch { writes: vec![secret] }).await.unwrap();
    let mut tasks = Vec::new();
    for i in 0..20 {
        let writes = vec![
            Write::Object(bench.inserting(&format!("by{i}"), &json!({}))),
            Write::Record(record("secret", Expect::Present, None)),
        ];
        let store = store.clone();
        tasks.push(tokio::spawn(async move { store.commit(Batch { writes }).await }));
    }
    let mut n_ok = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => n_ok += 1,
            Err(StoreError::Refused {
                index: 1,
                refusal: Refusal::Record { .. },
            }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(n_ok, 1, "a secret was used {n_ok} times");
    assert_eq!(bench.changes().await.len(), 1);
}

/// Decisions see what was committed before.
pub async fn concurrent_increments_are_all_counted(bench: Bench) {
    bench.insert("counter", json!({ "rank": 0 })).await;
    let mut tasks = Vec::new();
    for _ in 0..100 {
        let decide = update(1, |document| {
            let rank = document.fields["rank"].as_i64().unwrap_or(0);
            document.fields.insert("rank".into(), json!(rank + 1));
        });
        let write = bench.write("counter", decide);
        let store = bench.store().clone();
        tasks.push(tokio::spawn(async move { store.commit(Batch::object(write)).await }));
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let stored = bench.load("counter").await.unwrap();
    assert_eq!(body(&stored)["rank"], 100);
    assert_eq!(stored.version, Version(101));
}

/// Keys from the server are new, whatever happened to older ones.
pub async fn keys_are_never_repeated(mut bench: Bench) {
    let mut seen = HashSet::new();
    for round in 0..4 {
        for _ in 0..40 {
            let key = bench.store().allocate_key(&class()).await.unwrap();
            assert!(key.as_str().parse::<u64>().is_ok(), "{key} is no number");
            assert!(seen.insert(key.clone()), "{key} came twice");
        }
        let highest = seen
            .iter()
            .filter_map(|k| k.as_str().parse::<u64>().ok())
            .max()
            .unwrap();
        // Chosen by a client, and deleted again.
        let chosen = (highest + if round < 2 { 3 } else { 33 }).to_string();
        bench.insert(&chosen, json!({})).await;
        bench.delete(&chosen).await;
        seen.insert(ObjectKey::from_raw(&chosen).unwrap());
        if round % 2 == 0 {
            bench.reopen().await;
        }
    }
    let highest = seen
        .iter()
        .filter_map(|k| k.as_str().parse::<u64>().ok())
        .max()
        .unwrap();
    assert!(highest < 500, "{highest} is no small number");
}

/// Keys differ also under concurrency, and classes count by themselves.
pub async fn concurrently_allocated_keys_differ(bench: Bench) {
    let mut tasks = Vec::new();
    for _ in 0..100 {
        let store: Arc<dyn crate::Store> = bench.store().clone();
        tasks.push(tokio::spawn(async move { store.allocate_key(&class()).await.unwrap() }));
    }
    let mut seen = HashSet::new();
    for task in tasks {
        assert!(seen.insert(task.await.unwrap()));
    }
    let other = fb_types::ClassName::new("User").unwrap();
    let first = bench.store().allocate_key(&other).await.unwrap();
    assert_eq!(first.as_str(), "1");
}

/// Nothing to do is done at once.
pub async fn an_empty_batch_is_nothing(bench: Bench) {
    assert_eq!(bench.store().commit(Batch::default()).await.unwrap(), []);
    assert!(bench.log.commits().is_empty());
}
