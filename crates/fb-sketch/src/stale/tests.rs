use super::*;

const TICKS: u64 = 62_500;

fn set(settings: &Settings, ceiling: u8) -> StaleSet {
    let mut set = StaleSet::new(&settings.clone().checked());
    set.counting.ceiling = ceiling;
    set
}

fn key(n: u32) -> KeyHash {
    KeyHash::of(&format!("/db/Thing/{n}"))
}

fn ticks() -> Ticks {
    Ticks::from(Moment::ZERO)
}

#[test]
fn it_is_all_zeros_when_everything_has_expired() {
    let mut set = set(&Settings::default(), u8::MAX);
    for n in 0..50_000 {
        set.insert(key(n % 5_000), n % 977 + 1);
        if n % 100 == 0 {
            set.fit(1, ticks());
        }
    }
    assert!(!set.is_blank());
    set.expire(977);
    assert!(set.is_blank());
    assert_eq!(set.len(), 0);
}

#[test]
fn a_key_written_often_is_counted_once() {
    let mut set = set(&Settings::default(), u8::MAX);
    for n in 1..1_000 {
        set.insert(key(1), n);
    }
    assert!(set.counting.counters.iter().all(|&counter| counter <= 4));
    assert_eq!(set.heap.len(), 1);
    set.expire(998);
    assert!(set.contains(key(1)), "extended to 999");
    set.expire(999);
    assert!(set.is_blank());
}

#[test]
fn stuck_counters_never_forget_a_key_and_are_repaired() {
    let settings = Settings {
        min_bits: 64,
        max_bits: 64,
        ..Settings::default()
    };
    let mut set = set(&settings, 3);
    for n in 0..200 {
        set.insert(key(n), 10);
    }
    set.insert(key(1_000), 20_000);
    assert!(set.n_stuck() > 0);
    set.expire(10);
    assert!(set.filter().contains(key(1_000)));
    assert!(set.filter().ones() > 4, "what is stuck stays");

    set.fit(10, ticks());
    assert!(set.n_stuck() > 0, "not before its time");
    set.fit((REPAIR_INTERVAL.as_micros() as u64 / TICKS) as Tick, ticks());
    assert_eq!(set.n_stuck(), 0);
    assert!(set.filter().contains(key(1_000)));
    assert!(set.filter().ones() <= 4);
}

#[test]
fn the_filter_grows_with_its_keys_and_shrinks_again() {
    let settings = Settings {
        min_bits: 1_024,
        max_bits: 16_384,
        ..Settings::default()
    };
    let mut set = set(&settings, u8::MAX);
    let mut sizes = vec![set.m()];
    for n in 0..10_000 {
        set.insert(key(n), n / 100 + 1);
        set.fit(0, ticks());
        if sizes.last() != Some(&set.m()) {
            sizes.push(set.m());
        }
        let is_largest = set.m() == 16_384;
        assert!(is_largest || filter::false_positive_rate(set.m(), 4, set.len()) <= 0.0611);
    }
    assert!((0..10_000).all(|n| set.filter().contains(key(n))));
    for now in 0..=100 {
        set.expire(now);
        set.fit(now, ticks());
        if sizes.last() != Some(&set.m()) {
            sizes.push(set.m());
        }
        assert!((now * 100..10_000).all(|n| set.filter().contains(key(n))), "at {now}");
    }
    assert_eq!(sizes, [1_024, 2_048, 4_096, 8_192, 16_384, 8_192, 4_096, 2_048, 1_024]);
}

#[test]
fn every_change_of_the_bits_moves_the_version() {
    let mut set = set(
        &Settings {
            min_bits: 128,
            ..Settings::default()
        },
        u8::MAX,
    );
    let mut last = (set.version(), set.filter());
    for n in 0..2_000_u32 {
        set.insert(key(n % 97), n / 3 + 1);
        set.expire(n / 4);
        set.fit(n / 4, ticks());
        let now = (set.version(), set.filter());
        assert_eq!(now.0 == last.0, now.1 == last.1, "at {n}");
        last = now;
    }
}

#[test]
fn it_costs_nothing_until_a_key_comes() {
    let set = set(&Settings::default(), u8::MAX);
    assert_eq!(
        set.counting.counters.capacity() + set.counting.bits.capacity() + set.heap.capacity(),
        0
    );
}
