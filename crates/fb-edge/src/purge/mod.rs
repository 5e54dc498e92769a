//! Purges: how they travel, and what they do to what is stored.

mod coherence;
mod follow;
mod late;
mod log;
mod wire;

pub(crate) use coherence::{Coherence, FenceKey, Stamp};
pub(crate) use follow::{Follow, Gap};
pub use late::Late;
pub use log::{Pace, PurgeLog, TooFarBehind};
pub use wire::{Line, MAX_LINE, Malformed, Purge, Resume, STREAM_VERSION};
