//! Files, buckets and contents: their tables, and the statements that read them.

use std::sync::Arc;

use fb_auth::{FileGrant, Scope};
use fb_store::{FileList, Unused};
use fb_types::{Acl, Bucket, BucketName, ClassAcl, ContentId, FileEntry, FilePath, Permission, RuleMap, Timestamp};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;

use crate::read::version;

pub(crate) const BUCKETS: &str = "CREATE TABLE buckets(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, \
                                  version INTEGER NOT NULL, rules TEXT NOT NULL, closing INTEGER NOT NULL)";
/// Rows in the order of the list of files, whose pages begin with one look-up.
pub(crate) const FILES: &str = "CREATE TABLE files(bucket INTEGER NOT NULL, path TEXT NOT NULL, version INTEGER NOT NULL, \
                                content TEXT NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL, \
                                media_type TEXT NOT NULL, headers TEXT NOT NULL, acl TEXT, created_at INTEGER NOT NULL, \
                                updated_at INTEGER NOT NULL, PRIMARY KEY(bucket, path)) WITHOUT ROWID";
pub(crate) const CONTENTS: &str = "CREATE TABLE contents(id TEXT PRIMARY KEY, state INTEGER NOT NULL, \
                                   since INTEGER NOT NULL) WITHOUT ROWID";
pub(crate) const CONTENTS_BY_TIME: &str = "CREATE INDEX contents_by_time ON contents(state, since)";

/// What became of a content that no file refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Announced = 0,
    Dropped = 1,
    GivenUp = 2,
}

/// Columns of a file in the order that [`entry`] reads them.
pub(crate) const COLUMNS: &str = "version, content, size, etag, media_type, headers, acl, created_at, updated_at, path";

fn damaged(column: usize, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
}

/// A file, and the number of its bucket.
pub(crate) fn get(
    conn: &Connection,
    bucket: &BucketName,
    path: &FilePath,
) -> rusqlite::Result<Option<(i64, FileEntry)>> {
    conn.prepare_cached(&format!(
        "SELECT {COLUMNS}, bucket FROM files WHERE bucket = (SELECT id FROM buckets WHERE name = ?1) AND path = ?2"
    ))?
    .query_row([bucket.as_str(), path.as_str()], |row| Ok((row.get(10)?, entry(row)?)))
    .optional()
}

fn entry(row: &Row<'_>) -> rusqlite::Result<FileEntry> {
    let headers: String = row.get(5)?;
    let acl: Option<String> = row.get(6)?;
    let path: String = row.get(9)?;
    Ok(FileEntry {
        path: FilePath::new(&path).map_err(|e| damaged(9, e))?,
        version: version(row, 0)?,
        content: content(row, 1)?,
        size: row.get::<_, i64>(2)?.unsigned_abs(),
        etag: row.get(3)?,
        media_type: row.get(4)?,
        headers: serde_json::from_str(&headers).map_err(|e| damaged(5, e))?,
        acl: acl
            .map(|text| serde_json::from_str::<Acl>(&text).map(Arc::new))
            .transpose()
            .map_err(|e| damaged(6, e))?,
        created_at: Timestamp::from_millis(row.get(7)?),
        updated_at: Timestamp::from_millis(row.get(8)?),
    })
}

fn content(row: &Row<'_>, column: usize) -> rusqlite::Result<ContentId> {
    let id: String = row.get(column)?;
    id.parse().map_err(|e: fb_types::IdError| damaged(column, e))
}

/// All buckets by name.
pub(crate) fn buckets(conn: &Connection) -> rusqlite::Result<Vec<Bucket>> {
    let mut statement = conn.prepare_cached("SELECT name, rules, closing FROM buckets ORDER BY name")?;
    statement.query_map([], bucket)?.collect()
}

/// A bucket in a row of `name, rules, closing`.
pub(crate) fn bucket(row: &Row<'_>) -> rusqlite::Result<Bucket> {
    let name: String = row.get(0)?;
    let rules: String = row.get(1)?;
    let rules: Value = serde_json::from_str(&rules).map_err(|e| damaged(1, e))?;
    Ok(Bucket {
        name: BucketName::new(&name).map_err(|e| damaged(0, e))?,
        rules: ClassAcl::from_json(&rules, &name).map_err(|e| damaged(1, e))?,
        is_closing: row.get(2)?,
    })
}

/// A piece of the list of files; see [`fb_store::Store::files`].
pub(crate) fn list(conn: &Connection, grant: &FileGrant, list: &FileList) -> rusqlite::Result<Vec<String>> {
    let number: Option<i64> = conn
        .prepare_cached("SELECT id FROM buckets WHERE name = ?1")?
        .query_row([grant.bucket().as_str()], |row| row.get(0))
        .optional()?;
    let mut names = Vec::new();
    let (Some(number), folder) = (number, list.folder.as_str()) else {
        return Ok(names);
    };
    let mut from = start(list);
    // Behind all names that begin with the folder. No text is behind a blob.
    let end = match folder.is_empty() {
        true => rusqlite::types::Value::Blob(Vec::new()),
        false => behind_folder(folder).into(),
    };
    let mut readable = Readable::default();
    let mut statement = conn
        .prepare_cached("SELECT path, acl FROM files WHERE bucket = ?1 AND path >= ?2 AND path < ?3 ORDER BY path")?;
    'pieces: while names.len() < list.limit {
        let mut rows = statement.query(params![number, from, end])?;
        while let Some(row) = rows.next()? {
            if !readable.by(grant.scope(), row)? {
                continue;
            }
            let path = row.get_ref(0)?.as_str().map_err(|e| damaged(0, e))?;
            let rest = path.get(folder.len()..).unwrap_or_default();
            match rest.find('/') {
                Some(at) if !list.is_deep => {
                    let name = &path[..=folder.len() + at];
                    names.push(name.to_owned());
                    // However much is in the subfolder, the next look-up is behind it.
                    from = behind_folder(name);
                    continue 'pieces;
                }
                _ => names.push(path.to_owned()),
            }
            if names.len() == list.limit {
                break;
            }
        }
        break;
    }
    Ok(names)
}

/// The smallest name that may belong to the list, as far as folder and `after` say.
fn start(list: &FileList) -> String {
    let folder = list.folder.as_str();
    let Some(after) = list.after.as_deref().filter(|after| *after > folder) else {
        return folder.to_owned();
    };
    let rest = after.strip_prefix(folder).unwrap_or_default();
    match rest.find('/') {
        // The entry of this subfolder is `after`, or before it, whatever else is in the subfolder.
        Some(at) if !list.is_deep => behind_folder(&after[..=folder.len() + at]),
        _ => format!("{after}\0"),
    }
}

/// The smallest name behind all those that begin with this one, which ends with a slash.
fn behind_folder(folder: &str) -> String {
    // The character after the slash.
    format!("{}0", folder.strip_suffix('/').unwrap_or(folder))
}

/// Remembers the last decision: files of one folder mostly have the same rules.
#[derive(Default)]
struct Readable {
    acl: String,
    is_readable: bool,
}

impl Readable {
    /// True if the scope may read the file in a row of `path, acl`.
    fn by(&mut self, scope: &Scope, row: &Row<'_>) -> rusqlite::Result<bool> {
        let Some(text) = row.get_ref(1)?.as_str_or_null().map_err(|e| damaged(1, e))? else {
            return Ok(true);
        };
        if text != self.acl {
            let acl: Acl = serde_json::from_str(text).map_err(|e| damaged(1, e))?;
            self.is_readable = scope.may_read(Some(&acl));
            text.clone_into(&mut self.acl);
        }
        Ok(self.is_readable)
    }
}

/// Contents that no file refers to, the oldest first within each state.
pub(crate) fn unused(conn: &Connection, which: Unused) -> rusqlite::Result<Vec<ContentId>> {
    let mut statement = conn.prepare_cached(
        "SELECT id FROM (SELECT id FROM contents WHERE state = ?1 AND since < ?2 ORDER BY since LIMIT ?6) \
         UNION ALL SELECT id FROM (SELECT id FROM contents WHERE state = ?3 AND since < ?4 ORDER BY since LIMIT ?6) \
         UNION ALL SELECT id FROM (SELECT id FROM contents WHERE state = ?5 ORDER BY since LIMIT ?6) LIMIT ?6",
    )?;
    let limit = i64::try_from(which.limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(
        params![
            State::Announced as i64,
            which.announced_before.millis(),
            State::Dropped as i64,
            which.dropped_before.millis(),
            State::GivenUp as i64,
            limit
        ],
        |row| content(row, 0),
    )?;
    rows.collect()
}

/// Rows that no write of ours leaves. Beyond 2^53 bytes a size has no exact number in JSON.
const DAMAGED: &[(&str, &str)] = &[
    (
        "buckets",
        "SELECT 1 FROM buckets WHERE typeof(version) <> 'integer' OR version < 1 OR closing NOT IN (0, 1)",
    ),
    (
        "files",
        "SELECT 1 FROM files WHERE typeof(version) <> 'integer' OR version < 1 OR typeof(size) <> 'integer' \
         OR size NOT BETWEEN 0 AND 9007199254740992",
    ),
    (
        "contents",
        "SELECT 1 FROM contents WHERE state NOT IN (0, 1, 2) OR typeof(since) <> 'integer'",
    ),
    (
        "files outside of buckets",
        "SELECT 1 FROM files WHERE bucket NOT IN (SELECT id FROM buckets)",
    ),
    (
        "files whose contents are listed as unused",
        "SELECT 1 FROM files WHERE content IN (SELECT id FROM contents)",
    ),
    (
        "files that share a content",
        "SELECT 1 FROM files GROUP BY content HAVING count(*) > 1",
    ),
];

/// What every file must be for the server to work with it; the error says what is wrong.
pub(crate) fn check(conn: &Connection) -> Result<(), String> {
    let text = |e: rusqlite::Error| format!("its files are damaged: {e}");
    for (what, rows) in DAMAGED {
        let found: bool = conn
            .query_row(&format!("SELECT EXISTS({rows})"), [], |row| row.get(0))
            .map_err(text)?;
        if found {
            return Err(format!("its files are damaged: {what}"));
        }
    }
    let buckets = buckets(conn).map_err(text)?;
    let is_data = |(permission, _): (Permission, &RuleMap)| Permission::DATA.contains(&permission);
    if !buckets.iter().all(|bucket| bucket.rules.iter().all(is_data)) {
        return Err("its buckets have rules that are none of buckets".to_owned());
    }
    let mut statement = conn.prepare(&format!("SELECT {COLUMNS} FROM files")).map_err(text)?;
    let mut rows = statement.query([]).map_err(text)?;
    while let Some(row) = rows.next().map_err(text)? {
        let entry = entry(row).map_err(text)?;
        if !can_be_sent(&entry) {
            return Err(format!("its file {} has headers that cannot be sent", entry.path));
        }
    }
    let mut statement = conn.prepare("SELECT id FROM contents").map_err(text)?;
    let mut rows = statement.query([]).map_err(text)?;
    while let Some(row) = rows.next().map_err(text)? {
        content(row, 0).map_err(text)?;
    }
    Ok(())
}

/// True if what goes into headers of responses has the form of such: it cannot end a header and begin another one.
fn can_be_sent(entry: &FileEntry) -> bool {
    let is_value = |text: &str| !text.chars().any(char::is_control);
    let is_token = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&c);
    let is_visible = |c: u8| (b' '..=b'~').contains(&c);
    let is_tag = |c: u8| c.is_ascii_graphic() && c != b'"';
    let is_header = |(name, value): (&String, &String)| {
        !name.is_empty() && name.bytes().all(is_token) && value.bytes().all(is_visible)
    };
    !entry.etag.is_empty()
        && entry.etag.bytes().all(is_tag)
        && is_value(&entry.media_type)
        && entry.headers.iter().all(is_header)
}
