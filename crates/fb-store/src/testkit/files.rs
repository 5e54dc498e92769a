//! Entries of files: writes, permissions, change records.

use std::sync::Arc;

use fb_auth::{FileAction, FileOperation, authorize_file};
use fb_types::{Acl, Bucket, BucketName, ChangeKind, FileEntry, Permission, RuleMap, Subject, Timestamp, Version};

use super::bench::Bench;
use super::uploads::{action, content, delete, grant_with, open_to_all, path, put, refusal, touch, write};
use super::user;
use crate::{BucketEffect, DecideFile, FileEffect, Outcome, Refusal, StoreError};

/// Files go through their life.
pub async fn files_are_written_replaced_and_deleted(bench: Bench) {
    bench.put_bucket(open_to_all("b")).await;
    let start = bench.clock.set_and_get(1_000_000);
    let first = bench.upload("b", "a b/ü.html", 1).await;
    assert_eq!(bench.file("b", "a b/ü.html").await, Some(first.clone()));
    assert_eq!(
        (first.version, first.created_at, first.updated_at),
        (Version(1), start, start)
    );

    // The clock stands still, then goes back; moments grow nevertheless.
    let second = bench.upload("b", "a b/ü.html", 2).await;
    assert_eq!(bench.file("b", "a b/ü.html").await, Some(second.clone()));
    assert_eq!(
        (second.version, second.content, second.created_at),
        (Version(2), content(2), start)
    );
    assert_eq!(second.updated_at, Timestamp::from_millis(1_000_001));
    bench.clock.set_and_get(5);
    let touched = write(bench.files("b"), "a b/ü.html", FileAction::Update, touch());
    let Outcome::File(third) = bench.commit_one(touched).await.unwrap() else {
        panic!("it is a file")
    };
    assert_eq!(bench.file("b", "a b/ü.html").await, Some(third.clone()));
    assert_eq!(
        (third.version, third.content, third.created_at),
        (Version(3), content(2), start)
    );
    assert_eq!(third.updated_at, Timestamp::from_millis(1_000_002));

    assert_eq!(bench.file("b", "a b/Ü.html").await, None);
    assert_eq!(bench.file("B", "a b/ü.html").await, None);
    assert_eq!(bench.delete_file("b", "a b/ü.html").await, Outcome::Deleted(Version(3)));
    assert_eq!(bench.file("b", "a b/ü.html").await, None);
    assert_eq!(bench.delete_file("b", "a b/ü.html").await, Outcome::Kept);
    assert_eq!(bench.delete_file("nothing", "x").await, Outcome::Kept);
    assert_eq!(bench.upload("b", "a b/ü.html", 3).await.version, Version(1));
}

/// Each write of a file or a bucket is one change record, which the observer is told of.
pub async fn writes_of_files_are_in_the_feed(mut bench: Bench) {
    bench.insert("before", serde_json::json!({})).await;
    bench.put_bucket(open_to_all("b")).await;
    bench.upload("b", "a%2F'b/ü", 1).await;
    bench.upload("b", "a%2F'b/ü", 2).await;
    bench.delete_file("b", "a%2F'b/ü").await;
    bench
        .commit_one(bench.bucket_write("b", BucketEffect::Close))
        .await
        .unwrap();
    bench
        .commit_one(bench.bucket_write("b", BucketEffect::Remove))
        .await
        .unwrap();
    let file = Subject::File("/file/b/a%2F'b/ü".parse().unwrap());
    let bucket = Subject::Bucket(BucketName::new("b").unwrap());
    let (insert, update, delete) = (ChangeKind::Insert, ChangeKind::Update, ChangeKind::Delete);
    let expected = [
        (2, bucket.clone(), insert, 1),
        (3, file.clone(), insert, 1),
        (4, file.clone(), update, 2),
        (5, file, delete, 3),
        (6, bucket.clone(), update, 2),
        (7, bucket, delete, 3),
    ];
    let changes = bench.changes().await;
    let facts: Vec<_> = changes[1..]
        .iter()
        .map(|c| (c.seq.0, c.subject.clone(), c.kind, c.version.0))
        .collect();
    assert_eq!(facts, expected);
    assert!(changes.is_sorted_by(|a, b| a.stamp < b.stamp));
    assert!(changes[1..].iter().all(|c| c.body.is_none()));
    let told = bench.log.commits();
    assert!(told[1..].iter().all(|c| c.after.is_none()));
    assert_eq!(told.into_iter().map(|c| c.change).collect::<Vec<_>>(), changes);
    bench.reopen().await;
    assert_eq!(bench.changes().await, changes);
}

/// Files, buckets and contents are there after a restart.
pub async fn files_survive_a_restart(mut bench: Bench) {
    let mut bucket = Bucket::unconfigured(BucketName::www());
    bucket.rules.set(Permission::Query, RuleMap::allow("/db/User/7"));
    bench.put_bucket(bucket.clone()).await;
    bench.put_bucket(open_to_all("b")).await;
    bench
        .commit_one(bench.bucket_write("b", BucketEffect::Close))
        .await
        .unwrap();
    let acl = Acl::private_to("/db/User/7");
    let entry = bench.upload_with_acl("www", "index.html", 1, Some(acl)).await;
    bench.upload("www", "index.html", 2).await;
    let entry = FileEntry {
        acl: None,
        version: Version(2),
        ..entry
    };
    bench.announce(3).await;
    bench.reopen().await;
    let found = bench.file("www", "index.html").await.unwrap();
    assert_eq!(
        (found.version, found.content, &found.acl),
        (Version(2), content(2), &entry.acl)
    );
    assert_eq!(
        (found.created_at, found.size, &found.headers),
        (entry.created_at, entry.size, &entry.headers)
    );
    let closing = Bucket {
        is_closing: true,
        ..open_to_all("b")
    };
    assert_eq!(bench.store().buckets().await.unwrap(), [closing, bucket]);
    assert_eq!(bench.unused().await, [content(1), content(3)]);
    assert_eq!(bench.upload("www", "index.html", 4).await.version, Version(3));
}

/// What a write takes depends on what it does and on what is there, and a refused one changes nothing.
pub async fn s04_file_writes_take_their_permission(bench: Bench) {
    let all = [Permission::Insert, Permission::Update, Permission::Delete];
    bench.put_bucket(open_to_all("b")).await;
    let mut n = 0;
    for subset in 0..8 {
        let given: Vec<_> = (0..3).filter(|i| subset >> i & 1 == 1).map(|i| all[i]).collect();
        for what in [FileAction::Upload, FileAction::Update, FileAction::Delete] {
            for exists in [false, true] {
                n += 2;
                let name = format!("f{n}");
                if exists {
                    bench.upload("b", &name, n).await;
                }
                bench.announce(n + 1).await;
                let before = (
                    bench.file("b", &name).await,
                    bench.changes().await.len(),
                    bench.unused().await,
                );
                let result = bench
                    .commit_one(write(grant_with(&given), &name, what, action(what, &name, n + 1)))
                    .await;
                let after = (
                    bench.file("b", &name).await,
                    bench.changes().await.len(),
                    bench.unused().await,
                );
                let needed = match (what, exists) {
                    (FileAction::Upload, false) => Permission::Insert,
                    (FileAction::Upload | FileAction::Update, _) => Permission::Update,
                    (FileAction::Delete, _) => Permission::Delete,
                };
                let case = format!("{given:?} {what:?} {exists}");
                if !given.contains(&needed) {
                    let refusal = refusal(result);
                    assert!(
                        matches!(refusal, Refusal::Bucket(p) if p == needed),
                        "{case}: {refusal:?}"
                    );
                    assert_eq!(before, after, "{case}");
                    continue;
                }
                match (what, exists, result) {
                    (FileAction::Upload, ..) | (FileAction::Update, true, _) => {
                        assert!(after.0.is_some_and(|entry| Some(entry) != before.0), "{case}");
                        assert_eq!(after.1, before.1 + 1, "{case}");
                    }
                    (FileAction::Delete, true, Ok(Outcome::Deleted(_))) => assert!(after.0.is_none(), "{case}"),
                    (FileAction::Delete, false, Ok(Outcome::Kept)) => assert_eq!(before, after, "{case}"),
                    (FileAction::Update, false, result) => {
                        assert!(matches!(refusal(result), Refusal::Missing), "{case}");
                        assert_eq!(before, after, "{case}");
                    }
                    (.., other) => panic!("{case}: {other:?}"),
                }
            }
        }
    }
}

/// Rules of a file refuse writes and hide it; what a decision found out is told to nobody who may not write.
pub async fn s04_rules_of_files_are_in_force(bench: Bench) {
    bench.put_bucket(open_to_all("b")).await;
    let acl = Acl::private_to("/db/User/2");
    let entry = bench.upload_with_acl("b", "f", 1, Some(acl.clone())).await;
    bench.announce(2).await;
    let n_changes = bench.changes().await.len();
    let all = [Permission::Insert, Permission::Update, Permission::Delete];
    for what in [FileAction::Upload, FileAction::Update, FileAction::Delete] {
        let try_it =
            async |given: &[Permission], decide| bench.commit_one(write(grant_with(given), "f", what, decide)).await;
        let mismatch = || -> DecideFile {
            Box::new(|before, _| {
                let found = before.map_or(Version::FIRST, |entry| entry.version);
                Err(Refusal::VersionMismatch { found })
            })
        };
        for decide in [action(what, "f", 2), mismatch()] {
            let refusal = refusal(try_it(&all, decide).await);
            assert!(matches!(refusal, Refusal::Denied), "{what:?}: {refusal:?}");
        }
        for decide in [action(what, "f", 2), mismatch()] {
            let refusal = refusal(try_it(&[], decide).await);
            assert!(matches!(refusal, Refusal::Bucket(_)), "{what:?}: {refusal:?}");
        }
        for given in [&all[..], &[]] {
            let exists = try_it(given, Box::new(|_, _| Err(Refusal::Exists))).await;
            assert!(matches!(refusal(exists), Refusal::Exists));
            let kept = try_it(given, Box::new(|_, _| Ok(FileEffect::Keep))).await;
            assert_eq!(kept.unwrap(), Outcome::Kept);
        }
    }
    assert_eq!(bench.file("b", "f").await, Some(entry.clone()));
    assert_eq!(
        bench.changes().await.len(),
        n_changes,
        "what is refused or kept is not recorded"
    );
    assert_eq!(bench.unused().await, [content(2)]);

    let reads = async |key: &str| {
        let grant = authorize_file(&user(key), FileOperation::Load, &open_to_all("b")).unwrap();
        bench.store().file(&grant, &path("f")).await.unwrap()
    };
    assert_eq!(reads("1").await, None);
    assert_eq!(reads("2").await, Some(entry));
    let grant = authorize_file(&user("2"), FileOperation::Delete, &open_to_all("b")).unwrap();
    let deleted = bench.commit_one(write(grant, "f", FileAction::Delete, delete())).await;
    assert_eq!(deleted.unwrap(), Outcome::Deleted(Version(1)));
}

/// A decision that does something else than the write has the right to do changes nothing.
pub async fn s04_a_decision_keeps_to_its_action(bench: Bench) {
    bench.put_bucket(open_to_all("b")).await;
    let entry = bench.upload("b", "f", 1).await;
    bench.announce(2).await;
    let n_changes = bench.changes().await.len();
    let wrong: [(&str, FileAction, DecideFile); 5] = [
        ("f", FileAction::Delete, put("f", content(2), None)),
        ("f", FileAction::Update, delete()),
        ("f", FileAction::Upload, delete()),
        ("new", FileAction::Update, put("new", content(2), None)),
        ("f", FileAction::Upload, put("other", content(2), None)),
    ];
    for (name, what, decide) in wrong {
        let result = bench.commit_one(write(bench.files("b"), name, what, decide)).await;
        assert!(result.is_err(), "{name} {what:?}: {result:?}");
    }
    assert_eq!(bench.file("b", "f").await, Some(entry));
    assert_eq!(bench.file("b", "new").await, None);
    assert_eq!(bench.changes().await.len(), n_changes);
    assert_eq!(bench.unused().await, [content(2)]);
}

/// Of those who upload a new file at the same time one wins, and the contents of the others stay on the list.
pub async fn one_of_many_first_uploads_wins(bench: Bench) {
    bench.put_bucket(open_to_all("b")).await;
    let bench = Arc::new(bench);
    let tasks: Vec<_> = (1..=20)
        .map(|n| {
            let bench = bench.clone();
            tokio::spawn(async move {
                bench.announce(n).await;
                let put = put("f", content(n), None);
                let insert: DecideFile = Box::new(move |before, moment| match before {
                    Some(_) => Err(Refusal::Exists),
                    None => put(before, moment),
                });
                bench
                    .commit_one(write(bench.files("b"), "f", FileAction::Upload, insert))
                    .await
            })
        })
        .collect();
    let mut n_written = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(Outcome::File(_)) => n_written += 1,
            other => assert!(matches!(refusal(other), Refusal::Exists)),
        }
    }
    assert_eq!(n_written, 1);
    let used = bench.file("b", "f").await.unwrap().content;
    let expected: Vec<_> = (1..=20).map(content).filter(|id| *id != used).collect();
    assert_eq!(bench.unused().await, expected);
}

/// A panic while deciding about a file costs that batch alone.
pub async fn a_panicking_decision_about_a_file_harms_only_itself(bench: Bench) {
    bench.put_bucket(open_to_all("b")).await;
    bench.announce(1).await;
    let panicking = write(
        bench.files("b"),
        "f",
        FileAction::Upload,
        Box::new(|_, _| panic!("told to panic")),
    );
    let batch = vec![bench.uploading("b", "g", 1), panicking];
    let error = bench.commit_all(batch).await.unwrap_err();
    assert!(matches!(error, StoreError::Internal { .. }), "{error:?}");
    assert_eq!(bench.file("b", "g").await, None);
    bench.commit_one(bench.uploading("b", "g", 1)).await.unwrap();
}
