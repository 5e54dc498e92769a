//! What calls cost, next to a bare QuickJS in the same run: `cargo run --release -p fb-functions --example speed`.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "prints its numbers")]

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fb_functions::{
    Call, CallKind, Code, Engine, EngineOptions, Host, HostError, HttpResponse, Limits, LogLine, Operation,
};
use futures_util::future::BoxFuture;
use rquickjs::{Context, Runtime};

struct NoHost;

impl Host for NoHost {
    fn operate(&self, _: Operation) -> BoxFuture<'static, Result<HttpResponse, HostError>> {
        Box::pin(async { Err(HostError("nothing here".to_owned())) })
    }
    fn log(&self, _: LogLine) {}
    fn schema(&self) -> (u64, Arc<str>) {
        (0, SCHEMA.get_or_init(schema).clone())
    }
}

static SCHEMA: OnceLock<Arc<str>> = OnceLock::new();

/// Thirty classes of eight fields, as an app has them.
fn schema() -> Arc<str> {
    let class = |i: usize| {
        let fields: Vec<_> = (0..8)
            .map(|n| {
                format!(
                    r#""field{n}":{{"name":"field{n}","type":"/db/String","order":{n},"flags":[],"metadata":{{}}}}"#
                )
            })
            .collect();
        format!(
            r#"{{"class":"/db/Class{i}","superClass":"/db/Object","embedded":false,"acl":{{"load":{{}},"schemaAdd":{{}},"insert":{{}}}},"metadata":{{}},"fields":{{{}}}}}"#,
            fields.join(",")
        )
    };
    let classes: Vec<_> = (0..30).map(class).collect();
    Arc::from(format!("[{}]", classes.join(",")))
}

fn code(source: &str) -> Arc<Code> {
    Arc::new(Code::new([
        ("m".to_owned(), "module".to_owned(), Arc::from(source)),
        ("Class7".to_owned(), "insert".to_owned(), Arc::from(HANDLER)),
    ]))
}

const HANDLER: &str = "exports.onInsert = (db, object) => { object.field1 = object.field0 + '!'; };";

/// Before an object of `Class7` is inserted.
fn insert() -> Call {
    Call {
        kind: CallKind::Insert,
        bucket: "Class7".to_owned(),
        code_type: "insert".to_owned(),
        input: r#"{"me":null,"object":{"id":"/db/Class7/1","version":null,"acl":{"read":{},"write":{}},"field0":"a","field1":null,"field2":null,"field3":null,"field4":null,"field5":null,"field6":null,"field7":null},"request":null}"#.to_owned(),
        body: Bytes::new(),
    }
}

fn call() -> Call {
    Call {
        kind: CallKind::Request,
        bucket: "m".to_owned(),
        code_type: "module".to_owned(),
        input: r#"{"me":null,"request":{"method":"GET","url":"/m","path":"","query":"","headers":[["accept","*/*"]],"ip":"192.0.2.1","protocol":"https","host":"a"}}"#.to_owned(),
        body: Bytes::new(),
    }
}

fn hook() -> Call {
    Call {
        kind: CallKind::Hook,
        input: r#"{"me":null,"data":1,"request":null}"#.to_owned(),
        ..call()
    }
}

fn report(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 100].as_nanos() as f64 / 1000.0;
    println!(
        "{what:60} median {:8.1} µs   p95 {:8.1} µs   least {:8.1} µs",
        at(50),
        at(95),
        at(0)
    );
}

fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok())
        .unwrap_or(0)
        * 4096
}

#[tokio::main]
async fn main() {
    const CONSTANT: &str = "exports.call = () => 'hello';";
    let engine = Engine::new(EngineOptions {
        max_idle_instances: 4096,
        max_idle_bytes: 8 << 30,
        ..EngineOptions::default()
    })
    .unwrap();
    let host: Arc<dyn Host> = Arc::new(NoHost);

    let mut times: Vec<_> = (0..2000)
        .map(|_| {
            let start = Instant::now();
            let runtime = Runtime::new().unwrap();
            let context = Context::full(&runtime).unwrap();
            context.with(|ctx| ctx.eval::<i32, _>("1 + 1").unwrap());
            start.elapsed()
        })
        .collect();
    report("bare: runtime + context + eval", &mut times);
    let runtime = Runtime::new().unwrap();
    let context = Context::full(&runtime).unwrap();
    context.with(|ctx| ctx.eval::<(), _>("globalThis.f = () => 'hello'").unwrap());
    let mut times: Vec<_> = (0..20000)
        .map(|_| {
            let start = Instant::now();
            context.with(|ctx| ctx.eval::<String, _>("f()").unwrap());
            start.elapsed()
        })
        .collect();
    report("bare: eval of a call, same thread", &mut times);

    // Two hand-overs between threads and nothing else.
    let (to, inbox) = std::sync::mpsc::channel::<tokio::sync::oneshot::Sender<()>>();
    std::thread::spawn(move || {
        while let Ok(back) = inbox.recv() {
            let _ = back.send(());
        }
    });
    let mut times = Vec::new();
    for _ in 0..20000 {
        let start = Instant::now();
        let (back, answer) = tokio::sync::oneshot::channel();
        to.send(back).unwrap();
        answer.await.unwrap();
        times.push(start.elapsed());
    }
    report("bare: to another thread and back", &mut times);

    const ARGUMENTS: &str = "exports.call = (db, data, req) => 'hello';";
    const EXPRESS: &str = "exports.get = (db, req, res) => res.send('hello');";
    for (name, source, one) in [
        ("warm: a request, constant", CONSTANT, call()),
        (
            "warm: a request, `(db, data) =>`",
            "exports.call = (db, data) => 'hello';",
            call(),
        ),
        ("warm: a request, `(db, data, req) =>`", ARGUMENTS, call()),
        ("warm: a request, `res.send`", EXPRESS, call()),
        ("warm: a hook, constant", CONSTANT, hook()),
        ("warm: before an insert", CONSTANT, insert()),
    ] {
        let pool = engine.pool("warm", Limits::default());
        let source = code(source);
        let mut times = Vec::new();
        for _ in 0..20000 {
            let start = Instant::now();
            pool.call(&source, one.clone(), host.clone()).await.unwrap();
            times.push(start.elapsed());
        }
        report(name, &mut times);
    }
    let pool = engine.pool("many", Limits::default());
    let source = code(CONSTANT);
    let start = Instant::now();
    let n = 100_000;
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (pool, source, host) = (pool.clone(), source.clone(), host.clone());
            tokio::spawn(async move {
                for _ in 0..n / 16 {
                    pool.call(&source, hook(), host.clone()).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    println!(
        "{:60} {:8.1} µs a call",
        "warm: 16 callers at once",
        start.elapsed().as_secs_f64() * 1e6 / f64::from(n)
    );

    for (gap, how) in [(0, "one after the other"), (5, "some made ahead")] {
        for (name, source, one) in [
            ("a request, constant", CONSTANT, call()),
            ("a request, `(db, data, req) =>`", ARGUMENTS, call()),
            ("a request, `res.send`", EXPRESS, call()),
            ("a hook, constant", CONSTANT, hook()),
            ("before an insert", CONSTANT, insert()),
        ] {
            let mut times = Vec::new();
            for _ in 0..200 {
                tokio::time::sleep(Duration::from_millis(gap)).await;
                let source = code(source);
                let pool = engine.pool("cold", Limits::default());
                let start = Instant::now();
                pool.call(&source, one.clone(), host.clone()).await.unwrap();
                times.push(start.elapsed());
                pool.close();
            }
            report(&format!("cold, {how}: {name}"), &mut times);
        }
    }

    let before = resident();
    let n = 500;
    let mut bare = Vec::new();
    let mut kept = Vec::new();
    for _ in 0..n {
        let runtime = Runtime::new().unwrap();
        let context = Context::full(&runtime).unwrap();
        bare.push((context, runtime));
    }
    println!(
        "{:60} {:8} KiB",
        "memory: a bare runtime and context",
        (resident() - before) / n / 1024
    );
    for (name, one) in [("a constant", call()), ("a handler of inserts", insert())] {
        let before = resident();
        let mut pools = Vec::new();
        for _ in 0..n {
            let pool = engine.pool("memory", Limits::default());
            pool.call(&code(CONSTANT), one.clone(), host.clone()).await.unwrap();
            pools.push(pool);
        }
        println!(
            "{:60} {:8} KiB",
            format!("memory: an idle instance, {name}"),
            resident().saturating_sub(before) / n / 1024
        );
        kept.push(pools);
    }
}
