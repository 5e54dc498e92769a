//! How much an archive may hold.

/// How much an archive may hold. All limits are on by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most entries, directories included.
    pub entries: u64,
    /// Most bytes of the directory: names, comments and extra fields of all entries. What of it is kept in memory is less.
    pub directory_bytes: u64,
    /// Longest name in bytes.
    pub name_bytes: usize,
    /// Most bytes of one entry, unpacked.
    pub entry_bytes: u64,
    /// Most bytes of all entries together, unpacked.
    pub total_bytes: u64,
    /// The unpacked bytes may be so many times those of the archive …
    pub ratio: u64,
    /// … unless they are no more than this.
    pub free_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 100_000,
            directory_bytes: 32 << 20,
            name_bytes: 1024,
            entry_bytes: 5 << 30,
            total_bytes: 20 << 30,
            // Deflate packs zeros a thousand times; text rarely more than ten times.
            ratio: 200,
            free_bytes: 64 << 20,
        }
    }
}
