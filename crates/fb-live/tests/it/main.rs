//! The matcher against a model: after every write, each result with all events applied is what a fresh evaluation gives.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod cells;
mod churn;
mod exact;
mod model;
mod sharing;
mod together;
