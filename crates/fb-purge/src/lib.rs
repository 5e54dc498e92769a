//! Tells foreign caches (Varnish, CDNs) which of their copies to drop.
//!
//! Knows nothing of apps, stores or configuration files: it takes names of what changed, and targets to tell.
//!
//! [`Purger::push`] takes an [`Order`] and returns at once. Each [`Target`] has a queue and a task of its own, so that none waits for
//! another. A task lets orders gather for [`Options::gather`], puts as many names as the target takes into one request, and sends a few
//! requests at once. What fails is sent again, with growing pauses or after what `Retry-After` says.
//!
//! # What is certain, and what is not
//! A purge can be late or lost: the way to a foreign cache is the network's. What bounds the age of its copies is the lifetime that the
//! origin gave them; purges make it milliseconds in practice. For the same reason nothing here is written to disk. Where names may
//! have been lost the target is told to drop *everything*, which is safe and costs it some misses:
//! - once when a [`Purger`] starts, because nobody knows what its predecessor had still to tell;
//! - when more than [`Options::capacity`] names wait for a target;
//! - when a target comes back that could not be told anything for [`Options::patience`];
//! - when a target does not accept the names themselves, or goes by URL and nobody knows the URLs.
//!
//! # Purges that cross an answer
//! A cache may be fetching the old answer right when it is told to drop it, and store it a moment later. So each purge is sent once
//! more after [`Options::repeat`]. An answer that is under way for longer than that lives until its lifetime ends.
//!
//! # Example
//! ```no_run
//! use std::sync::Arc;
//! use fb_auth::Secret;
//! use fb_purge::{By, Options, Order, Purger, Target};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let varnish = Target::varnish("http://10.0.0.2:6081", Secret::new("a secret"))?;
//! let cdn = Target::fastly("https://api.fastly.com", "SU1Z0isxPaozGVKXdv0eY", Secret::new("a token"), false)?;
//! let purger = Purger::start(vec![varnish, cdn], By::Keys, Options::default(), Arc::new(fb_types::SystemClock))?;
//! purger.push(&[Order::key("shop:/db/Todo/42")]);
//! purger.close(std::time::Duration::from_secs(5)).await;
//! # Ok(())
//! # }
//! ```

mod options;
mod order;
mod purger;
mod queue;
mod send;
mod signature;
mod stats;
mod target;
mod verdict;
mod worker;

pub use options::{By, Options};
pub use order::{MAX_NAME, Order, wire_key};
pub use purger::{ProbeError, Purger, SetupError, probe};
pub use stats::TargetStats;
pub use target::{Target, TargetError};
