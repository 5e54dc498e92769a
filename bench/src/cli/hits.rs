//! Arguments of `hits`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Args;

use super::{OutputArgs, Publish};
use crate::{
    hits::{self, HitsReport, HitsSettings},
    table::Format,
};

#[derive(Debug, Args)]
#[command(after_help = HITS_HELP)]
pub(super) struct HitsArgs {
    /// The freshbase binary; it is started on an empty directory and a free port
    #[arg(long, value_name = "FILE")]
    server: PathBuf,

    /// Clients, each with a cache of its own
    #[arg(long, value_name = "COUNT", default_value_t = 24)]
    clients: usize,

    /// Operations of all clients together: 1 % writes, half of the reads queries
    #[arg(long, value_name = "PER SECOND", default_value_t = 20_000.0)]
    rate: f64,

    /// Length of the run; its first third does not count, because caches are empty then
    #[arg(long, value_name = "SECONDS", default_value_t = 120.0)]
    seconds: f64,

    /// How old what a client reads may be, which is how often it fetches the filter
    #[arg(long, value_name = "SECONDS", default_value_t = 3)]
    staleness: u32,

    /// Put an edge between clients and server, whose `edgeStaleness` of 1 s is part of the staleness
    #[arg(long)]
    edge: bool,

    /// Objects of each of the ten classes
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    objects: usize,

    /// Queries, each of which finds ten objects
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    queries: usize,

    /// Decides every random choice
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,

    /// Where the data goes, removed at the end
    #[arg(long, value_name = "DIR")]
    work_dir: Option<PathBuf>,

    /// Exit with status 1 when a target is missed
    #[arg(long)]
    check: bool,

    #[command(flatten)]
    output: OutputArgs,
}

const HITS_HELP: &str = "\
Columns: 'hits' are reads that a client answered without any request, 'of them current' those of what had not been written
meanwhile; 'oracle' reads of what it had read since it was last written, 'stale oracle' the same if what is outdated is read for as long
as the staleness allows, which is the most that is possible; 'without the server' hits and what an edge had in memory. The second table tells why requests were made,
and how many of them said that the copy was still good.

A copy that is used for longer than the staleness after a write, or an answer that is no success, fails the run.";

/// Does what the arguments ask for.
pub(super) fn measure(args: &HitsArgs) -> Result<ExitCode> {
    let settings = HitsSettings {
        server: args.server.clone(),
        clients: args.clients,
        rate: args.rate,
        seconds: args.seconds,
        staleness: args.staleness,
        edge: args.edge,
        objects: args.objects,
        queries: args.queries,
        seed: args.seed,
    };
    let work_dir = args.work_dir.clone().unwrap_or_else(std::env::temp_dir);
    let report = hits::run(&settings, &work_dir)?;
    args.output.publish(&report)?;
    let missed = args.check && !report.all_met();
    Ok(if missed { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

impl Publish for HitsReport {
    fn render(&self, format: Format) -> String {
        self.render(format)
    }
}
