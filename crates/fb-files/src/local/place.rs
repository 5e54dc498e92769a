//! The directory of one app: its paths, and how files and directories in it are opened and made durable.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use fb_types::ContentId;
use tokio::sync::OnceCell;

use super::io_error;
use crate::FilesError;

/// The directory with the contents of one app. It may not exist yet.
pub(crate) struct Place {
    root: PathBuf,
    /// Set once the leftovers of earlier processes are removed.
    pub(super) swept: OnceCell<()>,
}

impl Place {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self {
            root,
            swept: OnceCell::new(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// The directory that a content and its variants are in.
    pub(super) fn shard(&self, id: ContentId) -> PathBuf {
        self.root.join(format!("{:02x}", id.as_bytes()[0]))
    }

    pub(super) fn content(&self, id: ContentId) -> PathBuf {
        self.shard(id).join(id.to_string())
    }

    pub(super) fn variants(&self, id: ContentId) -> PathBuf {
        self.shard(id).join(format!("{id}.v"))
    }

    /// Opens a content for reading; also says its size.
    pub(super) fn open(&self, id: ContentId) -> Result<(File, u64), FilesError> {
        open_regular(&self.content(id))?.ok_or(FilesError::NotFound { id })
    }

    /// Whether there is a content of this id.
    pub(super) fn has(&self, id: ContentId) -> Result<bool, FilesError> {
        match check_directory(&self.shard(id)) {
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(io_error("looking for a content")(error)),
            Ok(()) => is_there(&self.content(id)),
        }
    }
}

/// Whether anything has this path; a symbolic link counts as itself.
pub(super) fn is_there(path: &Path) -> Result<bool, FilesError> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if is_missing(&error) => Ok(false),
        Err(error) => Err(io_error("looking for a content")(error)),
    }
}

/// Opens a regular file that is reached over no symbolic link in its last two components; `None` when there is nothing.
pub(super) fn open_regular(path: &Path) -> Result<Option<(File, u64)>, FilesError> {
    const DURING: &str = "opening a content";
    if let Some(directory) = path.parent() {
        match check_directory(directory) {
            Err(error) if is_missing(&error) => return Ok(None),
            checked => checked.map_err(io_error(DURING))?,
        }
    }
    let mut options = OpenOptions::new();
    options.read(true);
    do_not_follow(&mut options);
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(io_error(DURING)(error)),
    };
    let metadata = file.metadata().map_err(io_error(DURING))?;
    if !metadata.is_file() {
        return Err(FilesError::internal(DURING, "it is no regular file"));
    }
    Ok(Some((file, metadata.len())))
}

/// Creates a file for writing that nobody else may read. Fails when there is anything at `path`, also a link.
pub(super) fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

/// Makes sure that a directory, given by its path below existing or missing ones, is there and survives a crash.
pub(super) fn ensure_directory(path: &Path) -> io::Result<()> {
    match check_directory(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        checked => return checked,
    }
    let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else {
        return Err(io::ErrorKind::NotFound.into());
    };
    // Above the root a link is the operator's choice.
    if !parent.try_exists()? {
        ensure_directory(parent)?;
    }
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    match builder.create(path) {
        Ok(()) => sync_directory(parent),
        // Made at the same time by somebody else, who may not have come to the flush yet.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            check_directory(path)?;
            sync_directory(parent)
        }
        Err(error) => Err(error),
    }
}

/// Refuses what is no directory, in particular a symbolic link.
pub(super) fn check_directory(path: &Path) -> io::Result<()> {
    let metadata = path.symlink_metadata()?;
    if metadata.is_symlink() {
        return Err(io::Error::other("a directory of contents is a symbolic link"));
    }
    if !metadata.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok(())
}

/// Flushes the names in a directory.
#[cfg(unix)]
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Directories cannot be flushed here; the file system's journal has to do.
#[cfg(not(unix))]
pub(super) fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
pub(super) fn do_not_follow(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    // NONBLOCK: opening a pipe that somebody planted does not hang; it means nothing for files.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    options.custom_flags(flags.bits().cast_signed());
}

#[cfg(not(unix))]
pub(super) fn do_not_follow(_: &mut OpenOptions) {}

/// Whether the error says that there is nothing of this name.
pub(super) fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
