//! What a call may cost, and what it may not do to others.

use std::sync::Arc;
use std::time::Duration;

use fb_functions::{CallError, Engine, EngineOptions, Limits, LogLevel};

use crate::kit::{TestHost, app_with, code, get, limits, module};

/// Waits until `is` holds; the test's time limit ends it if it never does.
async fn until(is: impl Fn() -> bool) {
    while !is() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A loop inside of QuickJS that never asks whether to stop, for a second or some.
const STUCK: &str =
    "exports.call = () => { const a = new Array(2 ** 32 - 1); return String(a.slice(0, 2 ** 28).length); };";
const RUNAWAY: &str = "exports.call = () => { for (;;) {} };";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runaway_does_not_keep_neighbours_from_running() {
    let mut slow = limits();
    slow.cpu_time = Duration::from_secs(60);
    slow.wall_time = Duration::from_secs(120);
    let app = app_with(&[("m", RUNAWAY)], slow);
    let runaways: Vec<_> = (0..8)
        .map(|_| {
            let (pool, code, host) = (app.pool.clone(), app.code.clone(), app.host.clone());
            tokio::spawn(async move { pool.call(&code, get(""), host).await })
        })
        .collect();
    until(|| app.engine.stats().instances >= 2).await;
    let neighbour = app.engine.pool("neighbour", limits());
    let source = code(&[("m", "exports.call = () => 'fine';")]);
    for _ in 0..50 {
        let outcome = neighbour.call(&source, get(""), app.host.clone()).await.unwrap();
        assert_eq!(&*outcome.body, b"fine");
    }
    assert!(runaways.iter().all(|runaway| !runaway.is_finished()));
    for runaway in runaways {
        runaway.abort();
    }
    until(|| app.engine.stats().running == 0 && app.engine.stats().instances <= 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_that_cannot_be_stopped_is_replaced_and_its_app_must_wait() {
    let mut short = limits();
    short.wall_time = Duration::from_millis(100);
    let app = app_with(&[("m", STUCK)], short);
    for _ in 0..2 {
        let error = app.error().await;
        assert!(matches!(error, CallError::TooLong(_)), "{error:?}");
    }
    until(|| app.engine.stats().lost_threads == 2).await;
    assert!(matches!(app.error().await, CallError::Busy));
    let neighbour = app.engine.pool("neighbour", limits());
    let source = code(&[("m", "exports.call = () => 'fine';")]);
    assert_eq!(
        &*neighbour.call(&source, get(""), app.host.clone()).await.unwrap().body,
        b"fine"
    );
    // When the loops end the app has its threads again.
    until(|| app.engine.stats().lost_threads == 0).await;
    assert!(!matches!(app.error().await, CallError::Busy));
}

#[tokio::test]
async fn waiting_ends_at_wall_time_and_gives_the_instance_up() {
    let mut short = limits();
    short.wall_time = Duration::from_millis(50);
    let source = "exports.call = () => new Promise((done) => setTimeout(done, 60000));";
    let app = app_with(&[("m", source)], short);
    assert!(matches!(app.error().await, CallError::TooLong(_)));
    until(|| app.engine.stats().instances == 0).await;
    assert_eq!(app.engine.stats().stopped, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_a_call_stops_it() {
    let mut slow = limits();
    slow.cpu_time = Duration::from_secs(100);
    slow.wall_time = Duration::from_secs(100);
    for source in [
        RUNAWAY,
        "exports.call = () => new Promise((done) => setTimeout(done, 60000));",
    ] {
        let app = Arc::new(app_with(&[("m", source)], slow.clone()));
        let task = tokio::spawn({
            let app = app.clone();
            async move { app.run(get("")).await }
        });
        until(|| app.engine.stats().instances == 1).await;
        task.abort();
        until(|| app.engine.stats().instances == 0 && app.engine.stats().running == 0).await;
    }
}

#[tokio::test]
async fn calls_beyond_the_limit_wait_and_then_are_refused() {
    let mut few = limits();
    few.instances = 1;
    few.waiting = 1;
    let app = app_with(
        &[(
            "m",
            "exports.call = () => new Promise((done) => setTimeout(() => done('fine'), 20));",
        )],
        few,
    );
    let (first, second, third) = tokio::join!(app.run(get("")), app.run(get("")), app.run(get("")));
    assert!(first.is_ok() && second.is_ok());
    assert!(matches!(third, Err(CallError::Busy)));
    assert_eq!(app.engine.stats().instances, 1);
}

#[tokio::test]
async fn logs_have_levels_and_limits() {
    let mut few = limits();
    few.log_lines = 3;
    let source = "exports.call = () => { console.log('a', 1); console.warn('b'); console.error(new TypeError('c')); console.log('d'); console.log('e'); return 'x'; };";
    let app = app_with(&[("m", source)], few);
    app.text().await;
    let lines = app.host.log.lock().unwrap().clone();
    assert_eq!((lines[0].level, lines[0].message.as_str()), (LogLevel::Info, "a 1"));
    assert_eq!((lines[1].level, lines[1].message.as_str()), (LogLevel::Warn, "b"));
    assert_eq!(lines[2].level, LogLevel::Error);
    assert!(
        lines[2].message.starts_with("TypeError: c\n    at "),
        "{}",
        lines[2].message
    );
    assert!(lines[3].message.contains("more than 3 lines"));
    assert_eq!(lines.len(), 4);

    let app = module("exports.call = () => { console.log('ä'.repeat(100000)); };");
    app.run(get("")).await.unwrap();
    assert!(app.host.lines()[0].len() < 17 << 10);
}

#[tokio::test]
async fn an_answer_has_a_largest_size() {
    let mut small = limits();
    small.answer_bytes = 1000;
    let app = app_with(
        &[("m", "exports.call = (db, data) => 'x'.repeat(Number(data.n));")],
        small,
    );
    assert!(app.run(get("n=900")).await.is_ok());
    let error = app.run(get("n=1000")).await.unwrap_err();
    assert!(matches!(error, CallError::Failed(exception) if exception.name == "RangeError"));
}

#[tokio::test]
async fn instances_are_given_up_when_idle_for_long_or_too_many() {
    let options = EngineOptions {
        threads: 2,
        max_idle_instances: 2,
        idle: Duration::from_secs(600),
        ..EngineOptions::default()
    };
    let engine = Engine::new(options).unwrap();
    let source = code(&[("m", "let n = 0; exports.call = () => String(++n);")]);
    let host: Arc<TestHost> = Arc::default();
    let pools: Vec<_> = (0..3).map(|n| engine.pool(&n.to_string(), limits())).collect();
    for pool in &pools {
        pool.call(&source, get(""), host.clone()).await.unwrap();
    }
    until(|| engine.stats().instances == 2 && engine.stats().idle == 2).await;
    // The first one was used longest ago.
    assert_eq!(
        &*pools[1].call(&source, get(""), host.clone()).await.unwrap().body,
        b"2"
    );
    assert_eq!(
        &*pools[0].call(&source, get(""), host.clone()).await.unwrap().body,
        b"1"
    );
    pools[0].evict();
    assert_eq!(
        &*pools[0].call(&source, get(""), host.clone()).await.unwrap().body,
        b"1"
    );
    pools[0].close();
    assert!(matches!(
        pools[0].call(&source, get(""), host.clone()).await,
        Err(CallError::Internal(_))
    ));

    let engine = Engine::new(EngineOptions {
        threads: 2,
        max_idle_instances: 9,
        idle: Duration::from_millis(10),
        ..EngineOptions::default()
    })
    .unwrap();
    let pool = engine.pool("short", limits());
    pool.call(&source, get(""), host).await.unwrap();
    until(|| engine.stats().instances == 0).await;
    assert_eq!(
        (engine.stats().idle, engine.stats().bytes, engine.stats().calls),
        (0, 0, 1)
    );
}

#[tokio::test]
async fn an_engine_that_closes_fails_its_calls() {
    let app = module("exports.call = () => 'x';");
    let crate::kit::App {
        engine,
        pool,
        code,
        host,
    } = app;
    drop(engine);
    assert!(matches!(
        pool.call(&code, get(""), host).await,
        Err(CallError::Internal(_))
    ));
}

/// QuickJS checks its own bookkeeping when a runtime is freed, and ends the process if something is left; memory may run out anywhere.
#[tokio::test]
async fn s43_memory_may_run_out_at_any_point() {
    let engine = crate::kit::engine();
    let host: Arc<TestHost> = Arc::default();
    let sources = [
        "exports.call = async (db, data) => { const all = []; for (;;) { all.push({ [Math.random()]: [new Map([[all, `${all.length}`]])] }); if (all.length % 50 === 0) await null; } };",
        "class A { #x = []; *all() { for (;;) yield (this.#x.push(new Error('e' + this.#x.length)), this.#x); } }\nexports.call = () => { for (const x of new A().all()) JSON.parse(JSON.stringify({ x: x.map(String) })); };",
        "import x from './b'; export const call = async () => { const all = []; try { for (;;) all.push(new Function('return ' + all.length), /a+/g, Symbol(), 2n ** 99n, async () => all, new Proxy(all, {})); } finally { await x; } };",
    ];
    for source in sources {
        let code = code(&[("m", source), ("b", "exports.default = 1;")]);
        for step in 0..60 {
            let pool = engine.pool(
                "hungry",
                Limits {
                    memory_bytes: (360 << 10) + (step << 13) + step,
                    ..limits()
                },
            );
            let came = pool.call(&code, get(""), host.clone()).await;
            assert!(came.is_err(), "{came:?}");
            assert!(!matches!(came, Err(CallError::Internal(_))), "{came:?}");
        }
    }
    assert_eq!(engine.stats().panics, 0);
}

/// Threads of this process with a lowered priority: the 19th number of `stat`, counted after the name in brackets.
#[cfg(target_os = "linux")]
fn demoted_threads() -> usize {
    let nice_of = |stat: &str| {
        let (_, rest) = stat.rsplit_once(')')?;
        rest.split(' ').nth(17)?.parse::<i32>().ok()
    };
    // The tests themselves may run at a lower priority.
    let own = nice_of(&std::fs::read_to_string("/proc/self/stat").unwrap()).unwrap();
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let stats = threads.filter_map(|thread| std::fs::read_to_string(thread.unwrap().path().join("stat")).ok());
    stats
        .filter(|stat| stat.contains("(fb-js-"))
        .filter(|stat| nice_of(stat).is_some_and(|nice| nice > own))
        .count()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_computes_long_does_so_at_a_lower_priority_and_leaves_no_slow_thread_behind() {
    let app = Arc::new(app_with(
        &[("m", RUNAWAY)],
        Limits {
            cpu_time: Duration::from_secs(60),
            ..limits()
        },
    ));
    let task = tokio::spawn({
        let app = app.clone();
        async move { app.run(get("")).await }
    });
    until(|| demoted_threads() > 0).await;
    task.abort();
    until(|| app.engine.stats().instances == 0).await;
    until(|| demoted_threads() == 0).await;
    let fine = code(&[("m", "exports.call = () => 'fine';")]);
    app.pool.call(&fine, get(""), app.host.clone()).await.unwrap();
}
