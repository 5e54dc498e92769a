//! Forms on the wire: there and back, and what is none.

use std::time::Duration;

use fb_sketch::{Filter, KeyHash, Kind, MAX_BITS, Malformed, Past, Settings, Sketch, Version, decode, delta};
use proptest::prelude::*;

use crate::books::{at_ms, key};

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn the_published_example_contains_everything() {
    let json = br#"{ "m": 240, "h": 4, "b": "////////////////////////////////////////" }"#;
    let filter = Filter::from_json(json).unwrap();
    assert!((0..1_000).all(|n| filter.contains(key(n))));
    assert_eq!(
        filter.to_json().replace(' ', ""),
        String::from_utf8_lossy(json).replace(' ', "")
    );
}

#[test]
fn empty_filters_of_both_spellings_contain_nothing() {
    for json in [r#"{"m":1,"h":1,"b":""}"#, r#"{"m":1,"h":1,"b":"AA=="}"#] {
        let filter = Filter::from_json(json.as_bytes()).unwrap();
        assert!((0..1_000).all(|n| !filter.contains(key(n))));
        assert_eq!(filter, Filter::empty());
    }
}

#[test]
fn what_no_server_sends_is_refused() {
    let rows: [(&str, Malformed); 8] = [
        ("", Malformed::Syntax),
        ("[]", Malformed::Syntax),
        (r#"{"m":8,"h":1}"#, Malformed::Syntax),
        (r#"{"m":8,"h":1,"b":"_w=="}"#, Malformed::Syntax),
        (r#"{"m":-1,"h":1,"b":""}"#, Malformed::Syntax),
        (r#"{"m":0,"h":1,"b":""}"#, Malformed::Size),
        (r#"{"m":4000000000,"h":1,"b":""}"#, Malformed::Size),
        (r#"{"m":8,"h":1,"b":"////"}"#, Malformed::Size),
    ];
    for (json, error) in rows {
        assert_eq!(Filter::from_json(json.as_bytes()), Err(error), "{json}");
    }
    assert_eq!(Filter::new(MAX_BITS + 1, 4, &[]), Err(Malformed::Size));
}

#[test]
fn sizes_and_rates_are_those_of_the_design() {
    let percent = |n| (fb_sketch::false_positive_rate(116_800, 4, n) * 1e4).round() / 100.0;
    assert_eq!([percent(20_000), percent(10_000)], [6.05, 0.71]);
    assert!((percent(40_000) - 31.0).abs() < 0.5);
    let capacity = fb_sketch::capacity(116_800, 4, 0.0605);
    assert!((19_990..=20_010).contains(&capacity), "{capacity}");
}

#[test]
fn estimates_from_the_bits_are_close() {
    let sketch = Sketch::new(Settings::default(), at_ms(0), 1, Past::Blank);
    for n in 0..15_000 {
        sketch.report_read(key(n), Kind::Object, at_ms(0), MINUTE);
        sketch.report_write(key(n), at_ms(1));
    }
    let filter = sketch.snapshot(at_ms(100)).filter().clone();
    assert_eq!(filter.m(), 116_800);
    assert!(
        (filter.population() - 15_000.0).abs() < 300.0,
        "{}",
        filter.population()
    );
    let wrong = (100_000..200_000).filter(|&n| filter.contains(key(n))).count();
    let expected = filter.false_positives() * 100_000.0;
    assert!((wrong as f64 - expected).abs() < 0.1 * expected, "{wrong} {expected}");
}

#[test]
fn a_union_contains_what_either_does() {
    let with = |n: usize| {
        let sketch = Sketch::new(Settings::default(), at_ms(0), 1, Past::Blank);
        sketch.report_read(key(n), Kind::Object, at_ms(0), MINUTE);
        sketch.report_write(key(n), at_ms(1));
        sketch.snapshot(at_ms(100)).filter().clone()
    };
    let both = with(1).union(&with(2)).unwrap();
    assert!(both.contains(key(1)) && both.contains(key(2)) && !both.contains(key(3)));
    assert_eq!(both.union(&Filter::full()), Err(Malformed::OtherVersion));
}

#[test]
fn versions_survive_tags_in_all_spellings() {
    let version = Version {
        boot: 0xfeed,
        number: 17,
    };
    assert_eq!(version.tag(), "000000000000feed.17");
    for tag in [
        version.tag(),
        format!("\"{}\"", version.tag()),
        format!("W/\"{}\"", version.tag()),
    ] {
        assert_eq!(Version::parse(&tag), Some(version), "{tag}");
    }
    for tag in [
        "",
        "17",
        "feed.17",
        "000000000000feed.-1",
        "000000000000feed.",
        "+00000000000feed.1x",
    ] {
        assert_eq!(Version::parse(tag), None, "{tag}");
    }
}

#[test]
fn few_changes_travel_in_few_bytes() {
    let sketch = Sketch::new(
        Settings {
            refresh_min: Duration::ZERO,
            ..Settings::default()
        },
        at_ms(0),
        1,
        Past::Blank,
    );
    let stale = |from: usize, to: usize, ms| {
        for n in from..to {
            sketch.report_read(key(n), Kind::Object, at_ms(ms), MINUTE);
            sketch.report_write(key(n), at_ms(ms));
        }
        sketch.snapshot(at_ms(ms))
    };
    let old = stale(0, 12_000, 10);
    let new = stale(12_000, 12_010, 20);
    let delta = new.since(old.version()).unwrap();
    assert!(delta.len() < 160, "{} bytes for ten keys", delta.len());
    assert!(new.binary().len() > 14_000);
    let mut filter = (**old.filter()).clone();
    assert_eq!(delta::apply(&delta, &mut filter, old.version()), Ok(new.version()));
    assert_eq!(filter, **new.filter());

    let same = new.since(new.version()).unwrap();
    assert_eq!(delta::apply(&same, &mut filter, new.version()), Ok(new.version()));
    assert_eq!(filter, **new.filter());

    let mut last = new;
    for n in 0..9 {
        last = stale(20_000 + n, 20_001 + n, 30 + n as u64);
    }
    assert_eq!(last.since(old.version()), None, "only a few versions are kept");
}

#[test]
fn a_filter_of_another_size_travels_whole() {
    let sketch = Sketch::new(
        Settings {
            refresh_min: Duration::ZERO,
            ..Settings::default()
        },
        at_ms(0),
        1,
        Past::Blank,
    );
    let old = sketch.snapshot(at_ms(1));
    for n in 0..12_000 {
        sketch.report_read(key(n), Kind::Object, at_ms(2), MINUTE);
        sketch.report_write(key(n), at_ms(2));
    }
    let new = sketch.snapshot(at_ms(3));
    assert_ne!(old.filter().m(), new.filter().m());
    assert_eq!(new.since(old.version()), None);
    assert_eq!(decode(&new.binary()), Ok(((**new.filter()).clone(), new.version())));
}

#[test]
fn a_change_that_is_longer_than_the_whole_is_not_offered() {
    let sketch = Sketch::new(
        Settings {
            refresh_min: Duration::ZERO,
            ..Settings::default()
        },
        at_ms(0),
        1,
        Past::Blank,
    );
    for n in 0..2_000 {
        sketch.report_read(key(n), Kind::Object, at_ms(1), MINUTE);
        sketch.report_write(key(n), at_ms(1));
    }
    let full = sketch.snapshot(at_ms(2));
    let empty = sketch.snapshot(at_ms(100_000));
    assert_eq!((empty.filter().ones(), empty.filter().m()), (0, full.filter().m()));
    assert_eq!(empty.since(full.version()), None);
}

#[test]
fn runs_that_lead_past_the_end_are_refused() {
    let version = Version { boot: 7, number: 1 };
    let old = Filter::new(64, 4, &[]).unwrap();
    let header = delta::encode(&old, version, &old, version).unwrap();
    let huge = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let runs: [&[u8]; 6] = [
        &[8 << 1, 1],
        &[7 << 1 | 1, 2, 1, 1],
        &[0, 1, 7 << 1, 1, 0, 1],
        &[1, 3, 1],
        &huge,
        &[0x80],
    ];
    for run in runs {
        let mut filter = old.clone();
        let delta = [&header[..], run].concat();
        assert_eq!(
            delta::apply(&delta, &mut filter, version),
            Err(Malformed::Syntax),
            "{run:?}"
        );
        assert_eq!(filter, old);
    }
    let mut filter = old.clone();
    assert_eq!(
        delta::apply(&[&header[..], &[7 << 1, 0x80]].concat(), &mut filter, version),
        Ok(version)
    );
    assert_eq!(filter.bits(), [0, 0, 0, 0, 0, 0, 0, 0x80]);
}

/// The forms of version 1 as they were released.
#[test]
fn golden_forms_are_read_and_written() {
    let (old, new) = (
        Filter::new(80, 4, &[1, 2, 3]).unwrap(),
        Filter::new(80, 4, &[1, 2, 4, 0, 0, 0, 9]).unwrap(),
    );
    let from = Version {
        boot: 0x0102_0304_0506_0708,
        number: 300,
    };
    let to = Version { number: 301, ..from };
    let change = b"FBD1\x08\x07\x06\x05\x04\x03\x02\x01\xac\x02\xad\x02\x50\x04\x04\x07\x06\x09";
    assert_eq!(delta::encode(&old, from, &new, to).unwrap()[..], change[..]);
    let mut filter = old;
    assert_eq!(delta::apply(change, &mut filter, from), Ok(to));
    assert_eq!(filter, new);
    let whole = b"FBF1\x08\x07\x06\x05\x04\x03\x02\x01\xac\x02\x50\x04\x01\x02\x03";
    assert_eq!(decode(whole), Ok((Filter::new(80, 4, &[1, 2, 3]).unwrap(), from)));
    let sketch = Sketch::new(
        Settings {
            min_bits: 80,
            ..Settings::default()
        },
        at_ms(0),
        from.boot,
        Past::Blank,
    );
    assert_eq!(
        sketch.snapshot(at_ms(0)).binary()[..],
        b"FBF1\x08\x07\x06\x05\x04\x03\x02\x01\x01\x50\x04"[..]
    );
}

/// A filter with about that many bits set.
fn filter(m: u32, h: u8, seed: u64, n: u32) -> Filter {
    let mut bits = vec![0; m.div_ceil(8) as usize];
    for i in 0..n {
        let bit = KeyHash::of(&format!("{seed} {i}"))
            .positions(m, 1)
            .next()
            .expect("one position");
        bits[bit as usize / 8] |= 1 << (bit % 8);
    }
    Filter::new(m, h, &bits).expect("of valid size")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn applied_to_the_old_a_delta_gives_the_new(
        m in 1..5_000_u32, h in 1..8_u8, seeds in any::<(u64, u64)>(), n in (0..2_000_u32, 0..2_000_u32), boot in any::<u64>(),
    ) {
        let (old, new) = (filter(m, h, seeds.0, n.0), filter(m, h, seeds.1, n.1));
        let (from, to) = (Version { boot, number: 3 }, Version { boot, number: 900 });
        let delta = delta::encode(&old, from, &new, to).unwrap();
        let mut filter = old.clone();
        prop_assert_eq!(delta::apply(&delta, &mut filter, from), Ok(to));
        prop_assert_eq!(&filter, &new);
        let mut other = old.clone();
        let elsewhere = Version { boot: boot ^ 1, ..from };
        prop_assert_eq!(delta::apply(&delta, &mut other, elsewhere), Err(Malformed::OtherVersion));
        prop_assert_eq!(&other, &old);
    }

    #[test]
    fn filters_survive_json(m in 1..5_000_u32, h in 1..8_u8, seed in any::<u64>(), n in 0..2_000_u32) {
        let filter = filter(m, h, seed, n);
        prop_assert_eq!(Filter::from_json(filter.to_json().as_bytes()), Ok(filter));
    }

    #[test]
    fn damaged_deltas_are_refused_or_harmless(
        seeds in any::<(u64, u64)>(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(),
    ) {
        let (old, new) = (filter(1_000, 4, seeds.0, 300), filter(1_000, 4, seeds.1, 300));
        let version = Version { boot: 7, number: 1 };
        let mut delta = delta::encode(&old, version, &new, version).unwrap().to_vec();
        let at = at.index(delta.len());
        delta[at] = byte;
        delta.truncate(cut.index(delta.len()) + 1);
        let mut filter = old.clone();
        if delta::apply(&delta, &mut filter, version).is_err() {
            prop_assert_eq!(&filter, &old, "a refused change leaves no traces");
        }
    }

    #[test]
    fn bytes_that_mean_nothing_are_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut filter = Filter::empty();
        let version = Version { boot: 0, number: 0 };
        for magic in [&b""[..], b"FBD1", b"FBF1"] {
            let bytes = [magic, &bytes].concat();
            let _ = delta::apply(&bytes, &mut filter, version);
            let _ = decode(&bytes);
            let _ = Filter::from_json(&bytes);
            let _ = Version::parse(&String::from_utf8_lossy(&bytes));
        }
    }
}
