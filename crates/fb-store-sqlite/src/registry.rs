//! `node.db`: which apps there are, and records of the node itself.

use std::path::Path;

use fb_store::{AppRecord, NodeError};
use fb_types::{AppId, Timestamp};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};

use crate::error::{broken, store_error};

/// "FbNo"
const APPLICATION_ID: i32 = 0x4662_4e6f;
const FORMAT: i32 = 1;

const TABLES: &str = "
    CREATE TABLE apps(id TEXT PRIMARY KEY, is_default INTEGER NOT NULL, created_at INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE hosts(host TEXT PRIMARY KEY, app TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE records(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE generation(value INTEGER NOT NULL);
    INSERT INTO generation VALUES(1);
";

/// The open registry.
pub(crate) struct Registry(Connection);

const DURING: &str = "using the registry of apps";

fn failed(error: rusqlite::Error) -> NodeError {
    NodeError::Store(store_error(DURING, error))
}

impl Registry {
    /// Opens the registry, and creates it if there is none. Several processes may have it open.
    pub(crate) fn open(path: &Path) -> Result<Self, NodeError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut conn = Connection::open_with_flags(path, flags).map_err(failed)?;
        conn.busy_timeout(std::time::Duration::from_secs(10)).map_err(failed)?;
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)
            .map_err(failed)?;
        conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
            .map_err(failed)?;
        conn.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
        let tx = conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        let read = |name: &str| {
            tx.pragma_query_value(None, name, |row| row.get::<_, i32>(0))
                .map_err(failed)
        };
        match (read("application_id")?, read("user_version")?) {
            (0, 0) => {
                tx.execute_batch(TABLES).map_err(failed)?;
                tx.pragma_update(None, "application_id", APPLICATION_ID)
                    .map_err(failed)?;
                tx.pragma_update(None, "user_version", FORMAT).map_err(failed)?;
            }
            (APPLICATION_ID, FORMAT) => {}
            (_, format) => {
                let text = format!("{} has the unknown format {format}", path.display());
                return Err(broken(DURING, text).into());
            }
        }
        tx.commit().map_err(failed)?;
        Ok(Self(conn))
    }

    pub(crate) fn apps(&self) -> Result<Vec<AppRecord>, NodeError> {
        let mut statement = self
            .0
            .prepare_cached("SELECT id, is_default, created_at FROM apps ORDER BY id")
            .map_err(failed)?;
        let mut hosts = self
            .0
            .prepare_cached("SELECT host FROM hosts WHERE app = ?1 ORDER BY host")
            .map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        let mut apps = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let id: String = row.get(0).map_err(failed)?;
            let names = hosts
                .query_map([&id], |row| row.get(0))
                .and_then(Iterator::collect)
                .map_err(failed)?;
            apps.push(AppRecord {
                id: AppId::new(&id).map_err(|e| NodeError::from(broken(DURING, e)))?,
                hosts: names,
                is_default: row.get(1).map_err(failed)?,
                created_at: Timestamp::from_millis(row.get(2).map_err(failed)?),
            });
        }
        Ok(apps)
    }

    pub(crate) fn has(&self, id: &AppId) -> Result<bool, NodeError> {
        let mut statement = self
            .0
            .prepare_cached("SELECT 1 FROM apps WHERE id = ?1")
            .map_err(failed)?;
        statement.exists([id.as_str()]).map_err(failed)
    }

    pub(crate) fn generation(&self) -> Result<u64, NodeError> {
        let mut statement = self.0.prepare_cached("SELECT value FROM generation").map_err(failed)?;
        let value: i64 = statement.query_row([], |row| row.get(0)).map_err(failed)?;
        Ok(value.unsigned_abs())
    }

    /// Adds an app; `prepare` makes its files, while nobody else can change the registry. A default app takes that role
    /// over from another one.
    pub(crate) fn create(
        &mut self,
        app: &AppRecord,
        prepare: impl FnOnce() -> Result<(), NodeError>,
    ) -> Result<(), NodeError> {
        let tx = self
            .0
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        let exists = tx
            .prepare("SELECT 1 FROM apps WHERE id = ?1")
            .and_then(|mut s| s.exists([app.id.as_str()]));
        if exists.map_err(failed)? {
            return Err(NodeError::Exists(app.id.clone()));
        }
        for host in &app.hosts {
            let owner: Option<String> = tx
                .query_row("SELECT app FROM hosts WHERE host = ?1", [host], |row| row.get(0))
                .optional()
                .map_err(failed)?;
            if let Some(owner) = owner {
                return Err(NodeError::HostTaken {
                    host: host.clone(),
                    app: AppId::new(&owner).map_err(|e| broken(DURING, e))?,
                });
            }
            tx.execute("INSERT INTO hosts(host, app) VALUES(?1, ?2)", [host, app.id.as_str()])
                .map_err(failed)?;
        }
        if app.is_default {
            tx.execute("UPDATE apps SET is_default = 0", []).map_err(failed)?;
        }
        tx.execute(
            "INSERT INTO apps(id, is_default, created_at) VALUES(?1, ?2, ?3)",
            params![app.id.as_str(), app.is_default, app.created_at.millis()],
        )
        .map_err(failed)?;
        tx.execute("UPDATE generation SET value = value + 1", [])
            .map_err(failed)?;
        prepare()?;
        tx.commit().map_err(failed)
    }

    /// Removes an app; `remove` takes its files away while nobody else can change the registry.
    pub(crate) fn delete(&mut self, id: &AppId) -> Result<(), NodeError> {
        let tx = self
            .0
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        if tx
            .execute("DELETE FROM apps WHERE id = ?1", [id.as_str()])
            .map_err(failed)?
            == 0
        {
            return Err(NodeError::Missing(id.clone()));
        }
        tx.execute("DELETE FROM hosts WHERE app = ?1", [id.as_str()])
            .map_err(failed)?;
        tx.execute("UPDATE generation SET value = value + 1", [])
            .map_err(failed)?;
        tx.commit().map_err(failed)
    }

    pub(crate) fn record(&self, key: &str) -> Result<Option<Vec<u8>>, NodeError> {
        let mut statement = self
            .0
            .prepare_cached("SELECT value FROM records WHERE key = ?1")
            .map_err(failed)?;
        statement.query_row([key], |row| row.get(0)).optional().map_err(failed)
    }

    pub(crate) fn swap_record(
        &mut self,
        key: &str,
        expect: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<bool, NodeError> {
        let tx = self
            .0
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        let found: Option<Vec<u8>> = tx
            .query_row("SELECT value FROM records WHERE key = ?1", [key], |row| row.get(0))
            .optional()
            .map_err(failed)?;
        if found.as_deref() != expect {
            return Ok(false);
        }
        match value {
            Some(value) => tx.execute(
                "INSERT INTO records(key, value) VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = ?2",
                params![key, value],
            ),
            None => tx.execute("DELETE FROM records WHERE key = ?1", [key]),
        }
        .map_err(failed)?;
        tx.commit().map_err(failed)?;
        Ok(true)
    }
}
