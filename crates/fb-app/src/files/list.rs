//! Lists of files.

use fb_auth::{FileOperation, Principal, authorize_file};
use fb_store::FileList;
use fb_types::{BucketName, FolderPath};

use crate::{App, AppError};

/// Most entries of one piece.
const MAX_LISTED: usize = 1000;

/// Which piece of a list is asked for.
#[derive(Debug, Clone)]
pub struct ListWish {
    /// The folder.
    pub folder: FolderPath,
    /// The last entry of the piece before, relative to the bucket.
    pub after: Option<String>,
    /// All files below the folder instead of its own and its subfolders.
    pub is_deep: bool,
    /// At most so many; more than 1,000 are never listed at once.
    pub limit: Option<usize>,
}

/// Names relative to the bucket; subfolders end with `/`.
pub type Listed = Vec<String>;

impl App {
    /// Files that the caller may read, and folders with such files, in the order of their names.
    pub async fn list_files(
        &self,
        caller: &Principal,
        bucket: &BucketName,
        wish: ListWish,
    ) -> Result<Listed, AppError> {
        let (bucket, _) = self.bucket(bucket).await?;
        let grant = authorize_file(caller, FileOperation::List, &bucket)?;
        let list = FileList {
            folder: wish.folder,
            after: wish.after,
            is_deep: wish.is_deep,
            limit: wish.limit.unwrap_or(MAX_LISTED).min(MAX_LISTED),
        };
        Ok(self.store().files(&grant, &list).await?)
    }
}
