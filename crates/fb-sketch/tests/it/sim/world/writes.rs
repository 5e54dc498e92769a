//! The way of a write; the disk, and crashes.

use super::super::events::{Event, Write};
use super::super::{MILLI, Mutant, SECOND, is_query};
use super::World;

impl World {
    pub(super) fn write(&mut self, key: usize) {
        let gap = self.rng.exponential(self.config.write_gap);
        let writer = self.rng.below(self.config.clients as u64) as usize;
        self.after(gap, Event::Write { key, writer });
        let write = Write {
            key,
            version: 0,
            writer,
            boot: self.origin.boot,
            reported: 0,
        };
        self.later(Event::Commit(write));
    }

    pub(super) fn commit(&mut self, mut write: Write) {
        if self.origin.sketch.is_none() {
            return;
        }
        write.boot = self.origin.boot;
        if self.is(Mutant::ReportBeforeCommit) && write.reported == 0 {
            self.tell_edges_if(write.key);
            write.reported = self.now;
            return self.later(Event::Commit(write));
        }
        self.report.writes += 1;
        write.version = self.origin.commit(write.key, self.now);
        if is_query(write.key) || self.is(Mutant::ReportAfterAck) || write.reported > 0 {
            self.later(Event::Acknowledge(write));
        } else {
            self.later(Event::Report(write));
        }
    }

    pub(super) fn tell_edges_if(&mut self, key: usize) {
        if self.origin.report(key, self.now, self.config.mutant) {
            self.tell_edges(key);
        }
    }

    pub(super) fn tell_edges(&mut self, key: usize) {
        for edge in 0..self.edges.len() {
            if self.rng.below(100) == 0 {
                if !self.is(Mutant::EdgeIgnoresLostStream) {
                    let delay = self.rng.below(self.config.purge_max);
                    self.after(delay, Event::Flush { edge, connected: true });
                }
                continue;
            }
            let delay = self.rng.below(self.config.purge_max);
            self.after(delay, Event::Purge { edge, key });
        }
    }

    pub(super) fn report_write(&mut self, mut write: Write) {
        if write.boot != self.origin.boot {
            return;
        }
        self.tell_edges_if(write.key);
        write.reported = self.now;
        if !is_query(write.key) && !self.is(Mutant::ReportAfterAck) {
            self.later(Event::Acknowledge(write));
        }
    }

    pub(super) fn acknowledge(&mut self, write: Write) {
        if write.boot != self.origin.boot {
            return;
        }
        self.origin.acknowledge(write.key, write.version, self.now);
        let mut stamp = write.reported;
        if write.reported == 0 {
            let wait = if self.is(Mutant::ReportAfterAck) {
                3 * SECOND
            } else {
                self.config.inv_max
            };
            stamp = self.now + wait;
            let delay = self.rng.below(wait);
            self.after(delay, Event::Report(write));
        }
        self.later(Event::Acknowledged(write, stamp));
    }

    pub(super) fn take_records(&mut self) {
        self.after(SECOND, Event::TakeRecords);
        let Some(sketch) = &self.origin.sketch else { return };
        let records = sketch.take_records();
        if self.is(Mutant::RecordsTrustedEarly) {
            sketch.written_down(&records);
        }
        let event = Event::OnDisk {
            boot: self.origin.boot,
            records,
        };
        // A slow disk, and a crash may come first.
        let delay = if self.is(Mutant::RecordsTrustedEarly) {
            20 * SECOND
        } else {
            SECOND
        };
        let delay = self.rng.below(delay);
        self.after(delay, event);
    }

    pub(super) fn crash(&mut self) {
        self.report.crashes += 1;
        let in_good_order = self.rng.chance(20);
        self.origin.stop(in_good_order);
        for edge in 0..self.edges.len() {
            let delay = self.rng.below(self.config.purge_max);
            self.flushed = self.flushed.max(self.now + delay);
            if !self.is(Mutant::EdgeIgnoresLostStream) {
                self.after(delay, Event::Flush { edge, connected: false });
            }
        }
        let delay = self.rng.between(10 * MILLI, 3 * SECOND);
        self.after(delay, Event::Restart);
    }

    pub(super) fn restart(&mut self) {
        let has_journal = self.rng.chance(75);
        let changed = self.origin.start(&self.config, self.now, has_journal);
        for key in changed {
            self.tell_edges(key);
        }
        for edge in 0..self.edges.len() {
            let delay = self.rng.below(self.config.purge_max);
            self.agenda.at(
                (self.now + delay).max(self.flushed + 1),
                Event::Flush { edge, connected: true },
            );
        }
        let gap = self.rng.exponential(self.config.crash_every);
        self.after(gap, Event::Crash);
    }
}
