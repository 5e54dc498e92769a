//! The records at the end of an archive, which say where its directory is.

use std::io::{Read, Seek, SeekFrom};

use crate::{ArchiveError, Limits};

const END: [u8; 4] = *b"PK\x05\x06";
const END64: [u8; 4] = *b"PK\x06\x06";
const LOCATOR64: [u8; 4] = *b"PK\x06\x07";

/// Bytes of the record without the comment behind it.
const END_LEN: usize = 22;
const END64_LEN: usize = 56;
const LOCATOR64_LEN: usize = 20;
const MAX_COMMENT: usize = 65_535;

/// Where the directory is, and how much is in it. It ends exactly where the records begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) directory_at: u64,
    pub(crate) directory_bytes: u64,
    pub(crate) entries: u64,
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..at + 4)
        .map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// Reads so many bytes from `at`.
pub(crate) fn read_at<R: Read + Seek>(reader: &mut R, at: u64, len: usize) -> Result<Vec<u8>, ArchiveError> {
    let mut bytes = vec![0; len];
    reader.seek(SeekFrom::Start(at)).map_err(ArchiveError::Io)?;
    reader.read_exact(&mut bytes).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => ArchiveError::damaged("a header leads behind its end"),
        _ => ArchiveError::Io(error),
    })?;
    Ok(bytes)
}

/// Finds the end of an archive of `len` bytes. The last record whose comment ends with the archive counts; what it says has to
/// fit, and nothing else is searched for.
pub(crate) fn find<R: Read + Seek>(reader: &mut R, len: u64, limits: &Limits) -> Result<End, ArchiveError> {
    let tail_len = usize::try_from(len).unwrap_or(usize::MAX).min(END_LEN + MAX_COMMENT);
    if tail_len < END_LEN {
        return Err(ArchiveError::NoArchive("it is too short"));
    }
    let tail_at = len - tail_len as u64;
    let tail = read_at(reader, tail_at, tail_len)?;
    let is_end = |at: &usize| {
        tail[*at..].starts_with(&END) && usize::from(u16_at(&tail, at + END_LEN - 2)) == tail_len - at - END_LEN
    };
    let at = (0..=tail_len - END_LEN).rev().find(is_end);
    let at = at.ok_or(ArchiveError::NoArchive("it has no directory at its end"))?;
    let record = &tail[at..at + END_LEN];
    let end_at = tail_at + at as u64;
    let short = Short::read(record);
    let (end, records_at) = match large(reader, end_at, &short)? {
        Some(found) => found,
        None if short.disks != [0, 0] || short.entries[0] != short.entries[1] => {
            return Err(ArchiveError::damaged("it is in several parts"));
        }
        None => (short.end(), end_at),
    };
    if end.directory_at.checked_add(end.directory_bytes) != Some(records_at) {
        return Err(ArchiveError::damaged("its directory is not where it should be"));
    }
    let too_large = |what, limit| ArchiveError::TooLarge {
        entry: None,
        what,
        limit,
    };
    if end.entries > limits.entries {
        return Err(too_large("entries", limits.entries));
    }
    if end.directory_bytes > limits.directory_bytes {
        return Err(too_large("bytes of the directory", limits.directory_bytes));
    }
    Ok(end)
}

/// What the short record says.
struct Short {
    disks: [u16; 2],
    /// On the last disk, and on all.
    entries: [u16; 2],
    size: u32,
    offset: u32,
}

impl Short {
    fn read(record: &[u8]) -> Self {
        Self {
            disks: [4, 6].map(|at| u16_at(record, at)),
            entries: [8, 10].map(|at| u16_at(record, at)),
            size: u32_at(record, 12),
            offset: u32_at(record, 16),
        }
    }

    fn end(&self) -> End {
        End {
            directory_at: u64::from(self.offset),
            directory_bytes: u64::from(self.size),
            entries: u64::from(self.entries[1]),
        }
    }

    /// True if this is what a longer record says, as far as it can say it.
    fn agrees(&self, end: &End) -> bool {
        let same = |short: u64, unsaid: u64, long: u64| short == unsaid || short == long;
        self.disks.iter().all(|disk| matches!(disk, 0 | 0xffff))
            && self.entries.iter().all(|n| same(u64::from(*n), 0xffff, end.entries))
            && same(u64::from(self.size), 0xffff_ffff, end.directory_bytes)
            && same(u64::from(self.offset), 0xffff_ffff, end.directory_at)
    }
}

/// The record of large archives, if there is one, and where it is. It must not contradict the short one.
fn large<R: Read + Seek>(reader: &mut R, end_at: u64, short: &Short) -> Result<Option<(End, u64)>, ArchiveError> {
    let Some(locator_at) = end_at.checked_sub(LOCATOR64_LEN as u64) else {
        return Ok(None);
    };
    let locator = read_at(reader, locator_at, LOCATOR64_LEN)?;
    if !locator.starts_with(&LOCATOR64) {
        return Ok(None);
    }
    let wrong = || ArchiveError::damaged("its records of large archives contradict the others");
    let at = u64_at(&locator, 8);
    if u32_at(&locator, 4) != 0 || u32_at(&locator, 16) > 1 || at.checked_add(END64_LEN as u64) > Some(locator_at) {
        return Err(wrong());
    }
    let record = read_at(reader, at, END64_LEN)?;
    // The length does not count the signature and itself.
    let ends = u64_at(&record, 4).checked_add(at + 12);
    if !record.starts_with(&END64) || ends != Some(locator_at) {
        return Err(wrong());
    }
    let end = End {
        directory_at: u64_at(&record, 48),
        directory_bytes: u64_at(&record, 40),
        entries: u64_at(&record, 32),
    };
    let is_consistent = u64_at(&record, 24) == end.entries
        && (u32_at(&record, 16), u32_at(&record, 20)) == (0, 0)
        && short.agrees(&end);
    match is_consistent {
        true => Ok(Some((end, at))),
        false => Err(wrong()),
    }
}
