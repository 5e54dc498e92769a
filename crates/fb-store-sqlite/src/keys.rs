//! Small numbers as keys. A block of numbers is reserved durably and handed out from memory; after a crash the rest of
//! the block is skipped.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use fb_types::{ClassName, ObjectKey};

/// Numbers reserved at a time.
pub(crate) const BLOCK: u64 = 32;
/// Keys up to this one count as small numbers. Greater ones chosen by clients do not move the counter.
const GREATEST: u64 = 1 << 53;

/// Reserved numbers by class. The lock is held for a few instructions only.
#[derive(Debug, Default)]
pub(crate) struct Reserved(Mutex<HashMap<ClassName, Range>>);

#[derive(Debug, Clone, Copy)]
struct Range {
    next: u64,
    end: u64,
}

impl Reserved {
    /// The next reserved number of `class`, if there is one left.
    pub(crate) fn take(&self, class: &ClassName) -> Option<u64> {
        let mut ranges = self.lock();
        let range = ranges.get_mut(class).filter(|r| r.next < r.end)?;
        range.next += 1;
        Some(range.next - 1)
    }

    /// `from..end` is reserved in the file.
    pub(crate) fn add(&self, class: &ClassName, from: u64, end: u64) {
        let mut ranges = self.lock();
        match ranges.get_mut(class).filter(|r| r.next < r.end) {
            Some(range) => range.end = range.end.max(end),
            None => {
                ranges.insert(class.clone(), Range { next: from, end });
            }
        }
    }

    /// An object with this key exists or existed: neither it nor a lesser number is handed out any more.
    pub(crate) fn skip(&self, class: &ClassName, number: u64) {
        if let Some(range) = self.lock().get_mut(class) {
            range.next = range.next.max(number + 1);
        }
    }

    /// Forgets everything and tells what was left over: class, next number, end of the block.
    pub(crate) fn give_back(&self) -> Vec<(ClassName, u64, u64)> {
        self.lock()
            .drain()
            .filter(|(_, r)| r.next < r.end)
            .map(|(class, r)| (class, r.next, r.end))
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ClassName, Range>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number that a key is, if it is a small one.
pub(crate) fn as_number(key: &ObjectKey) -> Option<u64> {
    let text = key.as_str();
    let plain = text.len() <= 16 && text.bytes().all(|b| b.is_ascii_digit());
    plain
        .then(|| text.parse::<u64>().ok())
        .flatten()
        .filter(|n| *n <= GREATEST)
}
