//! What apps take from each other: threads and memory.

use std::sync::Arc;
use std::time::Duration;

use fb_functions::{CallError, Engine, EngineOptions, Limits};

use crate::kit::{TestHost, app_with, code, engine, get, limits, module};

/// Waits until `is` holds; the test's time limit ends it if it never does.
async fn until(is: impl Fn() -> bool) {
    while !is() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s43_runaways_of_several_apps_do_not_keep_others_from_running() {
    let engine = engine();
    let slow = Limits {
        cpu_time: Duration::from_secs(60),
        wall_time: Duration::from_secs(120),
        ..limits()
    };
    let endless = code(&[("m", "exports.call = () => { for (;;) {} };")]);
    let host: Arc<TestHost> = Arc::default();
    let mut runaways = Vec::new();
    for name in ["a", "b", "c"] {
        let pool = engine.pool(name, slow.clone());
        for _ in 0..4 {
            let (pool, code, host) = (pool.clone(), endless.clone(), host.clone());
            runaways.push(tokio::spawn(async move { pool.call(&code, get(""), host).await }));
        }
    }
    until(|| engine.stats().instances >= 4).await;
    let neighbour = engine.pool("neighbour", limits());
    let source = code(&[("m", "exports.call = () => 'fine';")]);
    for _ in 0..20 {
        let outcome = neighbour.call(&source, get(""), host.clone()).await.unwrap();
        assert_eq!(&*outcome.body, b"fine");
    }
    assert!(runaways.iter().all(|runaway| !runaway.is_finished()));
    for runaway in runaways {
        runaway.abort();
    }
    until(|| engine.stats().running == 0 && engine.stats().instances <= 1).await;
}

#[tokio::test]
async fn s43_an_instance_that_keeps_much_memory_serves_no_further_call() {
    let app = module(
        "let n = 0; let keep; exports.call = () => { keep = new Uint8Array(20 << 20).fill(1); n += 1; return String(n); };",
    );
    for _ in 0..3 {
        assert_eq!(app.text().await, "1");
    }
    // What is no longer in use does not count.
    let app = module(
        "let n = 0; exports.call = () => { const ring = { all: new Uint8Array(20 << 20).fill(1) }; ring.ring = ring; n += 1; return String(n); };",
    );
    for n in 1..4 {
        assert_eq!(app.text().await, n.to_string());
    }
}

#[tokio::test]
async fn s43_idle_instances_of_a_node_have_a_limit_of_memory() {
    let engine = Engine::new(EngineOptions {
        threads: 2,
        max_idle_bytes: 24 << 20,
        ..EngineOptions::default()
    })
    .unwrap();
    let source = code(&[(
        "m",
        "const keep = new Uint8Array(9 << 20).fill(1); let n = 0; exports.call = () => String(++n + keep[0]);",
    )]);
    let host: Arc<TestHost> = Arc::default();
    let pools: Vec<_> = (0..5).map(|n| engine.pool(&n.to_string(), limits())).collect();
    for pool in &pools {
        pool.call(&source, get(""), host.clone()).await.unwrap();
        assert!(engine.stats().bytes <= 48 << 20);
        until(|| engine.stats().instances == engine.stats().idle).await;
        assert!(engine.stats().bytes <= 24 << 20, "{:?}", engine.stats());
    }
    assert!(engine.stats().idle >= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s43_calls_of_an_app_that_wait_have_a_limit_of_memory_together() {
    let app = Arc::new(app_with(
        &[(
            "m",
            "exports.call = () => { const keep = new Uint8Array(50 << 20).fill(1); return new Promise((done) => setTimeout(() => done(keep), 60000)); };",
        )],
        Limits {
            wall_time: Duration::from_secs(120),
            ..limits()
        },
    ));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let app = app.clone();
        calls.spawn(async move { app.run(get("")).await });
    }
    // Without a limit none would end.
    let first = calls.join_next().await.unwrap().unwrap();
    assert!(
        matches!(first, Err(CallError::OutOfMemory | CallError::Busy)),
        "{first:?}"
    );
    while calls.len() > 4 {
        assert!(calls.join_next().await.unwrap().unwrap().is_err());
    }
    // Others have their own.
    let neighbour = app.engine.pool("neighbour", limits());
    let fine = code(&[("m", "exports.call = () => 'fine';")]);
    assert!(neighbour.call(&fine, get(""), app.host.clone()).await.is_ok());
    calls.shutdown().await;
    until(|| app.engine.stats().running == 0 && app.engine.stats().instances <= 1).await;
    assert!(app.pool.call(&fine, get(""), app.host.clone()).await.is_ok());
}
