//! What is told to subscribers.

use bytes::Bytes;
use fb_types::{ChangeKind, ObjectKey, Seq};

/// One change of one result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The write it comes from; of a renewal, the position of its snapshot.
    pub seq: Seq,
    /// How the result changes.
    pub what: What,
    /// What was done to this object.
    pub operation: Operation,
    /// The object's place in the result, from 0; only of sorted queries, and not if it is gone.
    pub index: Option<usize>,
    /// The object's key.
    pub key: ObjectKey,
    /// What may be shown of it.
    pub content: Content,
}

/// How a result changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum What {
    /// The object is in it now.
    Add,
    /// It is in it, and at the same place.
    Change,
    /// It is in it, at another place.
    ChangeIndex,
    /// It is not in it any more.
    Remove,
}

/// What was done to the object of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// It was inserted.
    Insert,
    /// It was changed.
    Update,
    /// It was deleted.
    Delete,
    /// Nothing: another object made place or took its place.
    None,
}

impl From<ChangeKind> for Operation {
    fn from(kind: ChangeKind) -> Self {
        match kind {
            ChangeKind::Insert => Self::Insert,
            ChangeKind::Update => Self::Update,
            ChangeKind::Delete => Self::Delete,
        }
    }
}

/// What may be shown of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Its JSON.
    Whole(Bytes),
    /// Its id: it is deleted, or may not be read any more.
    IdOnly,
}
