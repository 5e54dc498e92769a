//! A caching proxy near users that its origin purges over a numbered stream.
//!
//! Knows nothing of stores, apps or configuration files; it takes requests, and what their answers say about themselves and their callers.
//!
//! [`Edge`] answers clients; [`PurgeLog`] is the origin's side of the stream. One is of no use without the other.
//!
//! # What an edge adds to the staleness of answers
//! At most [`EdgeOptions::bound`]. It answers from memory only while it has proof that at most that long ago no purge was missing.
//! The proof is a beat of the stream: the number of the last purge, with a time of the origin's clock before which nothing was
//! acknowledged that has its purge behind that number: one that was read before the number, or an earlier one while somebody's purges are late ([`Late`]). The
//! edge knows when it *sent* the request for the stream, which was before the first time it got; so what a beat proves does not
//! depend on how long it was under way. A gap, a line that is not understood, or a connection that ends takes the proof away at
//! once. Then each request is sent to the origin, with the tag of what is in memory, and none waits for another, until the stream
//! has caught up from the last number. If the origin cannot go on from there, everything counts as purged.
//!
//! An answer is marked with the number of purges that were known when its request was sent, and is out of date if anything it is
//! made of was purged later. So a purge that crosses an answer on its way forbids its use, with no care taken anywhere else.
//!
//! # What may be stored
//! Answers with status 200 to `GET` that RFC 9111 lets shared caches store, with `max-age` or `s-maxage`, and without any header for
//! one client (cookies, tokens, challenges). Nothing is guessed from dates. They vary by `Accept`, `Accept-Encoding` and `Origin` at
//! most; `Vary: Authorization` and `Vary: Cookie` mean "for those who send none". `Range` and bodies pass through.
//!
//! What is stored was asked for by the edge itself, with a request that holds the host, the path, and the fields that the answer
//! varies by: nothing that one client makes up can be in what others get, be it a header that nobody has thought of. A client's own
//! request is sent first if it says more than that; if its answer looks like one for everybody, the next request for the same
//! address is sent in the edge's words. The price is one more request to the origin per address. Those come from the edge's own
//! address, which the origin should not limit as it limits clients.
//!
//! An answer for everybody that may be kept for two seconds at most, and is not purged, is asked for again before they end, until no client
//! has wanted it for 30 seconds. So clients find it in memory, no older than the origin allows. At most 64 addresses without a query
//! are asked for like this, and nobody's limits count for it.
//!
//! What a client got from memory, and is purged by a name that few answers share, is asked for again at once, unless 16 such requests are
//! under way. So a write costs who reads next no round trip; there are never more of these requests than answers from memory.
//!
//! # What the origin should do
//! - `Surrogate-Key: <key> …` in whatever it purges, also when it confirms. It is not passed on. Only such answers are good enough
//!   for requests with `no-cache`, which the edge answers as long as it is coherent; `no-store` in a request always reaches the origin.
//! - [`SURROGATE_CONTROL`] with a lifetime for who is purged, which may be longer than `s-maxage` for everybody else.
//! - [`PURGED_UP_TO`] in every answer: the edge passes it on once it has applied the purges up to there, so that whoever was told that a write
//!   is done reads what was written.
//! - [`PurgeLog::push`] after the commit and before its acknowledgement; also when rights change, with all keys that this concerns.
//!   Who can push only later than that, says so to [`PurgeLog::expect`].
//! - [`PurgeLog::stream`] at [`EdgeOptions::purge_path`], for who has the secret, with beats several times within the bound.
//! - `Vary: Authorization` where anonymous callers get another answer than others at the same address, such as `connect`.
//! - [`GROUP`] in what it wants hits of to be counted, and an ear for reports at [`REPORT_PATH`].
//! - `stale-if-error=<seconds>` where a stale answer is better than none. What was purged is never served, even so.
//!
//! # Example
//! ```no_run
//! use std::sync::Arc;
//! use fb_edge::{Edge, EdgeOptions, Monotonic};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let edge = Edge::new(EdgeOptions::of("http://10.0.0.1:8080"), Arc::new(Monotonic::default()))?;
//! let following = edge.clone();
//! tokio::spawn(async move { following.follow_purges().await });
//! let listener = tokio::net::TcpListener::bind("0.0.0.0:80").await?;
//! edge.serve(listener, std::future::pending()).await;
//! # Ok(())
//! # }
//! ```
//!
//! # What is not for everybody
//! The origin sends such an answer with its rules in [`GUARD`], with what the token of the request is worth in [`CALLER`], and with names that
//! both are purged by; but only to a request that proves to be an edge's, and only what the caller may see. The edge keeps it in a
//! table of its own, which no look-up of public answers meets, and gives it to callers of whom it knows that the rules let them:
//!
//! - **One kernel.** `fb_auth::LoadRules` decides at the origin and here. A class with rules on fields is never sent like this.
//! - **No keys.** Tokens are signed with secrets of the apps, and who can check can forge. The origin vouches for each token when it first
//!   comes by, and the edge remembers that under the token's hash. A stolen edge has its clients' tokens, and cannot make any. Public
//!   keys would do as well, but change every token that is out there; keys of edges alone would have to be guarded by each of them.
//! - **As fresh as anything here.** What is known of a caller is marked like an answer: it ends with a purge (a role, a session, a password, the
//!   user), with the token's own end, which counts from when the request was sent and needs no clock, and with the stream (S26, S40).
//! - **Only yes.** Whatever is unknown, out of date or refused goes to the origin with the client's own request. `stale-if-error` never
//!   applies. Such answers leave as `private`.
//!
//! # Where bodies are
//! Answers are in memory; with [`EdgeOptions::disk`], bodies of 64 KiB and more are files. Nothing on disk is found again after a restart.

mod ask;
mod body;
mod callers;
mod content;
mod directives;
mod disk;
mod edge;
mod entry;
mod error;
mod figures;
mod fill;
mod flight;
mod front;
mod groups;
mod guarded;
mod headers;
mod lines;
mod options;
mod origin;
mod proof;
mod purge;
mod refresh;
mod report;
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
mod warm;

pub use body::{BoxError, EdgeBody};
pub use edge::Edge;
pub use groups::GroupStats;
pub use headers::{Peer, SURROGATE_KEY};
pub use options::{EdgeError, EdgeOptions, Limits};
pub use proof::{CALLER, EDGE_BOUND, EDGE_SECRET, GROUP, GUARD, PURGED_UP_TO, SURROGATE_CONTROL};
pub use purge::{Late, Line, MAX_LINE, Malformed, Pace, Purge, PurgeLog, Resume, STREAM_VERSION, TooFarBehind};
pub use report::{BadReport, Counted, MAX_REPORT, REPORT_PATH, REPORT_VERSION, read_report, write_reports};
pub use stats::EdgeStats;
pub use time::{Monotonic, Ticks};
