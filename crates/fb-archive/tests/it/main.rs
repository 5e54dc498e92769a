//! What comes in and what goes out, against archives that the tests build byte by byte, and against other readers.

#![expect(clippy::unwrap_used, reason = "what is unexpected fails the test")]

mod bombs;
mod damage;
mod kit;
mod others;
mod roundtrip;
mod slip;
