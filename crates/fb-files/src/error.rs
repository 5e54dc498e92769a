//! What can go wrong with contents, by what the caller can do about it.

use fb_types::ContentId;

/// The reason behind an error, of whatever kind.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why an operation on contents failed.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// There is no such content.
    #[error("there is no content {id}")]
    NotFound {
        /// The id that was asked for.
        id: ContentId,
    },
    /// A content has this id already; it is unchanged. New ids are random, so this is a mistake of the caller, or a retry
    /// of a write that had succeeded.
    #[error("a content {id} exists already")]
    Exists {
        /// The id that is taken.
        id: ContentId,
    },
    /// No space, or the quota is used up. Nothing was stored; it works again when something was deleted.
    #[error("the storage of files is full: free space or raise its quota")]
    Full {
        /// The storage's words.
        source: BoxError,
    },
    /// More bytes than fit: into one content, into a variant, or into the limit given to a read.
    #[error("the content is larger than {limit} bytes")]
    TooLarge {
        /// The largest possible size in bytes.
        limit: u64,
    },
    /// The storage does not answer, or not in time. Trying again later may help.
    #[error("the storage of files is unavailable while {during}")]
    Unavailable {
        /// What was attempted.
        during: &'static str,
        /// The reason.
        source: BoxError,
    },
    /// The storage refuses: wrong credentials, missing rights, a read-only file system. Somebody has to repair the setup.
    #[error("the storage of files refuses access while {during}: check its credentials and rights")]
    Denied {
        /// What was attempted.
        during: &'static str,
        /// The reason.
        source: BoxError,
    },
    /// A content is shorter than the range that was asked for: it was damaged from outside.
    #[error("content {id} is damaged: it has {found} bytes and not the {expected} expected")]
    Corrupt {
        /// The content.
        id: ContentId,
        /// The bytes it should have at least.
        expected: u64,
        /// The bytes it has.
        found: u64,
    },
    /// The configuration makes no sense.
    #[error("the storage of files is not set up: {reason}")]
    Setup {
        /// What is wrong with it.
        reason: String,
    },
    /// Anything else: a bug, or a directory in which somebody else writes.
    #[error("the storage of files failed while {during}")]
    Internal {
        /// What was attempted.
        during: &'static str,
        /// The reason.
        source: BoxError,
    },
}

impl FilesError {
    pub(crate) fn internal(during: &'static str, source: impl Into<BoxError>) -> Self {
        Self::Internal {
            during,
            source: source.into(),
        }
    }

    /// An upload that failed before, or whose write was cancelled half-way.
    pub(crate) fn broken_upload() -> Self {
        Self::internal("going on with an upload", "it failed before")
    }
}
