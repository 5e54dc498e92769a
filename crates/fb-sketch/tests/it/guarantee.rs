//! No read is older than its bound, whatever happens; and each rule is needed for that.

use crate::sim::{Config, Mutant, Report, World};

fn run(config: Config) -> Report {
    World::new(config).run()
}

/// Reads of the normal run; `FB_SKETCH_SIM_READS` sets another number.
fn n_reads() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a test's size")]
    let reads = std::env::var("FB_SKETCH_SIM_READS");
    reads.ok().and_then(|reads| reads.parse().ok()).unwrap_or(10_000_000)
}

#[test]
fn no_read_is_older_than_its_bound() {
    let report = run(Config { reads: n_reads(), ..Config::default() });
    assert!(report.is_clean(), "{report:#?}");
}
