//! Random histories of reads, writes and purges that are late, lost or out of order: nothing from memory is older than the bound.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use crate::entry::{Entry, Sent, Terms};
use crate::purge::{Coherence, Follow, Purge, PurgeLog};
use crate::target::Target;

const N_KEYS: usize = 3;
const BOUND: Duration = Duration::from_millis(1000);
/// The origin's clock shows something else than the edge's.
const OFFSET: Duration = Duration::from_secs(77);

#[derive(Debug, Clone)]
enum Step {
    Pass(u64),
    Write(usize),
    /// Answered from memory, or the begin of a request to the origin.
    Read(usize),
    /// The origin makes the answer of a request that is under way.
    Make(usize),
    /// An answer arrives.
    Arrive(usize),
    Connect,
    /// The origin puts what there is on the line.
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
        2 => (0..N_KEYS).prop_map(Step::Write),
        12 => (0..N_KEYS).prop_map(Step::Read),
        4 => (0_usize..100).prop_map(Step::Make),
        10 => (0_usize..100).prop_map(Step::Arrive),
        1 => Just(Step::Connect),
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
    version: Option<usize>,
}

struct World {
    now: Duration,
    /// When each version of each key was committed; the index is the version.
    commits: [Vec<Duration>; N_KEYS],
    log: PurgeLog,
    boot: u64,
    coherence: std::sync::Arc<Coherence>,
    follow: Follow,
    /// The number that was sent last, and lines on their way.
    line: Option<(u64, VecDeque<Vec<u8>>)>,
    fetches: Vec<Fetch>,
    memory: [Option<(usize, Entry)>; N_KEYS],
    n_hits: usize,
}

impl World {
    fn new() -> Self {
        let coherence = std::sync::Arc::new(Coherence::new(1 << 10, BOUND));
        Self {
            now: Duration::from_secs(1),
            commits: std::array::from_fn(|_| vec![Duration::ZERO]),
            log: PurgeLog::new(0, 6),
            boot: 0,
            follow: Follow::new(coherence.clone()),
            coherence,
            line: None,
            fetches: Vec::new(),
            memory: [const { None }; N_KEYS],
            n_hits: 0,
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        if let Some((_, lines)) = &mut self.line {
            lines.extend(bytes.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec));
        }
    }

    fn run(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Pass(millis) => self.now += Duration::from_millis(millis),
            Step::Write(key) => {
                self.commits[key].push(self.now);
                self.log.push(Purge::Keys(vec![format!("k{key}")]));
            }
            Step::Read(key) => return self.read(key),
            Step::Make(idx) => {
                let idx = idx % self.fetches.len().max(1);
                if let Some(fetch) = self.fetches.get_mut(idx) {
                    fetch.version.get_or_insert(self.commits[fetch.key].len() - 1);
                }
            }
            Step::Arrive(idx) => {
                let idx = idx % self.fetches.len().max(1);
                if idx < self.fetches.len() {
                    let mut fetch = self.fetches.remove(idx);
                    fetch.version.get_or_insert(self.commits[fetch.key].len() - 1);
                    self.keep(&fetch);
                }
            }
            Step::Connect => {
                let resume = self.follow.connect(self.now);
                let (hello, from) = self.log.hello(resume, self.now + OFFSET);
                let mut bytes = Vec::new();
                hello.write(&mut bytes);
                self.line = Some((from, VecDeque::new()));
                self.put(&bytes);
            }
            Step::Emit => {
                let Some((after, _)) = self.line else {
                    return self.run(Step::Connect);
                };
                if let Ok((lines, last)) = self.log.lines(after, self.now + OFFSET) {
                    self.put(&lines);
                    self.line.as_mut().unwrap().0 = last;
                }
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
                self.log = PurgeLog::new(self.boot, 6);
            }
        }
        Ok(())
    }

    fn read(&mut self, key: usize) -> Result<(), TestCaseError> {
        if let Some((version, entry)) = &self.memory[key]
            && entry.is_fresh(&self.coherence, self.now)
        {
            self.n_hits += 1;
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
            version: None,
        });
        Ok(())
    }

    fn keep(&mut self, fetch: &Fetch) {
        let path = format!("/{}", fetch.key);
        let (request, ()) = Request::get(&path).header("host", "a").body(()).unwrap().into_parts();
        let answer = Response::builder().header("cache-control", "public, s-maxage=1000");
        let answer = answer.header("surrogate-key", format!("k{}", fetch.key));
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
        let mut world = World::new();
        world.run(Step::Connect)?;
        for step in steps {
            world.run(step)?;
        }
    }
}

#[test]
fn the_histories_are_not_all_of_misses() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let steps = vec(step(), 150);
    let mut n_hits = 0;
    for _ in 0..200 {
        let mut world = World::new();
        world.run(Step::Connect).unwrap();
        for step in steps.new_tree(&mut runner).unwrap().current() {
            world.run(step).unwrap();
        }
        n_hits += world.n_hits;
    }
    assert!(n_hits > 1000, "{n_hits}");
}
