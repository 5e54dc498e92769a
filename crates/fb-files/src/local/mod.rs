//! Contents in a local directory, one file each.
//!
//! Written with the standard library and not with `object_store`'s local store, because that one leaves the modes of files to
//! the process, follows symbolic links, and cannot tell the leftovers of a crash from uploads under way.
//!
//! ```text
//! <root>/tmp/<id>.<random>     an upload under way, locked by its process
//! <root>/<2 hex>/<id>          a content
//! <root>/<2 hex>/<id>.v/<name> a variant of it
//! ```
//!
//! Symbolic links: the last component of a path is opened without following it, and the directories of two digits are
//! looked at before they are used. Whoever can write to the root while the server runs can still win a race against that
//! look; but that is the server's own user, who needs no link.

mod download;
mod list;
mod place;
mod temporary;
mod upload;
mod variant;

pub(crate) use download::LocalDownload;
pub(crate) use place::Place;
pub(crate) use upload::LocalUpload;

use std::io;

use crate::FilesError;

/// Runs blocking file work off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FilesError> + Send + 'static,
) -> Result<T, FilesError> {
    joined(tokio::task::spawn_blocking(work).await)
}

fn joined<T>(result: Result<Result<T, FilesError>, tokio::task::JoinError>) -> Result<T, FilesError> {
    match result {
        Ok(result) => result,
        // The runtime is shutting down, or the work panicked, which was reported where it happened.
        Err(error) => Err(FilesError::internal("working on a file", error)),
    }
}

/// Sorts an error of the file system by what the caller can do about it.
fn io_error(during: &'static str) -> impl FnOnce(io::Error) -> FilesError {
    move |error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            FilesError::Full { source: error.into() }
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => FilesError::Denied {
            during,
            source: error.into(),
        },
        // A network file system that is gone, too many open files, a failing disk: not to be told apart from here.
        io::ErrorKind::StaleNetworkFileHandle
        | io::ErrorKind::TimedOut
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown => FilesError::Unavailable {
            during,
            source: error.into(),
        },
        _ if is_exhausted(&error) => FilesError::Unavailable {
            during,
            source: error.into(),
        },
        _ => FilesError::internal(during, error),
    }
}

/// Whether the process or the system has too many files open.
#[cfg(unix)]
fn is_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::IO)
    )
}

#[cfg(not(unix))]
fn is_exhausted(_: &io::Error) -> bool {
    false
}
