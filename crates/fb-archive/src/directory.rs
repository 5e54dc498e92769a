//! The directory: one header for each entry. All of it is checked before any content is looked at.

use std::collections::HashSet;
use std::io::{BufReader, Read, Seek, SeekFrom};

use crate::end::{End, u16_at, u32_at, u64_at};
use crate::name::normal_name;
use crate::reader::{Entry, Method, Place};
use crate::{ArchiveError, Limits};

const HEADER: [u8; 4] = *b"PK\x01\x02";
const HEADER_LEN: usize = 46;
/// Bytes of the header before each content, without its name.
pub(crate) const LOCAL_LEN: u64 = 30;

/// Flags: encrypted, patches, strongly encrypted, and headers that are masked because of encryption.
const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
const PATCH: u16 = 1 << 5;

/// What an entry is, by the mode of Unix: regular files, directories, and nothing said.
const KIND: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
/// The flag of directories among the attributes of DOS.
const DOS_DIRECTORY: u32 = 0x10;

/// Reads the directory. The entries are in the order of their contents in the archive; directories are left out.
pub(crate) fn read<R: Read + Seek>(
    reader: &mut R,
    end: End,
    archive_bytes: u64,
    limits: &Limits,
) -> Result<Vec<Entry>, ArchiveError> {
    reader
        .seek(SeekFrom::Start(end.directory_at))
        .map_err(ArchiveError::Io)?;
    let mut input = BufReader::with_capacity(64 << 10, reader.take(end.directory_bytes));
    let mut entries = Vec::new();
    for _ in 0..end.entries {
        entries.push(header(&mut input, limits)?);
    }
    let mut rest = [0];
    if input.read(&mut rest).map_err(ArchiveError::Io)? != 0 {
        return Err(ArchiveError::damaged("its directory is longer than its entries"));
    }
    drop(input);
    place(&mut entries, end.directory_at)?;
    entries.retain(|entry| !entry.is_directory);
    no_duplicates(&entries)?;
    totals(&entries, archive_bytes, limits)?;
    Ok(entries)
}

fn take(input: &mut impl Read, len: usize) -> Result<Vec<u8>, ArchiveError> {
    let mut bytes = vec![0; len];
    input.read_exact(&mut bytes).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => ArchiveError::damaged("its directory is shorter than its entries"),
        _ => ArchiveError::Io(error),
    })?;
    Ok(bytes)
}

fn header(input: &mut impl Read, limits: &Limits) -> Result<Entry, ArchiveError> {
    let fixed = take(input, HEADER_LEN)?;
    if !fixed.starts_with(&HEADER) {
        return Err(ArchiveError::damaged(
            "its directory has something else in the place of an entry",
        ));
    }
    let raw_name = take(input, usize::from(u16_at(&fixed, 28)))?;
    let extra = take(input, usize::from(u16_at(&fixed, 30)))?;
    take(input, usize::from(u16_at(&fixed, 32)))?;

    let shown = String::from_utf8_lossy(&raw_name).into_owned();
    let refused = |why| ArchiveError::refused(&shown, why);
    let extra = Extra::read(&extra, &fixed, &raw_name)
        .ok_or_else(|| ArchiveError::damaged_entry(&shown, "a header has fields that cannot be read"))?;
    let name = match &extra.name {
        Some(name) => name.clone(),
        None => String::from_utf8(raw_name.clone()).map_err(|_| refused("its name is not UTF-8"))?,
    };
    if name.len().max(raw_name.len()) > limits.name_bytes {
        return Err(ArchiveError::TooLarge {
            entry: None,
            what: "bytes of a name",
            limit: limits.name_bytes as u64,
        });
    }
    let normal = normal_name(&name).map_err(refused)?.into_owned();
    let flags = u16_at(&fixed, 8);
    if flags & ENCRYPTED != 0 {
        return Err(refused("it is encrypted"));
    }
    if flags & PATCH != 0 {
        return Err(refused("it is a patch of another file"));
    }
    let attributes = u32_at(&fixed, 38);
    let kind = attributes >> 16 & KIND;
    let is_directory = name.ends_with('/') || kind == DIRECTORY || attributes & DOS_DIRECTORY != 0;
    match kind {
        0 | REGULAR => {}
        DIRECTORY if is_directory => {}
        _ => return Err(refused("it is no regular file, but a link or a device")),
    }
    if is_directory && extra.size > 0 {
        return Err(refused("it is a directory with a content"));
    }
    if normal.is_empty() && !is_directory {
        return Err(refused("its name is empty"));
    }
    let method = match u16_at(&fixed, 10) {
        0 => Method::Stored,
        8 => Method::Deflated,
        _ => return Err(refused("it is compressed in another way than deflate")),
    };
    if method == Method::Stored && extra.packed != extra.size {
        return Err(ArchiveError::damaged_entry(&shown, "an entry has two sizes"));
    }
    if extra.size > limits.entry_bytes {
        return Err(ArchiveError::TooLarge {
            entry: Some(normal),
            what: "bytes of one file",
            limit: limits.entry_bytes,
        });
    }
    Ok(Entry {
        raw_name: (raw_name != normal.as_bytes()).then(|| raw_name.into_boxed_slice()),
        name: normal,
        size: extra.size,
        is_directory,
        place: Place {
            header_at: extra.header_at,
            packed: extra.packed,
            boundary: 0,
            checksum: u32_at(&fixed, 16),
            method,
        },
    })
}

/// What further fields of a header may override.
struct Extra {
    size: u64,
    packed: u64,
    header_at: u64,
    name: Option<String>,
}

impl Extra {
    fn read(mut rest: &[u8], fixed: &[u8], raw_name: &[u8]) -> Option<Self> {
        const NONE: u32 = u32::MAX;
        let short = [24, 20, 42].map(|at| u32_at(fixed, at));
        let mut long: Option<Vec<u64>> = None;
        let mut name = None;
        // Fewer than four bytes are no field; some tools pad with them.
        while rest.len() >= 4 {
            let (id, len) = (u16_at(rest, 0), usize::from(u16_at(rest, 2)));
            let data = rest.get(4..4 + len)?;
            match id {
                1 if long.is_none() => {
                    let mut values = data.chunks_exact(8).map(|value| u64_at(value, 0));
                    let wanted = short.iter().filter(|value| **value == NONE);
                    long = Some(wanted.map(|_| values.next()).collect::<Option<_>>()?);
                }
                // Two of them would have two meanings.
                1 => return None,
                // The name in UTF-8, if it belongs to the one in the header.
                0x7075 if data.len() > 5 && data[0] == 1 && u32_at(data, 1) == crc32fast::hash(raw_name) => {
                    name = Some(String::from_utf8(data[5..].to_vec()).ok()?);
                }
                _ => {}
            }
            rest = &rest[4 + len..];
        }
        let mut long = long.unwrap_or_default().into_iter();
        let mut value = |short: u32| match short {
            NONE => long.next(),
            short => Some(u64::from(short)),
        };
        let [size, packed, header_at] = short;
        Some(Self {
            size: value(size)?,
            packed: value(packed)?,
            header_at: value(header_at)?,
            name,
        })
    }
}

/// Says for each entry where the next one begins; none may reach into it.
fn place(entries: &mut [Entry], directory_at: u64) -> Result<(), ArchiveError> {
    entries.sort_by_key(|entry| entry.place.header_at);
    let mut boundary = directory_at;
    for entry in entries.iter_mut().rev() {
        entry.place.boundary = boundary;
        let least = LOCAL_LEN + entry.header_name().len() as u64;
        let ends = entry
            .place
            .header_at
            .checked_add(least)
            .and_then(|at| at.checked_add(entry.place.packed));
        if ends.is_none_or(|ends| ends > boundary) {
            return Err(ArchiveError::refused(
                &entry.name,
                "it overlaps with another one, or with the directory",
            ));
        }
        boundary = entry.place.header_at;
    }
    Ok(())
}

fn no_duplicates(entries: &[Entry]) -> Result<(), ArchiveError> {
    let mut names = HashSet::with_capacity(entries.len());
    match entries.iter().find(|entry| !names.insert(entry.name.as_str())) {
        Some(twice) => Err(ArchiveError::refused(&twice.name, "there are two of this name")),
        None => Ok(()),
    }
}

fn totals(entries: &[Entry], archive_bytes: u64, limits: &Limits) -> Result<(), ArchiveError> {
    let total = entries
        .iter()
        .fold(0_u64, |total, entry| total.saturating_add(entry.size));
    let too_large = |what, limit| ArchiveError::TooLarge {
        entry: None,
        what,
        limit,
    };
    if total > limits.total_bytes {
        return Err(too_large("bytes of all files together", limits.total_bytes));
    }
    let by_ratio = archive_bytes.saturating_mul(limits.ratio).max(limits.free_bytes);
    if total > by_ratio {
        return Err(too_large("unpacked bytes for an archive of this size", by_ratio));
    }
    Ok(())
}
