//! The planner's statistics, kept fresh by the writer.

use std::collections::HashMap;

use rusqlite::Connection;

use crate::writer::Session;

/// Changes that make statistics old: this many, and this part of the rows.
const MIN_CHANGES: u64 = 200;
const PART: u64 = 5;

/// Stands for statistics that are of no use.
const OUTDATED: u64 = u64::MAX / 2;

/// Rows when a table was last analysed, and changes since.
#[derive(Debug, Default)]
pub(crate) struct Statistics(HashMap<i64, Table>);

#[derive(Debug, Default, Clone, Copy)]
struct Table {
    rows: u64,
    changes: u64,
}

impl Statistics {
    /// What the last analysis found.
    pub(crate) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let mut tables = HashMap::new();
        let exists = "SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'";
        if conn.query_row(exists, [], |row| row.get::<_, i64>(0))? == 0 {
            return Ok(Self(tables));
        }
        let mut statement = conn.prepare("SELECT substr(tbl, 2), stat FROM sqlite_stat1 WHERE tbl LIKE 'c%'")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (id, stat): (String, String) = (row.get(0)?, row.get(1)?);
            let n_rows = stat.split(' ').next().and_then(|n| n.parse().ok());
            if let (Ok(id), Some(n_rows)) = (id.parse(), n_rows) {
                tables.insert(
                    id,
                    Table {
                        rows: n_rows,
                        changes: 0,
                    },
                );
            }
        }
        Ok(Self(tables))
    }

    /// A row of class table `id` was written.
    pub(crate) fn changed(&mut self, id: i64) {
        self.0.entry(id).or_default().changes += 1;
    }

    /// Class table `id` is analysed next.
    pub(crate) fn outdate(&mut self, id: i64) {
        self.0.entry(id).or_default().changes = OUTDATED;
    }

    /// Tables without statistics are analysed next: they are new, or the process ended before it came to that.
    pub(crate) fn outdate_missing(&mut self, tables: impl Iterator<Item = i64>) {
        for id in tables {
            if !self.0.contains_key(&id) {
                self.outdate(id);
            }
        }
    }

    /// True if a new index waits for its statistics.
    pub(crate) fn is_urgent(&self) -> bool {
        self.0.values().any(|t| t.changes >= OUTDATED)
    }

    fn outdated(&self) -> Vec<i64> {
        let old = |t: &Table| t.changes >= MIN_CHANGES.max(t.rows / PART);
        self.0.iter().filter(|(_, t)| old(t)).map(|(id, _)| *id).collect()
    }
}

impl Session {
    /// Analyses tables whose statistics are old. Cost: bounded per index by the connection's analysis limit.
    pub(crate) fn refresh_statistics(&mut self) -> rusqlite::Result<()> {
        let outdated = self.statistics.outdated();
        if outdated.is_empty() {
            return Ok(());
        }
        for id in &outdated {
            let table = self.catalog.tables.values().find(|t| t.id == *id);
            self.statistics.0.insert(*id, Table::default());
            let Some(table) = table else {
                self.statistics.0.remove(id);
                continue;
            };
            self.conn.execute_batch(&format!("ANALYZE c{id}"))?;
            for (index, _, structures) in &table.structures {
                let has_elements = structures
                    .iter()
                    .any(|s| matches!(s, crate::index::Structure::Elements { .. }));
                if has_elements {
                    self.conn.execute_batch(&format!("ANALYZE m{index}"))?;
                }
            }
        }
        for (id, fresh) in Statistics::load(&self.conn)?.0 {
            if outdated.contains(&id) {
                self.statistics.0.insert(id, fresh);
            }
        }
        self.shared.readers.renew();
        Ok(())
    }
}
