//! A window onto the order of what passes a filter, and what is known around it.
//!
//! Source: the ideas of InvaliDB (PVLDB 13(12), 2020) with an explicit bound of what is known.

use bytes::Bytes;
use fb_types::ObjectKey;

use crate::event::What;
use crate::query::Part;

/// The beginning of an order. All objects up to `bound` are in it.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    entries: Vec<Entry>,
    /// The last place up to which everything is known; `None` if that is everything.
    bound: Option<Box<[u8]>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// See [`fb_query::Order::position`].
    pub(crate) place: Box<[u8]>,
    /// Number among the objects of the class.
    pub(crate) number: u32,
    pub(crate) key: ObjectKey,
    pub(crate) body: Bytes,
}

/// A change of what is visible.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) what: What,
    pub(crate) index: usize,
    pub(crate) entry: Entry,
    /// True if it is the object that was written.
    pub(crate) is_written: bool,
}

/// What became of one write.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) steps: Vec<Step>,
    /// The written object was not known, and is now.
    pub(crate) joined: bool,
    /// The written object was known, and is not any more.
    pub(crate) left: bool,
    /// Another object that is not known any more.
    pub(crate) dropped: Option<u32>,
}

impl Window {
    /// `entries` are in order; fewer than the part wants to know are all there are.
    pub(crate) fn new(part: &Part, entries: Vec<Entry>) -> Self {
        let bound = match entries.last() {
            Some(last) if entries.len() >= part.known() => Some(last.place.clone()),
            _ => None,
        };
        Self { entries, bound }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn entries_mut(&mut self) -> &mut [Entry] {
        &mut self.entries
    }

    pub(crate) fn visible(&self, part: &Part) -> &[Entry] {
        let end = part.end().min(self.entries.len());
        &self.entries[part.offset.min(end)..end]
    }

    /// True if an object that is not known may belong into what is visible.
    pub(crate) fn is_dry(&self, part: &Part) -> bool {
        self.bound.is_some() && self.entries.len() < part.end()
    }

    /// True if it may soon be dry.
    pub(crate) fn is_low(&self, part: &Part) -> bool {
        self.bound.is_some() && self.entries.len() < part.end() + part.slack / 2
    }

    /// True if everything that is visible and known is the same, as far as both know.
    pub(crate) fn begins_like(&self, other: &Self) -> bool {
        let up_to = |window: &Self, bound: &Option<Box<[u8]>>| match bound {
            None => window.entries.len(),
            Some(bound) => window.entries.partition_point(|entry| entry.place <= *bound),
        };
        let (mine, its) = (up_to(self, &other.bound), up_to(other, &self.bound));
        mine == its
            && self.entries[..mine]
                .iter()
                .zip(&other.entries[..its])
                .all(|(a, b)| a.number == b.number && a.place == b.place)
    }

    /// True if it knows no more than the other does.
    pub(crate) fn knows_no_more_than(&self, other: &Self) -> bool {
        match (&self.bound, &other.bound) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(mine), Some(its)) => mine <= its,
        }
    }

    /// Takes in one write: `after` is the object as it is now, if it passes; `number` is that of a known object.
    /// Its place among the known ones must not be relied on if the window is dry afterwards: then there are no steps.
    pub(crate) fn apply(&mut self, part: &Part, known: Option<u32>, after: Option<Entry>) -> Outcome {
        let was_full = self.entries.len();
        let old = known.and_then(|number| self.entries.iter().position(|entry| entry.number == number));
        let removed = old.map(|at| self.entries.remove(at));
        let written = after.clone();
        let new = after.and_then(|entry| self.insert(entry));
        let mut outcome = Outcome {
            joined: old.is_none() && new.is_some(),
            left: old.is_some() && new.is_none(),
            ..Outcome::default()
        };
        let mut last_dropped = None;
        if self.entries.len() > part.known() {
            last_dropped = self.entries.pop();
            self.bound = self.entries.last().map(|entry| entry.place.clone());
        }
        // The object itself may be the one that is too many.
        let new = match &last_dropped {
            Some(dropped) if new == Some(self.entries.len()) => {
                debug_assert!(written.as_ref().is_some_and(|w| w.key == dropped.key));
                outcome.joined = false;
                outcome.left = old.is_some();
                last_dropped = None;
                None
            }
            _ => new,
        };
        if let Some(dropped) = &last_dropped {
            outcome.dropped = Some(dropped.number);
        }
        if self.is_dry(part) {
            return outcome;
        }
        outcome.steps = self.steps(part, was_full, old, removed, new, written, last_dropped);
        outcome
    }

    /// The index of the new entry, `None` if it lies behind what is known.
    fn insert(&mut self, entry: Entry) -> Option<usize> {
        if self.bound.as_ref().is_some_and(|bound| entry.place > *bound) {
            return None;
        }
        let at = self.entries.partition_point(|known| known.place < entry.place);
        self.entries.insert(at, entry);
        Some(at)
    }

    /// What changed within the window: removals first.
    #[expect(clippy::too_many_arguments, reason = "the parts of one moment")]
    fn steps(
        &self,
        part: &Part,
        old_len: usize,
        old: Option<usize>,
        removed: Option<Entry>,
        new: Option<usize>,
        written: Option<Entry>,
        dropped: Option<Entry>,
    ) -> Vec<Step> {
        let (from, end) = (part.offset, part.end());
        let is_in = |index: usize| (from..end).contains(&index);
        let mut steps = Vec::new();
        let was_in = old.is_some_and(is_in);
        let is_now_in = new.is_some_and(is_in);
        // Where an entry that was not written stands now, from where it stood before; and the other way round.
        let now = |before: usize| {
            let without = before - usize::from(old.is_some_and(|old| old < before));
            without + usize::from(new.is_some_and(|new| new <= without))
        };
        let before = |now: usize| {
            let without = now - usize::from(new.is_some_and(|new| new < now));
            without + usize::from(old.is_some_and(|old| old <= without))
        };
        // The object itself leaves.
        if was_in && !is_now_in {
            let entry = written.clone().or_else(|| removed.clone());
            if let Some(entry) = entry {
                steps.push(Step {
                    what: What::Remove,
                    index: 0,
                    entry,
                    is_written: true,
                });
            }
        }
        // Others leave at an edge of the window: the first or the last one of before.
        let last_before = end.min(old_len).checked_sub(1).filter(|last| *last >= from);
        let first_before = (from < old_len && end > from).then_some(from);
        let mut edges: Vec<usize> = first_before.into_iter().chain(last_before).collect();
        edges.dedup();
        for edge in edges {
            if Some(edge) == old || is_in(now(edge)) {
                continue;
            }
            if let Some(entry) = self.entries.get(now(edge)).or(dropped.as_ref()) {
                steps.push(Step {
                    what: What::Remove,
                    index: 0,
                    entry: entry.clone(),
                    is_written: false,
                });
            }
        }
        // Others come in at an edge: the first or last one of now.
        let last_now = end.min(self.entries.len()).checked_sub(1).filter(|last| *last >= from);
        let first_now = (from < self.entries.len() && end > from).then_some(from);
        let mut edges: Vec<usize> = first_now.into_iter().chain(last_now).collect();
        edges.dedup();
        let mut adds: Vec<Step> = Vec::new();
        for edge in edges {
            if Some(edge) == new || is_in(before(edge)) {
                continue;
            }
            adds.push(Step {
                what: What::Add,
                index: edge - from,
                entry: self.entries[edge].clone(),
                is_written: false,
            });
        }
        if is_now_in && let (Some(at), Some(entry)) = (new, written) {
            let what = match old {
                Some(old) if is_in(old) && old == at => What::Change,
                Some(old) if is_in(old) => What::ChangeIndex,
                _ => What::Add,
            };
            let own = Step {
                what,
                index: at - from,
                entry,
                is_written: true,
            };
            // Places are those of the end: what comes first must stand before.
            let at = adds.partition_point(|add| add.index < own.index);
            adds.insert(at, own);
        }
        steps.extend(adds);
        steps
    }

    /// The steps from what `old` shows to what this shows: removals first, then from the first place to the last.
    pub(crate) fn steps_from(&self, part: &Part, old: &[Entry]) -> Vec<Step> {
        let new = self.visible(part);
        let step = |what, index, entry: &Entry| Step {
            what,
            index,
            entry: entry.clone(),
            is_written: false,
        };
        let mut steps: Vec<Step> = old
            .iter()
            .filter(|entry| !new.iter().any(|now| now.key == entry.key))
            .map(|entry| step(What::Remove, 0, entry))
            .collect();
        let mut shown: Vec<&Entry> = old
            .iter()
            .filter(|entry| new.iter().any(|now| now.key == entry.key))
            .collect();
        for (index, entry) in new.iter().enumerate() {
            match shown.iter().position(|known| known.key == entry.key) {
                None => {
                    shown.insert(index, entry);
                    steps.push(step(What::Add, index, entry));
                }
                Some(at) => {
                    let known = shown.remove(at);
                    shown.insert(index, entry);
                    if at != index {
                        steps.push(step(What::ChangeIndex, index, entry));
                    } else if known.body != entry.body {
                        steps.push(step(What::Change, index, entry));
                    }
                }
            }
        }
        steps
    }
}
