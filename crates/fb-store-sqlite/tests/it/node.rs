//! Data directories.

use std::fs;
use std::time::Duration;

use fb_query::Filter;
use fb_store::testkit::{schema_with, todo_class};
use fb_store::{Node, NodeError, Store, StoreError};
use fb_store_sqlite::{SqliteNode, SqliteOptions};
use fb_types::{ClassName, Schema};
use serde_json::json;

use crate::fixture::{DataDir, World, admin, app, open_options};

#[test]
fn one_server_per_data_directory() {
    let dir = DataDir::new();
    let first = dir.node();
    let second = SqliteNode::open(&dir.path(), SqliteOptions::default());
    assert!(matches!(second, Err(NodeError::Store(StoreError::Unavailable { .. }))));
    let attached = SqliteNode::attach(&dir.path(), SqliteOptions::default());
    assert!(attached.is_ok());
    drop(first);
    dir.node();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_beside_the_server_changes_the_generation() {
    let dir = DataDir::new();
    let server = dir.node();
    let before = server.generation().await.unwrap();
    let command = SqliteNode::attach(&dir.path(), SqliteOptions::default()).unwrap();
    command.create(&app("new")).await.unwrap();
    assert_ne!(server.generation().await.unwrap(), before);
    assert_eq!(server.apps().await.unwrap().len(), 1);
    let store = server
        .open(&app("new").id, open_options(Duration::from_secs(5)))
        .await
        .unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_interrupted_deletion_left_is_swept() {
    let dir = DataDir::new();
    let node = dir.node();
    node.create(&app("kept")).await.unwrap();
    drop(node);
    let apps = dir.path().join("apps");
    fs::create_dir(apps.join("half")).unwrap();
    fs::write(apps.join("half/app.db"), "x").unwrap();
    fs::create_dir(apps.join("Not.An.App")).unwrap();
    fs::create_dir(dir.path().join("trash/1-1")).unwrap();
    let node = dir.node();
    assert!(apps.join("kept/app.db").is_file());
    assert!(!apps.join("half").is_dir());
    assert!(apps.join("Not.An.App").is_dir(), "what is not ours stays");
    assert!(!dir.path().join("trash/1-1").is_dir());
    // Left while the server runs: a new app of that name does not inherit it.
    fs::create_dir(apps.join("half")).unwrap();
    fs::write(apps.join("half/other"), "x").unwrap();
    node.create(&app("half")).await.unwrap();
    assert!(!apps.join("half/other").is_file());
}

fn n_entries(path: &str) -> usize {
    fs::read_dir(path).unwrap().count()
}

fn n_writers() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    tasks
        .filter(|t| fs::read_to_string(t.path().join("comm")).is_ok_and(|c| c.starts_with("fb-writer")))
        .count()
}

#[tokio::test]
async fn closed_apps_leave_no_files_and_threads() {
    let dir = DataDir::fast();
    let node = dir.node();
    let schema = std::sync::Arc::new(schema_with(&Schema::initial().unwrap(), &todo_class(), &[]));
    let grant = admin().grant(&ClassName::new("Todo").unwrap());
    let mut before = None;
    for round in 0..5 {
        let mut worlds = Vec::new();
        for i in 0..20 {
            let name = format!("app{round}-{i}");
            let world = World::new(&node, &name, schema.clone(), "Todo").await;
            let object = json!({ "id": "/db/Todo/a", "version": 1, "createdAt": "2024-01-01T00:00:00Z",
                "updatedAt": "2024-01-01T00:00:00Z" });
            world.put(&[object]).await.unwrap();
            assert_eq!(world.store.count(&grant, &Filter::ALL).await.unwrap(), 1);
            worlds.push(world);
        }
        for (i, world) in worlds.into_iter().enumerate() {
            // Both ways of letting go.
            if i % 2 == 0 {
                world.store.close().await;
            } else {
                world.store.close().await;
                drop(world);
            }
        }
        let now = (n_entries("/proc/self/fd"), n_writers());
        assert_eq!(now.1, 0, "writers are left");
        assert_eq!(*before.get_or_insert(now), now, "files are left after round {round}");
    }
}
