//! The contract suite: what every storage has to do.

#![allow(unreachable_pub, reason = "there is no outside")]

use bytes::Bytes;
use fb_files::{Contents, FileStore, FilesError};

use crate::support::{id, load, new_app, pattern, random_id, sha256, store, write_in};

/// Larger than all buffers and than a part of an upload in parts.
const LARGE: usize = 20 * 1024 * 1024 + 12_345;

fn contents(files: &FileStore) -> Contents {
    files.app(&new_app())
}

pub async fn what_was_written_is_read(files: FileStore) {
    let contents = contents(&files);
    for size in [0, 1, 5, 16_384, 262_144, 262_145, 1_048_576, LARGE] {
        let (id, bytes) = (random_id(), pattern(size));
        let written = store(&contents, id, &bytes).await.unwrap();
        assert_eq!(written.size, size as u64);
        assert_eq!(written.digest, sha256(&bytes), "{size}");
        assert!(load(&contents, id, 0..size as u64).await.unwrap() == bytes, "{size}");
        assert!(contents.read(id, size).await.unwrap() == bytes, "{size}");
    }
}

pub async fn pieces_of_any_size_make_one_content(files: FileStore) {
    let contents = contents(&files);
    let bytes = pattern(9 * 1024 * 1024);
    for step in [7_777, 16_384, 700_000, 8 * 1024 * 1024, 9 * 1024 * 1024] {
        let id = random_id();
        let mut upload = contents.create(id).await.unwrap();
        upload.write(Bytes::new()).await.unwrap();
        write_in(&mut upload, &bytes, step).await.unwrap();
        let written = upload.finish().await.unwrap();
        assert_eq!(written.digest, sha256(&bytes), "{step}");
        assert!(
            load(&contents, id, 0..bytes.len() as u64).await.unwrap() == bytes,
            "{step}"
        );
    }
}

pub async fn ranges_are_exact(files: FileStore) {
    let contents = contents(&files);
    let bytes = pattern(1_000_000);
    store(&contents, id(1), &bytes).await.unwrap();
    for (start, end) in [
        (0, 1),
        (999_999, 1_000_000),
        (262_143, 262_145),
        (5, 700_000),
        (0, 0),
        (1_000_000, 1_000_000),
        (7, 7),
    ] {
        let read = load(&contents, id(1), start..end).await.unwrap();
        assert!(read == bytes[start as usize..end as usize], "{start}..{end}");
    }
    #[expect(clippy::reversed_empty_ranges, reason = "this is the question")]
    let reversed = load(&contents, id(1), 9..3).await.unwrap();
    assert!(reversed.is_empty());
}

pub async fn a_range_behind_the_end_says_that_the_content_is_damaged(files: FileStore) {
    let contents = contents(&files);
    store(&contents, id(1), &pattern(1000)).await.unwrap();
    for range in [0..1001, 999..1001, 1000..1001, 5000..6000, 5000..5000] {
        let error = contents.open(id(1), range.clone()).await.err();
        let Some(FilesError::Corrupt { expected, found, .. }) = error else {
            panic!("{range:?}: {error:?}");
        };
        assert_eq!((expected, found), (range.end, 1000));
    }
}

pub async fn what_is_missing_is_not_found(files: FileStore) {
    let contents = contents(&files);
    let not_found =
        |error: Option<FilesError>| matches!(error, Some(FilesError::NotFound { id: missing }) if missing == id(9));
    for _ in 0..2 {
        assert!(not_found(contents.open(id(9), 0..5).await.err()));
        assert!(not_found(contents.open(id(9), 0..0).await.err()));
        assert!(not_found(contents.read(id(9), 10).await.err()));
        assert!(not_found(
            contents.put_variant(id(9), "a", Bytes::from_static(b"x")).await.err()
        ));
        assert_eq!(contents.variant(id(9), "a").await.unwrap(), None);
        contents.remove(id(9)).await.unwrap();
        assert_eq!(contents.list(None, 10).await.unwrap(), []);
        // And again beside another content in the same directory.
        let mut neighbour = *id(9).as_bytes();
        neighbour[15] = 0;
        let neighbour = fb_types::ContentId::from_bytes(neighbour);
        store(&contents, neighbour, &pattern(3)).await.unwrap();
        assert!(not_found(contents.open(id(9), 0..5).await.err()));
        contents.remove(neighbour).await.unwrap();
    }
}

pub async fn the_first_content_of_an_id_stays(files: FileStore) {
    let contents = contents(&files);
    let first = pattern(1000);
    // Both have begun before either has ended.
    for size in [1001, LARGE] {
        let id = random_id();
        let mut late = contents.create(id).await.unwrap();
        write_in(&mut late, &pattern(size), 1_000_000).await.unwrap();
        store(&contents, id, &first).await.unwrap();
        assert!(
            matches!(late.finish().await, Err(FilesError::Exists { id: taken }) if taken == id),
            "{size}"
        );
        let again = store(&contents, id, &pattern(size)).await;
        assert!(matches!(again, Err(FilesError::Exists { .. })), "{size}: {again:?}");
        assert_eq!(contents.read(id, 2000).await.unwrap(), first);
    }
}

pub async fn nobody_sees_half_a_content(files: FileStore) {
    let contents = contents(&files);
    let bytes = pattern(LARGE);
    let mut upload = contents.create(id(1)).await.unwrap();
    write_in(&mut upload, &bytes, 1_000_000).await.unwrap();
    assert!(matches!(
        contents.open(id(1), 0..1).await.err(),
        Some(FilesError::NotFound { .. })
    ));
    assert_eq!(contents.list(None, 10).await.unwrap(), []);
    upload.finish().await.unwrap();
    assert_eq!(contents.list(None, 10).await.unwrap(), [id(1)]);
}

pub async fn an_upload_that_is_given_up_leaves_nothing(files: FileStore) {
    let contents = contents(&files);
    for size in [10, LARGE] {
        let mut upload = contents.create(id(1)).await.unwrap();
        write_in(&mut upload, &pattern(size), 1_000_000).await.unwrap();
        upload.abort().await;
        let mut upload = contents.create(id(1)).await.unwrap();
        write_in(&mut upload, &pattern(size), 1_000_000).await.unwrap();
        drop(upload);
    }
    assert_eq!(contents.list(None, 10).await.unwrap(), []);
    assert!(matches!(
        contents.read(id(1), LARGE).await,
        Err(FilesError::NotFound { .. })
    ));
}

pub async fn an_upload_whose_write_was_dropped_cannot_be_finished(files: FileStore) {
    let contents = contents(&files);
    let mut upload = contents.create(id(1)).await.unwrap();
    // Polled once at most, so that it is dropped wherever it waits first.
    let (mut dropped, piece) = (false, pattern(4 * 1024 * 1024));
    for _ in 0..100 {
        let write = upload.write(piece.clone());
        tokio::select! {
            biased;
            result = write => result.unwrap(),
            () = std::future::ready(()) => { dropped = true; break }
        }
    }
    assert!(dropped, "no write ever waited");
    assert!(upload.write(pattern(1)).await.is_err());
    assert!(upload.finish().await.is_err());
    assert_eq!(contents.list(None, 10).await.unwrap(), []);
}

pub async fn a_read_has_a_limit(files: FileStore) {
    let contents = contents(&files);
    store(&contents, id(1), &pattern(1000)).await.unwrap();
    assert_eq!(contents.read(id(1), 1000).await.unwrap(), pattern(1000));
    assert!(matches!(
        contents.read(id(1), 999).await,
        Err(FilesError::TooLarge { limit: 999 })
    ));
}

pub async fn a_removed_content_is_gone_with_its_variants(files: FileStore) {
    let contents = contents(&files);
    store(&contents, id(1), &pattern(10)).await.unwrap();
    store(&contents, id(2), &pattern(20)).await.unwrap();
    for id in [id(1), id(2)] {
        contents
            .put_variant(id, "w320.webp", Bytes::from_static(b"small"))
            .await
            .unwrap();
        contents
            .put_variant(id, "w640.webp", Bytes::from_static(b"smaller"))
            .await
            .unwrap();
    }
    contents.remove(id(1)).await.unwrap();
    contents.remove(id(1)).await.unwrap();
    assert!(matches!(
        contents.read(id(1), 10).await,
        Err(FilesError::NotFound { .. })
    ));
    assert_eq!(contents.variant(id(1), "w320.webp").await.unwrap(), None);
    assert_eq!(contents.list(None, 10).await.unwrap(), [id(2)]);
    assert_eq!(contents.variant(id(2), "w320.webp").await.unwrap().unwrap(), "small");
    assert_eq!(contents.read(id(2), 20).await.unwrap(), pattern(20));
    // A new content does not inherit variants.
    store(&contents, id(1), &pattern(11)).await.unwrap();
    assert_eq!(contents.variant(id(1), "w320.webp").await.unwrap(), None);
}

pub async fn variants_are_replaced(files: FileStore) {
    let contents = contents(&files);
    store(&contents, id(1), &pattern(10)).await.unwrap();
    assert_eq!(contents.variant(id(1), "a").await.unwrap(), None);
    for text in ["first", "", "second"] {
        contents.put_variant(id(1), "a", text.into()).await.unwrap();
        assert_eq!(contents.variant(id(1), "a").await.unwrap().unwrap(), text);
    }
    assert_eq!(contents.variant(id(1), "b").await.unwrap(), None);
    assert_eq!(contents.read(id(1), 10).await.unwrap(), pattern(10));
    assert_eq!(contents.list(None, 10).await.unwrap(), [id(1)]);
}

pub async fn names_of_variants_are_checked(files: FileStore) {
    let contents = contents(&files);
    store(&contents, id(1), &pattern(10)).await.unwrap();
    for bad in [
        "",
        ".",
        "..",
        ".a",
        "a/b",
        "../x",
        "A",
        "ä",
        "a b",
        "a\0",
        "a%2fb",
        &"x".repeat(81),
    ] {
        assert!(contents.put_variant(id(1), bad, Bytes::new()).await.is_err(), "{bad}");
        assert!(contents.variant(id(1), bad).await.is_err(), "{bad}");
    }
    let long = "x".repeat(80);
    for good in ["a", "w320-q80.webp", "a_b", "a..b", &long] {
        contents.put_variant(id(1), good, good.to_owned().into()).await.unwrap();
        assert_eq!(contents.variant(id(1), good).await.unwrap().unwrap(), good);
    }
}

pub async fn lists_are_in_order_and_go_on(files: FileStore) {
    let contents = contents(&files);
    let mut ids: Vec<_> = (0..30).map(|_| random_id()).chain([id(0), id(0xff)]).collect();
    for id in &ids {
        store(&contents, *id, &pattern(1)).await.unwrap();
    }
    for id in &ids[..10] {
        contents.put_variant(*id, "a", Bytes::new()).await.unwrap();
        contents.put_variant(*id, "b", Bytes::new()).await.unwrap();
    }
    ids.sort();
    assert_eq!(contents.list(None, 1000).await.unwrap(), ids);
    for limit in [1, 7, 32] {
        let mut listed = Vec::new();
        loop {
            let page = contents.list(listed.last().copied(), limit).await.unwrap();
            let is_last = page.len() < limit;
            listed.extend(page);
            if is_last {
                break;
            }
        }
        assert_eq!(listed, ids, "{limit}");
    }
    assert_eq!(contents.list(Some(id(0xff)), 10).await.unwrap(), []);
    assert_eq!(contents.list(None, 0).await.unwrap(), []);
}

pub async fn apps_are_separate(files: FileStore) {
    let (one, other) = (new_app(), new_app());
    // One whose name begins with the other's.
    let longer = fb_types::AppId::new(&format!("{one}0")).unwrap();
    for app in [&one, &other, &longer] {
        store(&files.app(app), id(1), &pattern(10)).await.unwrap();
    }
    store(&files.app(&one), id(2), &pattern(10)).await.unwrap();
    files.app(&one).put_variant(id(2), "a", Bytes::new()).await.unwrap();
    assert!(matches!(
        files.app(&other).read(id(2), 10).await,
        Err(FilesError::NotFound { .. })
    ));
    assert_eq!(files.remove_app(&one).await.unwrap(), 2);
    assert_eq!(files.remove_app(&one).await.unwrap(), 0);
    assert_eq!(files.app(&one).list(None, 10).await.unwrap(), []);
    for app in [&other, &longer] {
        assert_eq!(files.app(app).list(None, 10).await.unwrap(), [id(1)]);
    }
    // The name can be used again.
    store(&files.app(&one), id(1), &pattern(10)).await.unwrap();
}

pub async fn a_check_leaves_nothing(files: FileStore) {
    files.check().await.unwrap();
    files.check().await.unwrap();
}

pub async fn many_uploads_and_downloads_at_once(files: FileStore) {
    let contents = contents(&files);
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..24_u8 {
        let contents = contents.clone();
        tasks.spawn(async move {
            let bytes = pattern(usize::from(n) * 50_000);
            store(&contents, id(n), &bytes).await.unwrap();
            assert!(load(&contents, id(n), 0..bytes.len() as u64).await.unwrap() == bytes);
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
}
