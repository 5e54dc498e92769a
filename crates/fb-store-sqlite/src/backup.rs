//! Copies of an app's file, and apps from copies.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use fb_store::{AppRecord, NodeError, StoreError};
use fb_types::AppId;
use rusqlite::{Connection, OpenFlags};

use crate::catalog::Catalog;
use crate::error::store_error;
use crate::format::{APPLICATION_ID, FORMAT, TABLES, check_version, class_table, configure, is_known, migrate};
use crate::index::{Structure, signature};
use crate::node::{Inner, io_error, sync_dir};
use crate::rules;

/// Writes a consistent, compact copy of an app to `to`, which must not exist.
pub(crate) fn backup(node: &Inner, id: &AppId, to: &Path) -> Result<u64, NodeError> {
    let during = "writing a backup";
    node.check_exists(id)?;
    if to.try_exists().map_err(|e| io_error(during, e))? {
        let taken = std::io::Error::new(std::io::ErrorKind::AlreadyExists, format!("{} exists", to.display()));
        return Err(io_error(during, taken));
    }
    let mut draft = to.as_os_str().to_owned();
    draft.push(".partial");
    let draft = Path::new(&draft);
    // Left by a backup that was cut off.
    let _ = fs::remove_file(draft);
    let result = write_copy(node, id, draft).and_then(|size| {
        fs::rename(draft, to).map_err(|e| io_error(during, e))?;
        if let Some(dir) = to.parent().filter(|p| !p.as_os_str().is_empty()) {
            sync_dir(dir)?;
        }
        Ok(size)
    });
    if result.is_err() {
        let _ = fs::remove_file(draft);
    }
    result
}

fn write_copy(node: &Inner, id: &AppId, draft: &Path) -> Result<u64, NodeError> {
    let during = "writing a backup";
    let sql = |e| NodeError::Store(store_error(during, e));
    let path = draft.to_str().ok_or_else(|| {
        let error = std::io::Error::new(std::io::ErrorKind::InvalidInput, "the path is not UTF-8");
        io_error(during, error)
    })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(node.app_file(id), flags).map_err(sql)?;
    configure(&source, node.options()).map_err(sql)?;
    source.execute("VACUUM INTO ?1", [path]).map_err(sql)?;
    drop(source);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copy = Connection::open_with_flags(draft, flags).map_err(sql)?;
    // Says whose copy it is; the restored app may have another name.
    copy.execute(
        "INSERT OR REPLACE INTO meta(key, value) VALUES('app', ?1)",
        [id.as_str()],
    )
    .map_err(sql)?;
    copy.close().map_err(|(_, e)| sql(e))?;
    let file = File::open(draft).map_err(|e| io_error(during, e))?;
    file.sync_all().map_err(|e| io_error(during, e))?;
    Ok(file.metadata().map_err(|e| io_error(during, e))?.len())
}

/// Creates an app from a backup. The copy is checked, not the file: that might change meanwhile.
pub(crate) fn restore(node: &Inner, app: &AppRecord, from: &Path) -> Result<(), NodeError> {
    let during = "restoring a backup";
    node.create(app, |path| {
        fs::copy(from, path).map_err(|e| io_error(during, e))?;
        check(path, node).map_err(|reason| NodeError::BadBackup {
            path: from.display().to_string(),
            reason,
        })?;
        let file = File::open(path).map_err(|e| io_error(during, e))?;
        file.sync_all().map_err(|e| io_error(during, e))
    })
}

/// Refuses what is damaged, and whatever holds more or other than we would have made ourselves.
fn check(path: &Path, node: &Inner) -> Result<(), String> {
    let text = |e: rusqlite::Error| e.to_string();
    check_header(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(text)?;
    configure(&conn, node.options()).map_err(text)?;
    conn.pragma_update(None, "cell_size_check", true).map_err(text)?;
    migrate(&conn).map_err(text)?;
    check_version(&conn)?;
    check_objects(&conn)?;
    let verdict: String = conn
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(text)?;
    if verdict != "ok" {
        return Err(format!("it is damaged: {verdict}"));
    }
    check_rows(&conn)?;
    conn.close().map_err(|(_, e)| text(e))
}

/// The file itself, before the engine looks at it.
fn check_header(path: &Path) -> Result<(), String> {
    use std::io::Read;
    let mut header = [0; 100];
    let read = |e: std::io::Error| format!("it cannot be read: {e}");
    let mut file = File::open(path).map_err(read)?;
    file.read_exact(&mut header).map_err(read)?;
    let number = |at: usize| i32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    if !header.starts_with(b"SQLite format 3\0") || number(68) != APPLICATION_ID {
        return Err("it is no app of Freshbase".to_owned());
    }
    // UTF-8. In another encoding names would not be in the order of their bytes.
    if number(56) != 1 {
        return Err("its text has another encoding".to_owned());
    }
    let format = number(60);
    if !is_known(format) {
        return Err(format!(
            "it has format {format}, this version knows formats 1 to {FORMAT}"
        ));
    }
    // The engine takes a last page that is cut off for one that ends in zeros. Source: the SQLite file format, sections
    // 1.3.2 and 1.3.7; our backups always carry a valid count of pages.
    let page_bytes = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        bytes => u64::from(bytes),
    };
    let pages = u64::try_from(number(28)).unwrap_or(0);
    let length = file.metadata().map_err(read)?.len();
    if length != pages * page_bytes {
        return Err(format!(
            "it has {length} bytes where {} are expected",
            pages * page_bytes
        ));
    }
    Ok(())
}

/// Compares all definitions with those that we would make: no other tables, and no triggers, views or functions in
/// places where the engine would run them.
fn check_objects(conn: &Connection) -> Result<(), String> {
    let text = |e: rusqlite::Error| e.to_string();
    let mut found = BTreeMap::new();
    let mut statement = conn
        .prepare("SELECT name, type, sql FROM sqlite_schema")
        .map_err(text)?;
    let mut rows = statement.query([]).map_err(text)?;
    while let Some(row) = rows.next().map_err(text)? {
        let name: String = row.get(0).map_err(text)?;
        let kind: String = row.get(1).map_err(text)?;
        let sql: Option<String> = row.get(2).map_err(text)?;
        // The engine's own, which it keeps others from making.
        if name.starts_with("sqlite_") && (kind == "table" || sql.is_none()) {
            continue;
        }
        found.insert(name, sql.unwrap_or_default());
    }
    let mut expect = |statement: &str| {
        let name = object_name(statement);
        match found.remove(name) {
            Some(sql) if sql == statement => Ok(()),
            Some(_) => Err(format!("its {name} is not defined as expected")),
            None => Err(format!("it lacks {name}")),
        }
    };
    for table in TABLES {
        expect(table)?;
    }
    let catalog = Catalog::load(conn).map_err(describe)?;
    for table in catalog.tables.values() {
        expect(&class_table(table.id))?;
        if table.has_rules {
            expect(&rules::create(table.id))?;
        }
        for (id, _, structures) in &table.structures {
            for structure in structures {
                for statement in structure.create(table.id, *id) {
                    expect(&statement)?;
                }
                if let Structure::Points { .. } = structure {
                    for statement in shadow_tables(*id) {
                        expect(&statement)?;
                    }
                }
            }
        }
        let declared = catalog.indexes.get(&table.class).into_iter().flatten();
        let usable = |index| {
            table
                .structures
                .iter()
                .any(|(id, _, s)| *id == index && !signature(s, table.id, *id).is_empty())
        };
        for index in declared {
            if index.built.as_ref().is_some_and(|b| !b.is_empty()) && !usable(index.id) {
                return Err(format!("its index {} is not built as expected", index.id));
            }
        }
    }
    match found.keys().next() {
        Some(name) => Err(format!("it holds {name}, which is not expected there")),
        None => Ok(()),
    }
}

/// What the engine's R*Tree makes for itself.
fn shadow_tables(id: i64) -> [String; 3] {
    [
        format!("CREATE TABLE \"g{id}_rowid\"(rowid INTEGER PRIMARY KEY,nodeno)"),
        format!("CREATE TABLE \"g{id}_node\"(nodeno INTEGER PRIMARY KEY,data)"),
        format!("CREATE TABLE \"g{id}_parent\"(nodeno INTEGER PRIMARY KEY,parentnode)"),
    ]
}

/// The name after CREATE … TABLE or INDEX.
fn object_name(statement: &str) -> &str {
    let rest = ["TABLE ", "INDEX "]
        .iter()
        .find_map(|word| statement.split_once(word))
        .map_or(statement, |(_, r)| r);
    let end = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '"'))
        .unwrap_or(rest.len());
    rest[..end].trim_matches('"')
}

/// What every object must be for the server to work with it.
fn check_rows(conn: &Connection) -> Result<(), String> {
    let text = |e: rusqlite::Error| e.to_string();
    let catalog = Catalog::load(conn).map_err(describe)?;
    for table in catalog.tables.values() {
        let bad: i64 = conn
            .query_row(
                &format!(
                    "SELECT count(*) FROM c{} WHERE typeof(key) <> 'text' OR typeof(body) <> 'text' \
                     OR NOT json_valid(body) OR json_type(body) <> 'object' OR typeof(version) <> 'integer' \
                     OR version < 1 OR (acl IS NOT NULL AND NOT json_valid(acl))",
                    table.id
                ),
                [],
                |row| row.get(0),
            )
            .map_err(text)?;
        if bad > 0 {
            return Err(format!("{bad} objects of class {} are damaged", table.class));
        }
        let are_right = if table.has_rules {
            rules::are_right(conn, table.id)
        } else {
            let with_rules = format!("SELECT NOT EXISTS(SELECT 1 FROM c{} WHERE acl IS NOT NULL)", table.id);
            conn.query_row(&with_rules, [], |row| row.get(0))
        };
        if !are_right.map_err(text)? {
            return Err(format!("its rules of class {} are not listed as expected", table.class));
        }
    }
    crate::files::check(conn)
}

fn describe(error: StoreError) -> String {
    std::error::Error::source(&error).map_or_else(|| error.to_string(), |s| format!("{error}: {s}"))
}
