//! What can be wrong with an archive.

use std::io;

/// Why an archive, or an entry of it, is not taken or not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// Not an archive at all, or one that was cut off.
    #[error("this is no zip archive, or it is cut off: {0}")]
    NoArchive(&'static str),
    /// The directory, or an entry, contradicts itself or its content.
    #[error("the archive is damaged: {what}{}", of(.entry.as_deref()))]
    Damaged {
        /// The entry, if it is one's.
        entry: Option<String>,
        /// What is wrong.
        what: &'static str,
    },
    /// An entry that is not taken, whatever its content. It is shortened, and free of control characters.
    #[error("the archive has an entry that is refused: {why} (`{entry}`)")]
    Refused {
        /// Its name.
        entry: String,
        /// Why it is refused.
        why: &'static str,
    },
    /// More than a limit allows.
    #[error("the archive exceeds a limit: {what}, at most {limit} are allowed{}", of(.entry.as_deref()))]
    TooLarge {
        /// The entry, if it is one's.
        entry: Option<String>,
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// Reading or writing the bytes of the archive failed.
    #[error("the bytes of the archive cannot be read or written")]
    Io(#[source] io::Error),
}

fn of(entry: Option<&str>) -> String {
    entry.map(|entry| format!(" (`{entry}`)")).unwrap_or_default()
}

impl ArchiveError {
    pub(crate) fn damaged(what: &'static str) -> Self {
        Self::Damaged { entry: None, what }
    }

    pub(crate) fn damaged_entry(entry: &str, what: &'static str) -> Self {
        Self::Damaged {
            entry: Some(shown(entry)),
            what,
        }
    }

    pub(crate) fn refused(entry: &str, why: &'static str) -> Self {
        Self::Refused {
            entry: shown(entry),
            why,
        }
    }
}

/// A name as it may stand in messages.
fn shown(name: &str) -> String {
    let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    name.chars().take(80).map(plain).collect()
}
