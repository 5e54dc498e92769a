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

/// Who may have an answer that is not for everybody: JSON in base64 without padding, `{"app", "rules": {"load", "read"}}`. Of the origin for
/// edges; such an answer also has [`CALLER`] and names in [`SURROGATE_KEY`](crate::SURROGATE_KEY).
pub const GUARD: HeaderName = HeaderName::from_static("freshbase-guard");

/// What the token of the request is worth: JSON in base64, `{"app", "caller", "seconds", "names"}`; for so many seconds from when the request
/// was sent, unless one of the names is purged.
pub const CALLER: HeaderName = HeaderName::from_static("freshbase-caller");

/// What requests for the answer are counted by: 1 to 256 visible ASCII characters that mean nothing to an edge. It tells the origin how many there
/// were ([`REPORT_PATH`](crate::REPORT_PATH)).
pub const GROUP: HeaderName = HeaderName::from_static("freshbase-group");

/// How long caches may keep an answer that are told of purges: `max-age=<seconds>` (W3C note "Edge Architecture", section 2).
pub const SURROGATE_CONTROL: HeaderName = HeaderName::from_static("surrogate-control");

/// All that the origin tells edges only.
pub(crate) const FOR_EDGES: [HeaderName; 6] = [
    crate::SURROGATE_KEY,
    SURROGATE_CONTROL,
    PURGED_UP_TO,
    GUARD,
    CALLER,
    GROUP,
];
