//! Declared indexes as structures of the engine.
//!
//! A sorted index holds exactly the expressions that queries are printed with. Arrays and geo points get a table beside
//! the class's, which the writer keeps in step; queries use it to narrow down what the evaluator then checks.

use fb_store::{Direction, IndexDef};
use fb_types::{Class, Schema};

use crate::sql::{Kind, Place, place_of_index};

/// One structure of the engine for a declared index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Structure {
    /// `x<n>`: an index on expressions.
    Sorted {
        /// Expressions with their direction.
        columns: Vec<String>,
        /// True if no two rows may agree in all of them.
        unique: bool,
    },
    /// `m<n>`: the elements of an array.
    Elements {
        /// JSON path of the array.
        json: String,
        /// How elements compare.
        kind: Kind,
    },
    /// `g<n>`: the rectangle around a geo point.
    Points {
        /// JSON path of the point.
        json: String,
    },
}

/// The structures for `def` under `schema`; none as long as its fields do not exist or cannot be indexed.
pub(crate) fn structures(schema: &Schema, class: &Class, def: &IndexDef) -> Vec<Structure> {
    let places: Vec<_> = def
        .keys
        .iter()
        .map(|k| place_of_index(schema, class, &k.path))
        .collect();
    let mut out = Vec::new();
    if let Some(columns) = columns(def, &places) {
        out.push(Structure::Sorted {
            columns,
            unique: def.unique,
        });
    }
    for place in places.into_iter().flatten() {
        let has = |test: fn(&Structure) -> bool| out.iter().any(test);
        match place {
            Place::Elements { json, kind } if !has(|s| matches!(s, Structure::Elements { .. })) => {
                out.push(Structure::Elements { json, kind });
            }
            Place::Point { json } if !has(|s| matches!(s, Structure::Points { .. })) => {
                out.push(Structure::Points { json });
            }
            Place::Elements { .. } | Place::Point { .. } | Place::Scalar { .. } | Place::Other { .. } => {}
        }
    }
    out
}

fn columns(def: &IndexDef, places: &[Option<Place>]) -> Option<Vec<String>> {
    let mut columns = Vec::new();
    for (key, place) in def.keys.iter().zip(places) {
        let expr = match place {
            Some(Place::Scalar { expr, .. }) => expr.clone(),
            // Uniqueness concerns the value as a whole. For finding objects, only the keys before it are of use.
            Some(Place::Elements { json, .. } | Place::Point { json } | Place::Other { json }) if def.unique => {
                format!("json_extract(body,'{json}')")
            }
            _ if def.unique => return None,
            _ => break,
        };
        columns.push(match key.direction {
            Direction::Desc => format!("{expr} DESC"),
            Direction::Asc | Direction::Geo => expr,
        });
    }
    if columns.is_empty() {
        return None;
    }
    if !def.unique && columns.iter().all(|c| c != "key" && c != "key DESC") {
        // Ties are always broken by ascending ids.
        columns.push("key".to_owned());
    }
    Some(columns)
}

impl Structure {
    /// Statements that create the structure for class table `table` and index `id`, empty.
    pub(crate) fn create(&self, table: i64, id: i64) -> Vec<String> {
        match self {
            Self::Sorted { columns, unique } => vec![format!(
                "CREATE {}INDEX x{id} ON c{table}({})",
                if *unique { "UNIQUE " } else { "" },
                columns.join(",")
            )],
            Self::Elements { .. } => vec![
                format!("CREATE TABLE m{id}(v, rid INTEGER NOT NULL, PRIMARY KEY(v, rid)) WITHOUT ROWID"),
                format!("CREATE INDEX m{id}r ON m{id}(rid)"),
            ],
            Self::Points { .. } => vec![format!(
                "CREATE VIRTUAL TABLE g{id} USING rtree(rid, south, north, west, east)"
            )],
        }
    }

    /// The statement that fills a new structure from the class table.
    pub(crate) fn fill(&self, table: i64, id: i64) -> Option<String> {
        match self {
            Self::Sorted { .. } => None,
            Self::Elements { json, kind } => Some(format!(
                "INSERT INTO m{id}(v, rid) SELECT DISTINCT {}, c.rid FROM c{table} c, json_each(c.body,'{json}') \
                 WHERE atom IS NOT NULL",
                element(*kind)
            )),
            Self::Points { json } => Some(format!(
                "INSERT INTO g{id} SELECT rid, lat, lat, lng, lng FROM \
                 (SELECT rid, json_extract(body,'{json}.latitude') AS lat, json_extract(body,'{json}.longitude') AS lng \
                 FROM c{table}) WHERE lat IS NOT NULL AND lng IS NOT NULL"
            )),
        }
    }

    /// The statement that adds one row: `?1` is its rid, `?2` its body.
    pub(crate) fn add(&self, id: i64) -> Option<String> {
        match self {
            Self::Sorted { .. } => None,
            Self::Elements { json, kind } => Some(format!(
                "INSERT INTO m{id}(v, rid) SELECT DISTINCT {}, ?1 FROM json_each(?2,'{json}') WHERE atom IS NOT NULL",
                element(*kind)
            )),
            Self::Points { json } => Some(format!(
                "INSERT INTO g{id} SELECT ?1, lat, lat, lng, lng FROM \
                 (SELECT json_extract(?2,'{json}.latitude') AS lat, json_extract(?2,'{json}.longitude') AS lng) \
                 WHERE lat IS NOT NULL AND lng IS NOT NULL"
            )),
        }
    }

    /// The statement that removes row `?1`.
    pub(crate) fn remove(&self, id: i64) -> Option<String> {
        match self {
            Self::Sorted { .. } => None,
            Self::Elements { .. } => Some(format!("DELETE FROM m{id} WHERE rid = ?1")),
            Self::Points { .. } => Some(format!("DELETE FROM g{id} WHERE rid = ?1")),
        }
    }
}

fn element(kind: Kind) -> &'static str {
    match kind {
        Kind::Time => "rtrim(atom,'Z')",
        Kind::Boolean | Kind::Number | Kind::Text | Kind::Moment | Kind::Key => "atom",
    }
}

/// Drops whatever was built for index `id`.
pub(crate) fn drop_statements(id: i64) -> [String; 3] {
    [
        format!("DROP INDEX IF EXISTS x{id}"),
        format!("DROP TABLE IF EXISTS m{id}"),
        format!("DROP TABLE IF EXISTS g{id}"),
    ]
}

/// Text that tells whether what was built is what is wanted.
pub(crate) fn signature(structures: &[Structure], table: i64, id: i64) -> String {
    let mut text = String::new();
    for structure in structures {
        for statement in structure.create(table, id).into_iter().chain(structure.add(id)) {
            text.push_str(&statement);
            text.push('\n');
        }
    }
    text
}
