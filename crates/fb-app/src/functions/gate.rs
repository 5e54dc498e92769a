//! How many calls of one app run at once, by how deep they stand in each other.
//!
//! A call that waits for one that it made itself keeps its place meanwhile. If all calls shared the places, those that are there could
//! wait for each other until their time is up. So each depth has places of its own, and the deepest calls wait for none.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fb_functions::{CallError, Limits};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::MAX_DEPTH;

/// Calls at once at each depth but the first.
const NESTED: usize = 4;

/// The doors to an app's instances.
pub(super) struct Gate {
    /// By depth, the outermost calls first.
    levels: [Level; MAX_DEPTH as usize],
    most_waiting: usize,
    patience: Duration,
}

struct Level {
    places: Semaphore,
    waiting: AtomicUsize,
}

impl Gate {
    /// The doors for these limits, and the limits of the pool behind them, which has a place for each that they let in.
    pub(super) fn new(limits: &Limits) -> (Self, Limits) {
        let first = limits.instances.clamp(1, Semaphore::MAX_PERMITS / 2);
        let nested = NESTED.min(first);
        let level = |depth: usize| Level {
            places: Semaphore::new(if depth == 0 { first } else { nested }),
            waiting: AtomicUsize::new(0),
        };
        let gate = Self {
            levels: std::array::from_fn(level),
            most_waiting: limits.waiting,
            patience: limits.wall_time,
        };
        let behind = Limits {
            instances: first + nested * (gate.levels.len() - 1),
            ..limits.clone()
        };
        (gate, behind)
    }

    /// Waits for a place. `depth` counts from 1.
    pub(super) async fn enter(&self, depth: u8) -> Result<SemaphorePermit<'_>, CallError> {
        let at = usize::from(depth).clamp(1, self.levels.len()) - 1;
        let level = &self.levels[at];
        if let Ok(place) = level.places.try_acquire() {
            return Ok(place);
        }
        let _waiting = Waiting::begin(&level.waiting, self.most_waiting).ok_or(CallError::Busy)?;
        match tokio::time::timeout(self.patience, level.places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(CallError::Busy),
        }
    }
}

/// One that waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a AtomicUsize, most: usize) -> Option<Self> {
        let begun = waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < most).then_some(n + 1));
        begun.is_ok().then_some(Self(waiting))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(instances: usize, waiting: usize) -> (Gate, Limits) {
        Gate::new(&Limits {
            instances,
            waiting,
            wall_time: Duration::from_millis(1),
            ..Limits::default()
        })
    }

    #[tokio::test]
    async fn calls_of_one_depth_keep_no_place_from_those_of_another() {
        let (gate, behind) = gate(2, 0);
        let mut places = Vec::new();
        for depth in 1..=MAX_DEPTH {
            for _ in 0..2 {
                places.push(gate.enter(depth).await.unwrap());
            }
            assert!(matches!(gate.enter(depth).await, Err(CallError::Busy)));
        }
        assert_eq!(places.len(), behind.instances, "the pool has a place for each");
        places.clear();
        assert!(gate.enter(1).await.is_ok());
    }

    #[tokio::test]
    async fn who_waits_longer_than_a_call_may_take_is_told_so() {
        let (gate, _) = gate(1, 1);
        let _place = gate.enter(1).await.unwrap();
        assert!(matches!(gate.enter(1).await, Err(CallError::Busy)));
        assert_eq!(gate.levels[0].waiting.load(Ordering::Relaxed), 0);
    }
}
