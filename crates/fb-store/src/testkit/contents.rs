//! Contents that no file refers to.

use fb_types::{ContentId, Timestamp};

use super::bench::Bench;
use super::uploads::{content, open_to_all, refusal};
use crate::{ContentWrite, Outcome, Refusal, Unused, Write};

async fn note(bench: &Bench, write: ContentWrite) -> Outcome {
    bench.commit_one(Write::Content(write)).await.expect("it is noted")
}

async fn give_up(bench: &Bench, n: u128) -> Outcome {
    note(bench, ContentWrite::GiveUp(content(n))).await
}

async fn forget(bench: &Bench, n: u128) {
    note(bench, ContentWrite::Forget(content(n))).await;
}

/// Uploads a content that no file may refer to, which must change nothing.
async fn is_lost(bench: &Bench, name: &str, n: u128) {
    let facts = async || {
        let file = bench.file("b", name).await;
        (file, bench.unused().await, bench.changes().await.len())
    };
    let before = facts().await;
    let result = bench.commit_one(bench.uploading("b", name, n)).await;
    assert!(matches!(refusal(result), Refusal::ContentLost), "content {n}");
    assert_eq!(facts().await, before, "content {n}");
}

fn numbers(contents: &[u128]) -> Vec<ContentId> {
    contents.iter().map(|n| content(*n)).collect()
}

/// A content is on the list from its announcement on, but not while a file refers to it.
pub async fn contents_are_listed_while_no_file_has_them(bench: Bench) {
    bench.put_bucket(open_to_all("b")).await;
    bench.announce(1).await;
    bench.announce(2).await;
    assert_eq!(bench.unused().await, numbers(&[1, 2]));
    bench.commit_one(bench.uploading("b", "f", 1)).await.unwrap();
    assert_eq!(bench.unused().await, numbers(&[2]));
    bench.commit_one(bench.uploading("b", "f", 2)).await.unwrap();
    assert_eq!(bench.unused().await, numbers(&[1]));
    // The same content once more: nothing to announce, nothing to drop.
    bench.commit_one(bench.uploading("b", "f", 2)).await.unwrap();
    assert_eq!(bench.unused().await, numbers(&[1]));
    bench.delete_file("b", "f").await;
    assert_eq!(bench.unused().await, numbers(&[1, 2]));
    assert!(bench.changes().await.iter().all(|c| c.subject.object().is_none()));
    assert_eq!(bench.changes().await.len(), 5, "contents themselves are no changes");
}

/// An entry refers to contents that were announced, and to no others.
pub async fn a_content_must_have_been_announced(bench: Bench) {
    bench.put_bucket(open_to_all("b")).await;
    bench.upload("b", "old", 1).await;
    bench.upload("b", "f", 2).await;
    bench.upload("b", "f", 3).await;
    bench.announce(4).await;
    give_up(&bench, 4).await;
    // Unknown, another file's, dropped, given up.
    for n in [9, 1, 2, 4] {
        is_lost(&bench, "f", n).await;
        is_lost(&bench, "new", n).await;
    }
    forget(&bench, 4).await;
    is_lost(&bench, "f", 4).await;
    // Within a batch a content is used once.
    bench.announce(5).await;
    let twice = vec![bench.uploading("b", "x", 5), bench.uploading("b", "y", 5)];
    assert!(bench.commit_all(twice).await.is_err());
    assert_eq!(bench.file("b", "x").await, None);
    assert_eq!(bench.unused().await, numbers(&[2, 5]));
}

/// What was given up is gone for good: it cannot be announced again while it is being removed.
pub async fn contents_are_given_up_and_forgotten(mut bench: Bench) {
    bench.put_bucket(open_to_all("b")).await;
    bench.announce(1).await;
    bench.upload("b", "f", 2).await;
    // Not before it was given up.
    forget(&bench, 1).await;
    assert_eq!(bench.unused().await, numbers(&[1]));
    assert_eq!(give_up(&bench, 1).await, Outcome::Recorded);
    assert_eq!(give_up(&bench, 1).await, Outcome::Recorded);
    bench.reopen().await;
    assert_eq!(bench.unused().await, numbers(&[1]));
    note(&bench, ContentWrite::Announce(content(1))).await;
    is_lost(&bench, "f", 1).await;
    forget(&bench, 1).await;
    assert!(bench.unused().await.is_empty());

    // An upload that ended in time wins, and whoever wanted to give the content up can tell.
    assert_eq!(give_up(&bench, 2).await, Outcome::Kept);
    assert!(bench.unused().await.is_empty());
    forget(&bench, 2).await;
    assert_eq!(bench.file("b", "f").await.unwrap().content, content(2));
    // One that lost its file goes the same way.
    bench.delete_file("b", "f").await;
    note(&bench, ContentWrite::Announce(content(2))).await;
    is_lost(&bench, "f", 2).await;
    assert_eq!(give_up(&bench, 2).await, Outcome::Recorded);
    forget(&bench, 2).await;
    assert!(bench.unused().await.is_empty());
}

/// Each state has its own limit of time, and those given up are always meant.
pub async fn unused_contents_are_selected_by_time(bench: Bench) {
    bench.put_bucket(open_to_all("b")).await;
    for n in 1..=3 {
        bench.upload("b", &format!("f{n}"), n).await;
    }
    let at = |millis| bench.clock.set_and_get(millis);
    for (n, millis) in [(1, 1000), (2, 2000), (3, 3000)] {
        at(millis);
        bench.delete_file("b", &format!("f{n}")).await;
        bench.announce(10 + n).await;
    }
    at(9000);
    bench.announce(20).await;
    give_up(&bench, 20).await;
    let list = async |announced: i64, dropped: i64, limit| {
        let which = Unused {
            announced_before: Timestamp::from_millis(announced),
            dropped_before: Timestamp::from_millis(dropped),
            limit,
        };
        bench.store().unused_contents(which).await.unwrap()
    };
    assert_eq!(list(0, 0, 9).await, numbers(&[20]));
    assert_eq!(list(1000, 1000, 9).await, numbers(&[20]));
    assert_eq!(list(1001, 0, 9).await, numbers(&[11, 20]));
    assert_eq!(list(3000, 0, 9).await, numbers(&[11, 12, 20]));
    assert_eq!(list(0, 2001, 9).await, numbers(&[1, 2, 20]));
    assert_eq!(list(9999, 2000, 9).await, numbers(&[11, 12, 13, 1, 20]));
    assert_eq!(list(9999, 9999, 4).await, numbers(&[11, 12, 13, 1]));
    assert!(list(9999, 9999, 0).await.is_empty());
    // An upload that goes on is announced once more.
    bench.announce(11).await;
    assert_eq!(list(3000, 0, 9).await, numbers(&[12, 20]));
}

/// A batch that fails leaves the list as it was, whatever it did before.
pub async fn a_failing_batch_leaves_the_contents_alone(bench: Bench) {
    bench.put_bucket(open_to_all("b")).await;
    let kept = bench.upload("b", "kept", 1).await;
    let gone = bench.upload("b", "gone", 2).await;
    bench.announce(3).await;
    bench.announce(4).await;
    give_up(&bench, 4).await;
    let n_changes = bench.changes().await.len();
    let content_write = |write| Write::Content(write);
    let batch = vec![
        content_write(ContentWrite::Announce(content(5))),
        bench.uploading("b", "kept", 3),
        bench.uploading("b", "new", 5),
        content_write(ContentWrite::Forget(content(4))),
        content_write(ContentWrite::GiveUp(content(1))),
        bench.uploading("b", "gone", 99),
    ];
    let error = bench.commit_all(batch).await.unwrap_err();
    assert!(
        matches!(error, crate::StoreError::Refused { index: 5, .. }),
        "{error:?}"
    );
    assert_eq!(bench.unused().await, numbers(&[3, 4]));
    assert_eq!(bench.file("b", "kept").await, Some(kept));
    assert_eq!(bench.file("b", "gone").await, Some(gone));
    assert_eq!(bench.file("b", "new").await, None);
    assert_eq!(bench.changes().await.len(), n_changes);
    // What was announced is announced still.
    bench.commit_one(bench.uploading("b", "kept", 3)).await.unwrap();
    is_lost(&bench, "kept", 4).await;
}
