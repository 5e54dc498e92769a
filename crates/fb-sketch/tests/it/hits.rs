//! What learned lifetimes are worth.

use crate::workload::{Workload, run};

#[test]
fn hits_come_within_five_percent_of_knowing_the_next_write() {
    let outcome = run(&Workload::default());
    let all = outcome.all();
    assert!(all.ratio() >= 0.90, "{outcome:?}");
    assert!(all.ratio() >= 0.95 * all.oracle_ratio(), "{outcome:?}");
    assert!(outcome.max_stale <= outcome.capacity, "{outcome:?}");
}

#[test]
fn the_filter_stays_within_its_room_when_there_are_many_writes() {
    let workload = Workload {
        writes_percent: 20.0,
        ..Workload::default()
    };
    let outcome = run(&workload);
    assert!(outcome.mean_stale <= outcome.capacity as f64, "{outcome:?}");
    assert!(outcome.max_stale * 10 <= outcome.capacity * 11, "{outcome:?}");
    assert!(
        outcome.all().ratio() >= 0.9 * outcome.all().oracle_ratio(),
        "{outcome:?}"
    );
    // The best fixed lifetime per object, from the true rates, does not bring more.
    let informed = run(&Workload {
        knows_rates: true,
        ..workload
    });
    assert!(
        outcome.all().ratio() >= 0.95 * informed.all().ratio(),
        "{outcome:?}\n{informed:?}"
    );
}

#[test]
fn the_same_calls_have_the_same_answers() {
    let workload = Workload {
        operations: 100_000,
        ..Workload::default()
    };
    assert_eq!(format!("{:?}", run(&workload)), format!("{:?}", run(&workload)));
}
