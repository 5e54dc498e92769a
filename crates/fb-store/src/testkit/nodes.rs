//! Apps, restarts and backups.

use fb_query::Filter;
use fb_types::AppId;
use serde_json::json;

use super::bench::{Bench, class};
use crate::{AppRecord, Batch, Direction, Expect, IndexDef, IndexKey, NodeError, RecordWrite, StoreError, Write};

/// What was acknowledged is there after a restart.
pub async fn everything_survives_a_restart(mut bench: Bench) {
    let stored = bench.insert("a", json!({ "title": "x" })).await;
    let record = RecordWrite {
        space: "test",
        key: "k".into(),
        expect: Expect::Absent,
        value: Some(vec![0, 255]),
        expires_at: None,
    };
    bench
        .store()
        .commit(Batch {
            writes: vec![Write::Record(record)],
        })
        .await
        .unwrap();
    let rev = bench.store().schema().rev();
    let changes = bench.changes().await;
    bench.reopen().await;
    assert_eq!(bench.load("a").await, Some(stored));
    assert_eq!(bench.store().record("test", "k").await.unwrap(), Some(vec![0, 255]));
    assert_eq!(bench.store().schema().rev(), rev);
    assert_eq!(bench.changes().await, changes);
    bench.insert("b", json!({})).await;
    assert_eq!(bench.changes().await.last().unwrap().seq.0, 2);
}

/// Closing finishes what waits and refuses what comes later.
pub async fn a_closed_store_is_unavailable(mut bench: Bench) {
    let mut tasks = Vec::new();
    for i in 0..100 {
        let write = bench.inserting(&format!("k{i}"), &json!({}));
        let store = bench.store().clone();
        tasks.push(tokio::spawn(async move { store.commit(Batch::object(write)).await }));
    }
    let late = bench.inserting("late", &json!({}));
    tokio::task::yield_now().await;
    bench.store().close().await;
    let mut n_written = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => n_written += 1,
            Err(StoreError::Unavailable { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    let store = bench.store();
    let error = store.commit(Batch::object(late)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    let error = store.count(&bench.grant(), &Filter::ALL).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    store.close().await;
    bench.reopen().await;
    assert_eq!(
        bench.store().count(&bench.grant(), &Filter::ALL).await.unwrap(),
        n_written
    );
}

fn record(bench: &Bench, name: &str, host: &str, is_default: bool) -> AppRecord {
    AppRecord {
        hosts: vec![host.to_owned()],
        is_default,
        ..bench.app_record(name)
    }
}

/// The registry of apps.
pub async fn apps_are_created_and_deleted(bench: Bench) {
    let node = bench.node();
    let mut generation = node.generation().await.unwrap();
    let mut has_changed = async || {
        let now = node.generation().await.unwrap();
        let changed = now != generation;
        generation = now;
        changed
    };
    assert!(!has_changed().await);
    let one = record(&bench, "one", "one.example", true);
    node.create(&one).await.unwrap();
    assert!(has_changed().await);
    let error = node.create(&one).await.unwrap_err();
    assert!(matches!(&error, NodeError::Exists(id) if *id == one.id), "{error:?}");
    let error = node
        .create(&record(&bench, "two", "one.example", false))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, NodeError::HostTaken { app, .. } if *app == one.id),
        "{error:?}"
    );
    assert!(!has_changed().await);
    let two = record(&bench, "two", "two.example", false);
    node.create(&two).await.unwrap();
    let apps = node.apps().await.unwrap();
    assert_eq!(apps, [bench.app_record("app"), one.clone(), two]);

    bench.open_app("one").await.close().await;
    node.delete(&one.id).await.unwrap();
    assert!(has_changed().await);
    let error = node.delete(&one.id).await.unwrap_err();
    assert!(matches!(error, NodeError::Missing(_)), "{error:?}");
    node.create(&one).await.unwrap();
    let store = bench.open_app("one").await;
    assert_eq!(
        store.stats().await.unwrap().last_seq.0,
        0,
        "a new app of an old name is empty"
    );
    store.close().await;
    // The role of the default app moves.
    node.create(&record(&bench, "three", "three.example", true))
        .await
        .unwrap();
    let defaults: Vec<_> = node
        .apps()
        .await
        .unwrap()
        .into_iter()
        .filter(|a| a.is_default)
        .collect();
    assert_eq!(defaults.iter().map(|a| a.id.as_str()).collect::<Vec<_>>(), ["three"]);
}

/// What one app has is no other app's.
pub async fn apps_are_separate(bench: Bench) {
    bench.insert("a", json!({})).await;
    bench.node().create(&bench.app_record("other")).await.unwrap();
    let other = bench.open_app("other").await;
    assert_eq!(other.count(&bench.grant(), &Filter::ALL).await.unwrap(), 0);
    assert!(other.schema().class("Todo").is_none());
    assert!(other.changes_after(fb_types::Seq(0), 10).await.unwrap().is_empty());
    other.close().await;
}

/// Records of the node.
pub async fn node_records_are_swapped(mut bench: Bench) {
    let node = bench.node();
    assert_eq!(node.record("k").await.unwrap(), None);
    assert!(!node.swap_record("k", Some(b"x"), Some(b"y")).await.unwrap());
    assert!(node.swap_record("k", None, Some(b"x")).await.unwrap());
    assert!(!node.swap_record("k", None, Some(b"y")).await.unwrap());
    assert!(node.swap_record("k", Some(b"x"), Some(b"z")).await.unwrap());
    bench.reopen().await;
    let node = bench.node();
    assert_eq!(node.record("k").await.unwrap(), Some(b"z".to_vec()));
    assert!(node.swap_record("k", Some(b"z"), None).await.unwrap());
    assert_eq!(node.record("k").await.unwrap(), None);
}

/// A copy made while the app runs becomes another app.
pub async fn a_backup_is_restored(bench: Bench) {
    let key = |path: &str, direction| IndexKey {
        path: path.into(),
        direction,
    };
    let def = |unique, keys| IndexDef { unique, keys };
    let indexes = vec![
        def(true, vec![key("title", Direction::Asc)]),
        def(false, vec![key("group", Direction::Asc), key("rank", Direction::Desc)]),
        def(false, vec![key("tags", Direction::Asc)]),
        def(false, vec![key("place", Direction::Geo)]),
    ];
    bench
        .store()
        .set_indexes(&bench.admin(), &class(), indexes.clone())
        .await
        .unwrap();
    let stored = bench
        .insert(
            "a",
            json!({ "title": "x", "tags": ["t"], "place": { "latitude": 1, "longitude": 2 } }),
        )
        .await;
    let dir = std::env::temp_dir().join(format!("fb-contract-{}-{:p}", std::process::id(), &bench));
    std::fs::create_dir_all(&dir).unwrap();
    let file = dir.join("app.backup");
    let app = AppId::new("app").unwrap();
    let size = bench.node().backup(&app, &file).await.unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().len(), size);
    assert!(
        bench.node().backup(&app, &file).await.is_err(),
        "an existing file is not overwritten"
    );

    bench.insert("later", json!({ "title": "later" })).await;
    bench.node().restore(&bench.app_record("copy"), &file).await.unwrap();
    let error = bench
        .node()
        .restore(&bench.app_record("copy"), &file)
        .await
        .unwrap_err();
    assert!(matches!(error, NodeError::Exists(_)), "{error:?}");
    let copy = bench.open_app("copy").await;
    assert_eq!(copy.load(&bench.grant(), &stored.key).await.unwrap(), Some(stored));
    assert_eq!(copy.count(&bench.grant(), &Filter::ALL).await.unwrap(), 1);
    assert_eq!(copy.indexes(&class()).await.unwrap(), indexes);
    assert_eq!(copy.schema().rev(), bench.store().schema().rev());
    copy.close().await;

    let missing = dir.join("missing.backup");
    assert!(bench.node().restore(&bench.app_record("none"), &missing).await.is_err());
    std::fs::write(&missing, "no backup").unwrap();
    let error = bench
        .node()
        .restore(&bench.app_record("none"), &missing)
        .await
        .unwrap_err();
    assert!(matches!(error, NodeError::BadBackup { .. }), "{error:?}");
    assert!(
        !bench
            .node()
            .apps()
            .await
            .unwrap()
            .iter()
            .any(|a| a.id.as_str() == "none")
    );
    std::fs::remove_dir_all(&dir).unwrap();
}
