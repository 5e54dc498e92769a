//! Which filters a written object passes.
//!
//! With a million filters nothing of them is in a cache, and to wait for memory is most of the cost. So this goes in steps,
//! each of which may be done for many writes before the next one: between them, all that the next one reads first is read
//! in one go, which memory answers at once.

use fb_query::{Fields, Parsed, Slots};

use super::Class;
use crate::index::Lookup;
use crate::retained::Image;

/// So many lookups and filters of a write have lasting room.
const ROOM: usize = 1024;

/// What is found out about one write before it is taken in. Its memory is used again.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(super) parsed: Option<Parsed>,
    lookups: Vec<Lookup>,
    /// Filters that the object may pass, and then those that it passes.
    pub(super) filters: Vec<u32>,
}

impl Asked {
    fn clear(&mut self) {
        self.parsed = None;
        self.lookups.clear();
        self.filters.clear();
        // What one great object needed is not kept.
        self.lookups.shrink_to(ROOM);
        self.filters.shrink_to(ROOM);
    }
}

impl Class {
    /// Begins to find out who is to be told of a write: reads what filters are about.
    pub(crate) fn read(&self, image: &Image, asked: &mut Asked) {
        asked.clear();
        asked.parsed = image.body.as_ref().and_then(|body| self.slots.parse(body));
        if let Some(parsed) = &asked.parsed {
            self.index.lookups(&self.slots, &parsed.fields(), &mut asked.lookups);
        }
    }

    /// Reads what [`Self::look_up`] will read first, so that memory brings it at once for many writes.
    pub(crate) fn touch_index(&self, asked: &Asked) {
        let touched = asked
            .lookups
            .iter()
            .fold(0, |all, lookup| all ^ self.index.touch(lookup));
        std::hint::black_box(touched);
    }

    /// Finds the filters that the object may pass.
    pub(crate) fn look_up(&self, asked: &mut Asked) {
        self.index.candidates(&asked.lookups, &mut asked.filters);
    }

    /// Reads what [`Self::ask`] and then [`Self::write`] will read first, so that memory brings it at once for many writes.
    pub(crate) fn touch_filters(&self, asked: &Asked) {
        let is_there = |number: &&u32| {
            let stand = self.stands.get(**number as usize);
            stand.is_some_and(|stand| stand.filter.is_some() & stand.view.is_some())
        };
        std::hint::black_box(asked.filters.iter().filter(is_there).count());
    }

    /// Leaves the filters that the object passes.
    pub(crate) fn ask(&self, asked: &mut Asked) {
        let Some(fields) = asked.parsed.as_ref().map(Parsed::fields) else {
            return;
        };
        asked
            .filters
            .retain(|filter| self.passes(*filter, &self.slots, &fields));
        let scanned = self.index.scanned().iter().copied();
        asked
            .filters
            .extend(scanned.filter(|filter| self.passes(*filter, &self.slots, &fields)));
    }

    /// True if an object passes a filter.
    pub(super) fn passes(&self, filter: u32, slots: &Slots, fields: &Fields<'_>) -> bool {
        let stand = self.stands.get(filter as usize);
        let filter = stand.and_then(|stand| stand.filter.as_ref());
        filter.is_some_and(|filter| filter.bound.matches(slots, fields))
    }
}
