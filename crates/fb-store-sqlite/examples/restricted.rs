//! Measures reads of callers who may not read everything, by what they can see, what is there, and what counts as few:
//! `cargo run --release -p fb-store-sqlite --example restricted [-- <objects> …]`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for developers")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use fb_auth::{Errand, Grant, Operation, Principal, Roles, authorize, system};
use fb_store::testkit::{query, schema_with, todo_class};
use fb_store::{
    Alteration, AppRecord, Batch, Direction, Effect, IndexDef, IndexKey, NoObserver, Node, ObjectWrite, OpenOptions,
    Store, Write,
};
use fb_store_sqlite::{Durability, SqliteNode, SqliteOptions};
use fb_types::{Acl, AppId, ClassName, Clock, Document, ObjectId, ObjectKey, SystemClock, Version};
use serde_json::json;

/// How many objects each of the callers can see: user `n` sees about that many, spread over the class.
const VISIBLE: [u64; 9] = [10, 50, 100, 200, 500, 1_000, 2_000, 10_000, 50_000];

fn mix(i: u64) -> u64 {
    let x = (i ^ (i >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 20
}

fn object(store: &dyn Store, grant: &Grant, n: u64, i: u64) -> ObjectWrite {
    let schema = store.schema();
    let class = schema.class("Todo").unwrap();
    let fields = json!({
        "title": format!("object number {i} with a text of ordinary length"), "group": format!("g{}", i / 20),
        "rank": mix(i) % 1_000_000, "score": i as f64 / 3.0, "done": i.is_multiple_of(2),
    });
    let now = SystemClock.now();
    // The first part of a random order of the class belongs to the first user, and so on.
    let place = mix(i.wrapping_mul(0x9e37_79b9)) % n;
    let mut end = 0;
    let owner = VISIBLE.iter().find(|visible| {
        end += **visible;
        place < end
    });
    let owner = owner.map_or(format!("/db/User/x{}", place % (n / 100)), |v| format!("/db/User/{v}"));
    let document = Document {
        id: ObjectId::new(
            class.name().clone(),
            ObjectKey::from_raw(&format!("k{:06x}{i}", mix(i) & 0xff_ffff)).unwrap(),
        ),
        version: Version::FIRST,
        created_at: now,
        updated_at: now,
        acl: Some(Arc::new(Acl::private_to(&owner))),
        fields: schema.check_fields(class, fields.as_object().unwrap(), None).unwrap(),
    };
    let stored = document.store(class.shape());
    ObjectWrite {
        grant: grant.clone(),
        key: stored.key.clone(),
        checked_under: schema.rev(),
        decide: Box::new(move |_, _| Ok(Effect::Put(stored.clone()))),
    }
}

fn options(few_objects: usize) -> SqliteOptions {
    SqliteOptions {
        durability: Durability::Relaxed,
        few_objects,
        ..SqliteOptions::default()
    }
}

async fn load(dir: &std::path::Path, app: &AppRecord, open: OpenOptions, n: u64) {
    let node = SqliteNode::open(dir, options(0)).unwrap();
    node.create(app).await.unwrap();
    let store = node.open_store(&app.id, open).unwrap();
    let admin = system(Errand::SetUpApp);
    let alteration = Alteration {
        schema: Arc::new(schema_with(&store.schema(), &todo_class(), &[])),
        from_rev: store.schema().rev(),
        rewrites: vec![],
        indexes: Vec::new(),
        also: Batch::default(),
    };
    store.alter(&admin, alteration).await.unwrap();
    let class = ClassName::new("Todo").unwrap();
    let grant = admin.grant(&class);
    let start = Instant::now();
    for chunk in (0..n).collect::<Vec<_>>().chunks(1000) {
        let writes = chunk
            .iter()
            .map(|i| Write::Object(object(&store, &grant, n, *i)))
            .collect();
        store.commit(Batch { writes }).await.unwrap();
    }
    let index = |path: &str| IndexDef {
        unique: false,
        keys: vec![IndexKey {
            path: path.to_owned(),
            direction: Direction::Asc,
        }],
    };
    store
        .set_indexes(&admin, &class, vec![index("group"), index("rank")])
        .await
        .unwrap();
    println!("\n{n} objects, loaded in {:.1?}", start.elapsed());
    store.close().await;
}

/// Median of the microseconds that `work` takes, for a second at most.
async fn time(work: impl AsyncFn()) -> f64 {
    work().await;
    let (start, mut all) = (Instant::now(), Vec::new());
    while all.is_empty() || (start.elapsed() < Duration::from_millis(300) && all.len() < 2000) {
        let one = Instant::now();
        work().await;
        all.push(one.elapsed().as_secs_f64() * 1e6);
    }
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let sizes: Vec<u64> = std::env::args().skip(1).map(|n| n.parse().unwrap()).collect();
    let sizes = if sizes.is_empty() { vec![100_000] } else { sizes };
    for n in sizes {
        let dir = tempfile::tempdir().unwrap();
        let app = AppRecord {
            id: AppId::new("app").unwrap(),
            hosts: vec![],
            is_default: true,
            created_at: SystemClock.now(),
        };
        let open = OpenOptions {
            observer: Arc::new(NoObserver),
            clock: Arc::new(SystemClock),
            query_timeout: Duration::from_secs(60),
        };
        load(dir.path(), &app, open.clone(), n).await;
        println!("{:<46}{}", "µs, can see:", VISIBLE.map(|v| format!("{v:>9}")).concat());
        for few in [0, 500, 2000] {
            let node = SqliteNode::open(dir.path(), options(few)).unwrap();
            let store = node.open_store(&app.id, open.clone()).unwrap();
            let schema = store.schema();
            let class = schema.class("Todo").unwrap();
            for (name, condition, sort) in [
                ("20 by rank (indexed)", json!({}), json!({ "rank": 1 })),
                ("20 by score", json!({}), json!({ "score": 1 })),
                ("20 in any order", json!({}), json!({})),
                ("group = x (20 objects)", json!({ "group": "g77" }), json!({})),
                (
                    "20 of done = true by rank",
                    json!({ "done": true }),
                    json!({ "rank": -1 }),
                ),
                ("count", json!({}), json!(0)),
                (
                    "count of rank < 500,000",
                    json!({ "rank": { "$lt": 500_000 } }),
                    json!(0),
                ),
            ] {
                let mut line = format!("few {few:>4}: {name:<36}");
                for visible in VISIBLE.into_iter().filter(|v| *v < n / 2) {
                    let user = Principal::user(format!("/db/User/{visible}").parse().unwrap(), Roles::default());
                    let grant = authorize(&user, Operation::Query, class).unwrap();
                    let is_count = sort == json!(0);
                    let sort = if is_count { json!({}) } else { sort.clone() };
                    let wanted = query(&schema, &condition, &sort, 0, 20);
                    let each = time(async || {
                        if is_count {
                            store.count(&grant, &wanted.filter).await.unwrap();
                        } else {
                            store.query(&grant, &wanted).await.unwrap();
                        }
                    })
                    .await;
                    line.push_str(&format!("{each:9.0}"));
                }
                println!("{line}");
            }
            store.close().await;
        }
    }
}
