//! The layout of an app's file, and how connections to it are set up.
//!
//! | table | content |
//! |---|---|
//! | `meta` | the schema, and positions that outlive trimmed change records |
//! | `records` | server-side records; `records_by_expiry` lists those that expire, by time |
//! | `changes` | the change feed; `seq` is assigned by the writer, without gaps |
//! | `counters` | the next key number per class |
//! | `buckets` | buckets of files and their rules |
//! | `files` | what is known of files; contents are kept elsewhere |
//! | `contents` | contents that no file refers to: being uploaded (0), dropped (1), being removed (2) |
//! | `classes` | numbers of classes that have a table; whether objects of the class have, or had, access rules |
//! | `indexes` | declared indexes, and what the engine has built for each |
//! | `c<n>` | the objects of class number n; `body` is the response's JSON |
//! | `r<n>` | principal → rid, for class number n if it has rules: whom each object is for, `*` if for all but some |
//! | `x<n>` | the engine's index for declared index n |
//! | `m<n>` | element → rid, for declared index n on an array |
//! | `g<n>` | rectangles for declared index n on a geo point |
//!
//! All names are numbered, so that no client's text gets into SQL.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::options::{Durability, SqliteOptions};

/// "FbAp": says that a SQLite file is an app of ours.
pub(crate) const APPLICATION_ID: i32 = 0x4662_4170;
/// Version of the layout, in `PRAGMA user_version`.
pub(crate) const FORMAT: i32 = 2;

/// Tables that came with format 2.
const FILE_TABLES: [&str; 4] = [
    crate::files::BUCKETS,
    crate::files::FILES,
    crate::files::CONTENTS,
    crate::files::CONTENTS_BY_TIME,
];

/// The fixed tables and their indexes.
pub(crate) const TABLES: &[&str] = &[
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "CREATE TABLE records(space TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, expires_at INTEGER, \
     PRIMARY KEY(space, key)) WITHOUT ROWID",
    "CREATE INDEX records_by_expiry ON records(expires_at) WHERE expires_at IS NOT NULL",
    "CREATE TABLE changes(seq INTEGER PRIMARY KEY, class TEXT NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL, \
     kind TEXT NOT NULL, stamp INTEGER NOT NULL, origin INTEGER NOT NULL, at INTEGER NOT NULL, body TEXT)",
    "CREATE TABLE counters(class TEXT PRIMARY KEY, next INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE classes(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, \
     has_rules INTEGER NOT NULL DEFAULT 0)",
    "CREATE TABLE indexes(id INTEGER PRIMARY KEY AUTOINCREMENT, class TEXT NOT NULL, def TEXT NOT NULL, built TEXT)",
    crate::files::BUCKETS,
    crate::files::FILES,
    crate::files::CONTENTS,
    crate::files::CONTENTS_BY_TIME,
];

/// The table of one class.
pub(crate) fn class_table(id: i64) -> String {
    format!(
        "CREATE TABLE c{id}(rid INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, \
         shape INTEGER NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, acl TEXT, \
         body TEXT NOT NULL)"
    )
}

/// Opens for writing.
pub(crate) fn open_writer(path: &Path, options: &SqliteOptions) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    configure(&conn, options)?;
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    conn.pragma_update(
        None,
        "synchronous",
        match options.durability {
            Durability::Full => "FULL",
            Durability::Relaxed => "NORMAL",
        },
    )?;
    // The writer touches the same upper pages of its trees with every transaction; reading them again from the file
    // each time cost a tenth of its CPU. Pages are only allocated as they are needed.
    conn.pragma_update(None, "cache_size", -i64::from(options.writer_cache_kib))?;
    // 16 MiB of log between checkpoints, four times SQLite's default: a page that many transactions change is copied
    // to the file once.
    conn.pragma_update_and_check(None, "wal_autocheckpoint", 4000, |_| Ok(()))?;
    // The log is cut back to this after a burst.
    conn.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))?;
    // Bounds the cost of ANALYZE, and keeps it from taking samples, which would make plans depend on bound values.
    conn.pragma_update_and_check(None, "analysis_limit", 400, |_| Ok(()))?;
    if let Some(pages) = options.max_pages {
        conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    conn.set_prepared_statement_cache_capacity(256);
    Ok(conn)
}

/// Opens for reading only.
pub(crate) fn open_reader(path: &Path, options: &SqliteOptions) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    configure(&conn, options)?;
    let mapped = i64::from(options.mmap_mib) << 20;
    conn.pragma_update_and_check(None, "mmap_size", mapped, |_| Ok(()))?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

/// What every connection to every file of ours needs.
pub(crate) fn configure(conn: &Connection, options: &SqliteOptions) -> rusqlite::Result<()> {
    conn.busy_timeout(Duration::from_secs(5))?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    // No triggers and no views of ours: those of a crafted file must not run either.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    // A prepared statement keeps its plan whatever is bound to it.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.pragma_update(None, "cache_size", -i64::from(options.cache_kib))?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(())
}

/// Creates a new app's file. It must not exist.
pub(crate) fn create(path: &Path, options: &SqliteOptions, schema: &str) -> rusqlite::Result<()> {
    let mut conn = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    configure(&conn, options)?;
    conn.pragma_update(None, "application_id", APPLICATION_ID)?;
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    let tx = conn.transaction()?;
    for table in TABLES {
        tx.execute_batch(table)?;
    }
    tx.execute("INSERT INTO meta(key, value) VALUES('schema', ?1)", [schema])?;
    tx.pragma_update(None, "user_version", FORMAT)?;
    tx.commit()?;
    conn.close().map_err(|(_, error)| error)
}

/// True for formats that [`migrate`] knows how to bring up to date.
pub(crate) fn is_known(format: i32) -> bool {
    (1..=FORMAT).contains(&format)
}

/// Brings a file of an older format up to date, in one transaction. A file that is not ours is left alone.
pub(crate) fn migrate(conn: &Connection) -> rusqlite::Result<()> {
    let read = |name: &str| conn.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    if read("application_id")? != APPLICATION_ID || read("user_version")? != 1 {
        return Ok(());
    }
    conn.execute_batch("BEGIN IMMEDIATE")?;
    // Two processes may have come here at once.
    let result = match read("user_version")? {
        1 => FILE_TABLES
            .iter()
            .try_for_each(|table| conn.execute_batch(table))
            .and_then(|()| conn.pragma_update(None, "user_version", 2)),
        _ => Ok(()),
    };
    let result = result.and_then(|()| conn.execute_batch("COMMIT"));
    if result.is_err() {
        // The engine may have done so itself; whoever opened the file drops the connection in any case.
        let _ = conn.execute_batch("ROLLBACK");
    }
    result
}

/// What an existing file says it is, once it was brought up to date.
pub(crate) fn check_version(conn: &Connection) -> Result<(), String> {
    let read = |name: &str| conn.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let id = read("application_id").map_err(|e| e.to_string())?;
    let format = read("user_version").map_err(|e| e.to_string())?;
    if id != APPLICATION_ID {
        return Err("it is no app of Freshbase".to_owned());
    }
    if format != FORMAT {
        return Err(format!(
            "it has format {format}, this version knows formats 1 to {FORMAT}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn tables(conn: &Connection) -> Vec<String> {
        let mut statement = conn
            .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
            .unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    /// A file of format 1 with the statements that made one.
    fn format_1(path: &Path) -> Connection {
        let options = SqliteOptions::default();
        create(path, &options, "{}").unwrap();
        let conn = open_writer(path, &options).unwrap();
        conn.execute_batch("DROP TABLE files; DROP TABLE buckets; DROP TABLE contents; PRAGMA user_version = 1")
            .unwrap();
        conn
    }

    #[test]
    fn what_was_brought_up_to_date_is_like_new() {
        let dir = tempfile::tempdir().unwrap();
        let old = format_1(&dir.path().join("old.db"));
        create(&dir.path().join("new.db"), &SqliteOptions::default(), "{}").unwrap();
        let new = Connection::open(dir.path().join("new.db")).unwrap();
        assert_ne!(tables(&old), tables(&new));
        assert!(check_version(&old).is_err());
        for _ in 0..2 {
            migrate(&old).unwrap();
            check_version(&old).unwrap();
            assert_eq!(tables(&old), tables(&new));
        }
        // Files of others, and of later versions, are not touched.
        for pragma in ["user_version = 3", "user_version = 0", "application_id = 7"] {
            let other = Connection::open_in_memory().unwrap();
            other.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
            other.pragma_update(None, "user_version", 1).unwrap();
            other.execute_batch(&format!("PRAGMA {pragma}")).unwrap();
            migrate(&other).unwrap();
            assert!(tables(&other).is_empty(), "{pragma}");
            assert!(check_version(&other).is_err(), "{pragma}");
        }
    }

    #[test]
    fn whoever_comes_second_finds_it_done() {
        static FIRST: Mutex<Option<Connection>> = Mutex::new(None);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.db");
        let first = format_1(&path);
        first.execute_batch("BEGIN IMMEDIATE").unwrap();
        *FIRST.lock().unwrap() = Some(first);
        let mut second = open_writer(&path, &SqliteOptions::default()).unwrap();
        // The second one has seen the old format and waits; now the first one is done.
        let finish = |_| {
            if let Some(first) = FIRST.lock().unwrap().take() {
                FILE_TABLES.iter().for_each(|table| first.execute_batch(table).unwrap());
                first.pragma_update(None, "user_version", 2).unwrap();
                first.execute_batch("COMMIT").unwrap();
            }
            true
        };
        second.busy_handler(Some(finish)).unwrap();
        migrate(&second).unwrap();
        assert!(FIRST.lock().unwrap().is_none(), "nobody waited");
        check_version(&second).unwrap();
    }
}
