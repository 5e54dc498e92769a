//! Archives built byte by byte, so that they can lie.

use std::io::{Cursor, Write};

use fb_archive::{Archive, ArchiveError, Limits};
use flate2::Compression;
use flate2::write::DeflateEncoder;

/// An entry as its headers say it, with a content that need not fit.
#[derive(Debug, Clone)]
pub(crate) struct Forged {
    pub(crate) name: Vec<u8>,
    /// The name in the header before the content, if it is another one.
    pub(crate) local_name: Option<Vec<u8>>,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) local_method: Option<u16>,
    pub(crate) checksum: u32,
    pub(crate) packed_size: u32,
    pub(crate) size: u32,
    pub(crate) attributes: u32,
    pub(crate) extra: Vec<u8>,
    pub(crate) packed: Vec<u8>,
    /// Where the directory says that the header is, if not where it is.
    pub(crate) header_at: Option<u32>,
}

pub(crate) fn deflate(content: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

impl Forged {
    /// An honest entry, stored.
    pub(crate) fn stored(name: impl AsRef<[u8]>, content: &[u8]) -> Self {
        let size = u32::try_from(content.len()).unwrap();
        Self {
            name: name.as_ref().to_vec(),
            local_name: None,
            flags: 1 << 11,
            method: 0,
            local_method: None,
            checksum: crc(content),
            packed_size: size,
            size,
            attributes: 0o100_644 << 16,
            extra: Vec::new(),
            packed: content.to_vec(),
            header_at: None,
        }
    }

    /// An honest entry, deflated.
    pub(crate) fn deflated(name: impl AsRef<[u8]>, content: &[u8]) -> Self {
        let packed = deflate(content);
        Self {
            method: 8,
            packed_size: u32::try_from(packed.len()).unwrap(),
            packed,
            ..Self::stored(name, content)
        }
    }
}

pub(crate) fn crc(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ (0xedb8_8320 * (crc & 1));
        }
    }
    !crc
}

/// The parts of an archive: contents with their headers, the directory, and the record at the end.
pub(crate) fn parts(entries: &[Forged]) -> [Vec<u8>; 3] {
    let (mut body, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let at = entry.header_at.unwrap_or(u32::try_from(body.len()).unwrap());
        let name = entry.local_name.as_ref().unwrap_or(&entry.name);
        let sizes = [entry.checksum, entry.packed_size, entry.size];
        let put =
            |to: &mut Vec<u8>, numbers: &[u16]| numbers.iter().for_each(|n| to.extend_from_slice(&n.to_le_bytes()));
        let put32 =
            |to: &mut Vec<u8>, numbers: &[u32]| numbers.iter().for_each(|n| to.extend_from_slice(&n.to_le_bytes()));
        body.extend_from_slice(b"PK\x03\x04");
        put(
            &mut body,
            &[20, entry.flags, entry.local_method.unwrap_or(entry.method), 0, 33],
        );
        put32(&mut body, &sizes);
        put(&mut body, &[u16::try_from(name.len()).unwrap(), 0]);
        body.extend_from_slice(name);
        body.extend_from_slice(&entry.packed);

        directory.extend_from_slice(b"PK\x01\x02");
        put(&mut directory, &[0x0314, 20, entry.flags, entry.method, 0, 33]);
        put32(&mut directory, &sizes);
        let (name_len, extra_len) = (entry.name.len(), entry.extra.len());
        let lens = [name_len, extra_len].map(|n| u16::try_from(n).unwrap());
        put(&mut directory, &[lens[0], lens[1], 0, 0, 0]);
        put32(&mut directory, &[entry.attributes, at]);
        directory.extend_from_slice(&entry.name);
        directory.extend_from_slice(&entry.extra);
    }
    let end = end(entries.len(), directory.len(), body.len());
    [body, directory, end]
}

/// The record at the end.
pub(crate) fn end(entries: usize, directory: usize, at: usize) -> Vec<u8> {
    let n = u16::try_from(entries).unwrap().to_le_bytes();
    let sizes = [directory, at].map(|n| u32::try_from(n).unwrap().to_le_bytes());
    [&b"PK\x05\x06\0\0\0\0"[..], &n, &n, &sizes[0], &sizes[1], &[0, 0]].concat()
}

pub(crate) fn archive(entries: &[Forged]) -> Vec<u8> {
    parts(entries).concat()
}

/// Reads all of an archive: names and contents.
pub(crate) fn read_all(bytes: &[u8], limits: &Limits) -> Result<Vec<(String, Vec<u8>)>, ArchiveError> {
    let mut archive = Archive::open(Cursor::new(bytes), limits)?;
    let mut all = Vec::new();
    for number in 0..archive.entries().len() {
        let mut content = archive.content(number).unwrap()?;
        let (mut bytes, mut buffer) = (Vec::new(), [0; 1000]);
        loop {
            match content.read(&mut buffer)? {
                0 => break,
                n => bytes.extend_from_slice(&buffer[..n]),
            }
        }
        assert_eq!(content.read(&mut buffer)?, 0, "the end stays the end");
        all.push((content.entry().name().to_owned(), bytes));
    }
    Ok(all)
}

pub(crate) fn refusal(bytes: &[u8]) -> ArchiveError {
    read_all(bytes, &Limits::default()).expect_err("this archive is bad")
}
