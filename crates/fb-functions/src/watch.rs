//! What stops code that runs too long: asked by QuickJS every few thousand steps, set by everybody else.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a slice computes before it lets others go first.
const PATIENCE: u64 = 20_000_000;

/// How long it computes in between, in nanoseconds. Shorter than the time that the system gives a thread at once, which whoever
/// wakes up would wait for otherwise; long enough that asking costs nothing.
const TURN: u64 = 200_000;

/// Why a call was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It computed longer than it may.
    Cpu,
    /// It took longer than it may.
    Wall,
    /// Nobody waits for it any more.
    Cancelled,
}

/// One per instance, set anew for each call. Times are nanoseconds since `epoch`.
#[derive(Debug)]
pub(crate) struct Watch {
    epoch: Instant,
    stop: AtomicU8,
    wall_end: AtomicU64,
    /// When the slice that is running must end, in CPU time of its thread.
    cpu_end: AtomicU64,
    /// When that slice has to let others go first, in CPU time of its thread.
    turn_end: AtomicU64,
}

impl Watch {
    pub(crate) fn new() -> Self {
        Self {
            epoch: Instant::now(),
            stop: AtomicU8::new(0),
            wall_end: AtomicU64::new(u64::MAX),
            cpu_end: AtomicU64::new(u64::MAX),
            turn_end: AtomicU64::new(u64::MAX),
        }
    }

    /// A new call, which may take until `end`.
    pub(crate) fn begin_call(&self, end: Instant) {
        self.stop.store(0, Ordering::Relaxed);
        self.wall_end
            .store(nanos(end.saturating_duration_since(self.epoch)), Ordering::Relaxed);
    }

    /// A slice starts on this thread, which may compute for `rest`.
    pub(crate) fn begin_slice(&self, rest: Duration) {
        let now = thread_time();
        self.cpu_end.store(now.saturating_add(nanos(rest)), Ordering::Relaxed);
        self.turn_end.store(now.saturating_add(PATIENCE), Ordering::Relaxed);
    }

    /// From any thread: the code that runs ends at its next step that asks.
    pub(crate) fn stop(&self, why: Stop) {
        let _ = self
            .stop
            .compare_exchange(0, why as u8 + 1, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(crate) fn stopped(&self) -> Option<Stop> {
        match self.stop.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(Stop::Cpu),
            2 => Some(Stop::Wall),
            _ => Some(Stop::Cancelled),
        }
    }

    /// Whether the code must end; once yes, always yes. Asked on the thread of the slice.
    pub(crate) fn must_stop(&self) -> bool {
        if self.stopped().is_some() {
            return true;
        }
        let now = thread_time();
        if now >= self.turn_end.load(Ordering::Relaxed) {
            // A lower priority alone does not help whoever wakes up in the middle of a turn.
            std::thread::yield_now();
            self.turn_end.store(now.saturating_add(TURN), Ordering::Relaxed);
        }
        if now >= self.cpu_end.load(Ordering::Relaxed) {
            self.stop(Stop::Cpu);
        } else if nanos(self.epoch.elapsed()) >= self.wall_end.load(Ordering::Relaxed) {
            self.stop(Stop::Wall);
        }
        self.stopped().is_some()
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// CPU time of this thread in nanoseconds; where that is not known, elapsed time.
#[cfg(unix)]
pub(crate) fn thread_time() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec)
        .unwrap_or(0)
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// CPU time of this thread in nanoseconds; where that is not known, elapsed time.
#[cfg(not(unix))]
pub(crate) fn thread_time() -> u64 {
    use std::sync::OnceLock;
    static START: OnceLock<Instant> = OnceLock::new();
    nanos(START.get_or_init(Instant::now).elapsed())
}
