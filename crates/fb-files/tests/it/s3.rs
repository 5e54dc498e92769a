//! What holds of S3 beyond the contract: storages that are gone, refuse, are full or stop half-way, and leftovers.

use std::time::Duration;

use crate::support::faults::{Plan, Proxy, that_answers, that_is_gone, that_is_silent};
use crate::support::{id, load, new_app, pattern, s3, store, write_in};
use bytes::Bytes;
use fb_files::{Contents, FileStore, FilesError, S3Config};
use fb_types::{AppId, Timestamp};

/// Enough for a storage that answers, however busy the machine is.
const PATIENT: Duration = Duration::from_secs(30);
const LARGE: usize = 20 * 1024 * 1024 + 12_345;

fn at(endpoint: String) -> FileStore {
    with_patience(endpoint, PATIENT)
}

fn with_patience(endpoint: String, patience: Duration) -> FileStore {
    let mut config = S3Config::new(s3::BUCKET, "us-east-1", "key", "secret");
    config.endpoint = Some(endpoint);
    config.path_style = true;
    config.prefix = "some/files".to_owned();
    config.patience = patience;
    FileStore::s3(config).unwrap()
}

/// What each operation says of a storage.
async fn errors(files: &FileStore) -> Vec<(&'static str, FilesError)> {
    let contents = files.app(&new_app());
    let small = Bytes::from_static(b"small");
    let large = async {
        let mut upload = contents.create(id(1)).await?;
        write_in(&mut upload, &pattern(LARGE), 1_000_000).await?;
        upload.finish().await
    };
    let (checked, stored, large, opened, read, removed, variant, listed) = tokio::join!(
        files.check(),
        store(&contents, id(1), &small),
        large,
        contents.open(id(1), 0..5),
        contents.read(id(1), 5),
        contents.remove(id(1)),
        contents.variant(id(1), "a"),
        contents.list(None, 10),
    );
    vec![
        ("check", checked.err().unwrap()),
        ("store", stored.err().unwrap()),
        ("large", large.err().unwrap()),
        ("open", opened.err().unwrap()),
        ("read", read.err().unwrap()),
        ("remove", removed.err().unwrap()),
        ("variant", variant.err().unwrap()),
        ("list", listed.err().unwrap()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storage_that_is_gone_is_unavailable() {
    for (operation, error) in errors(&at(that_is_gone().await)).await {
        assert!(
            matches!(error, FilesError::Unavailable { .. }),
            "{operation}: {error:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_storage_is_unavailable() {
    let files = with_patience(that_is_silent().await, Duration::from_millis(300));
    for (operation, error) in errors(&files).await {
        assert!(
            matches!(error, FilesError::Unavailable { .. }),
            "{operation}: {error:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storage_that_is_overloaded_is_unavailable() {
    let body = "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code></Error>";
    for (operation, error) in errors(&at(that_answers("503 Slow Down", body).await)).await {
        assert!(
            matches!(error, FilesError::Unavailable { .. }),
            "{operation}: {error:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_secret_is_denied() {
    let body = "<?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code></Error>";
    for (operation, error) in errors(&at(that_answers("403 Forbidden", body).await)).await {
        assert!(matches!(error, FilesError::Denied { .. }), "{operation}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_storage_is_full() {
    let quota = "<?xml version=\"1.0\"?><Error><Code>QuotaExceeded</Code></Error>";
    for (status, body) in [("507 Insufficient Storage", ""), ("403 Forbidden", quota)] {
        let contents = at(that_answers(status, body).await).app(&new_app());
        let error = store(&contents, id(1), &Bytes::from_static(b"small"))
            .await
            .unwrap_err();
        assert!(matches!(error, FilesError::Full { .. }), "{status}: {error:?}");
        let error = store(&contents, id(1), &pattern(LARGE)).await.unwrap_err();
        assert!(matches!(error, FilesError::Full { .. }), "{status}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_bucket_is_a_matter_of_setup() {
    let mut config = s3::config();
    config.bucket = "nobody-made-this".to_owned();
    let files = FileStore::s3(config).unwrap();
    let error = files.check().await.unwrap_err();
    assert!(matches!(error, FilesError::Setup { .. }), "{error:?}");
    let error = files.app(&new_app()).read(id(1), 5).await.unwrap_err();
    assert!(matches!(error, FilesError::Setup { .. }), "{error:?}");
}

/// The same app directly and over something that can be told to fail.
async fn proxied(patience: Duration) -> (Proxy, Contents, Contents) {
    let proxy = Proxy::before(&s3::endpoint()).await;
    let app: AppId = new_app();
    let over = with_patience(proxy.address.clone(), patience).app(&app);
    (proxy, over, s3::file_store().app(&app))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_that_is_cut_goes_on() {
    // What stalls has to be waited for, and the real server may be slow on a busy machine.
    let (proxy, over, direct) = proxied(Duration::from_secs(3)).await;
    let bytes = pattern(LARGE);
    store(&direct, id(1), &bytes).await.unwrap();
    // More often than a single request is tried again.
    let cuts = std::iter::repeat_n(Plan::CutDownload(2_000_000), 8);
    proxy.plan(cuts.chain([Plan::StallDownload(1_000_000)]));
    let read = load(&over, id(1), 1000..LARGE as u64).await.unwrap();
    assert!(read == bytes[1000..]);
    assert_eq!(proxy.left(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_from_a_storage_that_goes_away_fails() {
    let (proxy, over, direct) = proxied(PATIENT).await;
    store(&direct, id(1), &pattern(LARGE)).await.unwrap();
    let gone = std::iter::repeat_n(Plan::CutDownload(0), 100);
    proxy.plan([Plan::CutDownload(3_000_000)].into_iter().chain(gone));
    let error = load(&over, id(1), 0..LARGE as u64).await.unwrap_err();
    assert!(matches!(error, FilesError::Unavailable { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_is_cut_goes_on() {
    let (proxy, over, direct) = proxied(PATIENT).await;
    for (n, size) in [(1, 3_000_000), (2, LARGE)] {
        let bytes = pattern(size);
        proxy.plan([
            Plan::CutUpload(1_000_000),
            Plan::CutUpload(2_000_000),
            Plan::CutUpload(500_000),
        ]);
        let written = store(&over, id(n), &bytes).await.unwrap();
        assert_eq!(written.digest, crate::support::sha256(&bytes));
        assert!(load(&direct, id(n), 0..size as u64).await.unwrap() == bytes, "{size}");
        assert!(proxy.left() < 3, "nothing was cut");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_whose_answer_is_lost_has_worked() {
    let (proxy, over, direct) = proxied(PATIENT).await;
    let bytes = pattern(1000);
    // The storage has stored it, and the client does not hear of it.
    proxy.plan([Plan::CutDownload(5)]);
    store(&over, id(1), &bytes).await.unwrap();
    assert_eq!(direct.read(id(1), 1000).await.unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_to_a_storage_that_goes_away_fails_and_a_sweep_removes_its_parts() {
    let (proxy, over, direct) = proxied(PATIENT).await;
    let bytes = pattern(LARGE);
    let mut upload = over.create(id(1)).await.unwrap();
    write_in(&mut upload, &bytes.slice(..10_000_000), 1_000_000)
        .await
        .unwrap();
    proxy.plan(std::iter::repeat_n(Plan::CutUpload(0), 1000));
    let rest = async {
        write_in(&mut upload, &bytes.slice(10_000_000..), 1_000_000).await?;
        upload.finish().await
    };
    // A part that found its connection open may have been sent; the storage is certainly not there for the last step.
    let error = rest.await.unwrap_err();
    assert!(matches!(error, FilesError::Unavailable { .. }), "{error:?}");
    assert_eq!(direct.list(None, 10).await.unwrap(), []);
    assert_eq!(
        direct.sweep(Timestamp::from_millis(0)).await.unwrap(),
        0,
        "it is not that old"
    );
    assert_eq!(direct.sweep(Timestamp::from_millis(i64::MAX)).await.unwrap(), 1);
    assert_eq!(direct.sweep(Timestamp::from_millis(i64::MAX)).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_is_given_up_leaves_no_parts() {
    let app = new_app();
    let contents = s3::file_store().app(&app);
    let everything = Timestamp::from_millis(i64::MAX);
    for (how, left) in [("forgotten", 1), ("aborted", 0), ("dropped", 0)] {
        let mut upload = contents.create(id(1)).await.unwrap();
        write_in(&mut upload, &pattern(LARGE), 1_000_000).await.unwrap();
        match how {
            // As if the process had died: this shows that there would be something to sweep.
            "forgotten" => std::mem::forget(upload),
            "aborted" => upload.abort().await,
            _ => {
                drop(upload);
                // It is aborted in the background.
                while s3::has_uploads(&app) {
                    tokio::task::yield_now().await;
                }
            }
        }
        assert_eq!(s3::has_uploads(&app), left > 0, "{how}");
        assert_eq!(contents.sweep(everything).await.unwrap(), left, "{how}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_stays_within_the_app() {
    let files = s3::file_store();
    let (one, other) = (files.app(&new_app()), files.app(&new_app()));
    let mut upload = one.create(id(1)).await.unwrap();
    write_in(&mut upload, &pattern(LARGE), 1_000_000).await.unwrap();
    assert_eq!(other.sweep(Timestamp::from_millis(i64::MAX)).await.unwrap(), 0);
    upload.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_is_not_missing() {
    let contents = at(that_answers("404 Not Found", "").await).app(&new_app());
    for size in [5, LARGE] {
        let error = store(&contents, id(1), &pattern(size)).await.unwrap_err();
        assert!(matches!(error, FilesError::Internal { .. }), "{error:?}");
    }
}
