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
    let report = run(Config {
        reads: n_reads(),
        ..Config::default()
    });
    assert!(report.is_clean(), "{report:#?}");
}

#[test]
fn the_bound_holds_in_every_scene() {
    for mutant in Mutant::ALL {
        let report = run(Config {
            mutant: None,
            reads: 300_000,
            seed: 7,
            ..mutant.scene()
        });
        assert!(report.is_clean(), "scene of {mutant:?}: {report:#?}");
    }
}

#[test]
fn the_bound_is_broken_with_any_rule() {
    for mutant in Mutant::ALL {
        let report = run(Config {
            reads: 5_000_000,
            ..mutant.scene()
        });
        assert!(!report.is_clean(), "{mutant:?} goes unnoticed: {report:#?}");
    }
}
