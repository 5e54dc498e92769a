//! `freshbase edge` in front of a server, both as real processes, with a wire in between that tests can cut.

#![expect(
    clippy::unwrap_used,
    reason = "what is unexpected fails the test, in its helpers as well"
)]

mod browser;
mod coherent;
mod crashes;
mod files;
mod guarantee;
mod hits;
mod kit;
mod poisoning;
mod protected;
mod results;
mod serving;
