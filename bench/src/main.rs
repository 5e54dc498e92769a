//! `fb-bench`: how much of what the box can do is left when Freshbase does the work.
//!
//! Performance is reported as ratios to yardsticks measured in the same run: a plain hyper server
//! for reading, an in-process SQLite writer for writing, Argon2id alone for logins. README.md says
//! what is measured and why.

mod api;
mod argon2_baseline;
mod caching;
mod cli;
mod client;
mod dataset;
mod edge;
mod environment;
mod freshbase;
mod functions;
mod hits;
mod http;
mod kept;
mod launch;
mod live;
mod logins;
mod measure;
mod pages;
mod plain;
mod private;
mod process;
mod report;
mod run;
mod scenarios;
mod server;
mod sqlite_baseline;
mod table;
mod targets;
mod workload;
mod yardsticks;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("fb-bench: {error:#}");
            ExitCode::from(2)
        }
    }
}
