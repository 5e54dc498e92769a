//! Whole small contents, variants, and removal.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use fb_types::ContentId;

use super::download::read_piece;
use super::place::{Place, check_directory, ensure_directory, is_missing, open_regular};
use super::temporary::Temporary;
use super::{blocking, io_error};
use crate::FilesError;

/// How often a directory of variants is emptied again because somebody has put one more into it.
const ATTEMPTS: usize = 8;

impl Place {
    pub(crate) async fn read(self: &Arc<Self>, id: ContentId, limit: usize) -> Result<Bytes, FilesError> {
        let place = Arc::clone(self);
        blocking(move || {
            let (file, size) = place.open(id)?;
            if size > limit as u64 {
                return Err(FilesError::TooLarge { limit: limit as u64 });
            }
            read_piece(&file, id, 0..size)
        })
        .await
    }

    pub(crate) async fn size(self: &Arc<Self>, id: ContentId) -> Result<Option<u64>, FilesError> {
        let place = Arc::clone(self);
        blocking(move || match place.open(id) {
            Ok((_, size)) => Ok(Some(size)),
            Err(FilesError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    pub(crate) async fn variant(self: &Arc<Self>, id: ContentId, name: &str) -> Result<Option<Bytes>, FilesError> {
        let (place, path) = (Arc::clone(self), self.variants(id).join(name));
        blocking(move || {
            // Also while it is being removed: a variant without its content is none.
            match open_regular(&path)? {
                Some((file, size)) if place.has(id)? => read_piece(&file, id, 0..size).map(Some),
                _ => Ok(None),
            }
        })
        .await
    }

    pub(crate) async fn put_variant(
        self: &Arc<Self>,
        id: ContentId,
        name: &str,
        bytes: Bytes,
    ) -> Result<(), FilesError> {
        let (place, directory) = (Arc::clone(self), self.variants(id));
        let path = directory.join(name);
        blocking(move || {
            if !place.has(id)? {
                return Err(FilesError::NotFound { id });
            }
            const DURING: &str = "writing a variant";
            let mut temporary = Temporary::create(&place, id)?;
            temporary.file.write_all(&bytes).map_err(io_error(DURING))?;
            ensure_directory(&directory).map_err(io_error(DURING))?;
            // Its name is not flushed: a variant that is lost is made again.
            let put = temporary.replace(&path);
            // Whoever removes a content removes it before its variants; so one of both sees the other.
            if !place.has(id)? {
                remove_directory(&directory)?;
                return Err(FilesError::NotFound { id });
            }
            put.map_err(io_error(DURING))
        })
        .await
    }

    pub(crate) async fn remove(self: &Arc<Self>, id: ContentId) -> Result<(), FilesError> {
        let place = Arc::clone(self);
        blocking(move || {
            match check_directory(&place.shard(id)).and_then(|()| std::fs::remove_file(place.content(id))) {
                Err(error) if !is_missing(&error) => return Err(io_error("removing a content")(error)),
                _ => {}
            }
            remove_directory(&place.variants(id))
        })
        .await
    }
}

fn remove_directory(path: &Path) -> Result<(), FilesError> {
    let mut last = Ok(());
    for _ in 0..ATTEMPTS {
        // It removes links, it does not follow them.
        last = std::fs::remove_dir_all(path);
        match &last {
            Err(error) if is_missing(error) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            _ => break,
        }
    }
    last.map_err(io_error("removing variants"))
}
