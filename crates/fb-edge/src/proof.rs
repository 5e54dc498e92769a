//! How an edge shows the origin that it is one, and what the origin tells edges only.

use http::HeaderName;

/// The secret that edges and origin share: in every request of an edge. Clients cannot send it through an edge.
pub const EDGE_SECRET: HeaderName = HeaderName::from_static("freshbase-edge");

/// The edge's [`bound`](crate::EdgeOptions::bound) in milliseconds, beside the secret. The origin gives answers for longer to edges whose bound
/// is within what it may be for the app.
pub const EDGE_BOUND: HeaderName = HeaderName::from_static("freshbase-edge-bound");

/// `<boot>:<number>` of the last purge before an answer, with [`Resume`](crate::Resume)'s meaning: an edge passes the answer on once it has
/// applied the purges up to that one. So whoever was told that a write is done, reads what was written.
pub const PURGED_UP_TO: HeaderName = HeaderName::from_static("freshbase-purges");

/// How long caches may keep an answer that are told of purges: `max-age=<seconds>` (W3C note "Edge Architecture", section 2).
pub const SURROGATE_CONTROL: HeaderName = HeaderName::from_static("surrogate-control");
