//! Somebody who works beside the writes and purges late, and what can be done wrong about that.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::purge::{Late, Purge, PurgeLog};

/// What an answer has by name that is purged late.
pub(super) const ALL_LATE: &str = "late";

/// What the origin does wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// Its beats speak for the time when they are made, whatever purges are missing.
    ClaimsNow,
    /// It looks who is late, and then at the clock.
    ReadsTheClockLast,
    /// It looks at the number of the last purge first.
    ReadsTheNumberFirst,
    /// It does not purge those that it does not wait for.
    GivesUpSilently,
    /// Answers go on relying on purges that nobody waits for.
    PromisesAlways,
    /// Whether an answer may rely on purges is looked up when it is made.
    PromisesBehindTheRead,
    /// It says that something is purged, and purges it then.
    SettlesFirst,
}

/// All of them, and none.
pub(super) const FAULTS: [Fault; 8] = [
    Fault::None,
    Fault::ClaimsNow,
    Fault::ReadsTheClockLast,
    Fault::ReadsTheNumberFirst,
    Fault::GivesUpSilently,
    Fault::PromisesAlways,
    Fault::PromisesBehindTheRead,
    Fault::SettlesFirst,
];

/// Who purges late.
#[derive(Debug)]
pub(super) struct Matcher {
    /// When what is not purged yet was written, and its key; and keys of which it is said to be.
    pub(super) waiting: VecDeque<(Duration, usize)>,
    settled: Vec<usize>,
    pub(super) now: Duration,
    pub(super) is_waited_for: bool,
    log: Arc<PurgeLog>,
    fault: Fault,
}

#[derive(Debug)]
struct Handle(Arc<Mutex<Matcher>>);

impl Late for Handle {
    fn lag(&self) -> Option<Duration> {
        let matcher = self.0.lock().unwrap();
        let oldest = matcher.waiting.front().filter(|_| matcher.fault != Fault::ClaimsNow);
        Some(oldest.map_or(Duration::ZERO, |(at, _)| matcher.now - *at))
    }

    fn wait_for(&self, is_waited_for: bool) {
        let mut matcher = self.0.lock().unwrap();
        matcher.is_waited_for = is_waited_for;
        if !is_waited_for && matcher.fault != Fault::GivesUpSilently {
            matcher.log.push(Purge::Keys(vec![ALL_LATE.to_owned()]));
        }
    }
}

impl Matcher {
    pub(super) fn start(log: &Arc<PurgeLog>, now: Duration, fault: Fault) -> Arc<Mutex<Self>> {
        let matcher = Arc::new(Mutex::new(Self {
            waiting: VecDeque::new(),
            settled: Vec::new(),
            now,
            is_waited_for: true,
            log: log.clone(),
            fault,
        }));
        log.expect(Box::new(Handle(matcher.clone())));
        matcher
    }

    /// Purges the first of what waits.
    pub(super) fn work(&mut self, n: usize) {
        let mut done: Vec<usize> = std::mem::take(&mut self.settled);
        let first = self.waiting.drain(..n.min(self.waiting.len())).map(|(_, key)| key);
        match self.fault {
            Fault::SettlesFirst => self.settled.extend(first),
            _ => done.extend(first),
        }
        for key in done {
            self.log.push(Purge::Keys(vec![format!("k{key}")]));
        }
    }
}
