//! Writing: entries and pieces of their contents go in, the bytes of the archive come out as they become ready.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use fb_types::Timestamp;
use zip::write::{FullFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::ArchiveError;
use crate::name::normal_name;

/// Contents from this size on get headers with room for large sizes. Compression may make a content a little larger.
const LARGE: u64 = 3 << 30;

/// Three times as fast as the usual level, for results that are a tenth larger: the reader of an archive waits for it.
const LEVEL: i64 = 3;

/// The extra field with a moment in UTC; the headers themselves have local times without saying of which place.
const EXTENDED_TIME: u16 = 0x5455;

/// What is known of a file before its content is written.
#[derive(Debug, Clone, Copy)]
pub struct NewEntry<'a> {
    /// Its name in its one spelling, see [`normal_name`], at most 65,535 bytes.
    pub name: &'a str,
    /// When it was last written.
    pub modified: Timestamp,
    /// Bytes of its content.
    pub size: u64,
    /// Whether to compress it.
    pub compress: bool,
}

/// An archive that is being written. It holds a header of each entry (about 500 bytes and the name), the compressor's window, and what
/// was not taken yet; never a content.
pub struct Writer {
    zip: ZipWriter<StreamWriter<Ready>>,
    ready: Ready,
    /// Bytes that are still missing of the entry.
    left: u64,
}

impl Default for Writer {
    fn default() -> Self {
        let ready = Ready::default();
        Self {
            zip: ZipWriter::new_stream(ready.clone()),
            ready,
            left: 0,
        }
    }
}

impl Writer {
    /// An empty archive.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins the next file. [`ArchiveError::Refused`] if no archive should have such a name; nothing is written then.
    pub fn begin(&mut self, entry: NewEntry<'_>) -> Result<(), ArchiveError> {
        self.check_complete()?;
        match normal_name(entry.name) {
            Ok(normal) if normal == entry.name && entry.name.len() <= usize::from(u16::MAX) => {}
            Ok(_) => return Err(ArchiveError::refused(entry.name, "its name has another spelling")),
            Err(why) => return Err(ArchiveError::refused(entry.name, why)),
        }
        let method = match entry.compress {
            true => CompressionMethod::Deflated,
            false => CompressionMethod::Stored,
        };
        let mut options = FullFileOptions::default()
            .compression_method(method)
            .compression_level(entry.compress.then_some(LEVEL))
            .last_modified_time(dos_time(entry.modified))
            .unix_permissions(0o644)
            .large_file(entry.size >= LARGE);
        if let Ok(seconds) = i32::try_from(entry.modified.seconds()) {
            let mut data = vec![1];
            data.extend_from_slice(&seconds.to_le_bytes());
            options.add_extra_field(EXTENDED_TIME, data, false).map_err(failed)?;
        }
        self.zip.start_file(entry.name, options).map_err(failed)?;
        self.left = entry.size;
        Ok(())
    }

    /// Appends a piece of the content of the file that was begun last.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), ArchiveError> {
        self.left = self.left.checked_sub(piece.len() as u64).ok_or_else(wrong_size)?;
        self.zip.write_all(piece).map_err(ArchiveError::Io)
    }

    /// Takes what is ready of the archive; it may be empty.
    pub fn take(&mut self) -> Vec<u8> {
        self.ready.take()
    }

    /// Completes the archive, and gives what was not taken yet.
    pub fn finish(self) -> Result<Vec<u8>, ArchiveError> {
        self.check_complete()?;
        self.zip.finish().map_err(failed)?;
        Ok(self.ready.take())
    }

    fn check_complete(&self) -> Result<(), ArchiveError> {
        match self.left {
            0 => Ok(()),
            _ => Err(wrong_size()),
        }
    }
}

fn wrong_size() -> ArchiveError {
    ArchiveError::Io(io::Error::other("a content does not have the size that was announced"))
}

fn failed(error: zip::result::ZipError) -> ArchiveError {
    ArchiveError::Io(error.into())
}

/// The time as headers have it, in steps of two seconds; what lies before or behind their calendar becomes its beginning.
fn dos_time(moment: Timestamp) -> DateTime {
    let text = moment.to_string();
    let number = |range: std::ops::Range<usize>| {
        text.get(range)
            .and_then(|digits| digits.parse::<u16>().ok())
            .unwrap_or(0)
    };
    let small = |at: usize| u8::try_from(number(at..at + 2)).unwrap_or(0);
    DateTime::from_date_and_time(number(0..4), small(5), small(8), small(11), small(14), small(17)).unwrap_or_default()
}

/// What is ready of an archive.
#[derive(Clone, Default)]
struct Ready(Arc<Mutex<Vec<u8>>>);

impl Ready {
    fn take(&self) -> Vec<u8> {
        // A vector is whole between any two of its calls.
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Ready {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
