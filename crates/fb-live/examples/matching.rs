//! What it costs to find out which of many live queries a write changes.
//!
//! ```sh
//! cargo run --release -p fb-live --example matching            # up to a million queries, about two minutes
//! cargo run --release -p fb-live --example matching -- 100000  # up to so many
//! ```
//!
//! One thread, whose CPU time counts. Each write is the JSON text of an object of six fields, parsed, looked up and matched. Kinds of queries:
//! `equal` is `owner = … and n > …`, `range` is `price >= … and price < … and n > …`, `mixed` takes both and prefixes and
//! lists in turn, `sorted` is the ten newest of an owner. A write changes the results of one to three of them, however many
//! there are. Writes come one by one (`alone`) or 256 at once (`of many`), as they do under load. `×` compares with the same
//! kind at the first number; `writes/s` is of many; `register` is what a registration takes.
//!
//! At last, how often a window of the ten greatest among 2,000 objects that are written at random asks for a renewal.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a measurement"
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use fb_auth::Scope;
use fb_live::{Image, Limits, LiveQuery, Matcher, Output, Registration, Row, ViewId};
use fb_query::{Query, parse_filter, parse_sort};
use fb_types::schema::predefined;
use fb_types::{ChangeKind, Class, ClassDef, ObjectKey, Schema, Seq};
use serde_json::{Value, json};

/// That of the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KINDS: [&str; 4] = ["equal", "range", "mixed", "sorted"];
const WRITES: u64 = 250_000;
/// As many as the server hands over at once when it is busy.
const TOGETHER: usize = 256;
const OBJECTS: u64 = 10_000;

fn main() {
    let most: u64 = std::env::args().nth(1).map_or(1_000_000, |text| text.parse().unwrap());
    let (schema, class) = schema();
    println!(
        "{:<8} {:>9} {:>9} {:>6} {:>9} {:>6} {:>12} {:>12} {:>12} {:>12}",
        "kind", "queries", "alone µs", "×", "of many", "×", "writes/s", "events/write", "bytes/query", "register µs"
    );
    let parse = parse_only();
    println!("{:<8} {:>9} {parse:>9.2}", "parsing", "–");
    let only = std::env::args().nth(2);
    for kind in KINDS {
        if only.as_deref().is_some_and(|only| only != kind) {
            continue;
        }
        let mut first = None;
        for n in [1_000, 10_000, 100_000, 1_000_000].into_iter().filter(|n| *n <= most) {
            // Before the queries, so that they lie in memory alike however many there are.
            let images = images(&class, n, 0);
            let before = resident();
            let start = cpu_time();
            let mut matcher = Matcher::new(Seq(0), Limits::default());
            for i in 0..n {
                register(&mut matcher, &schema, &class, i, &query(kind, i, n));
            }
            let registering = (cpu_time() - start).as_secs_f64() * 1e6 / n as f64;
            let bytes = resident().saturating_sub(before) / n;
            let ([alone, together], events) = write(&mut matcher, &images);
            let [first_alone, first_together] = *first.get_or_insert([alone, together]);
            println!(
                "{kind:<8} {n:>9} {alone:>9.2} {:>6.2} {together:>9.2} {:>6.2} {:>12.0} {events:>12.2} {bytes:>12} {registering:>12.1}",
                alone / first_alone,
                together / first_together,
                1e6 / together
            );
        }
    }
    if only.is_none_or(|only| only == "rest") {
        scanned(&schema, &class);
        for (name, changes) in [
            ("scores change", [100, 0, 0]),
            ("scores change, and as many objects come as go", [60, 20, 20]),
            ("the first one goes and another one comes, as in a queue", [0, 0, 0]),
        ] {
            absorbed(&schema, &class, name, changes);
        }
    }
}

fn schema() -> (Schema, Arc<Class>) {
    let fields = json!({ "owner": { "type": "/db/String" }, "n": { "type": "/db/Integer" }, "price": { "type": "/db/Double" },
        "title": { "type": "/db/String" }, "tags": { "type": "/db/collection.List[/db/String]" }, "done": { "type": "/db/Boolean" } });
    let own = ClassDef::from_json(&json!({ "class": "/db/Item", "fields": fields })).unwrap();
    let schema = Schema::build(predefined().into_iter().chain([own]).collect(), 1, None, &[]).unwrap();
    let class = schema.class("Item").unwrap().clone();
    (schema, class)
}

/// Filter, sort order and limit of the `i`th of `n` queries.
fn query(kind: &str, i: u64, n: u64) -> (Value, Value, Option<u64>) {
    let width = 1e6 / n as f64;
    let range = json!({ "price": { "$gte": i as f64 * width, "$lt": (i + 1) as f64 * width }, "n": { "$gt": 10 } });
    let equal = json!({ "owner": format!("/db/User/{i}"), "n": { "$gt": 10 } });
    let filter = match kind {
        "range" => range,
        "mixed" => match i % 4 {
            0 => equal,
            1 => range,
            2 => json!({ "title": { "$regex": format!("^title {i} ") }, "done": false }),
            _ => json!({ "tags": format!("tag{i}"), "$or": [{ "n": { "$gt": 10 } }, { "done": true }] }),
        },
        _ => equal,
    };
    match kind {
        "sorted" => (filter, json!({ "price": -1 }), Some(10)),
        _ => (filter, json!({}), None),
    }
}

fn register(
    matcher: &mut Matcher,
    schema: &Schema,
    class: &Class,
    subscriber: u64,
    query: &(Value, Value, Option<u64>),
) {
    let limits = fb_query::Limits::default();
    let filter = parse_filter(&query.0, schema, class, &limits).unwrap();
    let sort = parse_sort(&query.1, schema, class, &limits).unwrap();
    let query = LiveQuery::new(Query::new(class, filter, sort, 0, query.2.unwrap_or(u64::MAX))).unwrap();
    let registration = Registration {
        tell_all: false,
        subscriber,
        query: Arc::new(query),
        scope: Scope::Everything,
        rows: Vec::new(),
        seq: matcher.position(),
        ticket: matcher.ticket(),
    };
    matcher.register(registration, &mut Vec::new()).unwrap();
}

/// Any number, the same for the same write and use.
fn random(i: u64, r#use: u64) -> u64 {
    let mut mixed = (i << 3 | r#use).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn key(i: u64) -> u64 {
    random(i, 0) % OBJECTS
}

/// Objects are spread over the constants of the queries; each write gives an object other values, all at random.
fn body(i: u64, n: u64) -> String {
    json!({ "id": format!("/db/Item/{}", key(i)), "version": i, "acl": null, "createdAt": "2024-01-01T00:00:00Z",
        "updatedAt": "2024-01-01T00:00:00Z", "owner": format!("/db/User/{}", random(i, 1) % n), "n": random(i, 2) % 20,
        "price": (random(i, 3) % 1_000_000) as f64, "title": format!("title {} of {i}", random(i, 4) % n),
        "tags": [format!("tag{}", random(i, 5) % n), "all"], "done": random(i, 6).is_multiple_of(3) })
    .to_string()
}

fn images(class: &Class, n: u64, from: u64) -> Vec<Arc<Image>> {
    (from..from + WRITES)
        .map(|i| {
            Arc::new(Image {
                seq: Seq(i + 1),
                class: class.name().clone(),
                key: ObjectKey::from_raw(&key(i).to_string()).unwrap(),
                kind: ChangeKind::Update,
                acl: None,
                body: Some(body(i, n).into()),
            })
        })
        .collect()
}

/// Microseconds per write one by one and [`TOGETHER`], and events per write.
fn write(matcher: &mut Matcher, images: &[Arc<Image>]) -> ([f64; 2], f64) {
    let (warm_up, measured) = images.split_at(images.len() / 5);
    let (alone, together) = measured.split_at(measured.len() / 2);
    let mut out: Vec<Output> = Vec::new();
    for image in warm_up {
        matcher.write(image.clone(), &mut out);
        out.clear();
    }
    let mut events = 0;
    let start = cpu_time();
    for image in alone {
        matcher.write(image.clone(), &mut out);
        events += out.len();
        out.clear();
    }
    let between = cpu_time();
    for images in together.chunks(TOGETHER) {
        matcher.write_all(images, &mut out, &mut |_, out| {
            events += out.len();
            out.clear();
        });
    }
    let per_write = |time: Duration| time.as_secs_f64() * 1e6 / alone.len() as f64;
    let micros = [per_write(between - start), per_write(cpu_time() - between)];
    (micros, events as f64 / measured.len() as f64)
}

fn parse_only() -> f64 {
    let (_, class) = schema();
    let images = images(&class, 1000, 0);
    let start = cpu_time();
    for image in &images {
        let value: Value = serde_json::from_slice(image.body.as_ref().unwrap()).unwrap();
        std::hint::black_box(value);
    }
    (cpu_time() - start).as_secs_f64() * 1e6 / images.len() as f64
}

/// Filters that nothing can be looked up of.
fn scanned(schema: &Schema, class: &Class) {
    let n = 5_000;
    let mut matcher = Matcher::new(Seq(0), Limits::default());
    for i in 0..n {
        let filter = json!({ "n": { "$mod": [1009, 100 + i % 900] }, "owner": { "$ne": format!("/db/User/{i}") } });
        register(&mut matcher, schema, class, i, &(filter, json!({}), None));
    }
    assert_eq!(matcher.stats().scanned, usize::try_from(n).unwrap());
    let images = images(class, 1000, 0);
    let some = &images[..2_000];
    let mut out = Vec::new();
    let start = cpu_time();
    for image in some {
        matcher.write(image.clone(), &mut out);
        out.clear();
    }
    let evaluations = some.len() as f64 * n as f64;
    println!(
        "scanned: {:.1} million evaluations/s of {n} filters without an index",
        evaluations / (cpu_time() - start).as_secs_f64() / 1e6
    );
}

/// Objects of the class in [`absorbed`], by score and key: the store that renewals are read from.
type Scores = BTreeSet<(u64, u64)>;

/// Writes of which so many of a hundred change a score, insert and delete; if none of these, the first of the window is
/// deleted and another object inserted in turn. A renewal is answered when ten more writes have come.
fn absorbed(schema: &Schema, class: &Class, name: &str, [change, insert, _]: [u64; 3]) {
    let limits = fb_query::Limits::default();
    let filter = parse_filter(&json!({ "done": false }), schema, class, &limits).unwrap();
    let sort = parse_sort(&json!({ "price": 1 }), schema, class, &limits).unwrap();
    let query = Arc::new(LiveQuery::new(Query::new(class, filter, sort, 0, 10)).unwrap());
    let mut random = 1_u64;
    let mut next = move |below: u64| {
        random = random
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        (random >> 33) % below
    };
    let mut scores: BTreeMap<u64, u64> = (0..2_000).map(|key| (key, next(1_000_000))).collect();
    let mut order: Scores = scores.iter().map(|(key, score)| (*score, *key)).collect();
    let object = |key: u64, score: u64| {
        let id = format!("/db/Item/{key:08}");
        Bytes::from(json!({ "id": id, "version": 1, "price": score, "done": false }).to_string())
    };
    let key_of = |key: u64| ObjectKey::from_raw(&format!("{key:08}")).unwrap();
    let known = |query: &LiveQuery| usize::try_from(query.bootstrap().limit).unwrap();
    let top = |query: &LiveQuery, order: &Scores| -> Vec<Row> {
        let top = order.iter().take(known(query));
        top.map(|(score, key)| Row {
            key: key_of(*key),
            body: object(*key, *score),
        })
        .collect()
    };
    let mut matcher = Matcher::new(Seq(0), Limits::default());
    let ticket = matcher.ticket();
    let registration = Registration {
        tell_all: false,
        subscriber: 1,
        query: query.clone(),
        scope: Scope::Everything,
        rows: top(&query, &order),
        seq: Seq(0),
        ticket,
    };
    let mut out = Vec::new();
    matcher.register(registration, &mut out).unwrap();
    let (mut told, mut asked, mut dry) = (0_u64, 0_u64, 0_u64);
    let mut waiting: VecDeque<(u64, ViewId, Vec<Row>, Seq)> = VecDeque::new();
    let mut newest = 2_000;
    for seq in 1..=WRITES {
        let choice = next(100);
        let is_queue = change + insert == 0;
        let known_key = match (is_queue, order.first()) {
            (true, Some((_, first))) => *first,
            _ => *scores
                .keys()
                .nth(usize::try_from(next(scores.len() as u64)).unwrap())
                .unwrap(),
        };
        let (key, kind) = if is_queue && seq % 2 == 0 || !is_queue && (change..change + insert).contains(&choice) {
            newest += 1;
            (newest, ChangeKind::Insert)
        } else if !is_queue && choice < change {
            (known_key, ChangeKind::Update)
        } else {
            (known_key, ChangeKind::Delete)
        };
        if let Some(old) = scores.remove(&key) {
            order.remove(&(old, key));
        }
        let mut body = None;
        if kind != ChangeKind::Delete {
            let score = if is_queue { 1_000_000 + seq } else { next(1_000_000) };
            scores.insert(key, score);
            order.insert((score, key));
            body = Some(object(key, score));
        }
        let image = Image {
            seq: Seq(seq),
            class: class.name().clone(),
            key: key_of(key),
            kind,
            acl: None,
            body,
        };
        matcher.write(Arc::new(image), &mut out);
        while waiting.front().is_some_and(|(at, ..)| *at <= seq) {
            let (_, view, rows, read_at) = waiting.pop_front().unwrap();
            let _ = matcher.renew(view, rows, read_at, &mut out);
        }
        for output in out.drain(..) {
            match output {
                Output::Tell { .. } => told += 1,
                Output::Renew {
                    view, is_dry, query, ..
                } => {
                    asked += 1;
                    dry += u64::from(is_dry);
                    waiting.push_back((seq + 10, view, top(&query, &order), Seq(seq)));
                }
            }
        }
    }
    println!(
        "window of 10, slack {} at first, {name}: {WRITES} writes, {told} events, {asked} renewals, of which {dry} held events up; \
         {:.2} % of events without the store",
        known(&query) - 10,
        100.0 * (1.0 - asked as f64 / told.max(1) as f64)
    );
}

/// CPU time of this thread, which is what others on the box change least.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// Bytes of memory in use.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or_default();
    pages * 4096
}
