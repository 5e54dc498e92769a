//! Compressed forms of contents.

use std::io::{self, Write};

/// How a content is encoded for its transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// As it is.
    Identity,
    /// Brotli (RFC 7932).
    Brotli,
    /// Zstandard (RFC 8878).
    Zstd,
    /// Gzip (RFC 1952).
    Gzip,
}

impl Encoding {
    /// The name in headers.
    pub fn token(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }
}

/// Contents up to this size are worth the slower setting, because the result is kept.
const THOROUGH: usize = 512 << 10;

/// The compressed form. Takes up to about a second; for threads that may block.
pub(super) fn compress(encoding: Encoding, content: &[u8]) -> io::Result<Vec<u8>> {
    let is_thorough = content.len() <= THOROUGH;
    match encoding {
        Encoding::Identity => Ok(content.to_vec()),
        Encoding::Brotli => {
            let quality = if is_thorough { 9 } else { 5 };
            let mut writer = brotli::CompressorWriter::new(Vec::new(), 16 << 10, quality, 22);
            writer.write_all(content)?;
            writer.flush()?;
            Ok(writer.into_inner())
        }
        Encoding::Zstd => zstd::bulk::compress(content, if is_thorough { 12 } else { 6 }),
        Encoding::Gzip => {
            let level = flate2::Compression::new(if is_thorough { 9 } else { 6 });
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), level);
            writer.write_all(content)?;
            writer.finish()
        }
    }
}
