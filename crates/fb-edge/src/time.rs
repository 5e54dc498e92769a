//! Time that never goes back.

use std::fmt;
use std::time::{Duration, Instant};

/// Where the edge has the time from. Only differences count; tests move it by hand.
pub trait Ticks: fmt::Debug + Send + Sync + 'static {
    /// Time since some fixed instant. Never less than what an earlier call gave, on any thread.
    fn now(&self) -> Duration;
}

/// The machine's monotonic clock, from when this was made.
#[derive(Debug, Clone, Copy)]
pub struct Monotonic(Instant);

impl Default for Monotonic {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Ticks for Monotonic {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}
