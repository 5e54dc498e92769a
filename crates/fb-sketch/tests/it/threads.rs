//! The promises with many threads at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fb_sketch::{Kind, Moment, Past, Settings, Sketch};

use crate::books::key;

const MINUTE: Duration = Duration::from_mins(1);

/// Eight threads read, write and look; time moves with every call.
fn run(refresh_min: Duration) {
    let clock = AtomicU64::new(1_000_000);
    let now = || Moment::from_micros(clock.fetch_add(1, Ordering::SeqCst));
    let settings = Settings {
        refresh_min,
        min_bits: 256,
        max_bits: 4_096,
        ..Settings::default()
    };
    let sketch = Sketch::new(settings, now(), 1, Past::Blank);
    std::thread::scope(|scope| {
        for thread in 0..8_usize {
            let (sketch, now) = (&sketch, &now);
            scope.spawn(move || {
                let mut last = Moment::ZERO;
                for round in 0..10_000 {
                    let key = key((thread * 31 + round * 7) % 97);
                    let until = sketch.report_read(key, Kind::Object, now(), MINUTE);
                    assert!(sketch.report_write(key, now()).is_some());
                    let reported = now();
                    let snapshot = sketch.snapshot(now());
                    assert!(snapshot.generation() >= last, "generations do not go back");
                    last = snapshot.generation();
                    if snapshot.generation() >= reported {
                        assert!(
                            snapshot.filter().contains(key),
                            "reported before {:?}",
                            snapshot.generation()
                        );
                    } else {
                        assert!(refresh_min > Duration::ZERO);
                    }
                    assert!(until > reported);
                    if round % 50 == 0 {
                        sketch.tick(now());
                        assert_eq!(snapshot.json(), snapshot.json());
                    }
                }
            });
        }
    });
    let end = Moment::from_micros(clock.load(Ordering::SeqCst)) + 2 * MINUTE;
    assert_eq!(sketch.snapshot(end).filter().ones(), 0);
    assert_eq!(sketch.stats(end).stale, 0);
}

#[test]
fn what_was_reported_before_a_generation_is_in_it() {
    run(Duration::ZERO);
}

#[test]
fn what_was_reported_before_a_generation_is_in_it_with_shared_snapshots() {
    run(Duration::from_micros(500));
}
