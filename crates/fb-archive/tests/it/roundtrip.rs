//! What is written is what is read.

use fb_archive::{ArchiveError, Limits, NewEntry, Writer};
use fb_types::Timestamp;
use proptest::prelude::*;

use crate::kit::read_all;

pub(crate) const MOMENT: i64 = 1_732_140_960_000;

pub(crate) fn entry(name: &str, size: usize, compress: bool) -> NewEntry<'_> {
    NewEntry {
        name,
        modified: Timestamp::from_millis(MOMENT),
        size: size as u64,
        compress,
    }
}

/// Writes files in pieces of this size.
pub(crate) fn write(files: &[(String, Vec<u8>, bool)], piece: usize) -> Vec<u8> {
    let (mut writer, mut bytes) = (Writer::new(), Vec::new());
    for (name, content, compress) in files {
        writer.begin(entry(name, content.len(), *compress)).unwrap();
        for piece in content.chunks(piece) {
            writer.write(piece).unwrap();
            bytes.extend(writer.take());
        }
    }
    bytes.extend(writer.finish().unwrap());
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn whatever_is_written_is_read_again(
        files in prop::collection::btree_map(
            "[a-zü€🦀][ a-zA-Z0-9ü.!'()&+$#-]{0,12}(/[a-zü][a-z0-9.]{0,5}){0,3}",
            (prop::collection::vec(any::<u8>(), 0..3000), any::<bool>(), 1_usize..40),
            0..12,
        ),
        piece in 1_usize..4000,
    ) {
        let files: Vec<_> = files.into_iter()
            .map(|(name, (content, compress, repeat))| (name, content.repeat(repeat), compress))
            .collect();
        let all = read_all(&write(&files, piece), &Limits::default()).unwrap();
        prop_assert_eq!(all, files.into_iter().map(|(name, content, _)| (name, content)).collect::<Vec<_>>());
    }

    #[test]
    fn whatever_comes_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400), at in any::<prop::sample::Index>()) {
        let files = [("a".to_owned(), b"abc".to_vec(), true), ("b".to_owned(), b"abc".to_vec(), false)];
        let mut archive = write(&files, 10);
        let at = at.index(archive.len());
        let end = archive.len().min(at + bytes.len() % 50);
        archive.splice(at..end, bytes);
        let _ = read_all(&archive, &Limits::default());
    }
}

#[test]
fn s31_names_that_no_archive_should_have_are_not_written() {
    let mut writer = Writer::new();
    for name in ["", "../a", "/a", "C:/a", "a\\b", "a//b", "./a", "a/", "a\n"] {
        let error = writer.begin(entry(name, 0, false)).unwrap_err();
        assert!(matches!(error, ArchiveError::Refused { .. }), "{name:?} {error}");
    }
    writer.begin(entry("a", 1, false)).unwrap();
    writer.write(b"1").unwrap();
    let all = read_all(&writer.finish().unwrap(), &Limits::default()).unwrap();
    assert_eq!(all.len(), 1);
}

#[test]
fn a_content_has_the_size_that_was_announced() {
    let mut writer = Writer::new();
    writer.begin(entry("a", 2, false)).unwrap();
    assert!(writer.write(b"123").is_err());
    let mut writer = Writer::new();
    writer.begin(entry("a", 2, false)).unwrap();
    writer.write(b"1").unwrap();
    assert!(writer.begin(entry("b", 2, false)).is_err());
    assert!(writer.finish().is_err());
}

#[test]
fn a_content_leaves_the_writer_while_it_comes_in() {
    let mut writer = Writer::new();
    let piece = vec![7_u8; 1 << 20];
    for compress in [false, true] {
        writer
            .begin(entry(if compress { "b" } else { "a" }, 32 << 20, compress))
            .unwrap();
        let mut held = 0;
        for _ in 0..32 {
            writer.write(&piece).unwrap();
            held = held.max(writer.take().len());
        }
        assert!(held <= (1 << 20) + (64 << 10), "{held}");
    }
}
