//! Measures the embedded store: `cargo run --release -p fb-store-sqlite --example measure [-- <directory>]`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for developers")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use fb_auth::{Errand, Grant, Operation, Principal, Roles, authorize, system};
use fb_store::testkit::{query, schema_with, todo_class};
use fb_store::{
    Alteration, AppRecord, Batch, Direction, Effect, IndexDef, IndexKey, NoObserver, Node, ObjectWrite, OpenOptions,
    Refusal, Store, Write,
};
use fb_store_sqlite::{SqliteNode, SqliteOptions, SqliteStore};
use fb_types::{Acl, AppId, ClassName, Clock, Document, ObjectId, ObjectKey, Stored, SystemClock, Version};
use serde_json::json;

const N: u64 = 100_000;

fn key(i: u64) -> ObjectKey {
    ObjectKey::from_raw(&format!("k{i:08}")).unwrap()
}

/// Inserts object `i`, for everybody or for one principal.
fn object(store: &dyn Store, grant: &Grant, i: u64, acl: Option<&str>) -> ObjectWrite {
    let schema = store.schema();
    let class = schema.class("Todo").unwrap();
    let fields = json!({
        "title": format!("object number {i} with a text of ordinary length"), "group": format!("g{}", i / 20),
        "rank": (i * 7919) % 20, "score": i as f64 / 3.0, "done": i.is_multiple_of(2), "tags": [format!("t{}", i % 500)],
    });
    let now = SystemClock.now();
    let document = Document {
        id: ObjectId::new(class.name().clone(), key(i)),
        version: Version::FIRST,
        created_at: now,
        updated_at: now,
        acl: acl.map(|principal| Arc::new(Acl::private_to(principal))),
        fields: schema.check_fields(class, fields.as_object().unwrap(), None).unwrap(),
    };
    let stored = document.store(class.shape());
    ObjectWrite {
        grant: grant.clone(),
        key: stored.key.clone(),
        checked_under: schema.rev(),
        decide: Box::new(move |before, _| match before {
            Some(_) => Err(Refusal::Exists),
            None => Ok(Effect::Put(stored.clone())),
        }),
    }
}

/// Makes writes that insert objects, for everybody or for one of so many owners.
fn writes(
    store: &Arc<SqliteStore>,
    grant: &Grant,
    owners: Option<u64>,
) -> impl Fn(u64) -> ObjectWrite + Clone + Send + use<> {
    let (store, grant) = (store.clone(), grant.clone());
    move |i| {
        let owner = owners.map(|n| format!("/db/User/{}", i % n));
        object(&*store, &grant, i, owner.as_deref())
    }
}

/// The same object in place of the one that is there.
fn replacing(write: ObjectWrite) -> ObjectWrite {
    let ObjectWrite { decide, .. } = write;
    ObjectWrite {
        decide: Box::new(move |before, moment| {
            let effect = decide(None, moment)?;
            Ok(match (effect, before) {
                (Effect::Put(stored), Some(before)) => Effect::Put(Stored {
                    version: before.version.next(),
                    ..stored
                }),
                (effect, _) => effect,
            })
        }),
        ..write
    }
}

/// 64 writers at once, each waiting for its acknowledgement.
async fn write_at_once(
    name: &str,
    store: &Arc<SqliteStore>,
    numbers: std::ops::Range<u64>,
    write: impl Fn(u64) -> ObjectWrite + Clone + Send + 'static,
) {
    let n = (numbers.end - numbers.start) as f64;
    let (start, cpu_before) = (Instant::now(), cpu());
    let mut tasks = Vec::new();
    for t in 0..64 {
        let (store, write) = (store.clone(), write.clone());
        let mine = numbers.clone().skip(t).step_by(64);
        tasks.push(tokio::spawn(async move {
            for i in mine {
                store.commit(Batch::object(write(i))).await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let (elapsed, cpu_used) = (start.elapsed().as_secs_f64(), (cpu() - cpu_before).as_secs_f64());
    println!(
        "{name}, 64 waiting writers: {:.0}/s, {:.1} µs CPU each",
        n / elapsed,
        cpu_used * 1e6 / n
    );
}

fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

async fn time<F: AsyncFnMut(u64)>(name: &str, n: u64, mut work: F) {
    for i in 0..n / 10 {
        work(i).await;
    }
    let (start, cpu_before) = (Instant::now(), cpu());
    for i in 0..n {
        work(i).await;
    }
    let each = start.elapsed().as_secs_f64() * 1e6 / n as f64;
    let cpu = (cpu() - cpu_before).as_secs_f64() * 1e6 / n as f64;
    println!("{name:<50} {each:9.2} µs   {cpu:9.2} µs CPU");
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let parent = std::env::args()
        .nth(1)
        .unwrap_or_else(|| std::env::temp_dir().display().to_string());
    let dir = tempfile::tempdir_in(parent).unwrap();
    let node = SqliteNode::open(dir.path(), SqliteOptions::default()).unwrap();
    let app = AppRecord {
        id: AppId::new("app").unwrap(),
        hosts: vec![],
        is_default: true,
        created_at: SystemClock.now(),
    };
    let start = Instant::now();
    node.create(&app).await.unwrap();
    println!("create an app: {:?}", start.elapsed());
    let options = OpenOptions {
        observer: Arc::new(NoObserver),
        clock: Arc::new(SystemClock),
        query_timeout: Duration::from_secs(30),
    };
    let start = Instant::now();
    let store = Arc::new(node.open_store(&app.id, options.clone()).unwrap());
    println!("open an app: {:?}", start.elapsed());
    let admin = system(Errand::SetUpApp);
    let class = ClassName::new("Todo").unwrap();
    let schema = Arc::new(schema_with(&store.schema(), &todo_class(), &[]));
    let from_rev = store.schema().rev();
    store
        .alter(
            &admin,
            Alteration {
                schema,
                from_rev,
                rewrites: vec![],
                indexes: Vec::new(),
                also: Batch::default(),
            },
        )
        .await
        .unwrap();
    let index = |paths: &[&str]| IndexDef {
        unique: false,
        keys: paths
            .iter()
            .map(|p| IndexKey {
                path: (*p).to_owned(),
                direction: Direction::Asc,
            })
            .collect(),
    };
    store
        .set_indexes(&admin, &class, vec![index(&["group", "rank"])])
        .await
        .unwrap();
    let grant = admin.grant(&class);

    let (public, private) = (writes(&store, &grant, None), writes(&store, &grant, Some(400)));
    write_at_once("insert", &store, 0..40_000, public.clone()).await;
    for chunk in (40_000..N).collect::<Vec<_>>().chunks(500) {
        let writes = chunk.iter().map(|i| Write::Object(public(*i))).collect();
        store.commit(Batch { writes }).await.unwrap();
    }

    let user = Principal::user("/db/User/7".parse().unwrap(), Roles::default());
    let schema = store.schema();
    let user_grant = authorize(&user, Operation::Query, schema.class("Todo").unwrap()).unwrap();
    let random = |i: u64| i.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1) % N;
    time("load", 200_000, async |i| {
        assert!(store.load(&grant, &key(random(i))).await.unwrap().is_some());
    })
    .await;
    for (name, condition, sort, limit) in [
        ("group = x, 10 of 20", json!({ "group": "g" }), json!({}), 10),
        ("group = x, 20 documents", json!({ "group": "g" }), json!({}), 20),
        (
            "group = x by rank, 10 of 20",
            json!({ "group": "g" }),
            json!({ "rank": 1 }),
            10,
        ),
        (
            "group = x by rank, 20 documents",
            json!({ "group": "g" }),
            json!({ "rank": 1 }),
            20,
        ),
        (
            "group = x, rank > 9, 10 documents",
            json!({ "group": "g", "rank": { "$gt": 9 } }),
            json!({}),
            10,
        ),
        (
            "id in range, 10 documents",
            json!({ "id": { "$gt": "g" } }),
            json!({ "id": 1 }),
            10,
        ),
        (
            "group = x, one tag (residual), 1 document",
            json!({ "group": "g", "tags": "t7" }),
            json!({}),
            10,
        ),
    ] {
        for (who, grant) in [("", &grant), (", a user", &user_grant)] {
            time(&format!("{name}{who}"), 20_000, async |i| {
                let mut condition = condition.clone();
                let i = random(i);
                if condition.get("group").is_some() {
                    condition["group"] = json!(format!("g{}", i / 20));
                } else {
                    condition["id"] = json!({ "$gt": format!("/db/Todo/{}", key(i)) });
                }
                let wanted = query(&schema, &condition, &sort, 0, limit);
                store.query(grant, &wanted).await.unwrap();
            })
            .await;
        }
    }
    time("(of these: parsing the query)", 20_000, async |i| {
        let condition = json!({ "group": format!("g{}", random(i) / 20) });
        std::hint::black_box(query(&schema, &condition, &json!({ "rank": 1 }), 0, 10));
    })
    .await;
    time("scan: title = x, no index", 20, async |_| {
        let wanted = query(&schema, &json!({ "title": "nothing" }), &json!({}), 0, 10);
        store.query(&grant, &wanted).await.unwrap();
    })
    .await;
    time("scan: tags = x, no index (evaluator)", 20, async |_| {
        let wanted = query(&schema, &json!({ "tags": "nothing" }), &json!({}), 0, 10);
        store.query(&grant, &wanted).await.unwrap();
    })
    .await;
    time("scan: sort by score, no index", 20, async |_| {
        let wanted = query(&schema, &json!({}), &json!({ "score": -1 }), 0, 10);
        store.query(&grant, &wanted).await.unwrap();
    })
    .await;
    time("insert, one after the other", 2_000, async |i| {
        let i = N + i + if i < 200 { 0 } else { 1_000_000 };
        let _ = store.commit(Batch::object(public(i))).await;
    })
    .await;
    let make = public.clone();
    write_at_once("update", &store, 0..40_000, move |i| replacing(make(i))).await;
    // From here on the class has objects with rules.
    let start = Instant::now();
    store.commit(Batch::object(private(10 * N))).await.unwrap();
    println!("first object with rules: {:?}", start.elapsed());
    let numbers = 2 * N..2 * N + 40_000;
    write_at_once("insert of private objects", &store, numbers.clone(), private.clone()).await;
    write_at_once("update of private objects", &store, numbers, move |i| {
        replacing(private(i))
    })
    .await;
    let numbers = 3 * N..3 * N + 40_000;
    write_at_once("insert of public ones beside them", &store, numbers, public).await;
    let start = Instant::now();
    let size = node.backup(&app.id, &dir.path().join("backup")).await.unwrap();
    println!("backup of {} MB: {:?}", size >> 20, start.elapsed());
    println!("{:?}", store.stats().await.unwrap());
    store.close().await;
    let start = Instant::now();
    let store = node.open_store(&app.id, options).unwrap();
    println!("open the full app: {:?}", start.elapsed());
    store.close().await;
}
