//! Writes: what a commit is asked to do.

use fb_auth::Grant;
use fb_types::{Bucket, FileEntry, ObjectKey, Permission, Seq, Stored, Timestamp, Version};

use crate::BoxError;
use crate::files::{BucketWrite, ContentWrite, FileWrite};

/// Writes that are committed together or not at all.
#[derive(Debug, Default)]
pub struct Batch {
    /// The writes, in order.
    pub writes: Vec<Write>,
}

impl Batch {
    /// A batch of one object write.
    pub fn object(write: ObjectWrite) -> Self {
        Self {
            writes: vec![Write::Object(write)],
        }
    }
}

/// One write of a batch.
#[derive(Debug)]
pub enum Write {
    /// A write of an object.
    Object(ObjectWrite),
    /// A write of a server-side record that no client can reach.
    Record(RecordWrite),
    /// A write of what is known of a file.
    File(FileWrite),
    /// A write of the rules of a bucket.
    Bucket(BucketWrite),
    /// A step in the life of a content that no file refers to.
    Content(ContentWrite),
    /// A note on the changes that the writes before it made, from the last note of the batch on: for each of them a record
    /// of the space [`NOTES`] under its [`note_key`], with this value. Who reads the feed removes it. The outcome is
    /// [`Outcome::Recorded`].
    Note(Vec<u8>),
}

/// The space of the records that are notes on changes.
pub const NOTES: &str = "note";

/// The key of the note on a change: keys are in the order of the feed.
pub fn note_key(seq: Seq) -> String {
    format!("{:016x}", seq.0)
}

/// What the committing store tells a decision.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The time of the write: strictly later than the object's last write, else the clock's.
    pub now: Timestamp,
}

/// Looks at the object as it is, inside of the commit, and says what becomes of it. It may be called more than once
/// (a backend may have to repeat a transaction), must not block, and should be quick: other writes wait for it.
pub type Decide = Box<dyn Fn(Option<&Stored>, Moment) -> Result<Effect, Refusal> + Send + Sync>;

/// A write of one object.
pub struct ObjectWrite {
    /// The right to write objects of the class.
    pub grant: Grant,
    /// Which object.
    pub key: ObjectKey,
    /// Schema revision the new content was checked against; see [`fb_types::Class::floor`].
    pub checked_under: u32,
    /// What to do, given what is there.
    pub decide: Decide,
}

impl std::fmt::Debug for ObjectWrite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectWrite")
            .field("class", self.grant.class())
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl ObjectWrite {
    /// The decision, with the object-level rules of the object as it is applied. Stores call this, never `decide`.
    pub fn decide(&self, before: Option<&Stored>, clock_now: Timestamp) -> Result<Effect, Refusal> {
        let now = match before {
            Some(stored) => clock_now.max(Timestamp::from_millis(stored.updated_at.millis() + 1)),
            None => clock_now,
        };
        let decision = (self.decide)(before, Moment { now });
        let forbidden = before.is_some_and(|stored| !self.grant.scope().may_write(stored.acl.as_deref()));
        match decision {
            // That an id is taken is no secret: inserting under it tells.
            Err(Refusal::Exists) => Err(Refusal::Exists),
            _ if forbidden => Err(Refusal::Denied),
            decision => decision,
        }
    }
}

/// What becomes of an object.
#[derive(Debug)]
pub enum Effect {
    /// It is inserted or replaced.
    Put(Stored),
    /// It is removed.
    Delete,
    /// It stays as it is; no change is recorded.
    Keep,
}

/// Why a write is not done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is such an object already.
    #[error("the object exists already")]
    Exists,
    /// There is no such object.
    #[error("there is no such object")]
    Missing,
    /// The object has another version than the caller expects.
    #[error("the object has version {found}")]
    VersionMismatch {
        /// Its version.
        found: Version,
    },
    /// Object-level rules refuse it.
    #[error("write permission is required on the object")]
    Denied,
    /// A permission on the file's bucket is missing.
    #[error("{} permission is required on the bucket", .0.as_str())]
    Bucket(Permission),
    /// There is no such bucket, or it is being deleted.
    #[error("there is no such bucket")]
    NoBucket,
    /// The bucket still has files.
    #[error("the bucket has files")]
    NotEmpty,
    /// The content was given up, because its upload took too long.
    #[error("the content was given up")]
    ContentLost,
    /// A record is not what the writer expects.
    #[error("record {space}/{key} is not as expected")]
    Record {
        /// Kind of record.
        space: &'static str,
        /// Its key.
        key: String,
    },
    /// The new content does not fit; the source says why.
    #[error("the new content does not fit")]
    Invalid(#[source] BoxError),
}

/// A write of a server-side record: credentials, settings, secrets.
#[derive(Debug, Clone)]
pub struct RecordWrite {
    /// Kind of record, a short name.
    pub space: &'static str,
    /// Key within the space.
    pub key: String,
    /// What must be there for the write to happen.
    pub expect: Expect,
    /// The new value; `None` removes the record.
    pub value: Option<Vec<u8>>,
    /// From this moment on, by the store's clock, the record is absent: for readers, for lists, and for [`Expect`].
    /// `None` is never. The next write of the record sets it anew.
    pub expires_at: Option<Timestamp>,
}

/// A precondition on a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// Whatever is there.
    Anything,
    /// Nothing.
    Absent,
    /// Something.
    Present,
    /// Exactly this value.
    Value(Vec<u8>),
}

impl Expect {
    /// True if `found` meets the precondition.
    pub fn holds(&self, found: Option<&[u8]>) -> bool {
        match self {
            Self::Anything => true,
            Self::Absent => found.is_none(),
            Self::Present => found.is_some(),
            Self::Value(value) => found == Some(value.as_slice()),
        }
    }
}

/// What became of one write of a committed batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The object as it is now.
    Written(Stored),
    /// The object is gone; its last version.
    Deleted(Version),
    /// Nothing was changed: the decision was to keep, there was nothing to delete, or a content is not where the step
    /// begins.
    Kept,
    /// A record was written, a content noted, or a note made.
    Recorded,
    /// What is known of the file now.
    File(FileEntry),
    /// The bucket as it is now; `None` if it is gone.
    Bucket(Option<Bucket>),
}
