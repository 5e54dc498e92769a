//! Contents of files: which of them go, and when.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use fb_app::files::{FileBody, FileCondition, NewFile, NewRules, Receive, Uploading};
use fb_types::{BucketName, ClassAcl, FileId};

use super::*;

/// Less is kept in memory, and read at once.
const LARGE: usize = 3 << 20;

fn id(path: &str) -> FileId {
    format!("/file/data/{path}").parse().unwrap()
}

fn new() -> NewFile {
    NewFile {
        condition: FileCondition::None,
        media_type: Some("text/plain".into()),
        rules: NewRules::Unchanged,
        headers: None,
        size: None,
    }
}

impl Fixture {
    async fn begin(&self, path: &str, content: Vec<u8>) -> Uploading {
        let id = id(path);
        let uploading = self.app.begin_upload(&self.admin.principal, &id, new());
        let mut uploading = uploading.await.unwrap();
        uploading.write(Bytes::from(content)).await.unwrap();
        uploading
    }

    /// The same, and its content is announced, which takes place beside the upload: one that begins later is in the end
    /// announced later.
    async fn begin_for_sure(&self, path: &str, content: Vec<u8>) -> Uploading {
        let uploading = self.begin(path, content).await;
        self.upload("beside", b"1".to_vec()).await;
        uploading
    }

    pub(super) async fn upload(&self, path: &str, content: Vec<u8>) {
        self.begin(path, content).await.finish(&self.app).await.unwrap();
    }

    async fn body(&self, path: &str) -> FileBody {
        let file = self.app.open_file(&self.admin.principal, &id(path)).await.unwrap();
        self.app.body(&file, None).await.unwrap()
    }

    async fn collect(&self) -> usize {
        self.app.collect_contents().await.unwrap()
    }

    /// Contents that are kept, without what is still being written.
    fn contents(&self) -> Vec<PathBuf> {
        let root = self._dir.path().join("apps").join("main").join("files");
        let mut found = Vec::new();
        files_below(&root, &mut found);
        found.retain(|path| !path.starts_with(root.join("tmp")));
        found.sort();
        found
    }
}

fn files_below(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => files_below(&entry.path(), found),
            false => found.push(entry.path()),
        }
    }
}

async fn read(body: FileBody) -> Vec<u8> {
    match body {
        FileBody::Whole(bytes) => bytes.to_vec(),
        FileBody::Stream(mut download) => {
            let mut all = Vec::new();
            while let Some(piece) = download.next().await {
                all.extend_from_slice(&piece.unwrap());
            }
            all
        }
    }
}

#[tokio::test]
async fn a_content_that_was_replaced_or_deleted_goes_after_ten_minutes() {
    let it = Fixture::new().await;
    it.upload("replaced", b"one".to_vec()).await;
    it.upload("deleted", b"two".to_vec()).await;
    it.upload("kept", b"three".to_vec()).await;
    assert_eq!(it.contents().len(), 3);
    it.upload("replaced", b"new".to_vec()).await;
    it.app
        .delete_file(&it.admin.principal, &id("deleted"), FileCondition::None)
        .await
        .unwrap();
    assert_eq!(it.collect().await, 0);
    it.pass(10 * MINUTE);
    assert_eq!((it.collect().await, it.contents().len()), (0, 4));
    it.pass(1);
    assert_eq!((it.collect().await, it.contents().len()), (2, 2));
    // What files refer to stays, however old.
    it.pass(1000 * DAY);
    assert_eq!((it.collect().await, it.contents().len()), (0, 2));
    assert_eq!(read(it.body("replaced").await).await, b"new");
    assert_eq!(read(it.body("kept").await).await, b"three");
}

#[tokio::test]
async fn whoever_reads_a_file_that_is_replaced_reads_it_to_its_end() {
    let it = Fixture::new().await;
    it.upload("x", vec![b'o'; LARGE]).await;
    let body = it.body("x").await;
    it.upload("x", vec![b'n'; LARGE]).await;
    it.pass(9 * MINUTE);
    it.collect().await;
    assert_eq!(read(body).await, vec![b'o'; LARGE]);
    assert_eq!(read(it.body("x").await).await, vec![b'n'; LARGE]);
}

/// As a crash leaves it, between the content and the commit that would have made it a file.
#[tokio::test]
async fn a_content_that_never_became_a_file_goes_after_a_day() {
    let it = Fixture::new().await;
    it.upload("beside", b"1".to_vec()).await;
    it.upload("x", b"1".to_vec()).await;
    let kept = it.contents();
    let stale = NewFile {
        condition: FileCondition::Tag("another".into()),
        ..new()
    };
    // Refused in advance: nothing was announced, nothing is there.
    let refused = it.app.begin_upload(&it.admin.principal, &id("x"), stale).await;
    assert!(matches!(refused, Err(AppError::FileOutOfDate(_))));
    assert_eq!(it.contents(), kept);

    // Begun, and neither finished nor given up: what killed processes leave.
    let cut_off = it.begin_for_sure("y", vec![b'y'; LARGE]).await;
    std::mem::forget(cut_off);
    it.pass(10 * MINUTE + 1);
    assert_eq!(it.collect().await, 1, "what was beside it before");
    it.pass(DAY - 10 * MINUTE - 1);
    assert_eq!(it.collect().await, 0, "it might still come");
    it.pass(1);
    assert_eq!(it.collect().await, 1);
    assert_eq!(it.collect().await, 0);
    assert_eq!(it.contents().len(), kept.len());
    assert!(it.app.open_file(&it.admin.principal, &id("y")).await.is_err());
}

#[tokio::test]
async fn an_upload_that_is_given_up_or_loses_leaves_nothing() {
    let it = Fixture::new().await;
    it.upload("x", b"1".to_vec()).await;
    let kept = it.contents();
    drop(it.begin("y", vec![b'y'; LARGE]).await);
    it.begin("y", vec![b'y'; LARGE]).await.abort().await;
    // Somebody else was faster: refused in the end, with the whole content there.
    let only_new = NewFile {
        condition: FileCondition::Absent,
        ..new()
    };
    let mut late = it
        .app
        .begin_upload(&it.admin.principal, &id("z"), only_new)
        .await
        .unwrap();
    late.write(Bytes::from(vec![b'l'; LARGE])).await.unwrap();
    it.upload("z", b"first".to_vec()).await;
    assert!(matches!(late.finish(&it.app).await, Err(AppError::FileExists(_))));
    for _ in 0..2000 {
        if it.contents().len() == kept.len() + 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(it.contents().len(), kept.len() + 1, "z's, and nothing of the others");
    assert_eq!(read(it.body("z").await).await, b"first");
    // An announcement that came after all is forgotten in time; z stays.
    it.pass(2 * DAY);
    it.collect().await;
    assert_eq!((it.collect().await, it.contents().len()), (0, kept.len() + 1));
}

/// A late upload cannot bring back what was collected meanwhile.
#[tokio::test]
async fn an_upload_that_took_longer_than_a_day_is_no_file_without_content() {
    let it = Fixture::new().await;
    let slow = it.begin_for_sure("x", vec![b'x'; LARGE]).await;
    it.pass(DAY + 1);
    assert_eq!(it.collect().await, 1);
    let finished = slow.finish(&it.app).await;
    match finished {
        Err(AppError::Contended) => assert!(it.app.open_file(&it.admin.principal, &id("x")).await.is_err()),
        Ok(_) => assert_eq!(read(it.body("x").await).await, vec![b'x'; LARGE]),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn the_deletion_of_a_bucket_is_finished_however_far_it_came() {
    let it = Fixture::new().await;
    let bucket = BucketName::new("data").unwrap();
    for cut_off_after in [0, 1, 5] {
        it.app
            .set_bucket(&it.admin.principal, &bucket, ClassAcl::default())
            .await
            .unwrap();
        for n in 0..210 {
            it.upload(&format!("{n}"), b"1".to_vec()).await;
        }
        {
            let deletion = it.app.delete_bucket(&it.admin.principal, &bucket);
            let mut deletion = std::pin::pin!(deletion);
            for _ in 0..cut_off_after {
                let polled = std::future::poll_fn(|context| std::task::Poll::Ready(deletion.as_mut().poll(context)));
                if polled.await.is_ready() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        let is_there = |names: Vec<BucketName>| names.contains(&bucket);
        if cut_off_after == 0 {
            // It was not even begun.
            it.collect().await;
            assert!(is_there(it.app.list_buckets(&it.admin.principal).await.unwrap()));
            it.app.delete_bucket(&it.admin.principal, &bucket).await.unwrap();
        }
        // The commit that closes it may still be on its way.
        for _ in 0..2000 {
            it.collect().await;
            if !is_there(it.app.list_buckets(&it.admin.principal).await.unwrap()) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!is_there(it.app.list_buckets(&it.admin.principal).await.unwrap()));
        assert!(it.app.open_file(&it.admin.principal, &id("7")).await.is_err());
        it.pass(10 * MINUTE + 1);
        it.collect().await;
        assert_eq!(it.contents().len(), 0);
    }
}

/// A client that hangs up when all is sent drops what completes its content. If the removal came before the completion, the
/// content would stay for ever.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_goes_away_at_the_very_end_leaves_a_file_or_nothing() {
    let it = Fixture::new().await;
    let names: Vec<String> = (0..60).map(|n| format!("f{n}")).collect();
    for (polls, name) in names.iter().enumerate() {
        let uploading = it.begin_for_sure(name, vec![b'x'; LARGE]).await;
        let mut finish = Box::pin(uploading.finish(&it.app));
        for _ in 0..=polls {
            let poll = std::future::poll_fn(|cx| std::task::Poll::Ready(finish.as_mut().poll(cx)));
            if poll.await.is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    let mut left = (0, 0);
    for _ in 0..2000 {
        let mut n_files = 1; // the one beside
        for name in &names {
            n_files += usize::from(it.app.open_file(&it.admin.principal, &id(name)).await.is_ok());
        }
        it.pass(10 * MINUTE + 1);
        it.collect().await;
        left = (it.contents().len(), n_files);
        if left.0 == left.1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(left.0, left.1, "contents, and files that they belong to");
}
