//! Files that are no backups, or more than backups.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fb_store::testkit::{schema_with, todo_class};
use fb_store::{Node, NodeError, Store};
use fb_types::Schema;
use rusqlite::Connection;
use serde_json::json;

use crate::fixture::{DataDir, World, app, index, open_options};

/// An app with objects and all kinds of indexes, and a backup of it.
async fn saved(dir: &DataDir) -> (fb_store_sqlite::SqliteNode, std::path::PathBuf) {
    let node = dir.node();
    let schema = Arc::new(schema_with(&Schema::initial().unwrap(), &todo_class(), &[]));
    let world = World::new(&node, "app", schema, "Todo").await;
    world
        .set_indexes(vec![
            index(&["title"]),
            index(&["tags"]),
            index(&["@place"]),
            index(&["missing"]),
        ])
        .await;
    let object = |i: usize| {
        let acl = if i == 7 {
            json!({ "read": { "/db/User/1": "allow" } })
        } else {
            json!(null)
        };
        json!({ "id": format!("/db/Todo/k{i}"), "version": 1, "acl": acl, "createdAt": "2024-01-01T00:00:00Z",
            "updatedAt": "2024-01-01T00:00:00Z", "title": format!("t{i}"), "tags": ["a", "b"],
            "place": { "latitude": 1, "longitude": i } })
    };
    world.put(&(0..300).map(object).collect::<Vec<_>>()).await.unwrap();
    let file = dir.path().join("good.backup");
    node.backup(&app("app").id, &file).await.unwrap();
    world.store.close().await;
    (node, file)
}

#[tokio::test(flavor = "multi_thread")]
async fn crafted_files_are_refused() {
    let dir = DataDir::fast();
    let (node, good) = saved(&dir).await;
    node.restore(&app("good"), &good).await.unwrap();
    let store = node
        .open(&app("good").id, open_options(Duration::from_secs(5)))
        .await
        .unwrap();
    store.close().await;

    let bad = dir.path().join("bad.backup");
    let changes: &[(&str, &str)] = &[
        ("CREATE TABLE extra(x)", "extra"),
        (
            "CREATE TRIGGER evil AFTER INSERT ON c1 BEGIN DELETE FROM records; END",
            "evil",
        ),
        (
            "CREATE TRIGGER x1 AFTER INSERT ON c1 BEGIN DELETE FROM records; END",
            "x1",
        ),
        ("CREATE VIEW v AS SELECT * FROM records", "v"),
        ("CREATE INDEX more ON c1(body)", "more"),
        ("DROP INDEX x1; CREATE INDEX x1 ON c1(abs(version))", "x1"),
        ("DROP INDEX x1", "x1"),
        ("DROP TABLE records", "records"),
        (
            "DROP TABLE records; CREATE VIEW records AS SELECT 1 AS space, 2 AS key, 3 AS value",
            "records",
        ),
        ("ALTER TABLE c1 ADD COLUMN extra", "c1"),
        ("CREATE VIRTUAL TABLE fts USING fts5(x)", "fts"),
        ("PRAGMA user_version = 99", "format 99"),
        ("PRAGMA application_id = 7", "no app"),
        ("UPDATE meta SET value = 'x' WHERE key = 'schema'", "catalog"),
        (
            "UPDATE meta SET value = '{\"format\":2}' WHERE key = 'schema'",
            "catalog",
        ),
        ("UPDATE classes SET name = '../x'", "catalog"),
        ("UPDATE c1 SET body = '[]' WHERE rid = 1", "damaged"),
        ("UPDATE c1 SET body = x'00' WHERE rid = 1", "damaged"),
        ("UPDATE c1 SET acl = 'x' WHERE rid = 1", "damaged"),
        ("UPDATE c1 SET version = -1 WHERE rid = 1", "damaged"),
        ("UPDATE indexes SET def = 'x'", "catalog"),
        ("DROP TABLE r1", "r1"),
        (
            "DELETE FROM r1 WHERE principal = '/db/User/1'",
            "not listed as expected",
        ),
        ("INSERT INTO r1 VALUES('*', 8)", "not listed as expected"),
        ("INSERT INTO r1 VALUES('*', 1000)", "not listed as expected"),
        (
            "UPDATE classes SET has_rules = 0; DROP TABLE r1",
            "not listed as expected",
        ),
    ];
    for (i, (sql, expected)) in changes.iter().enumerate() {
        fs::copy(&good, &bad).unwrap();
        let conn = Connection::open(&bad).unwrap();
        conn.execute_batch(sql).unwrap();
        conn.close().unwrap();
        refused(&node, &format!("bad{i}"), &bad, expected, sql).await;
    }

    let bytes = fs::read(&good).unwrap();
    fs::write(&bad, &bytes[..bytes.len() / 2]).unwrap();
    refused(&node, "half", &bad, "", "half of the file").await;
    fs::write(&bad, &bytes[..50]).unwrap();
    refused(&node, "short", &bad, "", "50 bytes").await;
    for (i, at) in (4096..bytes.len()).step_by(bytes.len() / 23).enumerate() {
        let mut damaged = bytes.clone();
        damaged[at..(at + 64).min(bytes.len())].fill(0xa5);
        fs::write(&bad, &damaged).unwrap();
        // Damage inside of a text cannot be told from a text; what is accepted must at least work.
        if node.restore(&app(&format!("flip{i}")), &bad).await.is_ok() {
            let store = node
                .open(&app(&format!("flip{i}")).id, open_options(Duration::from_secs(5)))
                .await
                .unwrap();
            store.close().await;
        }
    }
    assert!(!dir.path().join("apps/bad0").is_dir());
    assert_eq!(
        fs::read_dir(dir.path().join("trash")).unwrap().count(),
        0,
        "drafts are left"
    );
}

async fn refused(node: &fb_store_sqlite::SqliteNode, name: &str, file: &Path, expected: &str, what: &str) {
    match node.restore(&app(name), file).await {
        Err(NodeError::BadBackup { reason, .. }) => assert!(reason.contains(expected), "{what}: {reason}"),
        other => panic!("{what}: {other:?}"),
    }
    assert!(
        !node.apps().await.unwrap().iter().any(|a| a.id == app(name).id),
        "{what}"
    );
}
