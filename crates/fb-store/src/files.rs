//! Files: what a commit is asked to do with them, and how they are listed.
//!
//! The store keeps what is known of files; contents are kept elsewhere, under the ids that entries name. So that no content
//! is ever lost or left behind, the store also keeps the list of contents that no entry refers to: a content is announced
//! before it exists under its id, leaves the list in the commit that makes an entry refer to it, and comes back in the
//! commit after which none does.

use fb_auth::{Admin, FileAction, FileGrant};
use fb_types::{Bucket, BucketName, ContentId, FileEntry, FilePath, Timestamp};

use crate::{Moment, Refusal};

/// Looks at the entry of a file as it is, inside of the commit, and says what becomes of it. The same holds as for
/// [`Decide`](crate::Decide). What it decides must be what [`FileWrite::action`] says, or to keep.
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
            decision => {
                let effect = verdict(&self.grant, self.action, before, decision)?;
                if self.permits(&effect, before.is_some()) {
                    return Ok(effect);
                }
                let text = "the decision does something else than the write was to do";
                Err(Refusal::Invalid(text.into()))
            }
        }
    }

    /// True if `action`, whose permission was looked at, is what the effect is.
    fn permits(&self, effect: &FileEffect, exists: bool) -> bool {
        match (effect, self.action) {
            (FileEffect::Put(_), FileAction::Upload) | (FileEffect::Delete, FileAction::Delete) => true,
            (FileEffect::Put(_), FileAction::Update) => exists,
            (FileEffect::Put(_), FileAction::Delete) => false,
            (FileEffect::Delete, FileAction::Upload | FileAction::Update) => false,
            (FileEffect::Keep, _) => true,
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

/// A step in the life of a content that no file refers to. Its outcome is [`Outcome::Kept`](crate::Outcome::Kept) if the
/// step was not one from where the content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentWrite {
    /// Its upload begins, or goes on: the time counts anew. Changes nothing of a content that lost its file or was given
    /// up. The id is new, and no file's.
    Announce(ContentId),
    /// It is about to be removed: from now on no entry can refer to it. `Kept` says that it is not on the list: a file
    /// may refer to it, and it must not be removed.
    GiveUp(ContentId),
    /// It is gone; so it leaves the list, if it was given up.
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
    /// Entries of the list whose bytes are behind these, whether or not there is such an entry. A subfolder is before all
    /// that is in it.
    pub after: Option<String>,
    /// All files below the folder, instead of its own files and its subfolders.
    pub is_deep: bool,
    /// At most so many.
    pub limit: usize,
}
