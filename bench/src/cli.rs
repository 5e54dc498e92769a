//! The command line.

mod hits;

use std::{fs, io::Write as _, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand, ValueEnum as _};
use serde::Serialize;

use crate::{
    live::{self, Live, LiveReport, LiveSettings},
    plain,
    report::Report,
    run::{self, Settings},
    scenarios::Scenario,
    table::Format,
};

/// Measures Freshbase against what the same box can do at best.
///
/// Absolute figures depend on the box and on what else it does. Therefore every scenario is
/// measured in turn with a yardstick: reads with a plain HTTP server that answers fixed JSON,
/// writes with a SQLite writer in this process that acknowledges after fsync, logins with Argon2id
/// alone. The ratios are what counts.
#[derive(Debug, Parser)]
#[command(name = "fb-bench", version, after_help = EXAMPLES, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  fb-bench run --server ../target/release/freshbase
  fb-bench run --server ../target/release/freshbase --scenario get query-ordered --rounds 5
  fb-bench live --server ../target/release/freshbase
  fb-bench hits --server ../target/release/freshbase
  fb-bench references

Build both programs with --release; debug builds measure the compiler.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure Freshbase beside its yardsticks and print the ratios
    Run(RunArgs),
    /// Measure live queries: subscribers that are told of writes
    Live(LiveArgs),
    /// Measure what share of reads clients answer from their copies, beside an oracle that knows every write
    Hits(hits::HitsArgs),
    /// Measure only the yardsticks: what this box can do at best
    References(ReferencesArgs),
    /// Serve fixed JSON until standard input ends
    #[command(name = plain::SUBCOMMAND, hide = true)]
    PlainServer,
    /// Send events of so many bytes to whoever subscribes until standard input ends
    #[command(name = live::BARE_SENDER, hide = true)]
    BareSender {
        /// Bytes of each event's frame
        event_bytes: usize,
    },
}

#[derive(Debug, Args)]
#[command(after_help = RUN_HELP)]
struct RunArgs {
    /// The freshbase binary to measure; it is started on an empty directory and a free port
    #[arg(long, value_name = "FILE")]
    server: PathBuf,

    /// What to measure; everything if absent. Reads are always measured before writes
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    scenario: Vec<Scenario>,

    /// Exit with status 1 when a target is missed
    #[arg(long)]
    check: bool,

    #[command(flatten)]
    settings: SettingsArgs,

    #[command(flatten)]
    output: OutputArgs,
}

const RUN_HELP: &str = "\
Columns: 'CPU µs/op' is what the server process used (all threads, user and system) per answered
request; 'client' is the share of one core that the load client used, and near 100 % it was the
limit, not the server; 'op/s ×' and 'CPU ×' are Freshbase divided by the yardstick above it.

Exit status: 0 the run is complete, 1 a target was missed and --check was given, 2 the run failed.
An answer that is no success, or wrong data, fails the run.";

#[derive(Debug, Args)]
#[command(after_help = LIVE_HELP)]
struct LiveArgs {
    /// The freshbase binary to measure; each round starts it on an empty directory and a free port
    #[arg(long, value_name = "FILE")]
    server: PathBuf,

    /// A binary whose inserts are compared with, for 'nobody': one without live queries
    #[arg(long, value_name = "FILE")]
    baseline_server: Option<PathBuf>,

    /// A further argument of the server, such as a limit
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    server_arg: Vec<String>,

    /// What to measure; everything if absent
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    scenario: Vec<Live>,

    /// Length of each series of writes: a quarter of it to warm up and one with nobody subscribed, the same again with subscribers
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    seconds: f64,

    /// Rounds of each scenario; the table shows medians
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    rounds: usize,

    /// Share of all subscribers and writes per second, for trying out; no targets then
    #[arg(long, value_name = "SHARE", default_value_t = 1.0)]
    share: f64,

    /// After so long without anything, what is missing is taken for lost
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    silence: u64,

    /// Where the data goes, removed at the end; must be on a disk for honest figures
    #[arg(long, value_name = "DIR")]
    work_dir: Option<PathBuf>,

    /// Exit with status 1 when a target is missed
    #[arg(long)]
    check: bool,

    #[command(flatten)]
    output: OutputArgs,
}

const LIVE_HELP: &str = "\
Columns: 'CPU µs/event' and 'CPU µs/write' are all that the server process used (all threads, user and system), writing
included, by received events and by writes; 'bare send' is CPU per event of a server on the same sockets that does nothing but
answer and send events of that size, and 'event ×' the quotient; 'nobody subscribed' is the latter for the same writes before anybody subscribed.
Times are from sending a write to reading its event, to its last event, from reading its answer, and to its answer;
'before the answer' counts writes of which somebody was told before their answer was there.

An event that is missing, comes twice or to somebody else, or an answer that is no success, fails the run.";

#[derive(Debug, Args)]
struct ReferencesArgs {
    #[command(flatten)]
    settings: SettingsArgs,

    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
struct SettingsArgs {
    /// Keep-alive connections, each with one request at a time. Logins have 8, and 16 beside other requests
    #[arg(long, value_name = "COUNT", default_value_t = 64)]
    connections: usize,

    /// Length of each measured window; a warm-up of a fifth comes before it
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    seconds: f64,

    /// Rounds of each side, taken in turn; the table shows medians
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    rounds: usize,

    /// Objects to load before measuring, a multiple of 10
    #[arg(long, value_name = "COUNT", default_value_t = 100_000)]
    objects: u64,

    /// Private objects, 100 of each owner, that own-page and own-count find their own among. Loading a
    /// million takes about a minute
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000)]
    private: u64,

    /// Decides every object and every random choice
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,

    /// Where the data goes, removed at the end; must be on a disk for honest write figures.
    /// The system's directory for temporary files if absent
    #[arg(long, value_name = "DIR")]
    work_dir: Option<PathBuf>,
}

impl SettingsArgs {
    fn settings(&self) -> Settings {
        let Self {
            connections,
            seconds,
            rounds,
            objects,
            private,
            seed,
            work_dir: _,
        } = *self;
        Settings {
            connections,
            seconds,
            rounds,
            objects,
            private,
            seed,
        }
    }

    fn work_dir(&self) -> PathBuf {
        self.work_dir.clone().unwrap_or_else(std::env::temp_dir)
    }
}

#[derive(Debug, Args)]
struct OutputArgs {
    /// Print the tables as Markdown
    #[arg(long)]
    markdown: bool,

    /// Also write everything, every round included, to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl OutputArgs {
    fn publish(&self, report: &(impl Publish + Serialize)) -> Result<()> {
        if let Some(path) = &self.json {
            let mut text = serde_json::to_string_pretty(report).context("writing the report as JSON")?;
            text.push('\n');
            fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        let format = if self.markdown { Format::Markdown } else { Format::Text };
        std::io::stdout()
            .write_all(report.render(format).as_bytes())
            .context("printing the report")
    }
}

/// What can be shown as tables.
trait Publish {
    fn render(&self, format: Format) -> String;
}

impl Publish for Report {
    fn render(&self, format: Format) -> String {
        self.render(format)
    }
}

impl Publish for LiveReport {
    fn render(&self, format: Format) -> String {
        self.render(format)
    }
}

/// Does what the command line asks for.
pub(crate) fn run() -> Result<ExitCode> {
    match Cli::parse().command {
        Command::Run(args) => compare(&args),
        Command::Live(args) => measure_live(&args),
        Command::Hits(args) => hits::measure(&args),
        Command::References(args) => {
            let report = run::references(&args.settings.work_dir(), args.settings.settings())?;
            args.output.publish(&report)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::PlainServer => plain::serve().map(|()| ExitCode::SUCCESS),
        Command::BareSender { event_bytes } => live::send_bare(event_bytes).map(|()| ExitCode::SUCCESS),
    }
}

fn compare(args: &RunArgs) -> Result<ExitCode> {
    let mut scenarios = if args.scenario.is_empty() {
        Scenario::value_variants().to_vec()
    } else {
        args.scenario.clone()
    };
    scenarios.sort_unstable();
    scenarios.dedup();

    let report = run::compare(
        &args.server,
        &args.settings.work_dir(),
        &scenarios,
        args.settings.settings(),
    )?;
    args.output.publish(&report)?;
    let missed = args.check && !report.all_met();
    Ok(if missed { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn measure_live(args: &LiveArgs) -> Result<ExitCode> {
    let mut scenarios = if args.scenario.is_empty() {
        Live::value_variants().to_vec()
    } else {
        args.scenario.clone()
    };
    scenarios.sort_unstable();
    scenarios.dedup();
    let settings = LiveSettings {
        server: args.server.clone(),
        baseline: args.baseline_server.clone(),
        server_args: args.server_arg.clone(),
        seconds: args.seconds,
        rounds: args.rounds.max(1),
        share: args.share,
        silence: Duration::from_secs(args.silence),
    };
    let work_dir = args.work_dir.clone().unwrap_or_else(std::env::temp_dir);
    let report = live::run(&settings, &work_dir, &scenarios)?;
    args.output.publish(&report)?;
    let missed = args.check && !report.all_met();
    Ok(if missed { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn scenarios_are_separated_by_blanks_or_commas() {
        let cli =
            Cli::try_parse_from(["fb-bench", "run", "--server", "x", "--scenario", "get,idle", "insert"]).unwrap();
        let Command::Run(args) = cli.command else {
            panic!("not run")
        };
        assert_eq!(args.scenario, [Scenario::Get, Scenario::Idle, Scenario::Insert]);
    }
}
