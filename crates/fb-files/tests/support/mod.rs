//! What the tests of this crate share: ids, contents made of a pattern, and an S3 server.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(unreachable_pub, reason = "there is no outside")]

pub mod faults;
pub mod s3;

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use fb_files::{Contents, FilesError, Upload, Written};
use fb_types::{AppId, ContentId};

/// An app that no other test has.
pub fn new_app() -> AppId {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    AppId::new(&format!("app-{}-{next}", std::process::id())).unwrap()
}

pub fn id(n: u8) -> ContentId {
    ContentId::from_bytes([n; 16])
}

pub fn random_id() -> ContentId {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).unwrap();
    ContentId::from_bytes(bytes)
}

/// `len` bytes that differ from place to place, the same each time. A period that is no power of two, so that swapped pieces
/// are seen.
pub fn pattern(len: usize) -> Bytes {
    (0..len)
        .map(|n| (n % 251) as u8 ^ (n / 251 % 241) as u8)
        .collect::<Vec<u8>>()
        .into()
}

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    ring::digest::digest(&ring::digest::SHA256, bytes)
        .as_ref()
        .try_into()
        .unwrap()
}

pub async fn store(contents: &Contents, id: ContentId, bytes: &Bytes) -> Result<Written, FilesError> {
    let mut upload = contents.create(id).await?;
    write_in(&mut upload, bytes, 100_000).await?;
    upload.finish().await
}

pub async fn write_in(upload: &mut Upload, bytes: &Bytes, step: usize) -> Result<(), FilesError> {
    let mut rest = bytes.clone();
    while !rest.is_empty() {
        upload.write(rest.split_to(step.min(rest.len()))).await?;
    }
    Ok(())
}

pub async fn load(contents: &Contents, id: ContentId, range: std::ops::Range<u64>) -> Result<Vec<u8>, FilesError> {
    let mut download = contents.open(id, range).await?;
    let mut all = Vec::new();
    while let Some(piece) = download.next().await {
        let piece = piece?;
        assert!(
            !piece.is_empty() && piece.len() <= 1024 * 1024,
            "a piece of {} bytes",
            piece.len()
        );
        all.extend_from_slice(&piece);
    }
    assert!(download.next().await.is_none());
    Ok(all)
}
