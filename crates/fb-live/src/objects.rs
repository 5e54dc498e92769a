//! Which views an object is in.

use std::collections::HashMap;

use fb_types::ObjectKey;

use crate::index::List;

/// Numbers of the objects of one class that are in some view.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    numbers: HashMap<ObjectKey, u32>,
    entries: Vec<Entry>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Entry {
    key: ObjectKey,
    views: List,
}

impl Objects {
    pub(crate) fn number(&self, key: &ObjectKey) -> Option<u32> {
        self.numbers.get(key).copied()
    }

    pub(crate) fn views(&self, number: u32) -> &[u32] {
        self.entries
            .get(number as usize)
            .map_or(&[], |entry| entry.views.as_slice())
    }

    pub(crate) fn key(&self, number: u32) -> Option<&ObjectKey> {
        self.entries.get(number as usize).map(|entry| &entry.key)
    }

    /// Puts an object into a view that it is not in, and gives its number.
    pub(crate) fn join(&mut self, key: &ObjectKey, view: u32) -> u32 {
        let number = match self.numbers.get(key) {
            Some(known) => *known,
            None => self.begin(key),
        };
        if let Some(entry) = self.entries.get_mut(number as usize) {
            entry.views.push(view);
        }
        number
    }

    fn begin(&mut self, key: &ObjectKey) -> u32 {
        let entry = Entry {
            key: key.clone(),
            views: List::default(),
        };
        let number = match self.free.pop() {
            Some(free) => {
                self.entries[free as usize] = entry;
                free
            }
            None => {
                self.entries.push(entry);
                // Four thousand million objects do not fit into memory.
                u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.numbers.insert(key.clone(), number);
        number
    }

    /// Takes an object out of a view. Its number ends with the last one.
    pub(crate) fn leave(&mut self, number: u32, view: u32) {
        let Some(entry) = self.entries.get_mut(number as usize) else {
            return;
        };
        if entry.views.remove(view) && self.numbers.remove(&entry.key).is_some() {
            self.free.push(number);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.numbers.len()
    }
}
