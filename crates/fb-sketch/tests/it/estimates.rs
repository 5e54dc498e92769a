//! Lifetimes of single objects and queries.

use std::time::Duration;

use fb_sketch::{Admission, Aging, Fill, LifetimeSettings, Lifetimes, Load, Queries, QuerySettings, Worth, lifetime};

use crate::books::{at_ms, key};

const SECOND: Duration = Duration::from_secs(1);
const DAY_MS: u64 = 86_400_000;

fn lifetimes() -> Lifetimes {
    Lifetimes::new(LifetimeSettings::default(), at_ms(0))
}

#[test]
fn what_is_never_written_gets_longer_and_longer_lives() {
    let lifetimes = lifetimes();
    let first = lifetimes.fill(key(1), 0, at_ms(0), Fill::default());
    let mut now = 0;
    for _ in 0..50 {
        now += DAY_MS;
        lifetimes.fill(key(1), 0, at_ms(now), Fill::default());
    }
    let last = lifetimes.fill(key(1), 0, at_ms(now + DAY_MS), Fill::default());
    assert!(last > first, "{first:?} {last:?}");
    assert_eq!(last, Duration::from_hours(24));
}

#[test]
fn what_is_written_all_the_time_gets_short_lives_at_once() {
    let lifetimes = lifetimes();
    for hour in 0..100 {
        lifetimes.fill(key(1), 0, at_ms(hour * 3_600_000), Fill::default());
    }
    let quiet = lifetimes.fill(key(1), 0, at_ms(400_000_000), Fill::default());
    let mut now = 400_000_000;
    for _ in 0..30 {
        now += 2_000;
        lifetimes.written(key(1), 0, at_ms(now));
        lifetimes.fill(key(1), 0, at_ms(now + 100), Fill::default());
    }
    let busy = lifetimes.fill(key(1), 0, at_ms(now + 200), Fill::default());
    assert!(quiet > 3_600 * SECOND && busy < 120 * SECOND, "{quiet:?} {busy:?}");
}

#[test]
fn new_objects_are_taken_to_be_like_their_class() {
    let lifetimes = lifetimes();
    for round in 0..200 {
        for n in 0..50 {
            lifetimes.fill(key(n), 1, at_ms(round * 10_000), Fill::default());
            lifetimes.written(key(n), 1, at_ms(round * 10_000 + 5_000));
            lifetimes.fill(key(1_000 + n), 2, at_ms(round * 10_000), Fill::default());
        }
    }
    let now = at_ms(2_000_000);
    // Class statistics are per shard; a key of each class that nobody met.
    let (busy, quiet) = (
        lifetimes.traffic(key(5_000), 1, now),
        lifetimes.traffic(key(5_000), 2, now),
    );
    assert!((busy.writes - 0.1).abs() < 0.02, "{busy:?}");
    assert!(quiet.writes < 0.001, "{quiet:?}");
    assert!(lifetimes.fill(key(5_000), 1, now, Fill::default()) < lifetimes.fill(key(5_001), 2, now, Fill::default()));
}

#[test]
fn the_true_lifetime_of_a_copy_is_told() {
    let lifetimes = lifetimes();
    assert_eq!(lifetimes.written(key(1), 0, at_ms(0)), None, "nobody had one");
    lifetimes.fill(key(1), 0, at_ms(1_000), Fill::default());
    assert_eq!(lifetimes.written(key(1), 0, at_ms(9_000)), Some(8 * SECOND));
    assert_eq!(lifetimes.written(key(1), 0, at_ms(9_500)), None, "it is gone already");
}

#[test]
fn rates_are_learned() {
    let lifetimes = lifetimes();
    // Written every 20 s, read 5 s after each copy ended.
    for round in 0..500 {
        lifetimes.fill(key(1), 0, at_ms(round * 20_000), Fill::default());
        lifetimes.written(key(1), 0, at_ms(round * 20_000 + 15_000));
    }
    let traffic = lifetimes.traffic(key(1), 0, at_ms(10_000_000));
    assert!(
        (traffic.writes - 0.05).abs() < 0.01 && (traffic.reads - 0.2).abs() < 0.05,
        "{traffic:?}"
    );
}

#[test]
fn a_full_filter_shortens_lives_and_an_empty_one_lengthens_them() {
    let lifetimes = lifetimes();
    let ttl = |n| {
        lifetimes.written(key(n), 0, at_ms(1_000_000));
        lifetimes.fill(key(n), 0, at_ms(1_000_000), Fill::default())
    };
    let before = ttl(1);
    for second in 0..200 {
        let load = Load {
            stale: 2_000,
            capacity: 1_000,
            purges_pile_up: false,
        };
        lifetimes.adjust(&load, at_ms(1_000_000 + second * 5_000));
    }
    let crowded = ttl(1);
    for second in 0..600 {
        let load = Load {
            stale: 0,
            capacity: 1_000,
            purges_pile_up: second < 3,
        };
        lifetimes.adjust(&load, at_ms(2_000_000 + second * 5_000));
    }
    let roomy = ttl(1);
    assert!(crowded < before && roomy > crowded, "{before:?} {crowded:?} {roomy:?}");
}

#[test]
fn memory_is_bounded_whatever_the_keys() {
    let settings = LifetimeSettings {
        max_keys: 1_024,
        ..LifetimeSettings::default()
    };
    let lifetimes = Lifetimes::new(settings, at_ms(0));
    for n in 0..50_000 {
        lifetimes.fill(key(n), n as u32, at_ms(n as u64), Fill::default());
    }
    assert!(lifetimes.n_keys() <= 1_024);
}

#[test]
fn registered_is_the_longest_way_a_copy_can_take() {
    assert_eq!(lifetime(5 * SECOND, 9 * SECOND, Aging::Honest), 9 * SECOND);
    assert_eq!(lifetime(5 * SECOND, 9 * SECOND, Aging::Reset), 14 * SECOND);
}

fn queries(max_queries: usize) -> Queries {
    Queries::new(
        QuerySettings {
            max_queries,
            ..QuerySettings::default()
        },
        at_ms(0),
    )
}

fn worth(evaluation_ms: u64, writes: f64) -> Worth {
    let (evaluation, per_write) = (Duration::from_millis(evaluation_ms), Duration::from_micros(1));
    Worth {
        evaluation,
        hit_ratio: 0.9,
        writes,
        per_write,
    }
}

#[test]
fn the_first_life_of_a_result_is_the_mean_time_between_changes() {
    let mut queries = queries(10);
    queries.consider(key(1), at_ms(0), worth(5, 0.0));
    let ttl = queries.fill(key(1), at_ms(0), 0.05);
    assert!(ttl > 19 * SECOND && ttl < 21 * SECOND, "{ttl:?}");
}

#[test]
fn a_life_that_a_write_ended_moves_towards_the_true_one() {
    let mut queries = queries(10);
    queries.consider(key(1), at_ms(0), worth(5, 0.0));
    let ttl = queries.fill(key(1), at_ms(0), 0.01).as_secs_f64();
    assert_eq!(queries.invalidated(key(1), at_ms(10_000)), Some(10 * SECOND));
    assert_eq!(
        queries.invalidated(key(1), at_ms(11_000)),
        None,
        "it is invalid already"
    );
    let next = queries.fill(key(1), at_ms(12_000), 0.01).as_secs_f64();
    assert!((next - (0.7 * ttl + 0.3 * 10.0)).abs() < 1e-6, "{ttl} {next}");
}

#[test]
fn a_life_that_ended_by_itself_grows_up_to_the_longest() {
    let mut queries = queries(10);
    queries.consider(key(1), at_ms(0), worth(5, 0.0));
    let mut now = 0;
    let mut last = queries.fill(key(1), at_ms(now), 0.01);
    assert_eq!(
        queries.fill(key(1), at_ms(1), 0.01),
        last,
        "a second reader while it lives proves nothing"
    );
    now += 1;
    for _ in 0..20 {
        now += last.as_millis() as u64 + 1;
        let next = queries.fill(key(1), at_ms(now), 0.01);
        let is_grown = (next.as_secs_f64() - 1.5 * last.as_secs_f64()).abs() < 1e-6;
        assert!(is_grown || next == Duration::from_hours(24), "{last:?} {next:?}");
        last = next;
    }
    assert_eq!(last, Duration::from_hours(24));
}

#[test]
fn queries_that_cost_more_than_they_save_are_refused() {
    let mut queries = queries(10);
    assert_eq!(queries.consider(key(1), at_ms(0), worth(1, 1e6)), Admission::Refused);
    assert_eq!(queries.consider(key(1), at_ms(0), worth(1, 1.0)), Admission::Admitted);
}

#[test]
fn seats_go_to_those_who_are_asked_most() {
    let mut queries = queries(4);
    let mut now = 0;
    for n in 0..4 {
        assert_eq!(queries.consider(key(n), at_ms(now), worth(5, 0.0)), Admission::Admitted);
    }
    assert_eq!(
        queries.consider(key(9), at_ms(now), worth(5, 0.0)),
        Admission::Refused,
        "not better"
    );
    let mut thrown_out = None;
    for _ in 0..100 {
        now += 100;
        for n in 0..3 {
            assert_eq!(queries.consider(key(n), at_ms(now), worth(5, 0.0)), Admission::Admitted);
        }
        match queries.consider(key(9), at_ms(now), worth(5, 0.0)) {
            Admission::InsteadOf(old) => thrown_out = Some(old),
            Admission::Admitted | Admission::Refused => {}
        }
    }
    assert_eq!(thrown_out, Some(key(3)));
    assert_eq!(queries.len(), 4);
}

#[test]
fn old_requests_are_forgotten() {
    let mut queries = queries(1);
    for n in 0..1_000 {
        queries.consider(key(1), at_ms(n), worth(5, 0.0));
    }
    let hour = 3_600_000;
    for n in 0..20 {
        queries.consider(key(2), at_ms(hour + n), worth(5, 0.0));
    }
    assert_eq!(
        queries.consider(key(1), at_ms(hour + 30), worth(5, 0.0)),
        Admission::Refused
    );
}

#[test]
fn queries_that_are_asked_for_equally_often_leave_each_other_their_seats() {
    let mut queries = queries(100);
    let mut random = 1_u64;
    let mut n_displaced = 0;
    for now in 0..200_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let admission = queries.consider(key((random >> 33 & 16_383) as usize), at_ms(now), worth(5, 0.0));
        n_displaced += u32::from(matches!(admission, Admission::InsteadOf(_)));
    }
    assert!(n_displaced < 1_000, "{n_displaced} in 200 seconds");
}

/// What caches answer does not come to the server, so a query seems to be asked for less as soon as it is cached.
#[test]
fn a_query_that_caches_answer_for_keeps_its_seat() {
    let mut queries = queries(1);
    let begin = 120_000;
    for n in 0..begin / 10 {
        queries.consider(key(1), at_ms(10 * n), worth(5, 0.0));
    }
    // Half as popular, and not cached.
    let mut admitted = None;
    for n in 0..120_000 {
        if n % 10 == 0 {
            queries.consider(key(1), at_ms(begin + 20 * n), worth(5, 0.0));
        }
        if let Admission::InsteadOf(_) = queries.consider(key(2), at_ms(begin + 20 * n), worth(5, 0.0)) {
            admitted = Some(Duration::from_millis(20 * n));
            break;
        }
    }
    // Not for ever: it might really be asked for less.
    let admitted = admitted.unwrap();
    assert!(
        admitted > Duration::from_mins(2) && admitted < Duration::from_mins(30),
        "{admitted:?}"
    );
}

#[test]
fn live_queries_have_a_seat_that_nobody_takes() {
    let mut queries = queries(1);
    queries.consider(key(2), at_ms(0), worth(5, 0.0));
    queries.subscribed(key(1));
    assert_eq!(
        queries.consider(key(1), at_ms(0), worth(1, 1e6)),
        Admission::InsteadOf(key(2))
    );
    for n in 0..1_000 {
        assert_eq!(queries.consider(key(2), at_ms(n), worth(5, 0.0)), Admission::Refused);
    }
    queries.unsubscribed(key(1));
    assert_eq!(
        queries.consider(key(2), at_ms(1_000), worth(5, 0.0)),
        Admission::InsteadOf(key(1))
    );
    queries.forget(key(2));
    assert!(queries.is_empty());
}
