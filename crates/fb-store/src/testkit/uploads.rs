//! Writes of files, buckets and contents for the tests of them.

use std::sync::Arc;

use fb_auth::{FileAction, FileGrant, FileOperation, authorize_file};
use fb_types::{
    Acl, Bucket, BucketName, ClassAcl, ContentId, FileEntry, FilePath, Permission, RuleMap, Timestamp, Version,
};

use super::bench::Bench;
use super::user;
use crate::{
    Batch, BucketEffect, BucketWrite, ContentWrite, DecideFile, FileEffect, FileWrite, Outcome, Refusal, StoreError,
    Unused, Write,
};

/// A bucket in which everybody may do everything.
pub(super) fn open_to_all(name: &str) -> Bucket {
    Bucket {
        name: BucketName::new(name).unwrap(),
        rules: ClassAcl::default(),
        is_closing: false,
    }
}

/// User 1's rights to the bucket `b` if `given` are its only ones, besides loading.
pub(super) fn grant_with(given: &[Permission]) -> FileGrant {
    let mut bucket = open_to_all("b");
    for permission in [Permission::Insert, Permission::Update, Permission::Delete] {
        let who = if given.contains(&permission) { "1" } else { "2" };
        bucket.rules.set(permission, RuleMap::allow(format!("/db/User/{who}")));
    }
    authorize_file(&user("1"), FileOperation::Load, &bucket).unwrap()
}

pub(super) fn path(name: &str) -> FilePath {
    FilePath::new(name).unwrap()
}

/// Content number `n`.
pub(super) fn content(n: u128) -> ContentId {
    ContentId::from_bytes(n.to_be_bytes())
}

/// Decides to put a content there, whatever is there.
pub(super) fn put(name: &str, content: ContentId, acl: Option<Acl>) -> DecideFile {
    let (path, acl) = (path(name), acl.map(Arc::new));
    Box::new(move |before, moment| {
        Ok(FileEffect::Put(FileEntry {
            path: path.clone(),
            version: before.map_or(Version::FIRST, |entry| entry.version.next()),
            content,
            size: 1 << 40,
            etag: format!("e{content}"),
            media_type: "text/html; charset=utf-8".into(),
            headers: [("x-note".to_owned(), "\"ü\"".to_owned())].into(),
            acl: acl.clone(),
            created_at: before.map_or(moment.now, |entry| entry.created_at),
            updated_at: moment.now,
        }))
    })
}

/// Decides to change metadata of what is there.
pub(super) fn touch() -> DecideFile {
    Box::new(|before, moment| {
        let mut entry = before.ok_or(Refusal::Missing)?.clone();
        entry.version = entry.version.next();
        entry.updated_at = moment.now;
        entry.media_type = "image/png".into();
        Ok(FileEffect::Put(entry))
    })
}

pub(super) fn delete() -> DecideFile {
    Box::new(|_, _| Ok(FileEffect::Delete))
}

pub(super) fn action(action: FileAction, name: &str, n: u128) -> DecideFile {
    match action {
        FileAction::Upload => put(name, content(n), None),
        FileAction::Update => touch(),
        FileAction::Delete => delete(),
    }
}

impl Bench {
    /// All rights to the files of a bucket.
    pub(super) fn files(&self, bucket: &str) -> FileGrant {
        self.admin().files(&BucketName::new(bucket).unwrap())
    }

    pub(super) async fn commit_all(&self, writes: Vec<Write>) -> Result<Vec<Outcome>, StoreError> {
        self.store().commit(Batch { writes }).await
    }

    /// Commits one write.
    pub(super) async fn commit_one(&self, write: Write) -> Result<Outcome, StoreError> {
        let outcomes = self.commit_all(vec![write]).await?;
        Ok(outcomes.into_iter().next().expect("one outcome per write"))
    }

    /// A write of a bucket.
    pub(super) fn bucket_write(&self, name: &str, to: BucketEffect) -> Write {
        Write::Bucket(BucketWrite {
            admin: self.admin(),
            name: BucketName::new(name).unwrap(),
            to,
        })
    }

    pub(super) async fn put_bucket(&self, bucket: Bucket) {
        let write = self.bucket_write(bucket.name.clone().as_str(), BucketEffect::Put(bucket));
        self.commit_one(write).await.expect("the bucket is written");
    }

    /// A write with all rights that puts content `n` there.
    pub(super) fn uploading(&self, bucket: &str, name: &str, n: u128) -> Write {
        write(
            self.files(bucket),
            name,
            FileAction::Upload,
            put(name, content(n), None),
        )
    }

    /// Uploads content `n` with all rights.
    pub(super) async fn upload(&self, bucket: &str, name: &str, n: u128) -> FileEntry {
        self.upload_with_acl(bucket, name, n, None).await
    }

    pub(super) async fn upload_with_acl(&self, bucket: &str, name: &str, n: u128, acl: Option<Acl>) -> FileEntry {
        self.announce(n).await;
        let put = put(name, content(n), acl);
        let write = write(self.files(bucket), name, FileAction::Upload, put);
        match self.commit_one(write).await {
            Ok(Outcome::File(entry)) => entry,
            other => panic!("{name} was not uploaded: {other:?}"),
        }
    }

    pub(super) async fn announce(&self, n: u128) {
        let outcome = self
            .commit_one(Write::Content(ContentWrite::Announce(content(n))))
            .await
            .expect("it is announced");
        assert_eq!(outcome, Outcome::Recorded);
    }

    /// Deletes a file with all rights.
    pub(super) async fn delete_file(&self, bucket: &str, name: &str) -> Outcome {
        let write = write(self.files(bucket), name, FileAction::Delete, delete());
        self.commit_one(write).await.expect("it is deleted")
    }

    /// The entry with all rights.
    pub(super) async fn file(&self, bucket: &str, name: &str) -> Option<FileEntry> {
        let found = self.store().file(&self.files(bucket), &path(name)).await;
        found.expect("it is looked up")
    }

    /// All contents that no file refers to, the numbers in their order.
    pub(super) async fn unused(&self) -> Vec<ContentId> {
        let which = Unused {
            announced_before: Timestamp::from_millis(i64::MAX),
            dropped_before: Timestamp::from_millis(i64::MAX),
            limit: usize::MAX,
        };
        let mut all = self.store().unused_contents(which).await.expect("they are listed");
        all.sort();
        all
    }
}

/// A write of a file.
pub(super) fn write(grant: FileGrant, name: &str, action: FileAction, decide: DecideFile) -> Write {
    Write::File(FileWrite {
        grant,
        path: path(name),
        action,
        decide,
    })
}

/// The refusal, if it is of the only write.
pub(super) fn refusal(result: Result<Outcome, StoreError>) -> Refusal {
    match result {
        Err(StoreError::Refused { index: 0, refusal }) => refusal,
        other => panic!("it was not refused: {other:?}"),
    }
}
