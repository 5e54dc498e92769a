//! Writes of files, buckets and contents.

use fb_store::Committed;
use fb_store::{BucketEffect, BucketWrite, ContentWrite, FileEffect, FileWrite, Outcome, Refusal};
use fb_types::{Bucket, BucketName, ChangeKind, ContentId, FileEntry, FileId, Subject, Timestamp, Version};
use rusqlite::{OptionalExtension, params};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Session;
use super::commit::{Failure, lose, refused};
use crate::error::broken;
use crate::feed::Entry;
use crate::files::{self, State};

/// A bucket as it is in the file.
struct Known {
    id: i64,
    version: Version,
    bucket: Bucket,
}

impl Session {
    pub(super) fn apply_file(
        &mut self,
        index: usize,
        write: &FileWrite,
        changes: &mut Vec<Committed>,
    ) -> Result<Outcome, Failure> {
        let name = write.grant.bucket();
        let known = self.bucket(name).map_err(lose)?;
        let found = match &known {
            Some(_) => files::get(&self.conn, name, &write.path).map_err(lose)?,
            None => None,
        };
        let before = found.as_ref().map(|(_, entry)| entry);
        let now = self.shared.clock.now();
        let decision = catch_unwind(AssertUnwindSafe(|| write.decide(before, now)));
        let Ok(decision) = decision else {
            let error = broken("deciding about a file", "the decision panicked");
            return Err(Failure::Batch(error));
        };
        let effect = decision.map_err(|refusal| refused(index, refusal))?;
        let (kind, version, outcome) = match (effect, before) {
            (FileEffect::Keep, _) | (FileEffect::Delete, None) => return Ok(Outcome::Kept),
            (FileEffect::Put(entry), before) => {
                let bucket = known.filter(|known| !known.bucket.is_closing);
                let bucket = bucket.ok_or_else(|| refused(index, Refusal::NoBucket))?;
                if entry.path != write.path {
                    let error = broken("deciding about a file", "the new entry has another name");
                    return Err(Failure::Batch(error));
                }
                if before.map(|before| before.content) != Some(entry.content) {
                    self.use_content(index, entry.content)?;
                    if let Some(before) = before {
                        self.drop_content(before.content, now).map_err(lose)?;
                    }
                }
                self.put_file(bucket.id, &entry).map_err(lose)?;
                let kind = before.map_or(ChangeKind::Insert, |_| ChangeKind::Update);
                (kind, entry.version, Outcome::File(entry))
            }
            (FileEffect::Delete, Some(before)) => {
                self.drop_content(before.content, now).map_err(lose)?;
                let bucket = known.map_or(0, |known| known.id);
                self.conn
                    .prepare_cached("DELETE FROM files WHERE bucket = ?1 AND path = ?2")
                    .and_then(|mut s| s.execute(params![bucket, before.path.as_str()]))
                    .map_err(lose)?;
                (
                    ChangeKind::Delete,
                    before.version.next(),
                    Outcome::Deleted(before.version),
                )
            }
        };
        let subject = Subject::File(FileId::new(name.clone(), write.path.clone()));
        self.record_subject(subject, kind, version, now, changes)?;
        Ok(outcome)
    }

    fn record_subject(
        &mut self,
        subject: Subject,
        kind: ChangeKind,
        version: Version,
        now: Timestamp,
        changes: &mut Vec<Committed>,
    ) -> Result<(), Failure> {
        let entry = Entry {
            subject,
            version,
            kind,
            after: None,
        };
        self.record_change(entry, now, changes)
    }

    fn put_file(&self, bucket: i64, entry: &FileEntry) -> rusqlite::Result<()> {
        let json = |e| rusqlite::Error::ToSqlConversionFailure(Box::new(e));
        let headers = serde_json::to_string(&entry.headers).map_err(json)?;
        let acl = entry
            .acl
            .as_deref()
            .map(serde_json::to_string)
            .transpose()
            .map_err(json)?;
        self.conn
            .prepare_cached(&format!(
                "INSERT OR REPLACE INTO files(bucket, {}) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                files::COLUMNS
            ))?
            .execute(params![
                bucket,
                entry.version.0.cast_signed(),
                entry.content.to_string(),
                entry.size.cast_signed(),
                entry.etag,
                entry.media_type,
                headers,
                acl,
                entry.created_at.millis(),
                entry.updated_at.millis(),
                entry.path.as_str(),
            ])?;
        Ok(())
    }

    /// From now on a file refers to it.
    fn use_content(&self, index: usize, content: ContentId) -> Result<(), Failure> {
        let removed = self
            .conn
            .prepare_cached("DELETE FROM contents WHERE id = ?1 AND state = ?2")
            .and_then(|mut s| s.execute(params![content.to_string(), State::Announced as i64]))
            .map_err(lose)?;
        match removed {
            1 => Ok(()),
            _ => Err(refused(index, Refusal::ContentLost)),
        }
    }

    /// No file refers to it any more.
    fn drop_content(&self, content: ContentId, now: Timestamp) -> rusqlite::Result<()> {
        self.conn
            .prepare_cached("INSERT OR REPLACE INTO contents(id, state, since) VALUES(?1, ?2, ?3)")?
            .execute(params![content.to_string(), State::Dropped as i64, now.millis()])?;
        Ok(())
    }

    pub(super) fn apply_content(&mut self, write: ContentWrite) -> Result<Outcome, Failure> {
        match self.step_content(write).map_err(lose)? {
            0 => Ok(Outcome::Kept),
            _ => Ok(Outcome::Recorded),
        }
    }

    /// The number of contents that took the step.
    fn step_content(&self, write: ContentWrite) -> rusqlite::Result<usize> {
        let (announced, given_up) = (State::Announced as i64, State::GivenUp as i64);
        match write {
            // One that is being removed must not come back.
            ContentWrite::Announce(id) => self
                .conn
                .prepare_cached(
                    "INSERT INTO contents(id, state, since) VALUES(?1, ?2, ?3) \
                     ON CONFLICT(id) DO UPDATE SET since = ?3 WHERE state = ?2",
                )?
                .execute(params![id.to_string(), announced, self.shared.clock.now().millis()]),
            ContentWrite::GiveUp(id) => self
                .conn
                .prepare_cached("UPDATE contents SET state = ?2 WHERE id = ?1")?
                .execute(params![id.to_string(), given_up]),
            ContentWrite::Forget(id) => self
                .conn
                .prepare_cached("DELETE FROM contents WHERE id = ?1 AND state = ?2")?
                .execute(params![id.to_string(), given_up]),
        }
    }

    pub(super) fn apply_bucket(
        &mut self,
        index: usize,
        write: &BucketWrite,
        changes: &mut Vec<Committed>,
    ) -> Result<Outcome, Failure> {
        if let BucketEffect::Put(bucket) | BucketEffect::Ensure(bucket) = &write.to
            && bucket.name != write.name
        {
            let error = broken("writing a bucket", "the new bucket has another name");
            return Err(Failure::Batch(error));
        }
        let known = self.bucket(&write.name).map_err(lose)?;
        let after = match (&write.to, &known) {
            (BucketEffect::Ensure(_), Some(_)) | (BucketEffect::Remove, None) => return Ok(Outcome::Kept),
            (BucketEffect::Put(_), Some(known)) if known.bucket.is_closing => {
                return Err(refused(index, Refusal::NoBucket));
            }
            (BucketEffect::Put(bucket) | BucketEffect::Ensure(bucket), _) => Some(bucket.clone()),
            (BucketEffect::Close, None) => return Err(refused(index, Refusal::NoBucket)),
            (BucketEffect::Close, Some(known)) => Some(Bucket {
                is_closing: true,
                ..known.bucket.clone()
            }),
            (BucketEffect::Remove, Some(known)) => {
                if self.has_files(known.id).map_err(lose)? {
                    return Err(refused(index, Refusal::NotEmpty));
                }
                None
            }
        };
        let version = known.as_ref().map_or(Version::FIRST, |known| known.version.next());
        self.put_bucket(&write.name, version, after.as_ref()).map_err(lose)?;
        let kind = match (&known, &after) {
            (_, None) => ChangeKind::Delete,
            (None, Some(_)) => ChangeKind::Insert,
            (Some(_), Some(_)) => ChangeKind::Update,
        };
        let now = self.shared.clock.now();
        self.record_subject(Subject::Bucket(write.name.clone()), kind, version, now, changes)?;
        Ok(Outcome::Bucket(after))
    }

    fn put_bucket(&self, name: &BucketName, version: Version, bucket: Option<&Bucket>) -> rusqlite::Result<()> {
        let Some(bucket) = bucket else {
            self.conn
                .prepare_cached("DELETE FROM buckets WHERE name = ?1")?
                .execute([name.as_str()])?;
            return Ok(());
        };
        let rules =
            serde_json::to_string(&bucket.rules).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
        self.conn
            .prepare_cached(
                "INSERT INTO buckets(name, version, rules, closing) VALUES(?1, ?2, ?3, ?4) \
                 ON CONFLICT(name) DO UPDATE SET version = ?2, rules = ?3, closing = ?4",
            )?
            .execute(params![
                name.as_str(),
                version.0.cast_signed(),
                rules,
                bucket.is_closing
            ])?;
        Ok(())
    }

    fn has_files(&self, bucket: i64) -> rusqlite::Result<bool> {
        self.conn
            .prepare_cached("SELECT EXISTS(SELECT 1 FROM files WHERE bucket = ?1)")?
            .query_row([bucket], |row| row.get(0))
    }

    fn bucket(&self, name: &BucketName) -> rusqlite::Result<Option<Known>> {
        self.conn
            .prepare_cached("SELECT name, rules, closing, id, version FROM buckets WHERE name = ?1")?
            .query_row([name.as_str()], |row| {
                Ok(Known {
                    id: row.get(3)?,
                    version: crate::read::version(row, 4)?,
                    bucket: files::bucket(row)?,
                })
            })
            .optional()
    }
}
