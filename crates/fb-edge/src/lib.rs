//! A caching proxy near users that its origin purges over a numbered stream.
//!
//! Knows nothing of stores, apps, users or configuration files; it takes requests, and what their answers say about themselves.

mod ask;
mod body;
mod directives;
mod edge;
mod entry;
mod error;
mod fill;
mod flight;
mod headers;
mod options;
mod origin;
mod purge;
mod respond;
mod serve;
mod shelf;
#[cfg(test)]
mod simulation;
mod stats;
mod subscribe;
mod target;
mod time;
mod tunnel;
mod vary;

pub use body::{BoxError, EdgeBody};
pub use edge::Edge;
pub use headers::{Peer, SURROGATE_KEY};
pub use options::{EdgeError, EdgeOptions, Limits};
pub use purge::{Line, MAX_LINE, Malformed, Purge, PurgeLog, Resume, STREAM_VERSION, TooFarBehind};
pub use stats::EdgeStats;
pub use time::{Monotonic, Ticks};
