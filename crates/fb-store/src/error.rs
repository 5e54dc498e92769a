//! What a caller of any store can act on. Drivers' own errors stop at the backend crate.

use std::time::Duration;

use fb_types::AppId;

use crate::Refusal;

/// Any error, as a source.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a store did not do what it was asked. Whatever the reason, nothing of the request was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A write of the batch was refused; the whole batch was left out.
    #[error("write {index} of the batch was refused: {refusal}")]
    Refused {
        /// Position in the batch.
        index: usize,
        /// Why.
        refusal: Refusal,
    },
    /// Another object holds the same value in a unique index.
    #[error("unique index {index} of class {class} already holds this value")]
    Duplicate {
        /// Class of the index.
        class: String,
        /// Fields of the index, joined by commas.
        index: String,
    },
    /// A unique index cannot be created because objects share a value.
    #[error("objects of class {class} share values of {index}")]
    NotUnique {
        /// Class of the index.
        class: String,
        /// Fields of the index, joined by commas.
        index: String,
    },
    /// The schema was changed since the write was checked; check it again.
    #[error("the schema was changed meanwhile")]
    SchemaChanged,
    /// The work took longer than the configured limit.
    #[error("the query took longer than {} ms", limit.as_millis())]
    TooSlow {
        /// The limit.
        limit: Duration,
    },
    /// More writes are waiting than the configured limit.
    #[error("too many writes are waiting")]
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// The store is closed, full or unreachable.
    #[error("the store is not available")]
    Unavailable {
        /// The driver's error.
        #[source]
        source: BoxError,
    },
    /// A bug or a damaged file.
    #[error("failed while {during}")]
    Internal {
        /// What was being done.
        during: &'static str,
        /// The driver's error.
        #[source]
        source: BoxError,
    },
}

/// Why something concerning the set of apps failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// There is such an app already.
    #[error("there is an app {0} already")]
    Exists(AppId),
    /// There is no such app.
    #[error("there is no app {0}")]
    Missing(AppId),
    /// Another app answers to this host name.
    #[error("the host name {host} belongs to app {app}")]
    HostTaken {
        /// The host name.
        host: String,
        /// Its app.
        app: AppId,
    },
    /// A file is no backup, is damaged, or comes from a newer version.
    #[error("{path} cannot be restored: {reason}")]
    BadBackup {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
