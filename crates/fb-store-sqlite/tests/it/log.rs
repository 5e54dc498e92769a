//! The log between commits and the file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fb_store::Store;
use fb_store::testkit::{schema_with, todo_class};
use fb_types::{ObjectKey, Schema};
use serde_json::json;

use crate::fixture::{DataDir, World};

const TITLE: &str = "a title that stands nowhere else";

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] })
        .collect()
}

/// The names of files that have it: the log, its file, or both.
fn files_with(dir: &Path, text: &str) -> Vec<String> {
    let has = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    let names = files_below(dir).into_iter().filter(has);
    names.map(|path| path.to_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_a_lot_is_read_from_the_file() {
    let dir = DataDir::fast();
    let node = dir.node();
    let schema = Arc::new(schema_with(&Schema::initial().unwrap(), &todo_class(), &[]));
    let world = World::new(&node, "app", schema, "Todo").await;
    let object = json!({ "id": "/db/Todo/1", "version": 1, "acl": null, "createdAt": "2024-01-01T00:00:00Z",
        "updatedAt": "2024-01-01T00:00:00Z", "title": TITLE });
    world.put(&[object]).await.unwrap();
    let in_log = files_with(&dir.path(), TITLE);
    assert!(in_log.iter().all(|name| name.ends_with("-wal")), "{in_log:?}");
    let (grant, key) = (world.grant(), ObjectKey::from_raw("1").unwrap());
    let until = Instant::now() + Duration::from_secs(60);
    while files_with(&dir.path(), TITLE).len() < 2 {
        assert!(Instant::now() < until, "it stays in the log");
        for _ in 0..1_000 {
            assert!(world.store.load(&grant, &key).await.unwrap().is_some());
        }
    }
    world.store.close().await;
}
