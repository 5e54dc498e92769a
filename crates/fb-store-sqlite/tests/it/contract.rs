//! The contract suite on SQLite.

use std::path::PathBuf;
use std::sync::Arc;

use fb_store::Node;
use fb_store::testkit::Place;
use fb_store_sqlite::{SqliteNode, SqliteOptions};

/// A data directory that goes away with the test.
pub(crate) struct DataDir {
    dir: tempfile::TempDir,
    options: SqliteOptions,
}

impl DataDir {
    pub(crate) fn new() -> Self {
        Self::with(SqliteOptions::default())
    }

    pub(crate) fn with(options: SqliteOptions) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            options,
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().to_owned()
    }
}

impl Place for DataDir {
    fn open(&self) -> Arc<dyn Node> {
        Arc::new(SqliteNode::open(self.dir.path(), self.options.clone()).unwrap())
    }
}

fb_store::contract_tests!(super::DataDir::new());
