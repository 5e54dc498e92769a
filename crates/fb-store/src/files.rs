//! Files: what a commit is asked to do with them, and how they are listed.
//!
//! The store keeps what is known of files; contents are kept elsewhere, under the ids that entries name. So that no content
//! is ever lost or left behind, the store also keeps the list of contents that no entry refers to: a content is announced
//! before its first byte is written, leaves the list in the commit that makes an entry refer to it, and comes back in the
//! commit after which none does.

use fb_auth::{Admin, FileAction, FileGrant};
use fb_types::{Bucket, BucketName, ContentId, FileEntry, FilePath, Timestamp};

use crate::{Moment, Refusal};

/// Looks at the entry of a file as it is, inside of the commit, and says what becomes of it. The same holds as for
/// [`Decide`](crate::Decide).
pub type DecideFile = Box<dyn Fn(Option<&FileEntry>, Moment) -> Result<FileEffect, Refusal> + Send + Sync>;

/// A write of the entry of one file.
pub struct FileWrite {
    /// The right to write files of the bucket.
    pub grant: FileGrant,
    /// Which file.
    pub path: FilePath,
    /// What the write is, as far as permissions are concerned.
    pub action: FileAction,
    /// What to do, given what is there.
    pub decide: DecideFile,
}

impl std::fmt::Debug for FileWrite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileWrite")
            .field("bucket", self.grant.bucket())
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl FileWrite {
    /// The decision, with the permissions that it takes and the rules of the file as it is applied. Stores call this,
    /// never `decide`.
    pub fn decide(&self, before: Option<&FileEntry>, clock_now: Timestamp) -> Result<FileEffect, Refusal> {
        let now = match before {
            Some(entry) => clock_now.max(Timestamp::from_millis(entry.updated_at.millis() + 1)),
            None => clock_now,
        };
        match (self.decide)(before, Moment { now }) {
            Ok(FileEffect::Keep) => Ok(FileEffect::Keep),
            decision => verdict(&self.grant, self.action, before, decision),
        }
    }
}

/// What is told of `decision` to whoever wants to write, given what is there: first that a permission is missing, then that
/// rules of the file refuse, then what else is wrong. Whoever begins what takes long may ask it in advance.
pub fn verdict<T>(
    grant: &FileGrant,
    action: FileAction,
    before: Option<&FileEntry>,
    decision: Result<T, Refusal>,
) -> Result<T, Refusal> {
    // That a name is taken is no secret: uploading under it tells.
    if matches!(decision, Err(Refusal::Exists)) {
        return decision;
    }
    if let Some(permission) = grant.missing_for(action, before.is_some()) {
        return Err(Refusal::Bucket(permission));
    }
    match before {
        Some(entry) if !grant.may_write(entry.acl.as_deref()) => Err(Refusal::Denied),
        _ => decision,
    }
}

/// What becomes of the entry of a file.
#[derive(Debug)]
pub enum FileEffect {
    /// It is inserted or replaced. A content that it did not refer to before must have been announced.
    Put(FileEntry),
    /// It is removed.
    Delete,
    /// It stays as it is; no change is recorded.
    Keep,
}

/// A write of a bucket.
#[derive(Debug)]
pub struct BucketWrite {
    /// Buckets are the administrators'.
    pub admin: Admin,
    /// Its name.
    pub name: BucketName,
    /// What becomes of it.
    pub to: BucketEffect,
}

/// What becomes of a bucket.
#[derive(Debug)]
pub enum BucketEffect {
    /// It is inserted or replaced.
    Put(Bucket),
    /// It is inserted if there is none.
    Ensure(Bucket),
    /// It takes nothing in any more; its rules stay.
    Close,
    /// It is removed; refused while it has files.
    Remove,
}

/// A step in the life of a content that no file refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentWrite {
    /// Its upload begins.
    Announce(ContentId),
    /// It is about to be removed: no entry can refer to it any more. [`Kept`](crate::Outcome::Kept) if it is not on the list,
    /// because a file has come to refer to it; then it must not be removed.
    GiveUp(ContentId),
    /// It is gone; so it leaves the list.
    Forget(ContentId),
}

/// Which contents without a file are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unused {
    /// Those whose upload began before this and has not ended.
    pub announced_before: Timestamp,
    /// Those that lost their file before this. Those given up are always meant.
    pub dropped_before: Timestamp,
    /// At most so many.
    pub limit: usize,
}

/// A piece of the list of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileList {
    /// What names begin with: a folder, or nothing for the whole bucket.
    pub folder: fb_types::FolderPath,
    /// Names behind this one, as it stands in the list.
    pub after: Option<String>,
    /// All files below the folder, instead of its own files and its subfolders.
    pub is_deep: bool,
    /// At most so many.
    pub limit: usize,
}
