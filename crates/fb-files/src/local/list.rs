//! Walks over everything: lists, the removal of an app, and the check at the start.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fb_types::ContentId;

use super::place::{Place, create_new, is_missing, sync_directory};
use super::{blocking, io_error};
use crate::FilesError;

impl Place {
    pub(crate) async fn list(
        self: &Arc<Self>,
        after: Option<ContentId>,
        limit: usize,
    ) -> Result<Vec<ContentId>, FilesError> {
        let place = Arc::clone(self);
        blocking(move || {
            let first = after.map_or(0, |id| id.as_bytes()[0]);
            let mut ids = Vec::new();
            for byte in first..=u8::MAX {
                if ids.len() >= limit {
                    break;
                }
                let shard = place.root().join(format!("{byte:02x}"));
                // In order, and once each: a content and its variants have the same id.
                let found = ids_in(&shard).map_err(io_error("listing contents"))?;
                let wanted = found
                    .into_iter()
                    .filter(|id| Some(*id) > after && id.as_bytes()[0] == byte);
                ids.extend(wanted.take(limit - ids.len()));
            }
            Ok(ids)
        })
        .await
    }

    /// Removes everything, and says how many contents that were.
    pub(crate) async fn remove_all(self: &Arc<Self>) -> Result<u64, FilesError> {
        let place = Arc::clone(self);
        blocking(move || {
            const DURING: &str = "removing the contents of an app";
            let mut removed = 0;
            for byte in 0..=u8::MAX {
                let shard = place.root().join(format!("{byte:02x}"));
                removed += ids_in(&shard).map_err(io_error(DURING))?.len() as u64;
            }
            match std::fs::remove_dir_all(place.root()) {
                Err(error) if !is_missing(&error) => Err(io_error(DURING)(error)),
                _ => Ok(removed),
            }
        })
        .await
    }

    /// Whether the disk that this place is or will be on can be written.
    pub(crate) async fn check(self: &Arc<Self>) -> Result<(), FilesError> {
        let place = Arc::clone(self);
        blocking(move || {
            const DURING: &str = "checking the directory of contents";
            let directory = nearest(place.root()).map_err(io_error(DURING))?;
            let mut random = [0; 8];
            getrandom::fill(&mut random).map_err(|error| FilesError::internal(DURING, error))?;
            let path = directory.join(format!(".check-{:016x}", u64::from_ne_bytes(random)));
            let mut file = create_new(&path).map_err(io_error(DURING))?;
            let tried = try_file(&mut file, &path);
            let removed = std::fs::remove_file(&path);
            tried
                .and(removed)
                .and_then(|()| sync_directory(&directory))
                .map_err(io_error(DURING))
        })
        .await
    }
}

fn try_file(file: &mut File, path: &Path) -> io::Result<()> {
    const TEXT: &[u8] = b"A check whether files can be written here; may be deleted.\n";
    file.write_all(TEXT)?;
    file.sync_all()?;
    let mut read = Vec::new();
    File::open(path)?.read_to_end(&mut read)?;
    match read == TEXT {
        true => Ok(()),
        false => Err(io::Error::other("a file does not hold what was written to it")),
    }
}

/// The nearest directory at or above `path` that exists.
fn nearest(path: &Path) -> io::Result<PathBuf> {
    for ancestor in path.ancestors() {
        let ancestor = if ancestor.as_os_str().is_empty() {
            Path::new(".")
        } else {
            ancestor
        };
        if ancestor.try_exists()? {
            return Ok(ancestor.to_owned());
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// The ids of contents, and of what is left of contents, in one directory.
fn ids_in(shard: &Path) -> io::Result<BTreeSet<ContentId>> {
    let entries = match std::fs::read_dir(shard) {
        Ok(entries) => entries,
        Err(error) if is_missing(&error) => return Ok(BTreeSet::new()),
        Err(error) => return Err(error),
    };
    let mut ids = BTreeSet::new();
    for entry in entries {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else { continue };
        ids.extend(name.strip_suffix(".v").unwrap_or(name).parse::<ContentId>());
    }
    Ok(ids)
}
