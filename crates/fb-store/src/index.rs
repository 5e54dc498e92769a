//! Index definitions.

use serde::{Deserialize, Serialize};

/// How a field stands in an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Ascending
    Asc,
    /// Descending
    Desc,
    /// By place on the earth
    Geo,
}

impl Direction {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asc => "asc",
            Self::Desc => "desc",
            Self::Geo => "geo",
        }
    }
}

/// One field of an index.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IndexKey {
    /// Dotted path of plain identifiers; the field need not exist (yet).
    pub path: String,
    /// How.
    pub direction: Direction,
}

/// An index on a class, without the default one on the id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IndexDef {
    /// True if no two objects may have the same values. Objects in which one of the values is null or missing are exempt.
    pub unique: bool,
    /// The fields, at least one.
    pub keys: Vec<IndexKey>,
}

impl IndexDef {
    /// The field names joined by commas, for messages.
    pub fn describe(&self) -> String {
        self.keys.iter().map(|k| k.path.as_str()).collect::<Vec<_>>().join(",")
    }
}
