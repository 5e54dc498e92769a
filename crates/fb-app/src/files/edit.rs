//! Metadata of files, and deletion.

use std::sync::Arc;

use fb_auth::{FileAction, FileGrant, FileOperation, Principal, authorize_file};
use fb_store::{Batch, DecideFile, FileEffect, FileList, FileWrite, Moment, Outcome, Refusal, Write};
use fb_types::{BucketName, FileEntry, FileHeaders, FileId, FilePath, FolderPath};

use super::{FileCondition, NewRules};
use crate::{App, AppError};

/// Files that are deleted in one transaction.
const DELETE_CHUNK: usize = 200;

/// What changes of a file's metadata.
#[derive(Debug, Clone)]
pub struct FileChanges {
    /// The new media type in its normal form.
    pub media_type: Option<String>,
    /// The new rules.
    pub rules: NewRules,
    /// The new headers, all of them.
    pub headers: Option<FileHeaders>,
}

impl App {
    /// Changes metadata of a file; its content stays.
    pub async fn update_file(
        &self,
        caller: &Principal,
        id: &FileId,
        condition: FileCondition,
        changes: FileChanges,
    ) -> Result<Arc<FileEntry>, AppError> {
        let (bucket, _) = self.bucket(id.bucket()).await?;
        let grant = authorize_file(caller, FileOperation::Update, &bucket)?;
        super::upload::check_headers(caller, changes.headers.as_ref())?;
        let own = id.clone();
        let decide = move |before: Option<&FileEntry>, moment: Moment| {
            let before = match (before, &condition) {
                (None, FileCondition::None | FileCondition::Exists) => {
                    return Err(AppError::NoFile(own.clone()).refuse());
                }
                (None, _) => return Err(Refusal::Missing),
                (Some(before), _) => before,
            };
            condition.check(Some(before))?;
            let mut entry = before.clone();
            entry.version = before.version.next();
            entry.updated_at = moment.now;
            entry.acl = changes.rules.over(Some(before));
            if let Some(headers) = &changes.headers {
                entry.headers.clone_from(headers);
            }
            if let Some(media_type) = &changes.media_type
                && *media_type != before.media_type
            {
                // Caches do not take a new media type from a confirmation, so the tag has to differ.
                entry.etag = super::upload::retagged(&before.etag, media_type);
                entry.media_type.clone_from(media_type);
            }
            Ok(FileEffect::Put(entry))
        };
        match self.write_file(grant, id, FileAction::Update, Box::new(decide)).await? {
            Outcome::File(entry) => Ok(Arc::new(entry)),
            _ => Err(AppError::internal("writing a file", "the store kept the write")),
        }
    }

    async fn write_file(
        &self,
        grant: FileGrant,
        id: &FileId,
        action: FileAction,
        decide: DecideFile,
    ) -> Result<Outcome, AppError> {
        let write = Write::File(FileWrite {
            grant,
            path: id.path().clone(),
            action,
            decide,
        });
        let committed = self.commit(Batch { writes: vec![write] }).await;
        let outcomes = committed.map_err(|error| AppError::from_file_commit(error, id))?;
        outcomes
            .into_iter()
            .next()
            .ok_or_else(|| AppError::internal("writing a file", "the store did not answer"))
    }

    /// Deletes a file. Without a condition one that is not there is fine.
    pub async fn delete_file(&self, caller: &Principal, id: &FileId, condition: FileCondition) -> Result<(), AppError> {
        let (bucket, _) = self.bucket(id.bucket()).await?;
        let grant = authorize_file(caller, FileOperation::Delete, &bucket)?;
        let decide = move |before: Option<&FileEntry>, _: Moment| match (before, &condition) {
            (None, FileCondition::None) => Ok(FileEffect::Keep),
            _ => condition.check(before).map(|()| FileEffect::Delete),
        };
        self.write_file(grant, id, FileAction::Delete, Box::new(decide))
            .await
            .map(drop)
    }

    /// Deletes all files of a folder that the caller may read and write, and gives their ids. Files that are written
    /// meanwhile may stay.
    pub async fn delete_folder(
        &self,
        caller: &Principal,
        bucket: &BucketName,
        folder: &FolderPath,
    ) -> Result<Vec<FileId>, AppError> {
        let (known, _) = self.bucket(bucket).await?;
        let grant = authorize_file(caller, FileOperation::Delete, &known)?;
        let mut list = FileList {
            folder: folder.clone(),
            after: None,
            is_deep: true,
            limit: DELETE_CHUNK,
        };
        let mut deleted = Vec::new();
        loop {
            let names = self.store().files(&grant, &list).await?;
            let Some(last) = names.last() else { return Ok(deleted) };
            list.after = Some(last.clone());
            let mut writes = Vec::with_capacity(names.len());
            let mut ids = Vec::with_capacity(names.len());
            for name in &names {
                let path = FilePath::new(name)?;
                ids.push(FileId::new(bucket.clone(), path.clone()));
                let own = grant.clone();
                let decide = move |before: Option<&FileEntry>, _: Moment| {
                    Ok(match before {
                        Some(entry) if own.may_write(entry.acl.as_deref()) => FileEffect::Delete,
                        _ => FileEffect::Keep,
                    })
                };
                writes.push(Write::File(FileWrite {
                    grant: grant.clone(),
                    path,
                    action: FileAction::Delete,
                    decide: Box::new(decide),
                }));
            }
            let outcomes = self.commit(Batch { writes }).await?;
            let gone = ids.into_iter().zip(outcomes);
            deleted.extend(gone.filter_map(|(id, outcome)| matches!(outcome, Outcome::Deleted(_)).then_some(id)));
        }
    }
}
