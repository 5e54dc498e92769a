//! From the driver's errors to what callers can act on.

use fb_store::{BoxError, StoreError};
use rusqlite::ErrorCode;

/// The store error for a failure of SQLite.
pub(crate) fn store_error(during: &'static str, error: rusqlite::Error) -> StoreError {
    let source: BoxError = Box::new(error);
    let code = source
        .downcast_ref::<rusqlite::Error>()
        .and_then(rusqlite::Error::sqlite_error_code);
    if code.is_some_and(is_environment) {
        StoreError::Unavailable { source }
    } else {
        StoreError::Internal { during, source }
    }
}

/// True for failures that come from outside: disk, locks, memory. The same request may succeed later.
fn is_environment(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::OutOfMemory
            | ErrorCode::PermissionDenied
    )
}

/// True if a progress handler or a cancellation stopped the statement.
pub(crate) fn is_interrupt(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted)
}

/// True if the statement did not fit the tables, for example because one was dropped meanwhile.
pub(crate) fn is_outdated(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::Unknown | ErrorCode::SchemaChanged)
    ) && matches!(
        error,
        rusqlite::Error::SqliteFailure(..) | rusqlite::Error::SqlInputError { .. }
    )
}

/// An internal error that is no failure of SQLite.
pub(crate) fn broken(during: &'static str, source: impl Into<BoxError>) -> StoreError {
    StoreError::Internal {
        during,
        source: source.into(),
    }
}

/// The store was closed.
pub(crate) fn closed() -> StoreError {
    StoreError::Unavailable {
        source: "the store is closed".into(),
    }
}
