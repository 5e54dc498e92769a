//! Reading: the entries, and their contents one after the other.

use std::io::{self, BufReader, Read, Seek, SeekFrom, Take};

use flate2::bufread::DeflateDecoder;

use crate::directory::{self, LOCAL_LEN};
use crate::end::{self, read_at, u16_at};
use crate::{ArchiveError, Limits};

const LOCAL: [u8; 4] = *b"PK\x03\x04";

/// How much of a packed content is read at once.
const PIECE: usize = 64 << 10;

/// How a content is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Stored,
    Deflated,
}

/// Where the content of an entry is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) header_at: u64,
    pub(crate) packed: u64,
    /// Where the next entry begins.
    pub(crate) boundary: u64,
    pub(crate) checksum: u32,
    pub(crate) method: Method,
}

/// A file in an archive.
#[derive(Debug, Clone)]
pub struct Entry {
    pub(crate) name: String,
    /// As it is spelled in the headers, if that is different.
    pub(crate) raw_name: Option<Box<[u8]>>,
    pub(crate) size: u64,
    pub(crate) is_directory: bool,
    pub(crate) place: Place,
}

impl Entry {
    /// Its name, see [`crate::normal_name`]; never empty.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of its content as announced; it never gives more, and giving fewer is an error.
    pub fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn header_name(&self) -> &[u8] {
        self.raw_name.as_deref().unwrap_or(self.name.as_bytes())
    }
}

/// An archive whose directory has been checked.
pub struct Archive<R> {
    reader: R,
    entries: Vec<Entry>,
}

impl<R: Read + Seek> Archive<R> {
    /// Reads and checks the directory: number, sizes and names of all entries, and that none shares bytes with another. Costs memory in
    /// proportion to the directory, which is limited; contents are not looked at.
    ///
    /// Nothing may come before the first and behind the last byte of the archive.
    pub fn open(mut reader: R, limits: &Limits) -> Result<Self, ArchiveError> {
        let len = reader.seek(SeekFrom::End(0)).map_err(ArchiveError::Io)?;
        let end = end::find(&mut reader, len, limits)?;
        let entries = directory::read(&mut reader, end, len, limits)?;
        Ok(Self { reader, entries })
    }

    /// The files, in the order in which reading them is fastest. No two have the same name.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Begins to unpack the file with this number, counted from 0; `None` if there are fewer.
    pub fn content(&mut self, number: usize) -> Option<Result<Content<'_, R>, ArchiveError>> {
        let entry = self.entries.get(number)?;
        Some(Content::begin(&mut self.reader, entry))
    }
}

/// A content that is being unpacked.
pub struct Content<'a, R> {
    entry: &'a Entry,
    packed: Packed<'a, R>,
    left: u64,
    checksum: crc32fast::Hasher,
    is_checked: bool,
}

enum Packed<'a, R> {
    Stored(Take<Watched<'a, R>>),
    Deflated(DeflateDecoder<BufReader<Take<Watched<'a, R>>>>),
}

impl<'a, R: Read + Seek> Content<'a, R> {
    fn begin(reader: &'a mut R, entry: &'a Entry) -> Result<Self, ArchiveError> {
        let place = &entry.place;
        let name = entry.header_name();
        let wrong = |what| ArchiveError::damaged_entry(&entry.name, what);
        let header = read_at(
            reader,
            place.header_at,
            usize::try_from(LOCAL_LEN).unwrap_or(0) + name.len(),
        )?;
        let (fixed, header_name) = header.split_at(header.len() - name.len());
        let method = match u16_at(fixed, 8) {
            0 => Some(Method::Stored),
            8 => Some(Method::Deflated),
            _ => None,
        };
        let is_same = fixed.starts_with(&LOCAL)
            && usize::from(u16_at(fixed, 26)) == name.len()
            && header_name == name
            && method == Some(place.method);
        if !is_same {
            return Err(wrong("the two headers of an entry contradict each other"));
        }
        let at = place.header_at + header.len() as u64 + u64::from(u16_at(fixed, 28));
        if at.checked_add(place.packed).is_none_or(|ends| ends > place.boundary) {
            return Err(wrong("an entry overlaps with another one, or with the directory"));
        }
        reader.seek(SeekFrom::Start(at)).map_err(ArchiveError::Io)?;
        let reader = Watched {
            reader,
            has_failed: false,
        };
        let packed = reader.take(place.packed);
        Ok(Self {
            entry,
            packed: match place.method {
                Method::Stored => Packed::Stored(packed),
                Method::Deflated => Packed::Deflated(DeflateDecoder::new(BufReader::with_capacity(PIECE, packed))),
            },
            left: entry.size,
            checksum: crc32fast::Hasher::new(),
            is_checked: false,
        })
    }

    /// The file.
    pub fn entry(&self) -> &Entry {
        self.entry
    }

    /// Bytes that are still to come.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Unpacks the next bytes into `buffer`, which is not empty; 0 at the end. When it has said 0, size and checksum were right.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ArchiveError> {
        let wrong = |what| ArchiveError::damaged_entry(&self.entry.name, what);
        if self.left == 0 {
            if !self.is_checked {
                // One byte more shows whether the entry lied about its size.
                if self.unpack(&mut [0])? != 0 {
                    return Err(wrong("an entry is larger than it says"));
                }
                if let Packed::Deflated(decoder) = &self.packed
                    && decoder.total_in() != self.entry.place.packed
                {
                    return Err(wrong("an entry has bytes behind its content"));
                }
                if self.checksum.clone().finalize() != self.entry.place.checksum {
                    return Err(wrong("the content of an entry does not have its checksum"));
                }
                self.is_checked = true;
            }
            return Ok(0);
        }
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let n = self.unpack(&mut buffer[..room])?;
        if n == 0 {
            return Err(wrong("an entry is smaller than it says"));
        }
        self.checksum.update(&buffer[..n]);
        self.left -= n as u64;
        Ok(n)
    }

    fn unpack(&mut self, buffer: &mut [u8]) -> Result<usize, ArchiveError> {
        loop {
            let (read, has_failed) = match &mut self.packed {
                Packed::Stored(stored) => (stored.read(buffer), stored.get_ref().has_failed),
                Packed::Deflated(decoder) => {
                    let read = decoder.read(buffer);
                    (read, decoder.get_ref().get_ref().get_ref().has_failed)
                }
            };
            return match read {
                Ok(n) => Ok(n),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if has_failed => Err(ArchiveError::Io(error)),
                Err(_) => Err(ArchiveError::damaged_entry(
                    &self.entry.name,
                    "the content of an entry cannot be unpacked",
                )),
            };
        }
    }
}

/// Remembers that reading failed, which is not the archive's fault.
struct Watched<'a, R> {
    reader: &'a mut R,
    has_failed: bool,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer);
        self.has_failed = matches!(&read, Err(error) if error.kind() != io::ErrorKind::Interrupted);
        read
    }
}
