//! What a call may cost.

use std::time::Duration;

/// Limits of one app's calls. All are on by default.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Memory of one instance in bytes. Calls of an app that wait hold at most four times as much together, or 64 MiB if that is more,
    /// operations included: if less than one time is left, further calls are [`Busy`](crate::CallError::Busy), and a call that finds
    /// nothing left ends as [`OutOfMemory`](crate::CallError::OutOfMemory).
    pub memory_bytes: usize,
    /// How long one call may compute.
    pub cpu_time: Duration,
    /// How long one call may take, waiting included.
    pub wall_time: Duration,
    /// Calls of one app at once.
    pub instances: usize,
    /// Calls of one app that wait for that.
    pub waiting: usize,
    /// Operations of one call that are under way at once; further ones wait.
    pub operations: usize,
    /// Lines one call may log; further ones are left out.
    pub log_lines: usize,
    /// Largest answer in bytes.
    pub answer_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            cpu_time: Duration::from_secs(2),
            wall_time: Duration::from_secs(30),
            instances: 32,
            waiting: 256,
            operations: 16,
            log_lines: 200,
            answer_bytes: 16 << 20,
        }
    }
}
