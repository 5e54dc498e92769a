//! Random histories of reads, writes and purges that are late, lost or out of order: nothing from memory is older than the bound. Some things
//! are purged by somebody who works beside the writes, and beats say so.

mod matcher;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use self::matcher::{ALL_LATE, FAULTS, Fault, Matcher};
use crate::entry::{Entry, Sent, Terms};
use crate::purge::{Coherence, Follow, Line, Purge, PurgeLog};
use crate::target::Target;

const N_KEYS: usize = 4;
/// From this one on, keys are purged late.
const FIRST_LATE: usize = 2;
const BOUND: Duration = Duration::from_millis(1000);
/// The origin's clock shows something else than the edge's.
const OFFSET: Duration = Duration::from_secs(77);
/// How late purges may be.
const PATIENCE: Duration = Duration::from_millis(400);
/// Its lifetime in seconds while nobody waits for its purges.
const UNPURGED: u64 = 1;

#[derive(Debug, Clone)]
enum Step {
    Pass(u64),
    Write(usize),
    /// So many of the writes that wait for their purge get it.
    Match(usize),
    /// Answered from memory, or the begin of a request to the origin.
    Read(usize),
    /// The origin begins the answer of a request that is under way, and makes it.
    Begin(usize),
    Make(usize),
    /// An answer arrives.
    Arrive(usize),
    Connect,
    /// The origin begins to put what there is on the line: it looks at the clock, sees who is late, and copies the purges.
    Look,
    Claim,
    Emit,
    /// So many lines arrive.
    Deliver(usize),
    Lose(usize),
    Swap(usize),
    Cut,
    /// The origin starts anew; its data are the same.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1_u64..150).prop_map(Step::Pass),
        3 => (0..N_KEYS).prop_map(Step::Write),
        4 => (0_usize..3).prop_map(Step::Match),
        18 => (0..N_KEYS).prop_map(Step::Read),
        4 => (0_usize..100).prop_map(Step::Begin),
        4 => (0_usize..100).prop_map(Step::Make),
        14 => (0_usize..100).prop_map(Step::Arrive),
        1 => Just(Step::Connect),
        2 => Just(Step::Look),
        2 => Just(Step::Claim),
        8 => Just(Step::Emit),
        10 => (1_usize..6).prop_map(Step::Deliver),
        2 => (0_usize..3).prop_map(Step::Lose),
        1 => (0_usize..4).prop_map(Step::Swap),
        1 => Just(Step::Cut),
        1 => Just(Step::Restart),
    ]
}

/// A request that is under way.
struct Fetch {
    key: usize,
    sent: Sent,
    /// Whether its answer may rely on purges, from when it was begun.
    relies: Option<bool>,
    version: Option<usize>,
}

/// What is about to be put on the line.
#[derive(Debug, Default)]
struct Emission {
    now: Option<Duration>,
    as_of: Option<Duration>,
    lines: Option<(Vec<u8>, u64)>,
}

struct World {
    now: Duration,
    /// When each version of each key was committed; the index is the version.
    commits: [Vec<Duration>; N_KEYS],
    log: Arc<PurgeLog>,
    matcher: Arc<Mutex<Matcher>>,
    fault: Fault,
    boot: u64,
    coherence: Arc<Coherence>,
    follow: Follow,
    /// The number that was sent last, and lines on their way.
    line: Option<(u64, VecDeque<Vec<u8>>)>,
    emission: Emission,
    fetches: Vec<Fetch>,
    memory: [Option<(usize, Entry)>; N_KEYS],
    n_hits: usize,
    n_late_hits: usize,
}

impl World {
    fn new(fault: Fault) -> Self {
        let coherence = Arc::new(Coherence::new(1 << 10, BOUND));
        let now = Duration::from_secs(1);
        let log = Arc::new(PurgeLog::new(0, 6));
        Self {
            now,
            commits: std::array::from_fn(|_| vec![Duration::ZERO]),
            matcher: Matcher::start(&log, now, fault),
            log,
            fault,
            boot: 0,
            follow: Follow::new(coherence.clone()),
            coherence,
            line: None,
            emission: Emission::default(),
            fetches: Vec::new(),
            memory: [const { None }; N_KEYS],
            n_hits: 0,
            n_late_hits: 0,
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        if let Some((_, lines)) = &mut self.line {
            lines.extend(bytes.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec));
        }
    }

    fn run(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Pass(millis) => {
                self.now += Duration::from_millis(millis);
                self.matcher.lock().unwrap().now = self.now;
            }
            Step::Write(key) => {
                self.commits[key].push(self.now);
                match key < FIRST_LATE {
                    true => drop(self.log.push(Purge::Keys(vec![format!("k{key}")]))),
                    false => self.matcher.lock().unwrap().waiting.push_back((self.now, key)),
                }
            }
            Step::Match(n) => self.matcher.lock().unwrap().work(n),
            Step::Read(key) => return self.read(key),
            Step::Begin(idx) => self.make(idx, false),
            Step::Make(idx) => self.make(idx, true),
            Step::Arrive(idx) => {
                self.make(idx, true);
                let idx = idx % self.fetches.len().max(1);
                if idx < self.fetches.len() {
                    let fetch = self.fetches.remove(idx);
                    self.keep(&fetch);
                }
            }
            Step::Connect => {
                self.emission = Emission::default();
                let resume = self.follow.connect(self.now);
                let (hello, from) = self.log.hello(resume, self.now + OFFSET);
                let mut bytes = Vec::new();
                hello.write(&mut bytes);
                self.line = Some((from, VecDeque::new()));
                self.put(&bytes);
            }
            Step::Look => self.look(),
            Step::Claim => self.claim(),
            Step::Emit => {
                if self.line.is_none() {
                    return self.run(Step::Connect);
                }
                self.emit();
            }
            Step::Deliver(n_lines) => {
                for _ in 0..n_lines {
                    let Some(line) = self.line.as_mut().and_then(|(_, lines)| lines.pop_front()) else {
                        break;
                    };
                    if self.follow.feed(&line).is_err() {
                        self.line = None;
                    }
                }
            }
            Step::Lose(idx) => {
                if let Some((_, lines)) = &mut self.line {
                    lines.remove(idx);
                }
            }
            Step::Swap(idx) => {
                if let Some((_, lines)) = &mut self.line
                    && idx + 1 < lines.len()
                {
                    lines.swap(idx, idx + 1);
                }
            }
            Step::Cut => {
                self.line = None;
                self.follow.lost();
            }
            Step::Restart => {
                self.line = None;
                self.follow.lost();
                self.boot += 1;
                self.log = Arc::new(PurgeLog::new(self.boot, 6));
                self.matcher = Matcher::start(&self.log, self.now, self.fault);
            }
        }
        Ok(())
    }

    fn look(&mut self) {
        if self.fault == Fault::ReadsTheNumberFirst
            && let Some((after, _)) = self.line
            && self.emission.now.is_none()
        {
            self.emission.lines = self.log.lines(after, Duration::ZERO).ok();
        }
        self.emission.now.get_or_insert(self.now);
    }

    fn claim(&mut self) {
        self.look();
        if let (Some(now), None) = (self.emission.now, self.emission.as_of) {
            let now = if self.fault == Fault::ReadsTheNumberFirst {
                self.now
            } else {
                now
            };
            self.emission.as_of = Some(self.log.as_of(now, PATIENCE));
        }
    }

    fn emit(&mut self) {
        let is_new = self.emission.as_of.is_none();
        self.claim();
        let Emission { now, as_of, lines } = std::mem::take(&mut self.emission);
        let (Some((after, _)), Some(now), Some(as_of)) = (self.line.as_ref(), now, as_of) else {
            return;
        };
        let at = OFFSET
            + match self.fault {
                Fault::ReadsTheClockLast if !is_new => self.now - (now - as_of),
                _ => as_of,
            };
        let Some((mut bytes, last)) = lines.or_else(|| self.log.lines(*after, at).ok()) else {
            return;
        };
        if self.fault == Fault::ReadsTheNumberFirst {
            let begin = bytes
                .trim_ascii_end()
                .iter()
                .rposition(|&byte| byte == b'\n')
                .map_or(0, |end| end + 1);
            if let Ok(Line::Beat { number, .. }) = Line::read(bytes[begin..].trim_ascii_end()) {
                bytes.truncate(begin);
                Line::Beat { number, at }.write(&mut bytes);
            }
        }
        self.put(&bytes);
        if let Some((after, _)) = &mut self.line {
            *after = last;
        }
    }

    /// The origin works on an answer.
    fn make(&mut self, idx: usize, is_made: bool) {
        let idx = idx % self.fetches.len().max(1);
        let is_waited_for = self.matcher.lock().unwrap().is_waited_for;
        let Some(fetch) = self.fetches.get_mut(idx) else { return };
        let relies = fetch.key < FIRST_LATE || is_waited_for || self.fault == Fault::PromisesAlways;
        if self.fault == Fault::PromisesBehindTheRead {
            fetch.relies = Some(relies);
        }
        // Before it is made.
        fetch.relies.get_or_insert(relies);
        if is_made {
            fetch.version.get_or_insert(self.commits[fetch.key].len() - 1);
        }
    }

    fn live(&mut self, steps: Vec<Step>) -> Result<(), TestCaseError> {
        self.run(Step::Connect)?;
        steps.into_iter().try_for_each(|step| self.run(step))
    }

    fn read(&mut self, key: usize) -> Result<(), TestCaseError> {
        if let Some((version, entry)) = &self.memory[key]
            && entry.is_fresh(&self.coherence, self.now)
        {
            self.n_hits += 1;
            self.n_late_hits += usize::from(key >= FIRST_LATE);
            let outdated = self.commits[key].get(version + 1);
            let age = outdated.map_or(Duration::ZERO, |since| self.now - *since);
            prop_assert!(age <= BOUND, "key {key} at {:?} is out of date for {age:?}", self.now);
            return Ok(());
        }
        let stamp = self.coherence.stamp();
        let sent = Sent { at: self.now, stamp };
        self.fetches.push(Fetch {
            key,
            sent,
            relies: None,
            version: None,
        });
        Ok(())
    }

    fn keep(&mut self, fetch: &Fetch) {
        let path = format!("/{}", fetch.key);
        let (request, ()) = Request::get(&path).header("host", "a").body(()).unwrap().into_parts();
        let lifetime = if fetch.relies == Some(true) { 1000 } else { UNPURGED };
        let mut names = format!("k{}", fetch.key);
        if fetch.key >= FIRST_LATE {
            names = format!("{names} {ALL_LATE}");
        }
        let answer = Response::builder().header("cache-control", format!("public, s-maxage={lifetime}"));
        let answer = answer.header("surrogate-key", names);
        let (answer, ()) = answer.body(()).unwrap().into_parts();
        let target = Target::of(&request, false).unwrap();
        let terms = Terms::of(&request, &answer, &target, &self.coherence).unwrap();
        let entry = Entry::new(answer.headers, Bytes::new(), fetch.sent, terms);
        self.memory[fetch.key] = fetch.version.map(|version| (version, entry));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn s40_nothing_from_memory_is_older_than_the_bound(steps in vec(step(), 1..200)) {
        World::new(Fault::None).live(steps)?;
    }
}

#[test]
fn the_histories_are_not_all_of_misses() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let steps = vec(step(), 150);
    let (mut n_hits, mut n_late_hits) = (0, 0);
    for _ in 0..200 {
        let mut world = World::new(Fault::None);
        world.live(steps.new_tree(&mut runner).unwrap().current()).unwrap();
        n_hits += world.n_hits;
        n_late_hits += world.n_late_hits;
    }
    assert!(n_hits > 1000 && n_late_hits > 500, "{n_hits} {n_late_hits}");
}

/// What happens to one thing that is purged late, over a line that only delays.
fn hurried_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (50_u64..500).prop_map(Step::Pass),
        1 => Just(Step::Write(FIRST_LATE)),
        2 => (0_usize..3).prop_map(Step::Match),
        3 => Just(Step::Read(FIRST_LATE)),
        1 => Just(Step::Begin(0)),
        1 => Just(Step::Make(0)),
        3 => Just(Step::Arrive(0)),
        1 => Just(Step::Look),
        1 => Just(Step::Claim),
        3 => Just(Step::Emit),
        3 => (1_usize..6).prop_map(Step::Deliver),
    ]
}

/// Somebody is given up, writes go on, and it is waited for again while an answer is under way that was made before the last of them. Rare, so it
/// is told by hand.
fn taken_back_meanwhile() -> Vec<Step> {
    let key = FIRST_LATE;
    vec![
        Step::Write(key),
        Step::Pass(450),
        Step::Emit,
        Step::Deliver(9),
        Step::Read(key),
        Step::Make(0),
        Step::Write(key),
        Step::Pass(300),
        Step::Emit,
        Step::Deliver(9),
        Step::Match(9),
        Step::Claim,
        Step::Arrive(0),
        Step::Pass(900),
        Step::Read(key),
    ]
}

#[test]
fn each_fault_of_who_purges_late_makes_something_older_than_the_bound() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let steps = vec(hurried_step(), 150);
    let mut histories = vec![taken_back_meanwhile()];
    histories.extend((0..500).map(|_| steps.new_tree(&mut runner).unwrap().current()));
    for fault in FAULTS {
        let is_wrong = |history: &Vec<Step>| World::new(fault).live(history.clone()).is_err();
        assert_eq!(histories.iter().any(is_wrong), fault != Fault::None, "{fault:?}");
    }
}
