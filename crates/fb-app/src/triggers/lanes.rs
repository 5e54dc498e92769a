//! Events on their way: one lane per receiver and object, in which one follows the other.
//!
//! What an app can have on its way at once is shared among its receivers such that each of them leaves something for one
//! more: a receiver may have as much as is free then. One that hangs or fails takes half of everything, two take a third
//! each, and so on, and whoever comes next finds a place.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::AT_ONCE;
use super::event::Event;

/// Events of all receivers that may hold back the cursor.
const OPEN: usize = 128;

/// Events of one receiver that may be written down to be tried again. Further ones stay in the feed.
const WRITTEN_DOWN: usize = 1_000;

/// After so many failures in a row, a receiver gets one event at a time until it takes one.
const FAILURES_IN_A_ROW: u32 = 3;

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
    /// The first failure since the last success.
    failing_since: Option<i64>,
}

/// All that is on its way to one receiver.
#[derive(Debug, Default)]
struct Receiver {
    /// First entries of lanes that do not run, by their times.
    waiting: BTreeSet<(i64, u64, Arc<str>)>,
    running: usize,
    /// Entries that hold back the cursor.
    open: BTreeSet<u64>,
    written_down: usize,
    /// No more is read for it until there is much room again, so that pages are not read for the sake of one event.
    is_full: bool,
    failures_in_a_row: u32,
    /// The first of them.
    failing_since: Option<i64>,
}

impl Receiver {
    fn may_start(&self, free: usize) -> bool {
        match self.failures_in_a_row < FAILURES_IN_A_ROW {
            true => self.running < free,
            false => self.running == 0 && free > 0,
        }
    }
}

/// All lanes of an app. The first entry of a lane runs or waits for its time, the others wait for it.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: HashMap<LaneKey, Lane>,
    receivers: HashMap<Arc<str>, Receiver>,
    n_running: usize,
    n_open: usize,
}

impl Lanes {
    pub(super) fn add(&mut self, key: LaneKey, entry: Entry) {
        let receiver = self.receivers.entry(key.0.clone()).or_default();
        match entry.event {
            Some(_) => {
                receiver.open.insert(entry.seq);
                self.n_open += 1;
            }
            None => receiver.written_down += 1,
        }
        let lane = self.lanes.entry(key.clone()).or_default();
        if lane.entries.is_empty() {
            receiver.waiting.insert((entry.due, entry.seq, key.1));
        }
        lane.entries.push_back(entry);
    }

    /// The next entry whose time has come: of those receivers that have a place, the one with the fewest deliveries. Its
    /// lane is running until [`Self::finish`] or [`Self::again`].
    pub(super) fn start(&mut self, now: i64) -> Option<(LaneKey, Entry)> {
        let free = AT_ONCE.saturating_sub(self.n_running);
        let may = self.receivers.iter_mut().filter(|(_, of)| of.may_start(free));
        let due = may.filter_map(|(target, of)| {
            let (due, seq, _) = of.waiting.first()?;
            (*due <= now).then_some(((of.running, *due, *seq), target.clone(), of))
        });
        let (_, target, receiver) = due.min_by_key(|(order, ..)| *order)?;
        let (_, _, subject) = receiver.waiting.pop_first()?;
        let key = (target, subject);
        let entry = self.lanes.get(&key)?.entries.front()?.clone();
        receiver.running += 1;
        self.n_running += 1;
        Some((key, entry))
    }

    fn stopped(&mut self, key: &LaneKey) {
        if let Some(receiver) = self.receivers.get_mut(&key.0) {
            receiver.running = receiver.running.saturating_sub(1);
        }
        self.n_running = self.n_running.saturating_sub(1);
    }

    /// The lane's first entry is done.
    pub(super) fn finish(&mut self, key: &LaneKey) {
        self.stopped(key);
        let (Some(lane), Some(receiver)) = (self.lanes.get_mut(key), self.receivers.get_mut(&key.0)) else {
            return;
        };
        if let Some(entry) = lane.entries.pop_front() {
            match entry.event {
                Some(_) => {
                    receiver.open.remove(&entry.seq);
                    self.n_open = self.n_open.saturating_sub(1);
                }
                None => receiver.written_down = receiver.written_down.saturating_sub(1),
            }
        }
        match lane.entries.front() {
            Some(next) => drop(receiver.waiting.insert((next.due, next.seq, key.1.clone()))),
            None => drop(self.lanes.remove(key)),
        }
    }

    /// The lane's first entry did not succeed, and is due again then.
    pub(super) fn again(&mut self, key: &LaneKey, due: i64, failures: u32) {
        self.stopped(key);
        let (Some(lane), Some(receiver)) = (self.lanes.get_mut(key), self.receivers.get_mut(&key.0)) else {
            return;
        };
        if let Some(first) = lane.entries.front_mut() {
            first.due = due;
            first.failures = failures;
            receiver.waiting.insert((due, first.seq, key.1.clone()));
        }
    }

    /// The receiver took the lane's first entry.
    pub(super) fn succeeded(&mut self, key: &LaneKey) {
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.failing_since = None;
        }
        if let Some(receiver) = self.receivers.get_mut(&key.0) {
            (receiver.failures_in_a_row, receiver.failing_since) = (0, None);
        }
    }

    /// The receiver failed with the lane's first entry.
    pub(super) fn failed(&mut self, key: &LaneKey, now: i64) {
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.failing_since.get_or_insert(now);
        }
        if let Some(receiver) = self.receivers.get_mut(&key.0) {
            receiver.failures_in_a_row = receiver.failures_in_a_row.saturating_add(1);
            receiver.failing_since.get_or_insert(now);
        }
    }

    /// Since when nothing but failures came from the receiver, or from the receiver for this object.
    pub(super) fn failing_since(&self, key: &LaneKey) -> Option<i64> {
        let lane = self.lanes.get(key).and_then(|lane| lane.failing_since);
        let receiver = self.receivers.get(&key.0).and_then(|of| of.failing_since);
        lane.into_iter().chain(receiver).min()
    }

    /// True if entries that come now wait for one that has failed.
    pub(super) fn is_blocked(&self, key: &LaneKey) -> bool {
        let first = self.lanes.get(key).and_then(|lane| lane.entries.front());
        first.is_some_and(|first| first.event.is_none())
    }

    pub(super) fn has(&self, key: &LaneKey, seq: u64) -> bool {
        let lane = self.lanes.get(key);
        lane.is_some_and(|lane| lane.entries.iter().any(|entry| entry.seq == seq))
    }

    /// True if more may be read for this receiver. Once it is not, it stays so until much was delivered.
    pub(super) fn has_room(&mut self, target: &str) -> bool {
        let share = OPEN.saturating_sub(self.n_open);
        let Some(receiver) = self.receivers.get_mut(target) else {
            return share > 0;
        };
        let (open, written_down) = (receiver.open.len(), receiver.written_down);
        receiver.is_full = match receiver.is_full {
            true => open >= share.div_ceil(2) || written_down > WRITTEN_DOWN / 2,
            false => open >= share || written_down >= WRITTEN_DOWN,
        };
        !receiver.is_full
    }

    /// Forgets receivers that are no more, as far as nothing is on its way to them.
    pub(super) fn retain(&mut self, is_receiver: impl Fn(&str) -> bool) {
        let is_busy = |of: &Receiver| of.running > 0 || of.written_down > 0 || !of.open.is_empty();
        self.receivers.retain(|target, of| is_busy(of) || is_receiver(target));
    }

    /// Entries of the lane that are not written down.
    pub(super) fn open_of(&self, key: &LaneKey) -> Vec<Entry> {
        let entries = self.lanes.get(key).into_iter().flat_map(|lane| &lane.entries);
        entries.filter(|entry| entry.event.is_some()).cloned().collect()
    }

    /// All entries of the lane are written down from now on.
    pub(super) fn wrote_down(&mut self, key: &LaneKey) {
        let (Some(lane), Some(receiver)) = (self.lanes.get_mut(key), self.receivers.get_mut(&key.0)) else {
            return;
        };
        for entry in &mut lane.entries {
            if entry.event.take().is_some() {
                receiver.open.remove(&entry.seq);
                receiver.written_down += 1;
                self.n_open = self.n_open.saturating_sub(1);
            }
        }
    }

    /// The oldest entry of this receiver that holds back the cursor.
    pub(super) fn oldest_open(&self, target: &str) -> Option<u64> {
        self.receivers.get(target)?.open.first().copied()
    }

    pub(super) fn n_open(&self) -> usize {
        self.n_open
    }

    pub(super) fn n_written_down(&self) -> usize {
        self.receivers.values().map(|of| of.written_down).sum()
    }

    /// When the next entry is due, of those that have a place and do not run.
    pub(super) fn next_due(&self) -> Option<i64> {
        let free = AT_ONCE.saturating_sub(self.n_running);
        let may = self.receivers.values().filter(|of| of.may_start(free));
        may.filter_map(|of| of.waiting.first().map(|(due, ..)| *due)).min()
    }
}

#[cfg(test)]
mod tests;
