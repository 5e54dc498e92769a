//! Files: backups of what is known of them, and what lists cost.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fb_auth::{FileAction, FileGrant, FileOperation, Principal, Roles, authorize_file};
use fb_store::testkit::{schema_with, todo_class};
use fb_store::{
    Batch, BucketEffect, BucketWrite, ContentWrite, FileEffect, FileList, FileWrite, Node, NodeError, Outcome, Store,
    StoreError, Write,
};
use fb_store_sqlite::{SqliteNode, SqliteStore};
use fb_types::{
    Acl, Bucket, BucketName, ClassAcl, ContentId, FileEntry, FilePath, FolderPath, Schema, Seq, Timestamp, Version,
};
use rusqlite::Connection;

use crate::fixture::{DataDir, World, admin, app, open_options};

pub(crate) fn bucket(name: &str) -> Bucket {
    Bucket {
        name: BucketName::new(name).unwrap(),
        rules: ClassAcl::default(),
        is_closing: false,
    }
}

fn grant(name: &str) -> FileGrant {
    admin().files(&BucketName::new(name).unwrap())
}

pub(crate) fn ensure(name: &str) -> Write {
    Write::Bucket(BucketWrite {
        admin: admin(),
        name: BucketName::new(name).unwrap(),
        to: BucketEffect::Ensure(bucket(name)),
    })
}

fn content(n: u128) -> ContentId {
    ContentId::from_bytes(n.to_be_bytes())
}

/// The announcement and the upload of content `n`.
pub(crate) fn upload(bucket: &str, name: &str, n: u128, acl: Option<Acl>) -> [Write; 2] {
    let path = FilePath::new(name).unwrap();
    let entry = FileEntry {
        path: path.clone(),
        version: Version::FIRST,
        content: content(n),
        size: 7,
        etag: format!("e{n}"),
        media_type: "text/plain; charset=utf-8".into(),
        headers: [("x-note".to_owned(), "hi, you".to_owned())].into(),
        acl: acl.map(Arc::new),
        created_at: Timestamp::from_millis(1),
        updated_at: Timestamp::from_millis(2),
    };
    let write = FileWrite {
        grant: grant(bucket),
        path,
        action: FileAction::Upload,
        decide: Box::new(move |_, _| Ok(FileEffect::Put(entry.clone()))),
    };
    [Write::Content(ContentWrite::Announce(content(n))), Write::File(write)]
}

pub(crate) async fn commit(
    store: &dyn Store,
    writes: impl IntoIterator<Item = Write>,
) -> Result<Vec<Outcome>, StoreError> {
    let writes = writes.into_iter().collect();
    store.commit(Batch { writes }).await
}

pub(crate) async fn file(store: &dyn Store, bucket: &str, name: &str) -> Option<FileEntry> {
    store.file(&grant(bucket), &FilePath::new(name).unwrap()).await.unwrap()
}

pub(crate) async fn world(node: &SqliteNode) -> World {
    let schema = Arc::new(schema_with(&Schema::initial().unwrap(), &todo_class(), &[]));
    World::new(node, "app", schema, "Todo").await
}

pub(crate) fn open(node: &SqliteNode, name: &str) -> SqliteStore {
    node.open_store(&app(name).id, open_options(Duration::from_secs(20)))
        .unwrap()
}

/// A backup with two buckets, two files, and contents in all states.
async fn saved(dir: &DataDir) -> (SqliteNode, PathBuf) {
    let node = dir.node();
    let world = world(&node).await;
    let store = &world.store;
    let acl = Acl::private_to("/db/User/1");
    let uploads = [
        upload("b", "a/f", 1, Some(acl)),
        upload("b", "g", 2, None),
        upload("b", "g", 3, None),
    ];
    commit(store, [ensure("b"), ensure("empty")]).await.unwrap();
    commit(store, uploads.into_iter().flatten()).await.unwrap();
    for step in [
        ContentWrite::Announce(content(4)),
        ContentWrite::Announce(content(5)),
        ContentWrite::GiveUp(content(5)),
    ] {
        commit(store, [Write::Content(step)]).await.unwrap();
    }
    let saved = dir.path().join("good.backup");
    node.backup(&app("app").id, &saved).await.unwrap();
    world.store.close().await;
    (node, saved)
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_restored() {
    let dir = DataDir::fast();
    let (node, good) = saved(&dir).await;
    node.restore(&app("copy"), &good).await.unwrap();
    let (before, after) = (open(&node, "app"), open(&node, "copy"));
    for name in ["a/f", "g"] {
        let entry = file(&after, "b", name).await;
        assert!(entry.is_some());
        assert_eq!(entry, file(&before, "b", name).await);
    }
    assert_eq!(after.buckets().await.unwrap(), [bucket("b"), bucket("empty")]);
    let all = fb_store::Unused {
        announced_before: Timestamp::from_millis(i64::MAX),
        dropped_before: Timestamp::from_millis(i64::MAX),
        limit: 9,
    };
    let unused = after.unused_contents(all).await.unwrap();
    assert_eq!(unused, [content(4), content(2), content(5)]);
    assert_eq!(
        after.changes_after(Seq(0), 99).await.unwrap(),
        before.changes_after(Seq(0), 99).await.unwrap()
    );
    // It goes on where it was.
    commit(&after, upload("b", "new", 6, None)).await.unwrap();
    after.close().await;
    before.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crafted_files_of_files_are_refused() {
    let dir = DataDir::fast();
    let (node, good) = saved(&dir).await;
    node.restore(&app("good"), &good).await.unwrap();
    let g = "WHERE path = 'g'";
    let (none, three) = (content(99).to_string(), content(3).to_string());
    let changes: &[(&str, &str)] = &[
        // Other definitions.
        ("CREATE INDEX more ON files(content)", "more"),
        ("CREATE TABLE files2(x)", "files2"),
        ("DROP TABLE files", "files"),
        ("DROP INDEX contents_by_time", "contents_by_time"),
        ("ALTER TABLE files ADD COLUMN extra", "files"),
        ("DROP TABLE buckets; CREATE VIEW buckets AS SELECT 1 AS id", "buckets"),
        (
            "CREATE TRIGGER t AFTER INSERT ON files BEGIN DELETE FROM records; END",
            "expected",
        ),
        // Names.
        (&format!("UPDATE files SET path = '../x' {g}"), "`../x` is no file name"),
        (&format!("UPDATE files SET path = 'a//b' {g}"), "no file name"),
        (&format!("UPDATE files SET path = 'ids' {g}"), "no file name"),
        (&format!("UPDATE files SET path = '' {g}"), "no file name"),
        (&format!("UPDATE files SET path = 'a' || char(10) {g}"), "no file name"),
        (&format!("UPDATE files SET path = x'2e2e' {g}"), "damaged"),
        (&format!("UPDATE files SET path = CAST(x'ff' AS TEXT) {g}"), "damaged"),
        ("UPDATE buckets SET name = '..' WHERE name = 'b'", "no bucket name"),
        ("UPDATE buckets SET name = 'buckets' WHERE name = 'b'", "no bucket name"),
        // Rules.
        ("UPDATE buckets SET rules = 'x'", "damaged"),
        ("UPDATE buckets SET rules = '[]'", "damaged"),
        (r#"UPDATE buckets SET rules = '{"admin":{}}'"#, "no permission `admin`"),
        (r#"UPDATE buckets SET rules = '{"load":{"*":"maybe"}}'"#, "damaged"),
        (
            r#"UPDATE buckets SET rules = '{"schemaAdd":{"/db/User/1":"allow"}}'"#,
            "none of buckets",
        ),
        ("UPDATE buckets SET closing = 2", "damaged: buckets"),
        ("UPDATE buckets SET closing = 'x'", "damaged: buckets"),
        ("UPDATE buckets SET version = -1", "damaged: buckets"),
        ("UPDATE buckets SET version = 1.5", "damaged: buckets"),
        // What belongs together.
        ("DELETE FROM buckets WHERE name = 'b'", "outside of buckets"),
        (&format!("UPDATE files SET bucket = 77 {g}"), "outside of buckets"),
        (&format!("UPDATE files SET bucket = 'x' {g}"), "outside of buckets"),
        (
            "UPDATE files SET content = (SELECT max(content) FROM files)",
            "share a content",
        ),
        (
            &format!("INSERT INTO contents VALUES('{three}', 1, 5)"),
            "listed as unused",
        ),
        (
            &format!("UPDATE contents SET id = '{three}' WHERE state = 0"),
            "listed as unused",
        ),
        // Contents.
        (&format!("UPDATE files SET content = '../../x' {g}"), "no content id"),
        (
            &format!("UPDATE files SET content = upper('{}') {g}", "ab".repeat(16)),
            "no content id",
        ),
        ("UPDATE contents SET id = '../../x' WHERE state = 2", "no content id"),
        ("UPDATE contents SET id = '' WHERE state = 2", "no content id"),
        ("UPDATE contents SET state = 3", "damaged: contents"),
        ("UPDATE contents SET state = '../x'", "damaged: contents"),
        ("UPDATE contents SET since = 'x'", "damaged: contents"),
        (
            &format!("INSERT INTO contents VALUES('{none}', 1.5, 5)"),
            "damaged: contents",
        ),
        // What is known of a file.
        (&format!("UPDATE files SET size = -1 {g}"), "damaged: files"),
        (
            &format!("UPDATE files SET size = 9223372036854775807 {g}"),
            "damaged: files",
        ),
        (&format!("UPDATE files SET size = 1.5 {g}"), "damaged: files"),
        (&format!("UPDATE files SET size = 'x' {g}"), "damaged: files"),
        (&format!("UPDATE files SET version = 0 {g}"), "damaged: files"),
        (&format!("UPDATE files SET created_at = 'x' {g}"), "damaged"),
        (&format!("UPDATE files SET updated_at = x'00' {g}"), "damaged"),
        (&format!("UPDATE files SET headers = 'x' {g}"), "damaged"),
        (&format!("UPDATE files SET headers = '[]' {g}"), "damaged"),
        (&format!(r#"UPDATE files SET headers = '{{"a":1}}' {g}"#), "damaged"),
        (&format!("UPDATE files SET acl = 'x' {g}"), "damaged"),
        (&format!("UPDATE files SET acl = '' {g}"), "damaged"),
        (
            &format!(r#"UPDATE files SET acl = '{{"read":{{"*":"maybe"}}}}' {g}"#),
            "damaged",
        ),
        // One header that becomes two.
        (
            &format!(r#"UPDATE files SET headers = '{{"a":"b\r\nset-cookie: x"}}' {g}"#),
            "cannot be sent",
        ),
        (
            &format!(r#"UPDATE files SET headers = '{{"a: b":"c"}}' {g}"#),
            "cannot be sent",
        ),
        (
            &format!(r#"UPDATE files SET headers = '{{"":"c"}}' {g}"#),
            "cannot be sent",
        ),
        (&format!("UPDATE files SET etag = 'a\"b' {g}"), "cannot be sent"),
        (&format!("UPDATE files SET etag = '' {g}"), "cannot be sent"),
        (
            &format!("UPDATE files SET media_type = 'text/html' || char(10) || 'x: y' {g}"),
            "cannot be sent",
        ),
    ];
    let bad = dir.path().join("bad.backup");
    for (i, (sql, expected)) in changes.iter().enumerate() {
        fs::copy(&good, &bad).unwrap();
        let conn = Connection::open(&bad).unwrap();
        conn.execute_batch(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
        conn.close().unwrap();
        match node.restore(&app(&format!("bad{i}")), &bad).await {
            Err(NodeError::BadBackup { reason, .. }) => assert!(reason.contains(expected), "{sql}: {reason}"),
            other => panic!("{sql}: {other:?}"),
        }
    }
    let mut bytes = fs::read(&good).unwrap();
    bytes[59] = 2;
    fs::write(&bad, bytes).unwrap();
    let error = node.restore(&app("utf16"), &bad).await.unwrap_err();
    assert!(error.to_string().contains("another encoding"), "{error}");
    assert_eq!(node.apps().await.unwrap().len(), 2);
}

/// Instructions of the engine that a list takes, to within some hundreds.
async fn cost(store: &SqliteStore, grant: &FileGrant, list: &FileList) -> (Vec<String>, u64) {
    store.files(grant, list).await.unwrap();
    let before = store.steps();
    let names = store.files(grant, list).await.unwrap();
    (names, store.steps() - before)
}

fn page(folder: &str, after: Option<&str>, is_deep: bool, limit: usize) -> FileList {
    FileList {
        folder: FolderPath::new(folder).unwrap(),
        after: after.map(str::to_owned),
        is_deep,
        limit,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_costs_what_it_returns() {
    let dir = DataDir::fast();
    let node = dir.node();
    let world = world(&node).await;
    let store = &world.store;
    commit(store, [ensure("b"), ensure("c")]).await.unwrap();
    let secret = || Some(Acl::private_to("/db/User/2"));
    for start in (0..20_000).step_by(1000) {
        let big = (start..start + 1000).flat_map(|i| upload("b", &format!("m/big/{i:05}"), i, None));
        commit(store, big).await.unwrap();
    }
    for (n, name) in (100_000..).zip(["a", "f/1", "f/2", "m/x", "z"]) {
        let acl = secret().filter(|_| name == "z");
        commit(store, upload("b", name, n, acl)).await.unwrap();
        commit(store, upload("c", name, n + 1000, None)).await.unwrap();
    }
    let user = Principal::user("/db/User/1".parse().unwrap(), Roles::default());
    let user = authorize_file(&user, FileOperation::List, &bucket("b")).unwrap();
    // About 10 instructions per name and look-up, where all files would take 200,000.
    const FEW: u64 = 1500;
    let all = grant("b");
    for (grant, last) in [(&all, Some("z")), (&user, None)] {
        let (names, steps) = cost(store, grant, &page("", None, false, 1000)).await;
        assert_eq!(names, ["a", "f/", "m/"].into_iter().chain(last).collect::<Vec<_>>());
        assert!(steps < FEW, "{steps} for the root");
        let (names, steps) = cost(store, grant, &page("m", None, false, 1000)).await;
        assert_eq!(names, ["m/big/", "m/x"]);
        assert!(steps < FEW, "{steps} for a folder with a large one");
        // What is behind the folder is not looked at.
        for is_deep in [false, true] {
            let (names, steps) = cost(store, grant, &page("f", None, is_deep, 1000)).await;
            assert_eq!(names, ["f/1", "f/2"]);
            assert!(steps < FEW, "{steps} for a folder before a large one");
        }
    }
    let (names, steps) = cost(store, &grant("c"), &page("", None, true, 1000)).await;
    assert_eq!(names.len(), 5);
    assert!(steps < FEW, "{steps} for a bucket beside a large one");

    // A page far behind costs as much as the first one.
    let (names, first) = cost(store, &all, &page("m/big", None, true, 100)).await;
    assert_eq!(names.len(), 100);
    assert!(first < 100 * 30, "{first}");
    for after in ["m/big/00099", "m/big/10000", "m/big/19899"] {
        for is_deep in [false, true] {
            let (names, steps) = cost(store, &all, &page("m/big", Some(after), is_deep, 100)).await;
            assert_eq!(names.len(), 100);
            assert!(
                steps <= first + 512,
                "{steps} behind {after}, {first} for the first page"
            );
        }
    }
    store.close().await;
}
