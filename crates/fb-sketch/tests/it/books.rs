//! Exactness of the books, against the plainest model of them.

use std::collections::HashMap;
use std::time::Duration;

use fb_sketch::{Durability, KeyHash, Kind, Moment, Past, Settings, Sketch, Standing};
use proptest::prelude::*;

pub(crate) fn at_ms(ms: u64) -> Moment {
    Moment::from_micros(1_000_000_000_000 + ms * 1_000)
}

pub(crate) fn key(n: usize) -> KeyHash {
    KeyHash::of(&format!("/db/Thing/{n}"))
}

fn sketch(settings: Settings) -> Sketch {
    Sketch::new(settings, at_ms(0), 0xb007, Past::Blank)
}

const SECOND: Duration = Duration::from_secs(1);

/// What a test does next.
#[derive(Debug, Clone)]
enum Step {
    Read { key: usize, ttl_ms: u64 },
    Again { key: usize },
    Write { key: usize },
    Pass { ms: u64 },
    Tick,
    Snapshot,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..12_usize, 0..30_000_u64).prop_map(|(key, ttl_ms)| Step::Read { key, ttl_ms }),
        3 => (0..12_usize).prop_map(|key| Step::Again { key }),
        4 => (0..12_usize).prop_map(|key| Step::Write { key }),
        3 => (0..8_000_u64).prop_map(|ms| Step::Pass { ms }),
        1 => Just(Step::Tick),
        2 => Just(Step::Snapshot),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// A key is in the snapshot if a copy that was handed out before a write lives on; and is gone, with all bits, soon after.
    #[test]
    fn the_filter_has_what_is_stale_and_nothing_else(
        steps in prop::collection::vec(step(), 1..120),
        min_bits in prop_oneof![Just(16_u32), Just(14_600)],
        max_keys in prop_oneof![Just(8_usize), Just(1_000)],
    ) {
        let settings = Settings {
            min_bits, max_bits: 14_600 << 3, refresh_min: Duration::ZERO, slack: Duration::ZERO, drift_ppm: 0,
            grace: Duration::ZERO, n_shards: 2, max_keys, ..Settings::default()
        };
        let sketch = sketch(settings);
        let mut now = 0;
        let mut cached: HashMap<usize, Moment> = HashMap::new();
        let mut stale: HashMap<usize, Moment> = HashMap::new();
        let mut told: HashMap<usize, Moment> = HashMap::new();
        for step in steps {
            match step {
                Step::Read { key: n, ttl_ms } => {
                    let until = sketch.report_read(key(n), Kind::Object, at_ms(now), Duration::from_millis(ttl_ms));
                    prop_assert!(until <= at_ms(now + ttl_ms));
                    prop_assert!(until == at_ms(now) || until == at_ms(now + ttl_ms), "granted or refused");
                    let known = cached.entry(n).or_insert(until);
                    *known = until.max(*known);
                }
                Step::Again { key: n } => {
                    if let Standing::Until(until) = sketch.standing(key(n), at_ms(now)) {
                        prop_assert!(until > at_ms(now), "not worth it");
                        prop_assert!(cached.get(&n).is_some_and(|&known| until <= known), "never promised");
                    }
                }
                Step::Write { key: n } => {
                    let left = sketch.report_write(key(n), at_ms(now));
                    if let Some(left) = left {
                        told.insert(n, at_ms(now) + left);
                    }
                    if let Some(&until) = cached.get(&n).filter(|&&until| until > at_ms(now)) {
                        prop_assert!(left.is_some_and(|left| at_ms(now) + left >= until), "what lives must be purged");
                        stale.insert(n, until.max(stale.get(&n).copied().unwrap_or_default()));
                    } else if let Some(left) = left {
                        prop_assert!(left < Duration::from_millis(63), "only rounding");
                    }
                }
                Step::Pass { ms } => now += ms,
                Step::Tick => sketch.tick(at_ms(now)),
                Step::Snapshot => {
                    let snapshot = sketch.snapshot(at_ms(now));
                    prop_assert_eq!(snapshot.generation(), at_ms(now));
                    for (&n, &until) in &stale {
                        prop_assert!(until <= at_ms(now) || snapshot.filter().contains(key(n)), "key {} is missing", n);
                    }
                    for (&n, &until) in &told {
                        prop_assert!(until > at_ms(now) || !sketch.is_stale(key(n)), "key {} stays too long", n);
                    }
                }
            }
        }
        let end = sketch.snapshot(at_ms(now + 31_000));
        prop_assert_eq!(end.filter().ones(), 0);
    }
}

#[test]
fn a_key_that_nobody_read_is_not_listed() {
    let sketch = sketch(Settings::default());
    assert_eq!(sketch.report_write(key(1), at_ms(10)), None);
    assert!(!sketch.snapshot(at_ms(100)).filter().contains(key(1)));
}

#[test]
fn a_read_after_the_write_and_a_further_write_extend_the_stay() {
    let sketch = sketch(Settings {
        slack: Duration::ZERO,
        ..Settings::default()
    });
    sketch.report_read(key(1), Kind::Object, at_ms(0), 10 * SECOND);
    sketch.report_write(key(1), at_ms(1_000));
    sketch.report_read(key(1), Kind::Object, at_ms(5_000), 10 * SECOND);
    assert!(
        !sketch.snapshot(at_ms(10_200)).filter().contains(key(1)),
        "the new copy is no stale one"
    );

    sketch.report_write(key(1), at_ms(11_000));
    assert!(sketch.snapshot(at_ms(14_900)).filter().contains(key(1)));
    assert!(!sketch.snapshot(at_ms(15_200)).filter().contains(key(1)));
}

#[test]
fn a_shorter_lifetime_does_not_shorten_what_was_promised() {
    let sketch = sketch(Settings::default());
    sketch.report_read(key(1), Kind::Object, at_ms(0), 60 * SECOND);
    sketch.report_read(key(1), Kind::Object, at_ms(1), SECOND);
    assert!(sketch.report_write(key(1), at_ms(2)).unwrap() >= 59 * SECOND);
}

#[test]
fn what_was_granted_is_good_for_more_copies_until_half_of_it_is_over() {
    let sketch = sketch(Settings::default());
    assert_eq!(sketch.standing(key(1), at_ms(0)), Standing::Ask(0), "nobody read it");
    sketch.report_read(key(1), Kind::Object, at_ms(0), 60 * SECOND);
    for ms in [0, 10_000, 29_900] {
        assert_eq!(sketch.standing(key(1), at_ms(ms)), Standing::Until(at_ms(60_000)));
    }
    assert_eq!(sketch.standing(key(1), at_ms(30_000)), Standing::Ask(3));
    sketch.report_read(key(1), Kind::Object, at_ms(30_000), 40 * SECOND);
    assert_eq!(sketch.standing(key(1), at_ms(49_900)), Standing::Until(at_ms(70_000)));
    assert_eq!(sketch.standing(key(1), at_ms(50_000)), Standing::Ask(1));
    sketch.report_read(key(1), Kind::Object, at_ms(50_000), SECOND);
    assert_eq!(
        sketch.standing(key(1), at_ms(50_000)),
        Standing::Until(at_ms(51_000)),
        "the last grant counts"
    );
}

#[test]
fn what_was_written_or_written_down_gets_a_new_lifetime() {
    let sketch = sketch(Settings {
        durability: Durability::Journaled { unlogged: 10 * SECOND },
        ..Settings::default()
    });
    let until = |sketch: &Sketch, ms| match sketch.standing(key(1), at_ms(ms)) {
        Standing::Until(until) => Some(until),
        Standing::Ask(_) => None,
    };
    sketch.report_read(key(1), Kind::Object, at_ms(0), 60 * SECOND);
    assert_eq!(until(&sketch, 1), Some(at_ms(10_000)));
    sketch.written_down(&sketch.take_records());
    assert_eq!(until(&sketch, 2), None);
    sketch.report_read(key(1), Kind::Object, at_ms(2), 60 * SECOND);
    assert!(until(&sketch, 3).is_some());
    sketch.report_write(key(1), at_ms(4));
    assert_eq!(until(&sketch, 5), None);
}

#[test]
fn copies_are_kept_in_the_books_for_slow_clocks_and_rounded_headers() {
    let settings = Settings {
        slack: 2 * SECOND,
        drift_ppm: 1_000,
        ..Settings::default()
    };
    let sketch = sketch(settings);
    let until = sketch.report_read(key(1), Kind::Object, at_ms(0), 1_000 * SECOND);
    assert_eq!(until, at_ms(1_000_000));
    let left = sketch.report_write(key(1), at_ms(0)).unwrap();
    assert!(left >= 1_003 * SECOND && left < 1_004 * SECOND, "{left:?}");
}

#[test]
fn lifetimes_end_at_the_longest() {
    let sketch = sketch(Settings {
        longest: 5 * SECOND,
        ..Settings::default()
    });
    assert_eq!(
        sketch.report_read(key(1), Kind::Object, at_ms(0), Duration::MAX),
        at_ms(5_000)
    );
}

#[test]
fn full_books_refuse_new_keys_and_keep_their_promises() {
    let sketch = sketch(Settings {
        max_keys: 100,
        n_shards: 1,
        ..Settings::default()
    });
    for n in 0..100 {
        assert_eq!(sketch.report_read(key(n), Kind::Object, at_ms(0), SECOND), at_ms(1_000));
    }
    assert_eq!(
        sketch.report_read(key(100), Kind::Object, at_ms(1), SECOND),
        at_ms(1),
        "no lifetime"
    );
    assert_eq!(
        sketch.report_read(key(5), Kind::Object, at_ms(1), SECOND),
        at_ms(1_001),
        "known keys go on"
    );
    assert!(sketch.report_write(key(7), at_ms(2)).is_some());
    assert_eq!(sketch.stats(at_ms(2)).refused, 1);

    // What has ended makes room.
    assert_eq!(
        sketch.report_read(key(100), Kind::Object, at_ms(60_000), SECOND),
        at_ms(61_000)
    );
}

#[test]
fn ticks_let_go_of_what_has_ended() {
    let sketch = sketch(Settings {
        n_shards: 4,
        ..Settings::default()
    });
    for n in 0..1_000 {
        sketch.report_read(key(n), Kind::Object, at_ms(0), SECOND);
    }
    assert!(sketch.is_known(key(1), at_ms(9_000)), "within the grace period");
    assert!(!sketch.is_known(key(1), at_ms(60_000)));
    for turn in 0..4 {
        sketch.tick(at_ms(60_000 + turn * 1_000));
    }
    assert_eq!(sketch.stats(at_ms(64_000)).keys, 0);
}

#[test]
fn snapshots_are_made_at_most_once_per_interval() {
    let sketch = sketch(Settings {
        refresh_min: Duration::from_millis(50),
        ..Settings::default()
    });
    let first = sketch.snapshot(at_ms(100));
    sketch.report_read(key(1), Kind::Object, at_ms(100), 60 * SECOND);
    sketch.report_write(key(1), at_ms(110));
    let second = sketch.snapshot(at_ms(149));
    assert_eq!(
        (second.generation(), second.version()),
        (first.generation(), first.version())
    );
    let third = sketch.snapshot(at_ms(150));
    assert_eq!(third.generation(), at_ms(150));
    assert!(third.filter().contains(key(1)));
    assert_ne!(third.version(), first.version());
    let fourth = sketch.snapshot(at_ms(500));
    assert_eq!(
        (fourth.generation(), fourth.version()),
        (at_ms(500), third.version()),
        "confirmed, not made anew"
    );
    assert_eq!(fourth.json().as_ptr(), third.json().as_ptr());
}

#[test]
fn a_caller_who_was_overtaken_gets_the_later_snapshot() {
    let sketch = sketch(Settings {
        refresh_min: Duration::ZERO,
        ..Settings::default()
    });
    sketch.snapshot(at_ms(200));
    assert_eq!(sketch.snapshot(at_ms(150)).generation(), at_ms(200));
    assert_eq!(sketch.snapshot(at_ms(300)).generation(), at_ms(300));
}

#[test]
fn figures_say_what_is_there() {
    let sketch = sketch(Settings::default());
    for n in 0..100 {
        sketch.report_read(key(n), Kind::Object, at_ms(0), 60 * SECOND);
    }
    for n in 90..110 {
        sketch.report_write(key(n), at_ms(10));
    }
    sketch.snapshot(at_ms(100));
    let stats = sketch.stats(at_ms(100));
    assert_eq!(
        (stats.keys, stats.stale, stats.reads, stats.writes, stats.purges),
        (100, 10, 100, 20, 10)
    );
    assert_eq!(stats.bits, 14_600);
    assert!(stats.fill > 0.002 && stats.fill < 0.003, "{stats:?}");
    assert!(stats.false_positives < 1e-6 && !stats.is_blind);
}

#[test]
fn journaled_sketches_give_short_lifetimes_until_the_record_is_written_down() {
    let unlogged = 5 * SECOND;
    let sketch = sketch(Settings {
        durability: Durability::Journaled { unlogged },
        ..Settings::default()
    });
    let read = |ms, ttl| sketch.report_read(key(1), Kind::Object, at_ms(ms), ttl);
    assert_eq!(read(0, 60 * SECOND), at_ms(5_000));
    assert_eq!(read(10, 3 * SECOND), at_ms(3_010), "short ones need no record");

    let records = sketch.take_records();
    assert_eq!(records.len(), 1);
    assert!(records[0].until >= at_ms(120_000), "about twice as far away");
    assert_eq!(read(20, 60 * SECOND), at_ms(5_020), "taken is not written down");
    assert!(sketch.take_records().is_empty(), "asked for once");

    sketch.written_down(&records);
    assert_eq!(read(30, 60 * SECOND), at_ms(60_030));
    assert_eq!(read(50_000, 60 * SECOND), at_ms(110_000), "the record covers it");
    assert!(sketch.take_records().is_empty());
    let until = read(100_000, 60 * SECOND);
    assert!(
        until < at_ms(125_000) && until > at_ms(115_000),
        "what the record covers: {until:?}"
    );
    assert_eq!(sketch.take_records().len(), 1, "and a new one");
}

#[test]
fn records_that_could_not_be_written_down_are_asked_for_again() {
    let unlogged = 5 * SECOND;
    let sketch = sketch(Settings {
        durability: Durability::Journaled { unlogged },
        ..Settings::default()
    });
    sketch.report_read(key(1), Kind::Object, at_ms(0), 60 * SECOND);
    let records = sketch.take_records();
    sketch.not_written_down(&records);
    sketch.report_read(key(1), Kind::Object, at_ms(1), 60 * SECOND);
    assert_eq!(sketch.take_records().len(), 1);
}
