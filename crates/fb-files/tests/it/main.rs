//! Tests of the crate from outside, in one program, so that they share one S3 server.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "these are tests")]

mod contract;
mod local;
mod s3;
mod suite;
mod support;
