//! What the header of an image says. Our own readers, a page in all: they allocate nothing, so that nothing is decoded, not even a colour
//! profile, before the limits are checked. Decoders are asked again whether they agree.

mod gif;
pub(crate) mod jpeg;
mod png;
mod webp;

use std::fmt;

use crate::error::RenderError;
use crate::orient::Orientation;

/// Formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceFormat {
    /// JPEG, baseline or progressive.
    Jpeg,
    /// PNG; of an animated one the default image.
    Png,
    /// GIF; its first frame.
    Gif,
    /// WebP, lossy or lossless; of an animated one the first frame.
    Webp,
}

impl fmt::Display for SourceFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Gif => "GIF",
            Self::Webp => "WebP",
        })
    }
}

/// What the header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    /// From the first bytes, not from a name.
    pub format: SourceFormat,
    /// Pixels, as stored: before `orientation`. At least 1.
    pub width: u32,
    /// Pixels, as stored: before `orientation`. At least 1.
    pub height: u32,
    /// How it is turned before it is shown.
    pub orientation: Orientation,
    /// What decoding takes per pixel at its peak, in bytes.
    pub(crate) depth: u64,
    /// WebP that is not lossy.
    pub(crate) lossless: bool,
}

impl Info {
    /// Width and height as shown.
    pub fn shown_size(&self) -> (u32, u32) {
        if self.orientation.swaps_sides() {
            (self.height, self.width)
        } else {
            (self.width, self.height)
        }
    }
}

/// Reads format, size and orientation from the header.
///
/// Cost: no allocation; at most a walk over the names and lengths of the file's blocks.
///
/// # Errors
/// [`RenderError::NotAnImage`], or [`RenderError::Malformed`] if the header is.
pub fn probe(source: &[u8]) -> Result<Info, RenderError> {
    let (format, found) = if source.starts_with(&[0xff, 0xd8, 0xff]) {
        (SourceFormat::Jpeg, jpeg::read(source))
    } else if source.starts_with(b"\x89PNG\r\n\x1a\n") {
        (SourceFormat::Png, png::read(source))
    } else if source.starts_with(b"GIF87a") || source.starts_with(b"GIF89a") {
        (SourceFormat::Gif, gif::read(source))
    } else if source.starts_with(b"RIFF") && source.get(8..12) == Some(b"WEBP") {
        (SourceFormat::Webp, webp::read(source))
    } else {
        return Err(RenderError::NotAnImage);
    };
    let malformed = |reason: &str| RenderError::Malformed {
        format,
        reason: reason.into(),
    };
    let header = found.map_err(malformed)?;
    if header.width == 0 || header.height == 0 {
        return Err(malformed("it has no pixels"));
    }
    let Header {
        width,
        height,
        orientation,
        depth,
        lossless,
    } = header;
    Ok(Info {
        format,
        width,
        height,
        orientation,
        depth,
        lossless,
    })
}

/// What a reader finds.
struct Header {
    width: u32,
    height: u32,
    orientation: Orientation,
    depth: u64,
    lossless: bool,
}

const CUT_OFF: &str = "it ends within its header";

/// A look into the source that cannot leave it.
fn bytes<const N: usize>(source: &[u8], at: usize) -> Result<[u8; N], &'static str> {
    at.checked_add(N)
        .and_then(|end| source.get(at..end))
        .and_then(|b| b.try_into().ok())
        .ok_or(CUT_OFF)
}
