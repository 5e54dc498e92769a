//! Which cached copies are out of date: an expiring Bloom filter, and how long copies may live.
//!
//! Knows nothing of HTTP, stores, tasks or clocks: instants come in as arguments, and what is to be purged or written down goes
//! out as answers.
//!
//! [`Sketch`] keeps the books: until when copies of a key may live, and which written keys have copies that outlive the write.
//! Clients hold a [`Filter`] of the latter that is not older than a bound, and ask again for what it contains; so no read is
//! older than that bound. [`Lifetimes`] says how long a copy should live, [`Queries`] which query results are worth keeping, and
//! [`represent`] in which form. Sources: the ideas of the Cache Sketch (BTW 2015) and Quaestor (PVLDB 10(12), 2017); the
//! crash rule is our own ([`Horizon`]).
//!
//! # The bound
//! A read that begins at `t` returns a version that was current at some instant after `t - bound`. The bound is the sum of
//!
//! - the age up to which the client uses a filter;
//! - if the client does not count the filter's `Age`: the time that edges keep it, and [`Settings::refresh_min`];
//! - the time until a purge has its effect, if edges answer revalidations;
//! - for queries: the time from the acknowledgement of a write to the report of the results it changes;
//! - the error of the client's clock rate over the filter's age.
//!
//! It hangs on rules that the sketch's callers keep ([`Sketch`], [`Horizon`]), and on rules for caches:
//!
//! 1. Lifetimes and the age of filters count from when the *request was sent*, or by an honest `Age`, never from arrival.
//! 2. An edge does not store an answer, and lets no further request wait for it, if a purge of the key came while it was under way.
//! 3. An edge that lost purges treats everything it has as stale; within the time that a purge may take.
//! 4. A key counts as revalidated only if the request was sent after the client had its present filter.
//! 5. A client that gets a version older than one it saw asks again, past the edge. What it wrote itself it revalidates until it
//!    has a filter whose generation is not before the *report* of that write; the commit is too early.
//! 6. Clocks of caches deviate by less than [`Settings::drift_ppm`] and [`Settings::slack`] allow. More is no matter of adding
//!    to the bound: a copy that outlives its entry in the filter may be out of date by its whole lifetime.
//!
//! The simulation in `tests/it/sim` checks the bound for every read, and that it breaks with each of these rules.
//!
//! # Example
//! ```
//! use std::time::Duration;
//! use fb_sketch::{KeyHash, Kind, Moment, Past, Settings, Sketch};
//!
//! let at = |secs: u64| Moment::from_micros(secs * 1_000_000);
//! let sketch = Sketch::new(Settings::default(), at(0), 0x5eed, Past::Blank);
//! let key = KeyHash::of("/db/Todo/42");
//!
//! let until = sketch.report_read(key, Kind::Object, at(1), Duration::from_secs(60)); // then the store is asked
//! assert_eq!(until, at(61));
//! assert!(sketch.report_write(key, at(5)).is_some()); // after the commit: purge it, then acknowledge
//! assert!(sketch.snapshot(at(6)).filter().contains(key));
//! assert!(!sketch.snapshot(at(70)).filter().contains(key));
//! ```

pub mod delta;
mod economy;
mod filter;
mod hash;
mod horizon;
mod lifetimes;
mod queries;
mod registry;
mod represent;
mod settings;
mod sketch;
mod snapshot;
mod stale;
mod table;
mod time;

pub use delta::Version;
pub use economy::{Aging, Load, Traffic, lifetime, quantile};
pub use filter::{Filter, MAX_BITS, MAX_HASHES, Malformed, capacity, false_positive_rate};
pub use hash::KeyHash;
pub use horizon::{Horizon, Kind, Past, Record};
pub use lifetimes::{Fill, LifetimeSettings, Lifetimes};
pub use queries::{Admission, Queries, QuerySettings, Worth};
pub use registry::Standing;
pub use represent::{QueryUse, Representation, represent};
pub use settings::{Durability, Settings};
pub use sketch::{Sketch, SketchStats};
pub use snapshot::{Snapshot, decode};
pub use time::Moment;
