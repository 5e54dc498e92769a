//! A caching proxy near users that its origin purges over a numbered stream.
//!
//! Knows nothing of stores, apps, users or configuration files; it takes requests, and what their answers say about themselves.

mod purge;
mod time;

pub use purge::{Line, MAX_LINE, Malformed, Purge, PurgeLog, Resume, STREAM_VERSION, TooFarBehind};
pub use time::{Monotonic, Ticks};
