//! Numbers of paths, for as long as somebody uses them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::ast::Path;

/// Paths by small numbers. A number is given anew when nobody uses its path any more, so that there are never more of them
/// than there were paths in use at the same time.
#[derive(Debug, Default)]
pub(super) struct Paths {
    numbers: HashMap<Arc<Path>, u32>,
    known: Vec<Known>,
    free: Vec<u32>,
}

/// A number, and what has it.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// `None` while nobody uses it.
    path: Option<Arc<Path>>,
    /// The field that the path begins with.
    field: u32,
    uses: usize,
}

impl Known {
    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    pub(super) fn field(&self) -> usize {
        self.field as usize
    }
}

impl Paths {
    /// One more use of a path that begins with the field of this number.
    pub(super) fn take(&mut self, path: Path, field: usize) -> u32 {
        let number = match self.numbers.get(&path) {
            Some(known) => *known,
            None => self.begin(path, field),
        };
        if let Some(known) = self.known.get_mut(number as usize) {
            known.uses += 1;
        }
        number
    }

    fn begin(&mut self, path: Path, field: usize) -> u32 {
        let path = Arc::new(path);
        let number = self.free.pop().unwrap_or_else(|| {
            self.known.push(Known::default());
            // Four thousand million paths do not fit into memory.
            u32::try_from(self.known.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(known) = self.known.get_mut(number as usize) {
            *known = Known {
                path: Some(path.clone()),
                field: u32::try_from(field).unwrap_or(u32::MAX),
                uses: 0,
            };
        }
        self.numbers.insert(path, number);
        number
    }

    /// One use less.
    pub(super) fn release(&mut self, number: u32) {
        let Some(known) = self.known.get_mut(number as usize) else {
            return;
        };
        debug_assert!(known.uses > 0, "a path is released more often than it was taken");
        known.uses = known.uses.saturating_sub(1);
        if known.uses == 0
            && let Some(path) = known.path.take()
        {
            self.numbers.remove(&*path);
            self.free.push(number);
        }
    }

    pub(super) fn number(&self, path: &Path) -> Option<u32> {
        self.numbers.get(path).copied()
    }

    pub(super) fn get(&self, number: u32) -> Option<&Known> {
        self.known.get(number as usize)
    }

    /// Numbers that there is room for, in use or not.
    pub(super) fn room(&self) -> usize {
        self.known.len()
    }

    /// Paths in use.
    #[cfg(test)]
    pub(super) fn in_use(&self) -> usize {
        self.numbers.len()
    }
}
