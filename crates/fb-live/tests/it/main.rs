//! The matcher against a model: after every write, each result with all events applied is what a fresh evaluation gives.

mod cells;
mod exact;
mod model;
mod sharing;
