//! How much work one image may make.

/// Bounds for one rendering. All of them are checked before a pixel is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the source file. Default: 32 MiB.
    pub source_bytes: usize,
    /// Width times height of the source, as its header says. Default: 40 million.
    pub source_pixels: u64,
    /// Longer side of the source in pixels. Default: 20,000.
    pub source_side: u32,
    /// Bytes of memory that decoding and encoding may take, as [`Cost::bytes`](crate::Cost::bytes) estimates them. Default: 512 MiB.
    pub memory: u64,
    /// Longer side of the result in pixels, at most 16,383. What is asked for in pixels may not be larger; what follows from a fraction or
    /// from the source is made smaller in proportion. Default: 4096.
    pub side: u32,
    /// Width times height of the result; what would be larger is made smaller in proportion. Default: 4096 × 4096.
    pub pixels: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            source_bytes: 32 << 20,
            source_pixels: 40_000_000,
            source_side: 20_000,
            memory: 512 << 20,
            side: 4096,
            pixels: 4096 * 4096,
        }
    }
}
