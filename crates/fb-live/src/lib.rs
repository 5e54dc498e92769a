//! Which of many registered queries a committed write changes, and how.
//!
//! Knows nothing of storage, sockets, tokens, clocks or threads: it is fed with results and committed writes, and says what
//! to tell whom. What a query means is [`fb_query`]'s business, who may see an object [`fb_auth::Scope`]'s.
//!
//! Queries with the same filter are evaluated once per write, found by an index over their constants. Writes that are fed
//! together are looked up together ([`Matcher::write_all`]): with very many queries that is faster. Subscribers who see the
//! same objects share one [view](crate#views). Sources: the ideas of InvaliDB (PVLDB 13(12), 2020) for windows with slack,
//! renewal and retained writes; the index is our own.
//!
//! # Views
//! A view is one query as one or more scopes see it: the set of its objects, or, if it is sorted or limited, a window onto
//! their order. Scopes share a view as long as they see the same; the first write that only some of them may see parts it.
//!
//! # Exactness
//! A subscription begins at the position of the snapshot its first result was read from. From there on, the result with all
//! events applied is what the store would answer after each write. Whoever cannot be told so is told to renew ([`Output::Renew`]).

mod class;
mod event;
mod index;
mod matcher;
mod members;
mod objects;
mod query;
mod retained;
mod view;
mod window;

pub use event::{Content, Event, Operation, What};
pub use matcher::{Matcher, MatcherStats, Output, Refused, Registration, Subscriber, Ticket, ViewId};
pub use query::{LiveQuery, MAX_WINDOW, Unfit};
pub use retained::{Image, Limits};

/// One object of a first or renewed result.
#[derive(Debug, Clone)]
pub struct Row {
    /// Key within the class.
    pub key: fb_types::ObjectKey,
    /// The object's JSON.
    pub body: bytes::Bytes,
}
