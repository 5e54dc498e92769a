//! The embedded store: one SQLite file per app, and one for the set of apps.
//!
//! The only crate that speaks SQL. Knows nothing of HTTP, tokens, caches or live queries; what a filter means is
//! `fb-query`'s business, who may read what is `fb-auth`'s, and both are called from inside of the SQL.
//!
//! ```no_run
//! use fb_store_sqlite::{SqliteNode, SqliteOptions};
//! let node = SqliteNode::open(std::path::Path::new("data"), SqliteOptions::default())?;
//! # let _ = node;
//! # Ok::<(), fb_store::NodeError>(())
//! ```

mod alter;
mod backup;
mod catalog;
mod error;
mod feed;
mod files;
mod format;
mod functions;
mod index;
mod keys;
mod node;
mod options;
mod projection;
mod read;
mod reader;
mod record;
mod registry;
mod rules;
mod sight;
mod sql;
mod stats;
mod store;
mod writer;

pub use node::{DirLock, SqliteNode, files_dir};
pub use options::{Durability, Retention, SqliteOptions};
pub use store::SqliteStore;
