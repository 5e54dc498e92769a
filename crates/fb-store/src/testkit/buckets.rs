//! Buckets of files.

use fb_auth::FileAction;
use fb_types::{Bucket, BucketName, Permission, RuleMap};

use super::bench::Bench;
use super::uploads::{content, open_to_all, put, refusal, write};
use crate::{BucketEffect, Outcome, Refusal, StoreError};

fn restricted(name: &str) -> Bucket {
    Bucket::unconfigured(BucketName::new(name).unwrap())
}

/// Buckets are inserted, replaced, and listed by name.
pub async fn buckets_are_written_and_listed(bench: Bench) {
    assert!(bench.store().buckets().await.unwrap().is_empty());
    for name in ["b", "B", "_x", "1", "a.b", "a-b", "a"] {
        bench.put_bucket(open_to_all(name)).await;
    }
    let names: Vec<_> = bench.store().buckets().await.unwrap();
    let names: Vec<_> = names.iter().map(|bucket| bucket.name.as_str()).collect();
    assert_eq!(names, ["1", "B", "_x", "a", "a-b", "a.b", "b"]);

    let mut changed = open_to_all("a");
    changed.rules.set(Permission::Load, RuleMap::deny_everybody());
    changed.rules.set(Permission::Query, RuleMap::allow("/db/Role/2"));
    let write = bench.bucket_write("a", BucketEffect::Put(changed.clone()));
    assert_eq!(
        bench.commit_one(write).await.unwrap(),
        Outcome::Bucket(Some(changed.clone()))
    );
    assert!(bench.store().buckets().await.unwrap().contains(&changed));

    let wrong = bench.bucket_write("a", BucketEffect::Put(open_to_all("b")));
    assert!(bench.commit_one(wrong).await.is_err(), "it is another bucket's");
    assert!(bench.store().buckets().await.unwrap().contains(&changed));
}

/// Ensuring a bucket changes none that is there, not even one that is being deleted.
pub async fn a_bucket_is_ensured(bench: Bench) {
    let ensure = |bucket: Bucket| bench.bucket_write("b", BucketEffect::Ensure(bucket));
    let outcome = bench.commit_one(ensure(open_to_all("b"))).await.unwrap();
    assert_eq!(outcome, Outcome::Bucket(Some(open_to_all("b"))));
    let n_changes = bench.changes().await.len();
    assert_eq!(bench.commit_one(ensure(restricted("b"))).await.unwrap(), Outcome::Kept);
    assert_eq!(bench.store().buckets().await.unwrap(), [open_to_all("b")]);
    assert_eq!(bench.changes().await.len(), n_changes);

    let close = bench.bucket_write("b", BucketEffect::Close);
    bench.commit_one(close).await.unwrap();
    assert_eq!(bench.commit_one(ensure(open_to_all("b"))).await.unwrap(), Outcome::Kept);
    assert!(bench.store().buckets().await.unwrap()[0].is_closing);
}

/// A file comes with its bucket or not at all.
pub async fn a_bucket_and_its_first_file_are_one_batch(bench: Bench) {
    let ensure = || bench.bucket_write("b", BucketEffect::Ensure(restricted("b")));
    let n_changes = bench.changes().await.len();
    let error = bench
        .commit_all(vec![ensure(), bench.uploading("b", "f", 1)])
        .await
        .unwrap_err();
    let lost = StoreError::Refused {
        index: 1,
        refusal: Refusal::ContentLost,
    };
    assert_eq!(error.to_string(), lost.to_string());
    assert!(bench.store().buckets().await.unwrap().is_empty());
    assert_eq!(bench.changes().await.len(), n_changes);

    bench.announce(1).await;
    let outcomes = bench
        .commit_all(vec![ensure(), bench.uploading("b", "f", 1)])
        .await
        .unwrap();
    assert!(matches!(outcomes[..], [Outcome::Bucket(Some(_)), Outcome::File(_)]));
    bench.announce(2).await;
    let outcomes = bench
        .commit_all(vec![ensure(), bench.uploading("b", "g", 2)])
        .await
        .unwrap();
    assert!(matches!(outcomes[..], [Outcome::Kept, Outcome::File(_)]));
    assert_eq!(bench.store().buckets().await.unwrap(), [restricted("b")]);
    assert!(bench.unused().await.is_empty());
}

/// Nothing is written to a bucket that does not exist.
pub async fn a_file_needs_a_bucket(bench: Bench) {
    bench.announce(1).await;
    let n_changes = bench.changes().await.len();
    let result = bench.commit_one(bench.uploading("b", "f", 1)).await;
    assert!(matches!(refusal(result), Refusal::NoBucket));
    assert_eq!(bench.file("b", "f").await, None);
    assert_eq!(bench.unused().await, [content(1)]);
    assert_eq!(bench.changes().await.len(), n_changes);
    assert!(bench.store().buckets().await.unwrap().is_empty());
}

/// A bucket that is being deleted takes nothing in, keeps its rules, and goes when it is empty.
pub async fn a_bucket_is_deleted(bench: Bench) {
    bench.put_bucket(restricted("b")).await;
    bench.put_bucket(open_to_all("other")).await;
    let entry = bench.upload("b", "f", 1).await;
    bench.upload("other", "f", 2).await;
    let close = || bench.bucket_write("b", BucketEffect::Close);
    let remove = || bench.bucket_write("b", BucketEffect::Remove);
    assert!(matches!(refusal(bench.commit_one(remove()).await), Refusal::NotEmpty));
    assert_eq!(bench.file("b", "f").await, Some(entry.clone()));
    let closing = Bucket {
        is_closing: true,
        ..restricted("b")
    };
    let closed = bench.commit_one(close()).await.unwrap();
    assert_eq!(closed, Outcome::Bucket(Some(closing.clone())));
    assert!(bench.store().buckets().await.unwrap().contains(&closing));

    // Neither new files, nor other contents, nor other metadata, nor other rules.
    bench.announce(3).await;
    let n_changes = bench.changes().await.len();
    let mut same = entry.clone();
    same.media_type = "image/png".into();
    let touch = write(
        bench.files("b"),
        "f",
        FileAction::Update,
        Box::new(move |_, _| Ok(crate::FileEffect::Put(same.clone()))),
    );
    for late in [
        bench.uploading("b", "g", 3),
        bench.uploading("b", "f", 3),
        touch,
        bench.bucket_write("b", BucketEffect::Put(open_to_all("b"))),
    ] {
        assert!(matches!(refusal(bench.commit_one(late).await), Refusal::NoBucket));
    }
    assert_eq!(bench.file("b", "f").await, Some(entry));
    assert_eq!(bench.unused().await, [content(3)]);
    assert_eq!(bench.changes().await.len(), n_changes);

    bench.delete_file("b", "f").await;
    assert_eq!(bench.commit_one(remove()).await.unwrap(), Outcome::Bucket(None));
    assert_eq!(bench.commit_one(remove()).await.unwrap(), Outcome::Kept);
    assert!(matches!(refusal(bench.commit_one(close()).await), Refusal::NoBucket));
    assert_eq!(bench.store().buckets().await.unwrap(), [open_to_all("other")]);
    assert!(bench.file("other", "f").await.is_some());

    // A new one of its name has nothing of it.
    bench.put_bucket(open_to_all("b")).await;
    assert_eq!(bench.file("b", "f").await, None);
    assert_eq!(bench.store().buckets().await.unwrap()[0], open_to_all("b"));
    let grant = bench.files("b");
    let put = write(grant, "g", FileAction::Upload, put("g", content(3), None));
    bench.commit_one(put).await.unwrap();
}
