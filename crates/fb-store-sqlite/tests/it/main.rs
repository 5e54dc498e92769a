//! Tests of the embedded store through its public interface.

#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]

mod backup;
mod conformance;
mod contract;
mod differential;
mod files;
mod fixture;
mod formats;
mod limits;
mod log;
mod node;
mod numbers;
mod planner;
mod sight;
