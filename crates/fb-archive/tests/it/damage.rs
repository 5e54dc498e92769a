//! Archives that are cut off, damaged, or no archives.

use std::cell::Cell;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::rc::Rc;

use fb_archive::{Archive, ArchiveError, Limits};

use crate::kit::{Forged, archive, read_all, refusal};

fn sample() -> Vec<u8> {
    let text = b"some text, some text, some text".repeat(20);
    archive(&[
        Forged::stored("a.txt", b"stored"),
        Forged::deflated("b/c.txt", &text),
        Forged::stored("empty", b""),
    ])
}

#[test]
fn every_truncated_archive_is_refused() {
    let bytes = sample();
    for len in 0..bytes.len() {
        assert!(read_all(&bytes[..len], &Limits::default()).is_err(), "{len}");
    }
    for no_archive in [&b""[..], b"{}", &[0; 100], b"PK\x03\x04", &[b'P'; 70_000]] {
        assert!(matches!(refusal(no_archive), ArchiveError::NoArchive(_)));
    }
}

#[test]
fn s31_what_comes_before_or_behind_the_archive_is_refused() {
    let bytes = sample();
    read_all(&bytes, &Limits::default()).unwrap();
    assert!(read_all(&[b"#!/bin/sh\n", &bytes[..]].concat(), &Limits::default()).is_err());
    assert!(read_all(&[&bytes[..], b"x"].concat(), &Limits::default()).is_err());
    // A gap in which something hides from this reader, and not from others.
    let gap_at = bytes.len() - 22;
    let gap = [&bytes[..gap_at], b"gap", &bytes[gap_at..]].concat();
    assert!(read_all(&gap, &Limits::default()).is_err());
    // Another archive in the comment would be the one that some readers see.
    let other = archive(&[Forged::stored("other", b"")]);
    let mut commented = bytes.clone();
    let at = commented.len() - 2;
    commented[at..].copy_from_slice(&u16::try_from(other.len()).unwrap().to_le_bytes());
    commented.extend_from_slice(&other);
    assert!(read_all(&commented, &Limits::default()).is_err());
}

#[test]
fn a_flipped_bit_is_an_error_or_changes_nothing_but_what_is_not_read() {
    let bytes = sample();
    let whole = read_all(&bytes, &Limits::default()).unwrap();
    let mut harmless = 0;
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            if let Ok(all) = read_all(&flipped, &Limits::default()) {
                // Names have no checksum; contents do.
                let contents = |all: &[(String, Vec<u8>)]| all.iter().map(|(_, c)| c.clone()).collect::<Vec<_>>();
                let is_shorter = all.len() < whole.len();
                assert!(is_shorter || contents(&all) == contents(&whole), "byte {at} bit {bit}");
                harmless += 1;
            }
        }
    }
    assert!(harmless < bytes.len() * 4, "{harmless}");
}

#[test]
fn a_wrong_checksum_is_found() {
    let mut entry = Forged::deflated("a", b"abc");
    entry.checksum ^= 1;
    let error = refusal(&archive(&[entry])).to_string();
    assert!(error.contains("checksum") && error.contains("`a`"), "{error}");
}

/// A file whose disk fails once it is told to.
struct Failing(Cursor<Vec<u8>>, Rc<Cell<bool>>);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.1.get() {
            true => Err(io::Error::other("the disk failed")),
            false => self.0.read(buffer),
        }
    }
}

impl Seek for Failing {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn a_failing_disk_is_not_the_archives_fault() {
    for entry in [
        Forged::stored("a", &[7; 200]),
        Forged::deflated("a", &(0..=255).collect::<Vec<u8>>()),
    ] {
        let fails = Rc::new(Cell::new(false));
        let file = Failing(Cursor::new(archive(&[entry])), fails.clone());
        let mut archive = Archive::open(file, &Limits::default()).unwrap();
        let mut content = archive.content(0).unwrap().unwrap();
        fails.set(true);
        let error = content.read(&mut [0; 64]).unwrap_err();
        assert!(matches!(error, ArchiveError::Io(_)), "{error}");
        assert!(matches!(archive.content(0).unwrap(), Err(ArchiveError::Io(_))));
    }
}
