//! The edge in front of a real origin, on loopback. Time is moved by hand; nothing sleeps.

#![allow(unreachable_pub, clippy::unwrap_used, reason = "a test binary")]

mod coherent;
mod front;
mod guarded;
mod hits;
mod kit;
mod passing;
mod poisoning;
mod refreshing;
mod serving;
mod stale;
mod storing;
