//! Files: their content, their metadata, and the buckets they are in.

mod archive;
mod buckets;
mod collect;
mod edit;
mod encoding;
mod image;
mod incoming;
mod list;
mod read;
mod spool;
mod unpack;
mod upload;

use std::sync::Arc;

use fb_auth::Denied;
use fb_store::{Refusal, StoreError};
use fb_types::{Acl, FileEntry, FileId, Timestamp};

use crate::AppError;

pub use archive::PackedBucket;
pub(crate) use buckets::Buckets;
pub use edit::FileChanges;
pub use encoding::Encoding;
pub use image::{Image, ImageSettings, ImageVariant};
pub use incoming::Receive;
pub use list::{ListWish, Listed};
pub(crate) use read::ContentCache;
pub use read::{FileBody, OpenFile, SiteAccess};
pub use unpack::UploadingArchive;
pub use upload::{NewFile, Uploading};

/// A caller's condition on the file it writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileCondition {
    /// None.
    None,
    /// There is no such file.
    Absent,
    /// There is such a file.
    Exists,
    /// It has this tag.
    Tag(String),
    /// It was not written after this second.
    NotAfter(Timestamp),
}

impl FileCondition {
    fn check(&self, before: Option<&FileEntry>) -> Result<(), Refusal> {
        match (self, before) {
            (Self::None, _) | (Self::Absent, None) | (Self::Exists, Some(_)) => Ok(()),
            (Self::Absent, Some(_)) => Err(Refusal::Exists),
            (Self::Tag(tag), Some(entry)) if *tag == entry.etag => Ok(()),
            (Self::NotAfter(moment), Some(entry)) if entry.updated_at.seconds() <= moment.seconds() => Ok(()),
            (Self::Tag(_) | Self::NotAfter(_), Some(entry)) => Err(Refusal::VersionMismatch { found: entry.version }),
            (Self::Exists | Self::Tag(_) | Self::NotAfter(_), None) => Err(Refusal::Missing),
        }
    }
}

/// What a request says about the rules of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewRules {
    /// Nothing: they stay.
    Unchanged,
    /// These from now on; `None` is public.
    Set(Option<Acl>),
}

impl NewRules {
    fn over(&self, before: Option<&FileEntry>) -> Option<Arc<Acl>> {
        match self {
            Self::Unchanged => before.and_then(|entry| entry.acl.clone()),
            Self::Set(acl) => acl.clone().map(Arc::new),
        }
    }
}

impl AppError {
    /// What a failed commit means for the one file that was to be written.
    fn from_file_commit(error: StoreError, id: &FileId) -> Self {
        match error {
            StoreError::Refused { refusal, .. } => Self::from_file_refusal(refusal, id),
            other => other.into(),
        }
    }

    fn from_file_refusal(refusal: Refusal, id: &FileId) -> Self {
        match refusal {
            Refusal::Exists => Self::FileExists(id.clone()),
            Refusal::Missing | Refusal::VersionMismatch { .. } => Self::FileOutOfDate(id.clone()),
            Refusal::Denied => Denied::File(id.to_string()).into(),
            Refusal::Bucket(permission) => Denied::Bucket {
                bucket: id.bucket().clone(),
                permission,
            }
            .into(),
            Refusal::NoBucket => Self::BucketClosing(id.bucket().clone()),
            Refusal::ContentLost => Self::Contended,
            Refusal::NotEmpty | Refusal::Record { .. } => Self::Contended,
            Refusal::Invalid(source) => match source.downcast::<Self>() {
                Ok(error) => *error,
                Err(source) => Self::internal("writing a file", source),
            },
        }
    }
}
