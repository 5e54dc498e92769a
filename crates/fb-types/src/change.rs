//! Change records: the feed that everything behind a commit follows.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{BucketName, FileId, ObjectId, Timestamp, Version};

/// Position in an app's change feed; grows by one with every change, without gaps in what a reader sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Seq(pub u64);

/// What a change is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// An object.
    Object(ObjectId),
    /// A file: its content, its metadata or both.
    File(FileId),
    /// The rules of a bucket.
    Bucket(BucketName),
}

impl Subject {
    /// The object, if it is one.
    pub fn object(&self) -> Option<&ObjectId> {
        match self {
            Self::Object(id) => Some(id),
            Self::File(_) | Self::Bucket(_) => None,
        }
    }
}

/// What happened to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// It did not exist before.
    Insert,
    /// It existed and was changed.
    Update,
    /// It is gone.
    Delete,
}

impl ChangeKind {
    /// The stable name, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// One committed write, in commit order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Position in the feed.
    pub seq: Seq,
    /// What was written.
    pub subject: Subject,
    /// The version after the write; for a delete the last version plus one.
    pub version: Version,
    /// What happened.
    pub kind: ChangeKind,
    /// Hybrid logical clock stamp: milliseconds since the epoch times 2^16 plus a counter; strictly growing per app.
    pub stamp: u64,
    /// The node that committed the write.
    pub origin: u32,
    /// The committing node's clock.
    pub at: Timestamp,
    /// The object's JSON after the write; `None` for a delete, and for files and buckets.
    pub body: Option<Bytes>,
}
