//! What readers and the writer know of the file: schema, class tables and indexes. Immutable; a change makes a new one.

use std::collections::HashMap;
use std::sync::Arc;

use fb_store::{IndexDef, StoreError};
use fb_types::{ClassName, Schema};
use rusqlite::Connection;
use serde_json::Value;

use crate::error::{broken, store_error};
use crate::index::{Structure, signature, structures};
use crate::sql::Kind;

/// All that is known of the file.
#[derive(Debug)]
pub(crate) struct Catalog {
    pub(crate) schema: Arc<Schema>,
    /// Classes that have a table.
    pub(crate) tables: HashMap<ClassName, Arc<Table>>,
    /// Declared indexes by class, in the order of their creation.
    pub(crate) indexes: HashMap<ClassName, Vec<Declared>>,
}

/// A declared index.
#[derive(Debug, Clone)]
pub(crate) struct Declared {
    pub(crate) id: i64,
    pub(crate) def: IndexDef,
    /// Signature of what the engine has.
    pub(crate) built: Option<String>,
}

/// The table of one class, and the texts of its statements.
#[derive(Debug)]
pub(crate) struct Table {
    /// Its number: it is called `c<id>`.
    pub(crate) id: i64,
    pub(crate) class: ClassName,
    /// `/db/<class>/`
    pub(crate) id_prefix: String,
    /// True if there is a table `r<id>` of read rules: objects of the class have, or had, rules.
    pub(crate) has_rules: bool,
    /// Indexes and their structures.
    pub(crate) structures: Vec<(i64, IndexDef, Vec<Structure>)>,
    /// `SELECT version, shape, created_at, updated_at, acl, body, rid … WHERE key = ?1`
    pub(crate) load: String,
    pub(crate) insert: String,
    pub(crate) update: String,
    pub(crate) delete: String,
    /// Statements that keep side tables in step: of row `?1`, with body `?2`.
    pub(crate) side_add: Vec<String>,
    pub(crate) side_remove: Vec<String>,
}

impl Catalog {
    /// Reads the catalog.
    pub(crate) fn load(conn: &Connection) -> Result<Self, StoreError> {
        let during = "reading the catalog";
        let sql = |e| store_error(during, e);
        let text: String = conn
            .query_row("SELECT value FROM meta WHERE key = 'schema'", [], |row| row.get(0))
            .map_err(sql)?;
        let json: Value = serde_json::from_str(&text).map_err(|e| broken(during, e))?;
        let schema = Arc::new(Schema::from_json(&json).map_err(|e| broken(during, e))?);

        let mut indexes: HashMap<ClassName, Vec<Declared>> = HashMap::new();
        let mut statement = conn
            .prepare("SELECT id, class, def, built FROM indexes ORDER BY id")
            .map_err(sql)?;
        let mut rows = statement.query([]).map_err(sql)?;
        while let Some(row) = rows.next().map_err(sql)? {
            let class: String = row.get(1).map_err(sql)?;
            let def: String = row.get(2).map_err(sql)?;
            let declared = Declared {
                id: row.get(0).map_err(sql)?,
                def: serde_json::from_str(&def).map_err(|e| broken(during, e))?,
                built: row.get(3).map_err(sql)?,
            };
            let class = ClassName::new(&class).map_err(|e| broken(during, e))?;
            indexes.entry(class).or_default().push(declared);
        }

        let mut tables = HashMap::new();
        let mut statement = conn.prepare("SELECT id, name, has_rules FROM classes").map_err(sql)?;
        let mut rows = statement.query([]).map_err(sql)?;
        while let Some(row) = rows.next().map_err(sql)? {
            let name: String = row.get(1).map_err(sql)?;
            let class = ClassName::new(&name).map_err(|e| broken(during, e))?;
            let declared = indexes.get(&class).map_or(&[][..], Vec::as_slice);
            let mut table = Table::new(row.get(0).map_err(sql)?, class.clone(), &schema, declared);
            table.has_rules = row.get(2).map_err(sql)?;
            tables.insert(class, Arc::new(table));
        }
        Ok(Self {
            schema,
            tables,
            indexes,
        })
    }
}

impl Table {
    fn new(id: i64, class: ClassName, schema: &Schema, declared: &[Declared]) -> Self {
        let mut built = Vec::new();
        if let Some(resolved) = schema.class(class.as_str()) {
            for index in declared {
                let wanted = structures(schema, resolved, &index.def);
                // What has not been built must not be used.
                if index.built.as_deref() == Some(signature(&wanted, id, index.id).as_str()) {
                    built.push((index.id, index.def.clone(), wanted));
                }
            }
        }
        let side = |make: fn(&Structure, i64) -> Option<String>| -> Vec<String> {
            built
                .iter()
                .flat_map(|(id, _, all)| all.iter().filter_map(|s| make(s, *id)))
                .collect()
        };
        Self {
            id,
            has_rules: false,
            id_prefix: format!("/db/{class}/"),
            load: format!("SELECT version, shape, created_at, updated_at, acl, body, rid FROM c{id} WHERE key = ?1"),
            insert: format!(
                "INSERT INTO c{id}(key, version, shape, created_at, updated_at, acl, body) \
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)"
            ),
            update: format!(
                "UPDATE c{id} SET version = ?1, shape = ?2, created_at = ?3, updated_at = ?4, acl = ?5, body = ?6 \
                 WHERE rid = ?7"
            ),
            delete: format!("DELETE FROM c{id} WHERE rid = ?1"),
            side_add: side(Structure::add),
            side_remove: side(Structure::remove),
            structures: built,
            class,
        }
    }

    /// Number of an index that holds the elements of the array at this path.
    pub(crate) fn elements_index(&self, json: &str, kind: Kind) -> Option<i64> {
        self.find(|s| matches!(s, Structure::Elements { json: j, kind: k } if j == json && *k == kind))
    }

    /// Number of an index that holds the geo points at this path.
    pub(crate) fn geo_index(&self, json: &str) -> Option<i64> {
        self.find(|s| matches!(s, Structure::Points { json: j } if j == json))
    }

    fn find(&self, test: impl Fn(&Structure) -> bool) -> Option<i64> {
        self.structures
            .iter()
            .find(|(_, _, all)| all.iter().any(&test))
            .map(|(id, _, _)| *id)
    }
}
