//! Instants of the server's time line.

use std::ops::Add;
use std::time::Duration;

/// An instant of the server's clock: microseconds since the Unix epoch.
///
/// The caller reads it from a clock that never goes backwards while the process runs: the wall clock at the start, advanced by
/// a monotonic clock. An instant that was read somewhat earlier than the call is always safe to pass; one from the future never.
/// Arithmetic saturates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The epoch.
    pub const ZERO: Self = Self(0);
    /// Later than anything that happens.
    pub const MAX: Self = Self(u64::MAX);

    /// From microseconds since the Unix epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Time since `earlier`; zero if that is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }
}

/// Whole microseconds, rounded up: a lifetime must not shrink on its way into the books.
fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX)
}

/// Instants as 32-bit numbers of sixteenths of a second since a start, which halves what a key costs. Expiries are rounded up,
/// the present is rounded down: a copy is believed to live longer than it does, never shorter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticks {
    start: u64,
}

/// Sixteenths of a second; `u32` holds eight years of them.
pub(crate) type Tick = u32;

const MICROS_PER_TICK: u64 = 62_500;

impl Ticks {
    pub(crate) const LENGTH: Duration = Duration::from_micros(MICROS_PER_TICK);

    pub(crate) fn from(start: Moment) -> Self {
        Self { start: start.0 }
    }

    /// The tick that is under way.
    pub(crate) fn now(self, now: Moment) -> Tick {
        Tick::try_from(now.0.saturating_sub(self.start) / MICROS_PER_TICK).unwrap_or(Tick::MAX)
    }

    /// The first tick that is not before `until`.
    pub(crate) fn end(self, until: Moment) -> Tick {
        Tick::try_from(until.0.saturating_sub(self.start).div_ceil(MICROS_PER_TICK)).unwrap_or(Tick::MAX)
    }

    pub(crate) fn moment(self, tick: Tick) -> Moment {
        Moment(self.start.saturating_add(u64::from(tick) * MICROS_PER_TICK))
    }

    /// False after eight years, when ticks no longer tell instants apart.
    pub(crate) fn reach(self, now: Moment) -> bool {
        self.now(now) < Tick::MAX / 2
    }
}
