//! Changes of the schema.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fb_query::Filter;
use fb_types::{ChangeKind, ClassName, Clock, ItemType, Schema, Version};
use serde_json::{Value, json};

use super::bench::{Bench, class, document, insert};
use super::{schema_with, todo_class};
use crate::{Alteration, Batch, ObjectWrite, Rewrite, StoreError};

/// The class with `rank` as a text.
fn retyped() -> Value {
    let mut def = todo_class();
    def["fields"]["rank"]["type"] = json!("/db/String");
    def
}

fn rank_as_text() -> Rewrite {
    Rewrite {
        class: class(),
        apply: Arc::new(|document| match document.fields.get("rank").and_then(Value::as_i64) {
            Some(rank) => {
                document.fields.insert("rank".into(), json!(rank.to_string()));
                true
            }
            None => false,
        }),
    }
}

/// What was checked against a schema that fitted other objects must be checked again.
pub async fn writes_checked_under_an_old_schema_are_refused(bench: Bench) {
    let old = bench.inserting("old", &json!({ "rank": 1 }));
    let schema = schema_with(&bench.store().schema(), &retyped(), &[class()]);
    bench.alter(schema, vec![rank_as_text()]).await.unwrap();
    let error = bench.commit(old).await.unwrap_err();
    assert!(matches!(error, StoreError::SchemaChanged), "{error:?}");
    assert_eq!(bench.load("old").await, None);

    // A class that only has more fields now accepts what was checked before.
    let before = bench.inserting("before", &json!({ "title": "x" }));
    let mut more = retyped();
    more["fields"]["extra"] = json!({ "type": "/db/String", "order": 20 });
    bench.add_class(&more).await;
    bench.commit(before).await.unwrap();
    assert!(bench.load("before").await.is_some());
}

/// Of two alterations from one revision, one is carried out.
pub async fn an_alteration_from_another_revision_is_refused(bench: Bench) {
    let schema = Arc::new(schema_with(&bench.store().schema(), &retyped(), &[class()]));
    let from_rev = bench.store().schema().rev();
    let alteration = || Alteration {
        schema: schema.clone(),
        from_rev,
        rewrites: Vec::new(),
        indexes: Vec::new(),
    };
    bench.store().alter(&bench.admin(), alteration()).await.unwrap();
    let error = bench.store().alter(&bench.admin(), alteration()).await.unwrap_err();
    assert!(matches!(error, StoreError::SchemaChanged), "{error:?}");
    assert_eq!(bench.store().schema().rev(), schema.rev());
}

/// Rewritten objects have new versions and change records; others stay.
pub async fn objects_are_rewritten(mut bench: Bench) {
    for i in 0..1200 {
        let fields = if i % 2 == 0 {
            json!({ "rank": i })
        } else {
            json!({ "title": "none" })
        };
        bench.insert(&format!("k{i:04}"), fields).await;
    }
    let n_changes = bench.changes().await.len();
    let n_altered = bench.log.n_altered();
    let schema = schema_with(&bench.store().schema(), &retyped(), &[class()]);
    let shape = schema.class("Todo").unwrap().shape();
    bench.alter(schema, vec![rank_as_text()]).await.unwrap();
    assert_eq!(bench.log.n_altered(), n_altered + 1);
    bench.reopen().await;

    let rewritten = bench.load("k0042").await.unwrap();
    assert_eq!((rewritten.version, rewritten.shape), (Version(2), shape));
    let body: Value = serde_json::from_slice(&rewritten.body).unwrap();
    assert_eq!((&body["rank"], &body["version"]), (&json!("42"), &json!(2)));
    assert_eq!(bench.load("k0043").await.unwrap().version, Version(1));
    let changes = bench.changes().await;
    assert_eq!(changes.len(), n_changes + 600);
    assert!(
        changes[n_changes..]
            .iter()
            .all(|c| c.kind == ChangeKind::Update && c.version == Version(2))
    );
    assert_eq!(changes[n_changes + 21].body, Some(rewritten.body));
}

/// Objects of a dropped class are deleted as far as the feed is concerned, and do not come back with the class.
pub async fn a_dropped_class_leaves_deletes(bench: Bench) {
    bench.insert("a", json!({})).await;
    bench.insert("b", json!({})).await;
    let previous = bench.store().schema();
    let defs = previous.defs().into_iter().filter(|d| d.class != "/db/Todo").collect();
    let without = Schema::build(defs, previous.rev() + 1, Some(&previous), &[]).unwrap();
    bench.alter(without, Vec::new()).await.unwrap();

    let changes = bench.changes().await;
    let facts: Vec<_> = changes[2..]
        .iter()
        .map(|c| (c.key.as_str(), c.version, c.kind))
        .collect();
    assert_eq!(
        facts,
        [
            ("a", Version(2), ChangeKind::Delete),
            ("b", Version(2), ChangeKind::Delete)
        ]
    );
    assert_eq!(bench.store().count(&bench.grant(), &Filter::ALL).await.unwrap(), 0);
    assert_eq!(bench.load("a").await, None);

    bench.add_class(&todo_class()).await;
    assert_eq!(bench.load("a").await, None);
    bench.insert("a", json!({})).await;
}

/// A write fits the schema that is in force when it is committed, or is refused.
pub async fn writes_racing_an_alteration_fit_the_schema(bench: Bench) {
    let bench = Arc::new(bench);
    let is_done = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for t in 0..3 {
        let (bench, is_done) = (bench.clone(), is_done.clone());
        tasks.push(tokio::spawn(async move {
            let mut n_refused = 0;
            let mut i = 0;
            while !is_done.load(Ordering::Relaxed) || i < 20 {
                i += 1;
                let write = fitting(&bench, &format!("t{t}-{i}"), i);
                match bench.store().commit(Batch::object(write)).await {
                    Ok(_) => {}
                    Err(StoreError::SchemaChanged) => n_refused += 1,
                    Err(other) => panic!("{other:?}"),
                }
            }
            n_refused
        }));
    }
    for text in [true, false, true, false, true] {
        let def = if text { retyped() } else { todo_class() };
        let schema = schema_with(&bench.store().schema(), &def, &[class()]);
        let rewrite = if text { rank_as_text() } else { rank_as_number() };
        bench.alter(schema, vec![rewrite]).await.unwrap();
    }
    is_done.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    let rows = bench
        .store()
        .scan(&bench.admin().grant(&ClassName::new("Todo").unwrap()), None, 100_000)
        .await
        .unwrap();
    assert!(!rows.rows().is_empty());
    for row in rows.rows() {
        let body: Value = serde_json::from_slice(rows.body(row)).unwrap();
        assert!(body["rank"].is_string(), "{body}");
    }
}

/// An insert that fits the schema of this moment.
fn fitting(bench: &Bench, key: &str, rank: i64) -> ObjectWrite {
    let schema = bench.store().schema();
    let todo = schema.class("Todo").unwrap();
    let is_text = *todo.field("rank").unwrap().ty().item() == ItemType::String;
    let fields = if is_text {
        json!({ "rank": rank.to_string() })
    } else {
        json!({ "rank": rank })
    };
    let document = document(&schema, &class(), key, bench.clock.now(), &fields);
    ObjectWrite {
        checked_under: schema.rev(),
        ..bench.write(key, insert(document, todo.shape()))
    }
}

fn rank_as_number() -> Rewrite {
    Rewrite {
        class: class(),
        apply: Arc::new(|document| match document.fields.get("rank").and_then(Value::as_str) {
            Some(rank) => {
                let rank: i64 = rank.parse().unwrap_or(0);
                document.fields.insert("rank".into(), json!(rank));
                true
            }
            None => false,
        }),
    }
}
