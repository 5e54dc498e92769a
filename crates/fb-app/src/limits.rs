//! Limits of one app. All are on by default.

use std::time::Duration;

/// What one app may use.
#[derive(Debug, Clone)]
pub struct AppLimits {
    /// Bytes of the object cache of an active app.
    pub cache_bytes: u64,
    /// Largest object, as its JSON text in bytes.
    pub object_bytes: usize,
    /// Bytes of small and compressed contents of files that an active app keeps in memory.
    pub content_cache_bytes: u64,
    /// Largest file in bytes.
    pub file_bytes: u64,
    /// Most objects that one query returns, and how many it returns if it does not say.
    pub results: u64,
    /// How long one query may take.
    pub query_time: Duration,
    /// Limits of the query language.
    pub query: fb_query::Limits,
}

impl Default for AppLimits {
    fn default() -> Self {
        Self {
            cache_bytes: 32 << 20,
            object_bytes: 1 << 20,
            content_cache_bytes: 32 << 20,
            file_bytes: 5 << 30,
            results: 500,
            query_time: Duration::from_secs(10),
            query: fb_query::Limits::default(),
        }
    }
}
