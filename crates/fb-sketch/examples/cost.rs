//! Time and memory of the calls on the way of every request.
//!
//! `cargo run -p fb-sketch --release --example cost`

use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

use fb_sketch::{Fill, KeyHash, Kind, LifetimeSettings, Lifetimes, Moment, Past, Settings, Sketch};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const HOUR: Duration = Duration::from_hours(1);

fn per_call(n: usize, mut call: impl FnMut(usize)) -> u128 {
    let start = Instant::now();
    (0..n).for_each(&mut call);
    start.elapsed().as_nanos() / n as u128
}

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout();
    let at = |micros: usize| Moment::from_micros(1_000_000_000 + micros as u64);
    let keys: Vec<String> = (0..500_000)
        .map(|n| format!("/db/Something/{n:08x}-7c1f-4a2b-9d3e-{n:012x}"))
        .collect();
    let empty = ALLOCATOR.current_usage();
    let sketch = Sketch::new(Settings::default(), at(0), 1, Past::Blank);
    writeln!(out, "an empty sketch: {} bytes", ALLOCATOR.current_usage() - empty)?;

    let first = per_call(keys.len(), |i| {
        black_box(sketch.report_read(KeyHash::of(&keys[i]), Kind::Object, at(i), HOUR));
    });
    writeln!(out, "first read of a key, hashing included: {first} ns")?;
    let bytes = (ALLOCATOR.current_usage() - empty) / keys.len();
    writeln!(out, "{bytes} bytes per key with {} keys", keys.len())?;
    for (name, n_keys) in [("1,000", 1_000), ("500,000", 500_000)] {
        let known = per_call(2_000_000, |i| {
            let key = KeyHash::of(&keys[i * 7_919 % n_keys]);
            black_box(sketch.report_read(key, Kind::Object, at(i), HOUR));
        });
        let hash = per_call(2_000_000, |i| {
            black_box(KeyHash::of(&keys[i * 7_919 % n_keys]));
        });
        writeln!(
            out,
            "read of one of {name} known keys: {known} ns, of these {hash} for the hash"
        )?;
    }
    let unknown = per_call(500_000, |i| {
        black_box(sketch.report_write(
            KeyHash::from_bits((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            at(i),
        ));
    });
    writeln!(out, "write of a key that nobody has: {unknown} ns")?;
    let cached = per_call(20_000, |i| {
        black_box(sketch.report_write(KeyHash::of(&keys[i]), at(i)));
    });
    writeln!(out, "write of a key that somebody has: {cached} ns")?;
    let mut now = 10_000_000;
    let same = per_call(1_000_000, |_| {
        black_box(sketch.snapshot(at(now)));
    });
    writeln!(out, "snapshot that is there: {same} ns")?;
    let made = per_call(1_000, |i| {
        now += 60_000;
        sketch.report_write(KeyHash::of(&keys[20_000 + i]), at(now));
        black_box(sketch.snapshot(at(now)).json());
    });
    let filter = sketch.snapshot(at(now)).filter().clone();
    writeln!(out, "snapshot that is made and encoded: {made} ns, {} bits", filter.m())?;
    let old = sketch.snapshot(at(now));
    sketch.report_write(KeyHash::of(&keys[30_000]), at(now));
    let new = sketch.snapshot(at(now + 60_000));
    let delta = per_call(1_000, |_| {
        black_box(new.since(old.version()));
    });
    let length = new.since(old.version()).map_or(0, |delta| delta.len());
    writeln!(out, "difference of one key: {delta} ns, {length} bytes")?;

    let mut idx = 0;
    for key in &keys {
        sketch.report_read(KeyHash::of(key), Kind::Object, at(now), HOUR);
    }
    let standing = per_call(1_000_000, |i| {
        idx = (idx + 7919) % keys.len();
        black_box(sketch.standing(KeyHash::of(&keys[idx]), at(now + i)));
    });
    writeln!(out, "further copy of a known key: {standing} ns, hashing included")?;

    let lifetimes = Lifetimes::new(LifetimeSettings::default(), at(0));
    let before = ALLOCATOR.current_usage();
    let fill = Fill {
        longest: Duration::from_mins(1),
        others: 0,
    };
    let fill = per_call(1_000_000, |i| {
        black_box(lifetimes.fill(KeyHash::of(&keys[i % 100_000]), 1, at(i * 1_000), fill));
    });
    let bytes = (ALLOCATOR.current_usage() - before) / lifetimes.n_keys();
    writeln!(
        out,
        "lifetime of an object: {fill} ns, hashing included; {bytes} bytes per key"
    )
}
