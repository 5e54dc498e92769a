//! Where the body of a stored answer is.

use std::sync::Weak;

use bytes::Bytes;

use crate::disk::Piece;

/// A body.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Memory(Bytes),
    /// Gone when the disk had to make room.
    Disk(Weak<Piece>),
}

impl Content {
    /// Bytes of memory.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Memory(bytes) => bytes.len(),
            Self::Disk(_) => 0,
        }
    }

    /// The body, if it is in memory.
    pub(crate) fn in_memory(&self) -> Option<Bytes> {
        match self {
            Self::Memory(bytes) => Some(bytes.clone()),
            Self::Disk(_) => None,
        }
    }

    /// The body. `None` if it is gone, or not what was written.
    pub(crate) async fn read(&self) -> Option<Bytes> {
        match self {
            Self::Memory(bytes) => Some(bytes.clone()),
            Self::Disk(piece) => piece.upgrade()?.read().await,
        }
    }
}
