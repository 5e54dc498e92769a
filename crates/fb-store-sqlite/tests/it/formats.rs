//! Files of the older format.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use fb_store::{Node, NodeError, Store, StoreError};
use fb_store_sqlite::{SqliteNode, SqliteStore};
use fb_types::Seq;
use rusqlite::Connection;
use serde_json::json;

use crate::files::{commit, ensure, file, open, upload, world};
use crate::fixture::{DataDir, World, app, open_options};

fn object(key: &str) -> serde_json::Value {
    json!({ "id": format!("/db/Todo/{key}"), "version": 1, "acl": null, "createdAt": "2024-01-01T00:00:00Z",
        "updatedAt": "2024-01-01T00:00:00Z", "title": "x" })
}

fn app_file(dir: &DataDir, name: &str) -> PathBuf {
    dir.path().join("apps").join(name).join("app.db")
}

/// What format 2 has and format 1 had not.
const TO_FORMAT_1: &str = "DROP TABLE files; DROP TABLE buckets; DROP TABLE contents; PRAGMA user_version = 1; VACUUM;";

/// A data directory with an app of format 1 that has an object.
async fn format_1(dir: &DataDir) -> (SqliteNode, World) {
    let node = dir.node();
    let world = world(&node).await;
    world.put(&[object("k1")]).await.unwrap();
    world.store.close().await;
    let conn = Connection::open(app_file(dir, "app")).unwrap();
    conn.execute_batch(TO_FORMAT_1).unwrap();
    conn.close().unwrap();
    assert_eq!(format_of(dir, "app"), 1);
    (node, world)
}

fn format_of(dir: &DataDir, name: &str) -> i32 {
    let conn = Connection::open(app_file(dir, name)).unwrap();
    conn.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

/// It has the object of [`format_1`], and can hold files.
async fn works(store: &SqliteStore, world: &World) {
    let query = world.query(&json!({}), &json!({}), 0, 9);
    assert_eq!(store.query(&world.grant(), &query).await.unwrap().rows().len(), 1);
    assert_eq!(store.changes_after(Seq(0), 9).await.unwrap().len(), 1);
    assert!(store.buckets().await.unwrap().is_empty());
    let writes = [ensure("b")].into_iter().chain(upload("b", "f", 1, None));
    commit(store, writes).await.unwrap();
    assert!(file(store, "b", "f").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_format_1_is_brought_up_to_date() {
    let dir = DataDir::fast();
    let (node, world) = format_1(&dir).await;
    let store = open(&node, "app");
    works(&store, &world).await;
    store.close().await;
    assert_eq!(format_of(&dir, "app"), 2);
    for _ in 0..2 {
        let store = open(&node, "app");
        assert!(file(&store, "b", "f").await.is_some());
        store.close().await;
    }
    // What came of it is what a new app has, for backups too.
    let saved = dir.path().join("saved");
    node.backup(&app("app").id, &saved).await.unwrap();
    node.restore(&app("copy"), &saved).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_bring_a_file_up_to_date_do_it_once() {
    for _ in 0..10 {
        let dir = DataDir::fast();
        let (node, world) = format_1(&dir).await;
        let start = std::sync::Barrier::new(4);
        let stores: Vec<_> = std::thread::scope(|scope| {
            let open = || {
                start.wait();
                open(&node, "app")
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        works(&stores[0], &world).await;
        for store in stores {
            store.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_brought_up_to_date_stays_as_it_is() {
    let dir = DataDir::fast();
    let (node, world) = format_1(&dir).await;
    let conn = Connection::open(app_file(&dir, "app")).unwrap();
    conn.execute_batch("CREATE TABLE contents(x)").unwrap();
    conn.close().unwrap();
    let error = node
        .open_store(&app("app").id, open_options(Duration::from_secs(5)))
        .err()
        .unwrap();
    let NodeError::Store(StoreError::Internal { source, .. }) = &error else {
        panic!("{error:?}")
    };
    assert!(source.to_string().contains("already exists"), "{source}");
    assert_eq!(format_of(&dir, "app"), 1);
    let conn = Connection::open(app_file(&dir, "app")).unwrap();
    conn.execute_batch("DROP TABLE contents").unwrap();
    conn.close().unwrap();
    let store = open(&node, "app");
    works(&store, &world).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_format_1_is_restored() {
    let dir = DataDir::fast();
    let (node, world) = format_1(&dir).await;
    // Nobody has opened the app since: its backup has format 1 still.
    let saved = dir.path().join("saved");
    node.backup(&app("app").id, &saved).await.unwrap();
    let bytes = fs::read(&saved).unwrap();
    assert_eq!(bytes[60..64], [0, 0, 0, 1]);
    node.restore(&app("copy"), &saved).await.unwrap();
    assert_eq!(format_of(&dir, "copy"), 2);
    assert_eq!(fs::read(&saved).unwrap(), bytes, "the backup stays as it is");
    let store = open(&node, "copy");
    works(&store, &world).await;
    store.close().await;
    assert_eq!(format_of(&dir, "app"), 1);
}
