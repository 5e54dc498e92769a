//! The guarantee on the real server: with real caches in between, no read is older than the bound.
//!
//! Browsers with caches of their own read objects, files, results of queries and answers of modules; meanwhile these are written, past all caches. When a write is
//! acknowledged, its time is noted. A read is too old if what it returns was overwritten by a write that had been acknowledged a bound
//! before. Nothing depends on how fast the machine is: who is slow reads later, and asks again.
//!
//! Behind an edge there are also clients without caches: what they read is no older than what the edge adds, also what has been there for long.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fb_testkit::{Client, ServerBuilder, Varnish, free_port, root};
use serde_json::{Value, json};

use crate::browser::{Browser, Fault};
use crate::kit::{BINARY, Edge, server};

/// The bound of the app, in seconds.
const STALENESS: u64 = 3;
/// The part of it that shared caches may use up.
const EDGE: u64 = 1;
/// Long enough for several bounds.
const LENGTH: Duration = Duration::from_secs(9);
const BROWSERS: usize = 3;
const OBJECTS: u64 = 60;
/// Objects of a group of their own, and the pause between their writes: long enough for what is made of them to grow old.
const QUIET: u64 = 4;
const QUIET_GROUP: u64 = 4;
const PAUSE: Duration = Duration::from_secs(3);
const FILES: u64 = 20;
/// Pages that a browser shows for each write.
const PAGES_PER_WRITE: u64 = 10;

/// An object, and those of a group: the one that is asked for, or that of the next object if its number is odd.
const MODULE: &str = "exports.get = async (db, req, res) => {
    res.cacheable();
    const n = Number(req.query.n);
    const group = req.query.group ? Number(req.query.group) : (n + 1) % 4;
    const found = n % 2 || req.query.group ? await db.Thing.find().equal('group', group).resultList() : [];
    const all = [await db.Thing.load(String(n)), ...found];
    res.json(all.map(({ id, version }) => ({ id, version })));
};";

/// What was acknowledged when: numbers that only grow, by what they are of.
#[derive(Default)]
struct History(Mutex<HashMap<String, Vec<(u64, Instant)>>>);

impl History {
    fn acknowledged(&self, name: &str, number: u64) {
        let mut all = self.0.lock().unwrap();
        all.entry(name.to_owned()).or_default().push((number, Instant::now()));
    }

    /// By how much a read of this number at that time is older than the bound.
    fn excess(&self, name: &str, number: u64, at: Instant, bound: Duration) -> Option<Duration> {
        let all = self.0.lock().unwrap();
        let missed = all.get(name)?.iter().find(|(other, _)| *other > number)?;
        at.checked_duration_since(missed.1)?.checked_sub(bound)
    }
}

/// What a run found.
#[derive(Debug, Default)]
struct Report {
    reads: u64,
    hits: u64,
    writes: u64,
    /// Results and answers of modules that were kept in between for longer than caches may that nobody purges.
    old_results: u64,
    old_answers: u64,
    too_old: u64,
    worst: Duration,
    first: Option<String>,
}

struct World {
    origin: Client,
    history: History,
    next: AtomicU64,
    report: Mutex<Report>,
    /// When the quiet group was written last.
    quiet_since: Mutex<Instant>,
}

/// A small generator: different for each browser, the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    /// Small numbers mostly: popular things.
    fn popular(&mut self, n: u64) -> u64 {
        self.roll(n).min(self.roll(n)).min(self.roll(n))
    }
}

impl World {
    fn new(origin: Client) -> Arc<Self> {
        let acl = json!({ "load": { "*": "allow" }, "query": { "*": "allow" } });
        let integer = json!({ "type": "/db/Integer" });
        let thing = json!({ "fields": { "n": integer, "group": integer }, "acl": acl });
        origin.put("/schema/Thing", &thing).expect(200);
        origin
            .put("/file/data", &json!({ "load": { "*": "allow" } }))
            .expect(204);
        let caching = json!({ "staleness": STALENESS, "edgeStaleness": EDGE, "minLifetime": 8, "maxLifetime": 60 });
        origin.put("/config", &json!({ "caching": caching })).expect(200);
        let text = [("content-type", "text/plain")];
        let module = origin.request("PUT", "/code/things/module", &text, MODULE.as_bytes());
        module.expect(200);
        let world = Self {
            origin,
            history: History::default(),
            next: AtomicU64::new(1),
            report: Mutex::default(),
            quiet_since: Mutex::new(Instant::now()),
        };
        for number in 0..OBJECTS + QUIET {
            world.write_object(number);
        }
        for number in 0..FILES {
            world.write_file(number);
        }
        Arc::new(world)
    }

    fn write_object(&self, number: u64) {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let name = format!("/db/Thing/{number}");
        // Several at once may write it; the last one to come has a number of its own all the same.
        let group = if number < OBJECTS { number % 4 } else { QUIET_GROUP };
        let body = json!({ "n": n, "group": group });
        let written = self.origin.put(&name, &body).expect(200).json();
        self.history.acknowledged(&name, written["version"].as_u64().unwrap());
    }

    fn write_file(&self, number: u64) {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let path = format!("/data/{number}");
        // One writer at a time, so that numbers grow in the order of writes.
        let _alone = self.report.lock().unwrap();
        self.origin
            .upload(&path, "text/plain", n.to_string().as_bytes())
            .expect(200);
        self.history.acknowledged(&path, n);
    }

    /// The quiet group, if it is time.
    fn write_quiet(&self) {
        let mut since = self.quiet_since.lock().unwrap();
        if since.elapsed() >= PAUSE {
            (OBJECTS..OBJECTS + QUIET).for_each(|number| self.write_object(number));
            *since = Instant::now();
        }
    }

    /// Reads what is made of the quiet group, without a cache.
    fn read_quiet(&self, client: &Client, report: &mut Report) {
        let query = format!("/db/Thing/query?q=%7B%22group%22:{QUIET_GROUP}%7D&cached=objects");
        let module = format!("/code/things?n={OBJECTS}&group={QUIET_GROUP}");
        for (url, expected) in [(query, QUIET), (module, 1 + QUIET)] {
            let at = Instant::now();
            let answer = client.get(&url).expect(200);
            let is_old = answer
                .header("age")
                .is_some_and(|age| age.parse::<u64>().unwrap() > EDGE);
            match expected {
                QUIET => report.old_results += u64::from(is_old),
                _ => report.old_answers += u64::from(is_old),
            }
            self.check_all(report, &answer.body, expected, at, Duration::from_secs(EDGE));
        }
    }

    fn check_all(&self, report: &mut Report, body: &[u8], expected: u64, at: Instant, bound: Duration) {
        let result: Vec<Value> = serde_json::from_slice(body).unwrap();
        assert_eq!(result.len() as u64, expected);
        for object in &result {
            let name = object["id"].as_str().unwrap();
            self.check(report, name, object["version"].as_u64().unwrap(), at, bound);
        }
    }

    fn check(&self, report: &mut Report, name: &str, number: u64, at: Instant, bound: Duration) {
        if let Some(excess) = self.history.excess(name, number, at, bound) {
            report.too_old += 1;
            report.worst = report.worst.max(excess);
            report
                .first
                .get_or_insert(format!("{name} {number}, {excess:?} over the bound"));
        }
    }

    /// One browser's life.
    fn browse(&self, mut browser: Browser, without_cache: Option<&Client>, seed: u64) {
        let bound = Duration::from_secs(STALENESS);
        let mut dice = Dice(0x9e37_79b9 * (seed + 1));
        let mut report = Report::default();
        let began = Instant::now();
        let mut n_pages = 0;
        while began.elapsed() < LENGTH {
            for _ in 0..10 {
                let name = format!("/db/Thing/{}", dice.popular(OBJECTS));
                let read = browser.read(&name, &name);
                let object: Value = serde_json::from_slice(&read.body).unwrap();
                self.check(&mut report, &name, object["version"].as_u64().unwrap(), read.at, bound);
            }
            let path = format!("/data/{}", dice.popular(FILES));
            let read = browser.read(&format!("/file{path}"), &format!("/file{path}"));
            let number = std::str::from_utf8(&read.body).unwrap().parse().unwrap();
            self.check(&mut report, &path, number, read.at, bound);

            let query = format!("/db/Thing/query?q=%7B%22group%22:{}%7D&cached=objects", dice.roll(4));
            let n = dice.popular(OBJECTS);
            let module = format!("/code/things?n={n}&cached=true");
            for (url, expected) in [(query, OBJECTS / 4), (module, 1 + n % 2 * OBJECTS / 4)] {
                let read = browser.read(&url, &url);
                self.check_all(&mut report, &read.body, expected, read.at, bound);
            }
            if let Some(client) = without_cache {
                self.write_quiet();
                self.read_quiet(client, &mut report);
            }
            n_pages += 1;
            if n_pages % PAGES_PER_WRITE == 0 {
                report.writes += 1;
                match dice.roll(4) {
                    0 => self.write_file(dice.popular(FILES)),
                    _ => self.write_object(dice.popular(OBJECTS)),
                }
            }
            // Something that goes all the way, so that a browser with a full cache does not turn in circles.
            self.origin.get("/connect").expect(200);
        }
        let mut all = self.report.lock().unwrap();
        all.reads += browser.hits + browser.misses;
        all.hits += browser.hits;
        all.writes += report.writes;
        all.old_results += report.old_results;
        all.old_answers += report.old_answers;
        all.too_old += report.too_old;
        all.worst = all.worst.max(report.worst);
        all.first = all.first.take().or(report.first);
    }
}

/// Browsers that reach the server by these clients, and others without a cache.
fn run(origin: Client, through: impl Fn() -> Client, without_cache: Option<&Client>, fault: Fault) -> Report {
    let world = World::new(origin);
    let refresh = Duration::from_secs(STALENESS - EDGE);
    let browsers: Vec<Browser> = (0..BROWSERS).map(|_| Browser::new(through(), refresh, fault)).collect();
    std::thread::scope(|scope| {
        for (seed, browser) in browsers.into_iter().enumerate() {
            let world = world.clone();
            scope.spawn(move || world.browse(browser, without_cache, seed as u64));
        }
    });
    std::mem::take(&mut *world.report.lock().unwrap())
}

fn is_coherent(report: &Report) {
    assert_eq!(report.too_old, 0, "{report:?}");
    assert!(report.writes > 20 && report.hits > report.reads / 4, "{report:?}");
}

#[test]
fn browsers_alone_read_nothing_older_than_the_bound() {
    let server = server().baqend().start();
    is_coherent(&run(root(&server), || server.client(), None, Fault::None));
}

#[test]
fn browsers_behind_an_edge_read_nothing_older_than_the_bound() {
    let server = server().baqend().start();
    let edge = Edge::start(&format!("http://{}", server.address()), &[]);
    edge.wait_until_intact();
    let report = run(root(&server), || edge.client(), Some(&edge.client()), Fault::None);
    is_coherent(&report);
    assert!(edge.figure("hits_total") > 0, "it never answered itself");
    assert!(report.old_results > 0 && report.old_answers > 0, "{report:?}");
}

#[test]
fn browsers_behind_varnish_read_nothing_older_than_the_bound() {
    let address = format!("127.0.0.1:{}", free_port());
    let varnish = Varnish::start(&address);
    let server = ServerBuilder::new(BINARY)
        .baqend()
        .listen(&address)
        .arg("--purge-varnish")
        .arg(format!("http://{}", varnish.address()))
        .arg("--trusted-proxies")
        .arg("127.0.0.1")
        .env("FRESHBASE_PURGE_VARNISH_SECRET", Varnish::SECRET)
        .start();
    let through = || Client::new(&varnish.address(), "/v1");
    is_coherent(&run(root(&server), through, None, Fault::None));
}

#[test]
fn browsers_that_ignore_the_filter_read_older_things() {
    let server = server().baqend().start();
    let report = run(root(&server), || server.client(), None, Fault::IgnoresFilter);
    assert!(report.too_old > 0, "{report:?}");
}
