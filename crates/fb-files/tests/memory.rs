//! Uploads and downloads need a bounded amount of memory, whatever the size of the content.
//!
//! One test in a process of its own, because it looks at the memory of the whole process. 512 MiB each; more with
//! `FB_FILES_TEST_MIB=2048`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "these are tests")]
#![cfg(target_os = "linux")]

#[path = "it/support/mod.rs"]
mod support;

use bytes::Bytes;
use fb_files::{Contents, FileStore};
use support::{id, new_app};

/// What the process may grow by.
const BOUND: u64 = 64 * 1024 * 1024;
/// As large as what HTTP servers hand out at most.
const PIECE: usize = 256 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_contents_pass_through_little_memory() {
    let mib = std::env::var_os("FB_FILES_TEST_MIB").map_or(512, |mib| mib.to_str().unwrap().parse::<u64>().unwrap());
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let data = directory.path().to_owned();
    let local = FileStore::local(move |app| data.join(app.as_str()));
    pass(&local.app(&new_app()), mib << 20, "local").await;
    drop(directory);
    pass(&support::s3::file_store().app(&new_app()), mib << 20, "S3").await;
}

async fn pass(contents: &Contents, size: u64, storage: &str) {
    let before = reset_peak();
    let mut upload = contents.create(id(1)).await.unwrap();
    let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
    for n in 0..size / PIECE as u64 {
        let piece = piece(n);
        digest.update(&piece);
        upload.write(piece).await.unwrap();
    }
    let written = upload.finish().await.unwrap();
    let grown = peak().saturating_sub(before);
    println!("{storage}: uploading {} MiB needs {} KiB", size >> 20, grown >> 10);
    assert!(grown < BOUND, "{storage}: uploading needs {grown} bytes");
    assert_eq!(written.size, size);
    assert_eq!(written.digest, digest.finish().as_ref());

    let before = reset_peak();
    let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
    let mut download = contents.open(id(1), 0..size).await.unwrap();
    while let Some(piece) = download.next().await {
        digest.update(&piece.unwrap());
    }
    let grown = peak().saturating_sub(before);
    println!("{storage}: downloading {} MiB needs {} KiB", size >> 20, grown >> 10);
    assert!(grown < BOUND, "{storage}: downloading needs {grown} bytes");
    assert_eq!(written.digest, digest.finish().as_ref());
    contents.remove(id(1)).await.unwrap();
}

/// Memory of its own, so that what is kept is seen.
fn piece(n: u64) -> Bytes {
    let mut piece = vec![n as u8; PIECE];
    piece[..8].copy_from_slice(&n.to_ne_bytes());
    piece.into()
}

/// Bytes of memory now; the peak is counted from here.
fn reset_peak() -> u64 {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    status("VmRSS:")
}

fn peak() -> u64 {
    status("VmHWM:")
}

fn status(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
