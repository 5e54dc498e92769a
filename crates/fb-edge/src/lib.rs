//! A caching proxy near users that its origin purges over a numbered stream.
//!
//! Knows nothing of stores, apps, users or configuration files; it takes requests, and what their answers say about themselves.
//!
//! [`Edge`] answers clients; [`PurgeLog`] is the origin's side of the stream. One is of no use without the other.
//!
//! # What an edge adds to the staleness of answers
//! At most [`EdgeOptions::bound`]. It answers from memory only while it has proof that at most that long ago no purge was missing.
//! The proof is a beat of the stream: the number of the last purge, with a time of the origin's clock that was read before it. The
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
//! # What the origin should do
//! - `Surrogate-Key: <key> …` in whatever it purges, also when it confirms. It is not passed on. Only such answers are good enough
//!   for requests with `no-cache`, which the edge answers as long as it is coherent; `no-store` in a request always reaches the origin.
//! - [`PurgeLog::push`] after the commit and before its acknowledgement; also when rights change, with all keys that this concerns.
//! - [`PurgeLog::stream`] at [`EdgeOptions::purge_path`], for who has the secret, with beats several times within the bound.
//! - `Vary: Authorization` where anonymous callers get another answer than others at the same address, such as `connect`.
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
//! # Protected data: a design, not built yet
//! Answers that are not for everybody are never stored. To serve them from here the edge has to decide itself, with the kernel that the
//! origin uses (`fb_auth::authorize`), on what it can know to be as fresh as the bound:
//!
//! 1. **A second kind of entry.** For an object whose rules are not public the origin answers a request *of the edge* (mutual proof by
//!    the secret, never a client's token) with the body, `Surrogate-Key`, and the object's rules in a header that is not passed on.
//!    Entries of this kind live in a table of their own, keyed by app and object id, so that no lookup for public answers can meet
//!    them; they leave the edge as `Cache-Control: private` only. Classes with rules on fields are left to the origin.
//! 2. **What decides.** Per app, over the same numbered stream, so that it is as coherent as purges: the key that tokens are signed
//!    with, the rules of classes, and per user epoch, roles and whether it is active, asked for when a user is first seen and stamped
//!    like an answer. A change of any of these is a purge (`user:<id>`, `class:<name>`, `tokens`) that is pushed before the change is
//!    acknowledged. So a revoked right ends with its purge, or with the bound if the stream is lost (S40).
//! 3. **The order per request.** Signature, then expiry against the wall clock with the origin's tolerance (S26; a token that the
//!    origin would renew is passed on), then epoch, then `authorize` for class and object. Whatever is unknown, stale or refused goes
//!    to the origin with the client's own request: the edge only ever says yes. `stale-if-error` never applies.
//! 4. **Keys.** A key that signs can also forge, so a stolen edge would be as bad as a stolen origin. Before this is built, tokens
//!    should be checked with a key derived for edges that the origin does not accept itself, or with public keys.

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
mod guarded;
mod headers;
mod options;
mod origin;
mod proof;
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
pub use proof::{CALLER, EDGE_BOUND, EDGE_SECRET, GUARD, PURGED_UP_TO, SURROGATE_CONTROL};
pub use purge::{Line, MAX_LINE, Malformed, Purge, PurgeLog, Resume, STREAM_VERSION, TooFarBehind};
pub use stats::EdgeStats;
pub use time::{Monotonic, Ticks};
