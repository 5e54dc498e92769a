//! What calls cost, next to a bare QuickJS in the same run: `cargo run --release -p fb-functions --example speed`.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "prints its numbers")]

use std::sync::Arc;
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
        (0, Arc::from("[]"))
    }
}

fn code(source: &str) -> Arc<Code> {
    Arc::new(Code::new([("m".to_owned(), "module".to_owned(), Arc::from(source))]))
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
        "{what:44} median {:8.1} µs   p95 {:8.1} µs   least {:8.1} µs",
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

    for (name, one) in [
        ("warm: a request, constant", call()),
        ("warm: a hook, constant", hook()),
    ] {
        let pool = engine.pool("warm", Limits::default());
        let source = code(CONSTANT);
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
        "{:44} {:8.1} µs a call",
        "warm: 16 callers at once",
        start.elapsed().as_secs_f64() * 1e6 / f64::from(n)
    );

    for (name, gap) in [
        ("cold: one after the other", 0),
        ("cold: with time to make some ahead", 5),
    ] {
        let mut times = Vec::new();
        for _ in 0..400 {
            tokio::time::sleep(Duration::from_millis(gap)).await;
            let source = code(CONSTANT);
            let pool = engine.pool("cold", Limits::default());
            let start = Instant::now();
            pool.call(&source, call(), host.clone()).await.unwrap();
            times.push(start.elapsed());
            pool.close();
        }
        report(name, &mut times);
    }

    let before = resident();
    let n = 500;
    let mut bare = Vec::new();
    for _ in 0..n {
        let runtime = Runtime::new().unwrap();
        let context = Context::full(&runtime).unwrap();
        bare.push((context, runtime));
    }
    println!(
        "{:44} {:8} KiB",
        "memory: a bare runtime and context",
        (resident() - before) / n / 1024
    );
    let before = resident();
    let mut pools = Vec::new();
    for _ in 0..n {
        let pool = engine.pool("memory", Limits::default());
        pool.call(&code(CONSTANT), call(), host.clone()).await.unwrap();
        pools.push(pool);
    }
    println!(
        "{:44} {:8} KiB",
        "memory: an idle instance",
        (resident() - before) / n / 1024
    );
}
