//! Changes of the schema.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fb_query::Filter;
use fb_types::{ChangeKind, ClassName, Clock, ItemType, Schema, Version};
use serde_json::{Value, json};

use super::bench::{Bench, class, document, insert};
use super::{schema_with, todo_class};
use crate::{Alteration, Batch, Expect, IndexDef, ObjectWrite, RecordWrite, Rewrite, StoreError, Write};

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
        also: Batch::default(),
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
        .map(|c| (super::feed::object(c).key().as_str(), c.version, c.kind))
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

/// The next schema with a class for the log beside the rewritten one.
fn with_log(bench: &Bench) -> Schema {
    let previous = bench.store().schema();
    let log = json!({ "class": "/db/Log", "fields": { "what": { "type": "/db/String", "order": 0 } } });
    let todo = retyped();
    let def = |value: &Value| fb_types::ClassDef::from_json(value).unwrap();
    let mut defs: Vec<_> = previous.defs().into_iter().filter(|d| d.class != "/db/Todo").collect();
    defs.extend([def(&todo), def(&log)]);
    Schema::build(defs, previous.rev() + 1, Some(&previous), &[class()]).unwrap()
}

/// A write that inserts an entry into the class that [`with_log`] adds.
fn log_entry(bench: &Bench, schema: &Schema, key: &str) -> Write {
    let name = ClassName::new("Log").unwrap();
    let document = document(schema, &name, key, bench.clock.now(), &json!({ "what": "altered" }));
    Write::Object(ObjectWrite {
        grant: bench.admin().grant(&name),
        checked_under: schema.rev(),
        ..bench.write(key, insert(document, schema.class("Log").unwrap().shape()))
    })
}

fn record(key: &str, expect: Expect) -> Write {
    Write::Record(RecordWrite {
        space: "test",
        key: key.to_owned(),
        expect,
        value: Some(key.as_bytes().to_vec()),
        expires_at: None,
    })
}

fn altering(bench: &Bench, schema: &Schema, writes: Vec<Write>) -> Alteration {
    Alteration {
        schema: Arc::new(schema.clone()),
        from_rev: bench.store().schema().rev(),
        rewrites: vec![rank_as_text()],
        indexes: Vec::new(),
        also: Batch { writes },
    }
}

/// Writes are committed with the schema, as all writes are: in the feed behind what was rewritten, told to the observer,
/// there after a restart.
pub async fn writes_go_along_with_an_alteration(mut bench: Bench) {
    bench.insert("a", json!({ "rank": 7 })).await;
    let (n_told, n_altered) = (bench.log.commits().len(), bench.log.n_altered());
    let schema = with_log(&bench);
    // The decision sees what the alteration has made of the object.
    let touch = ObjectWrite {
        checked_under: schema.rev(),
        ..bench.write(
            "a",
            super::bench::update(schema.class("Todo").unwrap().shape(), |document| {
                assert_eq!(document.fields["rank"], json!("7"));
                document.fields.insert("title".into(), json!("seen"));
            }),
        )
    };
    let writes = vec![
        log_entry(&bench, &schema, "1"),
        record("r", Expect::Absent),
        Write::Object(touch),
    ];
    let alteration = altering(&bench, &schema, writes);
    bench.store().alter(&bench.admin(), alteration).await.unwrap();

    assert_eq!(bench.log.n_altered(), n_altered + 1);
    let told: Vec<_> = bench.log.commits().split_off(n_told);
    let changes = bench.changes().await;
    let facts: Vec<_> = changes
        .iter()
        .map(|c| {
            (
                c.seq.0,
                super::feed::object(c).class().as_str(),
                super::feed::object(c).key().as_str(),
                c.version.0,
                c.kind,
            )
        })
        .collect();
    let (inserted, updated) = (ChangeKind::Insert, ChangeKind::Update);
    let expected = [
        (1, "Todo", "a", 1, inserted),
        (2, "Todo", "a", 2, updated),
        (3, "Log", "1", 1, inserted),
        (4, "Todo", "a", 3, updated),
    ];
    assert_eq!(facts, expected);
    let told_changes: Vec<_> = told.iter().map(|c| c.change.clone()).collect();
    assert_eq!(told_changes, changes[2..]);
    assert_eq!(told[1].after, bench.load("a").await);

    bench.reopen().await;
    assert_eq!(bench.changes().await, changes);
    assert_eq!(bench.store().record("test", "r").await.unwrap(), Some(b"r".to_vec()));
    let log = bench.admin().grant(&ClassName::new("Log").unwrap());
    assert_eq!(bench.store().count(&log, &Filter::ALL).await.unwrap(), 1);
    // The feed goes on where it was.
    bench.insert("b", json!({ "rank": "x" })).await;
    assert_eq!(bench.changes().await.last().unwrap().seq.0, 5);
}

/// Whatever keeps a write from being done keeps the schema as it was, and everything else.
pub async fn a_refused_write_refuses_the_alteration(bench: Bench) {
    bench.insert("a", json!({ "rank": 7 })).await;
    let schema = with_log(&bench);
    let old = (
        bench.store().schema().rev(),
        bench.load("a").await,
        bench.changes().await,
    );
    let (n_told, n_altered) = (bench.log.commits().len(), bench.log.n_altered());
    let is_refused: fn(&StoreError) -> bool = |e| matches!(e, StoreError::Refused { index: 2, .. });
    let is_stale: fn(&StoreError) -> bool = |e| matches!(e, StoreError::SchemaChanged);
    let is_broken: fn(&StoreError) -> bool = |e| matches!(e, StoreError::Internal { .. });
    let panicking = Write::Object(ObjectWrite {
        checked_under: schema.rev(),
        ..bench.write("a", Box::new(|_, _| panic!("a bug")))
    });
    let unchecked = Write::Object(bench.updating("a", &json!({ "rank": 8 })));
    /// A write, and whether the error is the right one.
    type Case = (Write, fn(&StoreError) -> bool);
    let cases: [Case; 4] = [
        (record("missing", Expect::Present), is_refused),
        (log_entry(&bench, &schema, "1"), is_refused),
        (unchecked, is_stale),
        (panicking, is_broken),
    ];
    for (write, is_expected) in cases {
        let writes = vec![log_entry(&bench, &schema, "1"), record("r", Expect::Absent), write];
        let alteration = altering(&bench, &schema, writes);
        let error = bench.store().alter(&bench.admin(), alteration).await.unwrap_err();
        assert!(is_expected(&error), "{error:?}");
        let now = (
            bench.store().schema().rev(),
            bench.load("a").await,
            bench.changes().await,
        );
        assert_eq!(now, old);
        assert_eq!(bench.store().record("test", "r").await.unwrap(), None);
        assert_eq!((bench.log.commits().len(), bench.log.n_altered()), (n_told, n_altered));
    }
    // Nothing of it is left in the way.
    let writes = vec![log_entry(&bench, &schema, "1"), record("r", Expect::Absent)];
    let alteration = altering(&bench, &schema, writes);
    bench.store().alter(&bench.admin(), alteration).await.unwrap();
    assert_eq!(bench.changes().await.len(), 3);
}

/// An alteration that is not done leaves no entry in the log.
pub async fn a_refused_alteration_refuses_its_writes(bench: Bench) {
    bench.insert("a", json!({ "rank": 7 })).await;
    bench.insert("b", json!({ "rank": 7 })).await;
    let schema = with_log(&bench);
    let unique = IndexDef {
        unique: true,
        keys: vec![crate::IndexKey {
            path: "rank".into(),
            direction: crate::Direction::Asc,
        }],
    };
    let entry = |key| vec![log_entry(&bench, &schema, key), record("r", Expect::Absent)];
    let outdated = Alteration {
        from_rev: bench.store().schema().rev() - 1,
        ..altering(&bench, &schema, entry("1"))
    };
    let impossible = Alteration {
        indexes: vec![(class(), vec![unique])],
        ..altering(&bench, &schema, entry("2"))
    };
    let n_told = bench.log.commits().len();
    let error = bench.store().alter(&bench.admin(), outdated).await.unwrap_err();
    assert!(matches!(error, StoreError::SchemaChanged), "{error:?}");
    let error = bench.store().alter(&bench.admin(), impossible).await.unwrap_err();
    assert!(matches!(error, StoreError::NotUnique { .. }), "{error:?}");
    assert_eq!(bench.store().record("test", "r").await.unwrap(), None);
    assert_eq!(bench.changes().await.len(), 2);
    assert_eq!(bench.log.commits().len(), n_told);
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
