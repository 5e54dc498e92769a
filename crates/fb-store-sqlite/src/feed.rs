//! The change feed.

use std::borrow::Cow;

use bytes::Bytes;
use fb_store::Committed;
use fb_types::{
    BucketName, Change, ChangeKind, ClassName, FileId, FilePath, IdError, ObjectId, ObjectKey, Seq, Stored, Subject,
    Timestamp, Version,
};
use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use crate::options::Retention;
use crate::read::version;

/// End of the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Position {
    pub(crate) seq: u64,
    pub(crate) stamp: u64,
}

/// What one change record says, besides its place in the feed.
pub(crate) struct Entry<'a> {
    pub(crate) subject: Subject,
    pub(crate) version: Version,
    pub(crate) kind: ChangeKind,
    pub(crate) after: Option<&'a Stored>,
}

/// Most records removed by one step of trimming.
pub(crate) const TRIM_STEP: u64 = 1000;

impl Position {
    /// The end of the feed as it is in the file.
    pub(crate) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let last = conn.query_row(
            "SELECT ifnull(max(seq), 0), ifnull((SELECT stamp FROM changes ORDER BY seq DESC LIMIT 1), 0) FROM changes",
            [],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
        )?;
        Ok(Self {
            seq: last.0.unsigned_abs(),
            stamp: last.1.unsigned_abs(),
        })
    }

    /// Appends a record. The stamp is the clock's milliseconds times 2^16, but always greater than the last one.
    pub(crate) fn append(
        &mut self,
        conn: &Connection,
        entry: Entry<'_>,
        now: Timestamp,
        origin: u32,
    ) -> rusqlite::Result<Committed> {
        let clock = now.millis().max(0).unsigned_abs() << 16;
        let next = Self {
            seq: self.seq + 1,
            stamp: clock.max(self.stamp + 1),
        };
        let body = entry.after.map(|stored| text(&stored.body)).transpose()?;
        let (class, key) = columns(&entry.subject);
        conn.prepare_cached(
            "INSERT INTO changes(seq, class, key, version, kind, stamp, origin, at, body) \
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            next.seq.cast_signed(),
            class,
            key,
            entry.version.0.cast_signed(),
            entry.kind.as_str(),
            next.stamp.cast_signed(),
            origin,
            now.millis(),
            body,
        ])?;
        *self = next;
        Ok(Committed {
            change: Change {
                seq: Seq(next.seq),
                subject: entry.subject,
                version: entry.version,
                kind: entry.kind,
                stamp: next.stamp,
                origin,
                at: now,
                body: entry.after.map(|stored| stored.body.clone()),
            },
            after: entry.after.cloned(),
        })
    }
}

/// How a subject is written down: a class and a key. No class begins with a slash.
fn columns(subject: &Subject) -> (Cow<'_, str>, &str) {
    match subject {
        Subject::Object(id) => (Cow::Borrowed(id.class().as_str()), id.key().as_str()),
        Subject::File(id) => (Cow::Owned(format!("{IN_BUCKET}{}", id.bucket())), id.path().as_str()),
        Subject::Bucket(name) => (Cow::Borrowed(BUCKET), name.as_str()),
    }
}

/// In the place of a class: what is about a bucket, and what is about a file in one.
const BUCKET: &str = "/file";
const IN_BUCKET: &str = "/file/";

fn subject(class: &str, key: String) -> Result<Subject, IdError> {
    if class == BUCKET {
        return Ok(Subject::Bucket(BucketName::new(&key)?));
    }
    match class.strip_prefix(IN_BUCKET) {
        Some(bucket) => Ok(Subject::File(FileId::new(
            BucketName::new(bucket)?,
            FilePath::new(&key)?,
        ))),
        None => Ok(Subject::Object(ObjectId::new(
            ClassName::new(class)?,
            ObjectKey::from_encoded(&key)?,
        ))),
    }
}

/// A body as text, which it always is.
pub(crate) fn text(body: &Bytes) -> rusqlite::Result<&str> {
    std::str::from_utf8(body).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))
}

/// Records behind `seq`.
pub(crate) fn changes_after(conn: &Connection, seq: Seq, limit: usize) -> rusqlite::Result<Vec<Change>> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, class, key, version, kind, stamp, origin, at, body FROM changes WHERE seq > ?1 ORDER BY seq \
         LIMIT ?2",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let after = i64::try_from(seq.0).unwrap_or(i64::MAX);
    statement.query_map([after, limit], change)?.collect()
}

fn change(row: &Row<'_>) -> rusqlite::Result<Change> {
    let damaged = |column, what: &str| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, what.into());
    let class: String = row.get(1)?;
    let kind = match row.get_ref(4)?.as_str().unwrap_or_default() {
        "insert" => ChangeKind::Insert,
        "update" => ChangeKind::Update,
        "delete" => ChangeKind::Delete,
        _ => return Err(damaged(4, "unknown kind of change")),
    };
    Ok(Change {
        seq: Seq(row.get::<_, i64>(0)?.unsigned_abs()),
        subject: subject(&class, row.get(2)?).map_err(|_| damaged(1, "nothing that changes"))?,
        version: version(row, 3)?,
        kind,
        stamp: row.get::<_, i64>(5)?.unsigned_abs(),
        origin: row.get(6)?,
        at: Timestamp::from_millis(row.get(7)?),
        body: row.get::<_, Option<String>>(8)?.map(Bytes::from),
    })
}

/// Removes the oldest records that need not be kept, a limited number of them; true if there are more.
pub(crate) fn trim(conn: &Connection, retention: Retention, now: Timestamp) -> rusqlite::Result<bool> {
    let (first, last): (i64, i64) = conn.query_row(
        "SELECT ifnull((SELECT seq FROM changes ORDER BY seq LIMIT 1), 0), ifnull(max(seq), 0) FROM changes",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let keep = i64::try_from(retention.records.max(1)).unwrap_or(i64::MAX);
    let by_number = last.saturating_sub(keep);
    let age = i64::try_from(retention.age.as_millis()).unwrap_or(i64::MAX);
    let removed = conn
        .prepare_cached("DELETE FROM changes WHERE seq >= ?1 AND seq < ?2 AND seq < ?3 AND (seq <= ?4 OR at < ?5)")?
        .execute(params![
            first,
            first.saturating_add_unsigned(TRIM_STEP),
            last,
            by_number,
            now.millis().saturating_sub(age),
        ])?;
    Ok(removed as u64 == TRIM_STEP)
}
