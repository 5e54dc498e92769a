//! What clients are told after the process was restarted.

use std::time::Duration;

use fb_sketch::{Durability, Filter, Kind, Past, Settings, Sketch};

use crate::books::{at_ms, key};

const SECOND: Duration = Duration::from_secs(1);
const UNLOGGED: Duration = Duration::from_secs(5);

fn settings() -> Settings {
    Settings {
        durability: Durability::Journaled { unlogged: UNLOGGED },
        slack: Duration::ZERO,
        drift_ppm: 0,
        refresh_min: Duration::ZERO,
        ..Settings::default()
    }
}

#[test]
fn without_knowledge_everything_is_stale_for_the_longest_lifetime() {
    let sketch = Sketch::new(settings(), at_ms(0), 2, Past::Unknown { longest: 60 * SECOND });
    let snapshot = sketch.snapshot(at_ms(59_999));
    assert_eq!(**snapshot.filter(), Filter::full());
    assert_eq!(snapshot.version().number, 0);
    assert!(snapshot.filter().contains(key(1)));
    assert!(
        sketch.report_write(key(1), at_ms(1_000)).is_some(),
        "an edge may have it: purge"
    );
    assert!(sketch.stats(at_ms(1_000)).is_blind);
    assert!(!sketch.snapshot(at_ms(60_000)).filter().contains(key(1)));
    assert_eq!(sketch.report_write(key(1), at_ms(60_000)), None);
}

#[test]
fn with_a_journal_only_for_the_unlogged_seconds() {
    let before = Sketch::new(settings(), at_ms(0), 1, Past::Blank);
    for n in 0..4 {
        before.report_read(
            key(n),
            if n == 3 { Kind::Query } else { Kind::Object },
            at_ms(0),
            600 * SECOND,
        );
    }
    let journal = before.take_records();
    before.written_down(&journal);
    for n in 0..4 {
        before.report_read(key(n), Kind::Object, at_ms(1_000), 600 * SECOND);
    }
    before.report_write(key(0), at_ms(2_000));

    let after = Sketch::new(settings(), at_ms(10_000), 2, Past::Journaled { unlogged: UNLOGGED });
    assert!(
        after.snapshot(at_ms(9_000_000)).filter().contains(key(99)),
        "blind while nothing is restored"
    );
    let after = Sketch::new(settings(), at_ms(10_000), 2, Past::Journaled { unlogged: UNLOGGED });
    for record in &journal {
        after.restore(record);
    }
    assert!(
        after.report_write(key(0), at_ms(10_000)).is_some(),
        "the feed tells of the write before the crash"
    );
    after.restored();

    assert!(
        after.snapshot(at_ms(14_000)).filter().contains(key(99)),
        "copies without a record may live"
    );
    let filter = after.snapshot(at_ms(15_000)).filter().clone();
    assert!(filter.contains(key(0)), "was written before the crash");
    assert!(!filter.contains(key(1)));
    assert!(filter.contains(key(3)), "nobody knows what would have changed a query");
    assert!(!filter.contains(key(99)));

    assert!(
        after.report_write(key(1), at_ms(16_000)).is_some(),
        "a copy from before the crash"
    );
    assert!(after.snapshot(at_ms(16_000)).filter().contains(key(1)));
    let until = after.report_read(key(1), Kind::Object, at_ms(17_000), 600 * SECOND);
    assert_eq!(until, at_ms(617_000), "the record still counts");
}

#[test]
fn after_a_clean_stop_until_the_last_copy_has_ended() {
    let before = Sketch::new(settings(), at_ms(0), 1, Past::Blank);
    before.report_read(key(1), Kind::Object, at_ms(0), 4 * SECOND);
    let end = before.last_expiry();
    assert_eq!(end, at_ms(4_000));
    let after = Sketch::new(settings(), at_ms(1_000), 2, Past::EndsBy(end));
    assert!(after.snapshot(at_ms(3_900)).filter().contains(key(99)));
    assert!(!after.snapshot(at_ms(4_000)).filter().contains(key(99)));
}

#[test]
fn doubt_shows_at_once_and_ends() {
    let sketch = Sketch::new(
        Settings {
            refresh_min: SECOND,
            ..settings()
        },
        at_ms(0),
        1,
        Past::Blank,
    );
    sketch.snapshot(at_ms(5_000));
    sketch.doubt(at_ms(5_100), at_ms(9_000));
    let snapshot = sketch.snapshot(at_ms(5_200));
    assert_eq!((snapshot.generation(), snapshot.version().number), (at_ms(5_100), 0));
    assert!(snapshot.filter().contains(key(1)));
    assert!(!sketch.snapshot(at_ms(9_000)).filter().contains(key(1)));
}

#[test]
fn a_journal_that_does_not_fit_makes_blind_until_it_has_ended() {
    let before = Sketch::new(settings(), at_ms(0), 1, Past::Blank);
    for n in 0..20 {
        before.report_read(key(n), Kind::Object, at_ms(0), 600 * SECOND);
    }
    let small = Settings {
        max_keys: 10,
        n_shards: 1,
        ..settings()
    };
    let after = Sketch::new(small, at_ms(1_000), 2, Past::Journaled { unlogged: UNLOGGED });
    for record in before.take_records() {
        after.restore(&record);
    }
    after.restored();
    assert!(after.snapshot(at_ms(1_199_000)).filter().contains(key(99)));
    assert!(!after.snapshot(at_ms(1_201_000)).filter().contains(key(99)));
}

#[test]
fn versions_of_different_processes_never_meet() {
    let tags: Vec<String> = [1, 2]
        .map(|boot| {
            Sketch::new(settings(), at_ms(0), boot, Past::Blank)
                .snapshot(at_ms(1))
                .version()
                .tag()
        })
        .into();
    assert_ne!(tags[0], tags[1]);
}

#[test]
fn after_eight_years_it_is_blind_rather_than_wrong() {
    let sketch = Sketch::new(settings(), at_ms(0), 1, Past::Blank);
    let late = at_ms(9 * 365 * 86_400_000);
    assert_eq!(sketch.report_read(key(1), Kind::Object, late, 60 * SECOND), late);
    assert!(sketch.snapshot(late).filter().contains(key(1)));
}
