//! Server-side records. One whose time has passed is absent for everybody from then on; its row goes when the writer
//! comes by.

use fb_store::{RecordWrite, Records};
use fb_types::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

/// Rows that a sweep removes beyond the number of those that were written, so that a backlog gets shorter.
const BEYOND: u64 = 32;

/// The value of a record that is there at `now`.
pub(crate) fn get(conn: &Connection, space: &str, key: &str, now: Timestamp) -> rusqlite::Result<Option<Vec<u8>>> {
    conn.prepare_cached(
        "SELECT value FROM records WHERE space = ?1 AND key = ?2 AND (expires_at IS NULL OR expires_at > ?3)",
    )?
    .query_row(params![space, key, now.millis()], |row| row.get(0))
    .optional()
}

/// Records of a space that are there at `now`, behind `after`, in the order of their keys.
pub(crate) fn list(
    conn: &Connection,
    space: &str,
    after: Option<&str>,
    limit: usize,
    now: Timestamp,
) -> rusqlite::Result<Records> {
    // No key is less than the empty text.
    let comparison = if after.is_some() { ">" } else { ">=" };
    let mut statement = conn.prepare_cached(&format!(
        "SELECT key, value FROM records WHERE space = ?1 AND key {comparison} ?2 \
         AND (expires_at IS NULL OR expires_at > ?3) ORDER BY key LIMIT ?4"
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    statement
        .query_map(params![space, after.unwrap_or_default(), now.millis(), limit], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect()
}

/// Writes or removes a record.
pub(crate) fn put(conn: &Connection, write: &RecordWrite) -> rusqlite::Result<()> {
    match &write.value {
        Some(value) => conn
            .prepare_cached(
                "INSERT INTO records(space, key, value, expires_at) VALUES(?1, ?2, ?3, ?4) \
                 ON CONFLICT(space, key) DO UPDATE SET value = ?3, expires_at = ?4",
            )?
            .execute(params![
                write.space,
                write.key,
                value,
                write.expires_at.map(Timestamp::millis)
            ])?,
        None => conn
            .prepare_cached("DELETE FROM records WHERE space = ?1 AND key = ?2")?
            .execute(params![write.space, write.key])?,
    };
    Ok(())
}

const SWEEP: &str = "DELETE FROM records WHERE (space, key) IN \
                     (SELECT space, key FROM records WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)";

/// Removes rows whose time has passed at `now`, the oldest first, after `n_written` of those that expire were written.
/// Cost: in proportion to `n_written` and a constant, however many rows there are.
pub(crate) fn sweep(conn: &Connection, now: Timestamp, n_written: u64) -> rusqlite::Result<()> {
    let limit = i64::try_from(n_written.saturating_add(BEYOND)).unwrap_or(i64::MAX);
    conn.prepare_cached(SWEEP)?.execute(params![now.millis(), limit])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables() -> Connection {
        let conn = Connection::open_in_memory().unwrap();
        for table in crate::format::TABLES {
            conn.execute_batch(table).unwrap();
        }
        conn
    }

    #[test]
    fn a_sweep_looks_at_what_has_expired_only() {
        let conn = tables();
        let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {SWEEP}")).unwrap();
        let lines = statement.query_map(params![0, 0], |row| row.get(3)).unwrap();
        let plan = lines.collect::<Result<Vec<String>, _>>().unwrap().join("\n");
        assert!(
            plan.contains("USING COVERING INDEX records_by_expiry (expires_at<?)"),
            "{plan}"
        );
        assert!(!plan.contains("SCAN records"), "{plan}");
    }

    #[test]
    fn a_sweep_is_bounded() {
        let conn = tables();
        for i in 0..100 {
            let write = RecordWrite {
                space: "test",
                key: format!("k{i:03}"),
                expect: fb_store::Expect::Anything,
                value: Some(Vec::new()),
                expires_at: (i % 2 == 0).then(|| Timestamp::from_millis(100 - i)),
            };
            put(&conn, &write).unwrap();
        }
        let count = || {
            conn.query_row("SELECT count(*) FROM records", [], |row| row.get::<_, i64>(0))
                .unwrap()
        };
        sweep(&conn, Timestamp::from_millis(1), 1).unwrap();
        assert_eq!(count(), 100);
        sweep(&conn, Timestamp::from_millis(1000), 1).unwrap();
        assert_eq!(count(), 100 - 1 - BEYOND.cast_signed());
        // The youngest are left.
        assert!(get(&conn, "test", "k000", Timestamp::from_millis(0)).unwrap().is_some());
        assert!(get(&conn, "test", "k098", Timestamp::from_millis(0)).unwrap().is_none());
        sweep(&conn, Timestamp::from_millis(1000), 1).unwrap();
        assert_eq!(count(), 50);
    }
}
