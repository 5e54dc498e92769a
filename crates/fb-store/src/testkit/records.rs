//! Lists of records, and records that expire.

use fb_types::{Clock, Timestamp};

use super::bench::Bench;
use crate::{Batch, Expect, RecordWrite, Write};

/// A record of the space `test` that expires so many milliseconds from now.
fn expiring(bench: &Bench, key: &str, value: &str, millis: i64) -> RecordWrite {
    RecordWrite {
        space: "test",
        key: key.to_owned(),
        expect: Expect::Anything,
        value: Some(value.as_bytes().to_vec()),
        expires_at: Some(later(bench, millis)),
    }
}

fn lasting(bench: &Bench, key: &str, value: &str) -> RecordWrite {
    RecordWrite {
        expires_at: None,
        ..expiring(bench, key, value, 0)
    }
}

fn later(bench: &Bench, millis: i64) -> Timestamp {
    Timestamp::from_millis(bench.clock.now().millis() + millis)
}

async fn write(bench: &Bench, records: impl IntoIterator<Item = RecordWrite>) -> Result<(), crate::StoreError> {
    let writes = records.into_iter().map(Write::Record).collect();
    bench.store().commit(Batch { writes }).await.map(drop)
}

async fn list(bench: &Bench, after: Option<&str>, limit: usize) -> Vec<String> {
    let records = bench.store().records("test", after, limit).await.unwrap();
    records.into_iter().map(|(key, _)| key).collect()
}

/// Records are listed space by space, in the order of their keys, page by page.
pub async fn records_are_listed_by_key(bench: Bench) {
    let keys = ["", "A", "a", "a/b", "b", "ä", "\u{1F600}"];
    let mut writes: Vec<_> = keys.iter().rev().map(|key| lasting(&bench, key, key)).collect();
    for space in ["tes", "testa"] {
        let other = lasting(&bench, "other", "");
        writes.push(RecordWrite { space, ..other });
    }
    write(&bench, writes).await.unwrap();
    assert_eq!(list(&bench, None, 100).await, keys);
    assert_eq!(list(&bench, Some(""), 100).await, keys[1..]);
    assert_eq!(list(&bench, Some("a.b"), 2).await, ["a/b", "b"]);
    assert!(list(&bench, Some("\u{1F600}"), 1).await.is_empty());
    assert!(list(&bench, None, 0).await.is_empty());
    let pairs = bench.store().records("test", Some("a/b"), 1).await.unwrap();
    assert_eq!(pairs, [("b".to_owned(), b"b".to_vec())]);
    assert!(bench.store().records("nothing", None, 9).await.unwrap().is_empty());
}

/// From its time on a record is as if it had never been written, for readers and for preconditions.
pub async fn a_record_expires(mut bench: Bench) {
    let both = [expiring(&bench, "a", "x", 1000), lasting(&bench, "b", "y")];
    write(&bench, both).await.unwrap();
    let end = later(&bench, 1000);
    bench.clock.set(Timestamp::from_millis(end.millis() - 1));
    assert_eq!(bench.store().record("test", "a").await.unwrap(), Some(b"x".to_vec()));
    assert_eq!(list(&bench, None, 9).await, ["a", "b"]);
    let expecting = |expect: Expect| RecordWrite {
        expect,
        ..lasting(&bench, "a", "new")
    };
    assert!(write(&bench, [expecting(Expect::Absent)]).await.is_err());

    bench.clock.set(end);
    assert_eq!(bench.store().record("test", "a").await.unwrap(), None);
    assert_eq!(list(&bench, None, 9).await, ["b"]);
    // An expired one takes no place of a page.
    assert_eq!(list(&bench, None, 1).await, ["b"]);
    assert!(write(&bench, [expecting(Expect::Present)]).await.is_err());
    assert!(write(&bench, [expecting(Expect::Value(b"x".to_vec()))]).await.is_err());
    assert!(write(&bench, [expecting(Expect::Absent)]).await.is_ok());
    assert_eq!(bench.store().record("test", "a").await.unwrap(), Some(b"new".to_vec()));

    // The new record does not inherit the time of the old one, not even over a restart.
    bench.clock.set(later(&bench, 1_000_000_000));
    bench.reopen().await;
    assert_eq!(list(&bench, None, 9).await, ["a", "b"]);

    // What is written with a time that has passed is absent at once.
    write(&bench, [expiring(&bench, "b", "z", 0)]).await.unwrap();
    assert_eq!(bench.store().record("test", "b").await.unwrap(), None);
}

/// Each write of a record says when it expires, whatever the one before said.
pub async fn a_record_is_prolonged(bench: Bench) {
    write(&bench, [expiring(&bench, "a", "x", 1000)]).await.unwrap();
    write(&bench, [expiring(&bench, "a", "x", 2000)]).await.unwrap();
    bench.clock.set(later(&bench, 1500));
    assert_eq!(list(&bench, None, 9).await, ["a"]);
    let removed = RecordWrite {
        expect: Expect::Value(b"x".to_vec()),
        value: None,
        ..lasting(&bench, "a", "")
    };
    write(&bench, [removed]).await.unwrap();
    assert_eq!(bench.store().record("test", "a").await.unwrap(), None);
}

/// Expired records are removed while others are written, and live ones stay.
pub async fn expired_records_are_removed(bench: Bench) {
    let start = bench.clock.now();
    for i in 0..100 {
        let records = [
            expiring(&bench, &format!("old{i:03}"), "", 1000),
            expiring(&bench, &format!("young{i:03}"), "", 1_000_000),
        ];
        write(&bench, records).await.unwrap();
    }
    bench.clock.set(later(&bench, 2000));
    for i in 0..100 {
        write(&bench, [expiring(&bench, &format!("new{i:03}"), "", 1_000_000)])
            .await
            .unwrap();
    }
    // A clock that goes back shows whether they are gone or only hidden.
    bench.clock.set(start);
    let left = list(&bench, None, 1000).await;
    assert_eq!(left.iter().filter(|key| key.starts_with("old")).count(), 0);
    assert_eq!(left.len(), 200);
}
