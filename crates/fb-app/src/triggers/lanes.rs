//! Events on their way: one lane per receiver and object, in which one follows the other.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::event::Event;

/// A receiver and an object.
pub(super) type LaneKey = (Arc<str>, Arc<str>);

/// An event on its way to one receiver.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) seq: u64,
    /// Not before this time, in the clock's milliseconds.
    pub(super) due: i64,
    /// Deliveries that failed.
    pub(super) failures: u32,
    /// The event; `None` if it is written down, and holds back the cursor no more.
    pub(super) event: Option<Arc<Event>>,
}

#[derive(Debug, Default)]
struct Lane {
    entries: VecDeque<Entry>,
    is_running: bool,
}

/// All lanes of an app. The first entry of a lane runs or waits for its time, the others wait for it.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: HashMap<LaneKey, Lane>,
    /// First entries that do not run, by their times.
    waiting: BTreeSet<(i64, u64, LaneKey)>,
    /// Entries that hold back the cursor.
    open: BTreeSet<(u64, Arc<str>)>,
    written_down: usize,
}

impl Lanes {
    pub(super) fn add(&mut self, key: LaneKey, entry: Entry) {
        match entry.event {
            Some(_) => drop(self.open.insert((entry.seq, key.0.clone()))),
            None => self.written_down += 1,
        }
        let lane = self.lanes.entry(key.clone()).or_default();
        if lane.entries.is_empty() {
            self.waiting.insert((entry.due, entry.seq, key));
        }
        lane.entries.push_back(entry);
    }

    /// The next entry whose time has come. Its lane is running until [`Self::finish`] or [`Self::again`].
    pub(super) fn start(&mut self, now: i64) -> Option<(LaneKey, Entry)> {
        let (due, _, _) = self.waiting.first()?;
        if *due > now {
            return None;
        }
        let (_, _, key) = self.waiting.pop_first()?;
        let lane = self.lanes.get_mut(&key)?;
        lane.is_running = true;
        Some((key, lane.entries.front()?.clone()))
    }

    /// The lane's first entry is done.
    pub(super) fn finish(&mut self, key: &LaneKey) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        lane.is_running = false;
        if let Some(entry) = lane.entries.pop_front() {
            match entry.event {
                Some(_) => drop(self.open.remove(&(entry.seq, key.0.clone()))),
                None => self.written_down = self.written_down.saturating_sub(1),
            }
        }
        match lane.entries.front() {
            Some(next) => drop(self.waiting.insert((next.due, next.seq, key.clone()))),
            None => drop(self.lanes.remove(key)),
        }
    }

    /// The lane's first entry did not succeed, and is due again then.
    pub(super) fn again(&mut self, key: &LaneKey, due: i64, failures: u32) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        lane.is_running = false;
        if let Some(first) = lane.entries.front_mut() {
            first.due = due;
            first.failures = failures;
            self.waiting.insert((due, first.seq, key.clone()));
        }
    }

    /// True if entries that come now wait for one that has failed.
    pub(super) fn is_blocked(&self, key: &LaneKey) -> bool {
        let first = self.lanes.get(key).and_then(|lane| lane.entries.front());
        first.is_some_and(|first| first.event.is_none())
    }

    /// Entries of the lane that are not written down.
    pub(super) fn open_of(&self, key: &LaneKey) -> Vec<Entry> {
        let entries = self.lanes.get(key).into_iter().flat_map(|lane| &lane.entries);
        entries.filter(|entry| entry.event.is_some()).cloned().collect()
    }

    /// All entries of the lane are written down from now on.
    pub(super) fn wrote_down(&mut self, key: &LaneKey) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        for entry in &mut lane.entries {
            if entry.event.take().is_some() {
                self.open.remove(&(entry.seq, key.0.clone()));
                self.written_down += 1;
            }
        }
    }

    /// The oldest entry that holds back the cursor.
    pub(super) fn oldest_open(&self) -> Option<u64> {
        self.open.first().map(|(seq, _)| *seq)
    }

    pub(super) fn n_open(&self) -> usize {
        self.open.len()
    }

    pub(super) fn n_written_down(&self) -> usize {
        self.written_down
    }

    /// When the next entry is due, of those that do not run.
    pub(super) fn next_due(&self) -> Option<i64> {
        self.waiting.first().map(|(due, _, _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(target: &str, object: &str) -> LaneKey {
        (target.into(), object.into())
    }

    fn entry(seq: u64) -> Entry {
        let event = Event {
            operation: super::super::targets::EventKind::Insert,
            id: String::new(),
            version: 1,
            object: Default::default(),
            file: Default::default(),
            seq,
            date: String::new(),
            stamp: seq,
            chain: Vec::new(),
        };
        Entry {
            seq,
            due: 0,
            failures: 0,
            event: Some(Arc::new(event)),
        }
    }

    fn started(lanes: &mut Lanes, now: i64) -> Vec<(LaneKey, u64)> {
        let mut all = Vec::new();
        while let Some((key, entry)) = lanes.start(now) {
            all.push((key, entry.seq));
        }
        all
    }

    #[test]
    fn events_of_one_object_follow_each_other_and_others_do_not_wait() {
        let mut lanes = Lanes::default();
        let (a, b) = (key("t", "a"), key("t", "b"));
        lanes.add(a.clone(), entry(1));
        lanes.add(a.clone(), entry(2));
        lanes.add(b.clone(), entry(3));
        assert_eq!(started(&mut lanes, 0), [(a.clone(), 1), (b.clone(), 3)]);
        lanes.finish(&b);
        assert_eq!((started(&mut lanes, 0), lanes.oldest_open()), (vec![], Some(1)));
        lanes.finish(&a);
        assert_eq!(started(&mut lanes, 0), [(a.clone(), 2)]);
        lanes.finish(&a);
        assert_eq!((lanes.oldest_open(), lanes.lanes.len()), (None, 0));
    }

    #[test]
    fn what_failed_waits_for_its_time_and_what_is_behind_it_waits_along() {
        let mut lanes = Lanes::default();
        let (a, b) = (key("t", "a"), key("t", "b"));
        lanes.add(a.clone(), entry(1));
        lanes.add(a.clone(), entry(2));
        lanes.start(0).unwrap();
        assert!(!lanes.is_blocked(&a));
        assert_eq!(lanes.open_of(&a).len(), 2);
        lanes.wrote_down(&a);
        lanes.again(&a, 1000, 1);
        assert!(lanes.is_blocked(&a));
        lanes.add(b.clone(), entry(3));
        assert_eq!(started(&mut lanes, 999), [(b.clone(), 3)]);
        assert_eq!(
            (lanes.oldest_open(), lanes.n_written_down(), lanes.next_due()),
            (Some(3), 2, Some(1000))
        );
        assert_eq!(started(&mut lanes, 1000), [(a.clone(), 1)]);
        lanes.finish(&a);
        assert_eq!(started(&mut lanes, 1000), [(a.clone(), 2)]);
        lanes.finish(&a);
        lanes.finish(&b);
        assert_eq!((lanes.n_open(), lanes.n_written_down(), lanes.next_due()), (0, 0, None));
    }
}
