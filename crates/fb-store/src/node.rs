//! The set of apps that one node (or one fleet) holds.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fb_types::{AppId, Clock, Timestamp};

use crate::{BoxFuture, CommitObserver, NodeError, Store};

/// What is known of an app without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppRecord {
    /// Its name.
    pub id: AppId,
    /// Host names it answers to, lower-case, without port.
    pub hosts: Vec<String>,
    /// True for the one app that answers where no host name or path names another.
    pub is_default: bool,
    /// When it was created.
    pub created_at: Timestamp,
}

/// What an app's store needs to be opened.
#[derive(Clone)]
pub struct OpenOptions {
    /// Is told of every commit.
    pub observer: Arc<dyn CommitObserver>,
    /// The time of writes.
    pub clock: Arc<dyn Clock>,
    /// How long one query may take.
    pub query_timeout: Duration,
}

/// All apps of a data directory or database.
pub trait Node: Send + Sync + 'static {
    /// All apps, by name.
    fn apps(&self) -> BoxFuture<'_, Result<Vec<AppRecord>, NodeError>>;

    /// Changes whenever an app was created, deleted or changed, also by another process. Cost: microseconds.
    fn generation(&self) -> BoxFuture<'_, Result<u64, NodeError>>;

    /// Adds an app with an empty store.
    fn create<'a>(&'a self, app: &'a AppRecord) -> BoxFuture<'a, Result<(), NodeError>>;

    /// Removes an app and everything it has. Its store must be closed on this node.
    fn delete<'a>(&'a self, id: &'a AppId) -> BoxFuture<'a, Result<(), NodeError>>;

    /// Opens an app's store.
    fn open<'a>(&'a self, id: &'a AppId, options: OpenOptions) -> BoxFuture<'a, Result<Arc<dyn Store>, NodeError>>;

    /// Writes a consistent copy of an app to a new file while the app runs. Returns its size in bytes.
    fn backup<'a>(&'a self, id: &'a AppId, to: &'a Path) -> BoxFuture<'a, Result<u64, NodeError>>;

    /// Creates an app from a backup after checking the file.
    fn restore<'a>(&'a self, app: &'a AppRecord, from: &'a Path) -> BoxFuture<'a, Result<(), NodeError>>;

    /// A record of the node itself, for example the operator's credentials.
    fn record<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, NodeError>>;

    /// Writes (or removes) a record of the node if it is still `expect`; false if it is not.
    fn swap_record<'a>(
        &'a self,
        key: &'a str,
        expect: Option<&'a [u8]>,
        value: Option<&'a [u8]>,
    ) -> BoxFuture<'a, Result<bool, NodeError>>;
}
