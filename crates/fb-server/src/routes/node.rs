//! Paths outside of any app: health, readiness, metrics.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fb_app::caching::{CachingFigures, Traffic};
use fb_app::{App, AppError, LiveStats};
use fb_purge::TargetStats;
use serde_json::json;

use crate::codes;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::server::ServerState;

/// Alive: the process answers.
pub(crate) fn healthz() -> Reply {
    Reply::json_bytes(200, bytes::Bytes::from_static(b"{\"status\":\"ok\"}"))
}

/// Ready: not shutting down, and the store of the node answers.
pub(crate) async fn readyz(state: &ServerState) -> Result<Reply, ApiError> {
    if state.shutting_down.load(Ordering::Acquire) {
        return Err(ApiError::new(codes::UNAVAILABLE, "The server is shutting down."));
    }
    state.apps.node().generation().await.map_err(AppError::from)?;
    Ok(Reply::json(200, &json!({ "status": "ready" })))
}

/// All counters and sizes, for Prometheus.
pub(crate) async fn metrics(state: &ServerState) -> Result<Reply, ApiError> {
    let awake = state.apps.awake();
    let mut sizes = Vec::with_capacity(awake.len());
    for app in &awake {
        // An app that is being closed must not keep the others from being measured.
        if let Ok(stats) = app.stats().await {
            sizes.push((format!("{{app=\"{}\"}}", app.id()), stats));
        }
    }
    let known = state.apps.directory().slots().count();
    let mut gauges = vec![
        ("freshbase_apps", "Apps on this node.", String::new(), known as f64),
        (
            "freshbase_apps_awake",
            "Apps that are open.",
            String::new(),
            awake.len() as f64,
        ),
    ];
    gauges.extend(functions(state));
    gauges.push((
        "freshbase_edges_following",
        "Edges and other caches that follow the purges.",
        String::new(),
        state.edges.followers() as f64,
    ));
    gauges.push((
        "freshbase_purges",
        "Purges since the start of the server.",
        String::new(),
        state.edges.purges() as f64,
    ));
    gauges.extend(foreign(state));
    for (labels, (store, _)) in &sizes {
        gauges.push((
            "freshbase_disk_bytes",
            "Size of the app's store.",
            labels.clone(),
            store.disk_bytes as f64,
        ));
    }
    for (labels, (store, _)) in &sizes {
        gauges.push((
            "freshbase_last_change",
            "Newest change record.",
            labels.clone(),
            store.last_seq.0 as f64,
        ));
    }
    for (labels, (store, _)) in &sizes {
        gauges.push((
            "freshbase_queued_writes",
            "Writes that wait.",
            labels.clone(),
            store.queued_writes as f64,
        ));
    }
    for (labels, (_, cache)) in &sizes {
        gauges.push((
            "freshbase_cache_bytes",
            "Size of the object cache.",
            labels.clone(),
            *cache as f64,
        ));
    }
    caching(&awake, &mut gauges);
    traffic(&awake, &mut gauges);
    live(state, &awake, &mut gauges).await;
    let pushes = state.apps.push_counts();
    for (app, counts) in &pushes {
        for (result, count) in [
            ("delivered", counts.delivered),
            ("gone", counts.gone),
            ("failed", counts.failed),
            ("retried", counts.retried),
        ] {
            gauges.push((
                "freshbase_push_total",
                "Push messages by what became of an attempt.",
                format!("{{app=\"{app}\",result=\"{result}\"}}"),
                count as f64,
            ));
        }
    }
    for (app, counts) in &pushes {
        gauges.push((
            "freshbase_push_waiting",
            "Push messages that are not delivered yet.",
            format!("{{app=\"{app}\"}}"),
            counts.waiting as f64,
        ));
    }
    Ok(Reply::text(
        200,
        "text/plain;version=0.0.4;charset=utf-8",
        state.metrics.render(&gauges),
    ))
}

/// How long an app's live queries may take to say how many they are.
const STATS_TIME: Duration = Duration::from_secs(1);

type Gauge = (&'static str, &'static str, String, f64);

/// Copies in caches, and the filter.
fn caching(awake: &[Arc<App>], gauges: &mut Vec<Gauge>) {
    let figures: Vec<_> = awake
        .iter()
        .filter_map(|app| Some((format!("{{app=\"{}\"}}", app.id()), app.caching_figures()?)))
        .collect();
    type Row = (&'static str, &'static str, fn(&CachingFigures) -> f64);
    let rows: [Row; 10] = [
        (
            "freshbase_caching_keys",
            "Objects and files of which caches may have a copy.",
            |f| f.sketch.keys as f64,
        ),
        (
            "freshbase_caching_stale",
            "Of them, those in the filter because they were written.",
            |f| f.sketch.stale as f64,
        ),
        ("freshbase_caching_filter_bits", "Size of the filter.", |f| {
            f64::from(f.sketch.bits)
        }),
        (
            "freshbase_caching_filter_fill",
            "Share of its bits that are set.",
            |f| f.sketch.fill,
        ),
        (
            "freshbase_caching_false_positives",
            "Share of other keys that seem to be in the filter.",
            |f| f.sketch.false_positives,
        ),
        (
            "freshbase_caching_blind_seconds",
            "For how long yet the filter contains everything.",
            |f| f.blind_seconds as f64,
        ),
        (
            "freshbase_caching_reads_total",
            "Answers with a lifetime that were registered.",
            |f| f.sketch.reads as f64,
        ),
        (
            "freshbase_caching_refused_total",
            "Answers without one because the books were full.",
            |f| f.sketch.refused as f64,
        ),
        (
            "freshbase_caching_stale_writes_total",
            "Writes of what somebody may have had a copy of.",
            |f| f.sketch.purges as f64,
        ),
        (
            "freshbase_caching_granted_seconds_total",
            "Sum of the lifetimes of answers.",
            |f| f.areas.iter().map(|area| area.granted_seconds as f64).sum(),
        ),
    ];
    for (name, help, value) in rows {
        for (labels, figures) in &figures {
            gauges.push((name, help, labels.clone(), value(figures)));
        }
    }
}

/// Requests for what may be kept. By kind only: names of classes are the apps' to make up.
fn traffic(awake: &[Arc<App>], gauges: &mut Vec<Gauge>) {
    const KINDS: [&str; 4] = ["object", "file", "result", "module"];
    let mut counted = Vec::new();
    for app in awake {
        for (kind, traffic) in KINDS.iter().zip(app.traffic()) {
            if traffic != Traffic::default() {
                counted.push((format!("{{app=\"{}\",kind=\"{kind}\"}}", app.id()), traffic));
            }
        }
    }
    type Row = (&'static str, &'static str, fn(&Traffic) -> u64);
    let rows: [Row; 4] = [
        (
            "freshbase_caching_requests_total",
            "Requests for what may be kept that came to this server.",
            |t| t.requests,
        ),
        (
            "freshbase_caching_confirmed_total",
            "Of them, those for which the copy of whoever asked was good.",
            |t| t.confirmed,
        ),
        (
            "freshbase_caching_edge_requests_total",
            "Requests for what may be kept that came to edges, as far as they have told.",
            |t| t.edge_requests,
        ),
        (
            "freshbase_caching_edge_hits_total",
            "Of them, those that an edge answered itself.",
            |t| t.edge_hits,
        ),
    ];
    for (name, help, value) in rows {
        for (labels, traffic) in &counted {
            gauges.push((name, help, labels.clone(), value(traffic) as f64));
        }
    }
}

/// Live queries: who is connected, and what is kept up to date for them.
async fn live(state: &ServerState, awake: &[Arc<App>], gauges: &mut Vec<Gauge>) {
    for (app, counts) in state.places.counts() {
        for (kind, count) in ["websocket", "sse"].into_iter().zip(counts) {
            gauges.push((
                "freshbase_live_connections",
                "Clients of live queries.",
                format!("{{app=\"{app}\",kind=\"{kind}\"}}"),
                count as f64,
            ));
        }
    }
    gauges.push((
        "freshbase_live_messages_total",
        "Messages of live queries that were handed to connections.",
        String::new(),
        state.places.sent.load(Ordering::Relaxed) as f64,
    ));
    // An app that is too busy to say is left out this time.
    let asked = awake
        .iter()
        .map(|app| tokio::time::timeout(STATS_TIME, app.live_stats()));
    let mut sizes = Vec::new();
    for (app, stats) in awake.iter().zip(futures_util::future::join_all(asked).await) {
        if let Ok(stats) = stats
            && stats != LiveStats::default()
        {
            sizes.push((format!("{{app=\"{}\"}}", app.id()), stats));
        }
    }
    type Row = (&'static str, &'static str, fn(&LiveStats) -> u64);
    let rows: [Row; 8] = [
        (
            "freshbase_live_subscriptions",
            "Live queries, one for each subscriber.",
            |s| s.subscriptions as u64,
        ),
        ("freshbase_live_filters", "Their distinct filters.", |s| {
            s.filters as u64
        }),
        (
            "freshbase_live_scanned_filters",
            "Of them, those that are asked about every write of their class.",
            |s| s.scanned as u64,
        ),
        ("freshbase_live_parked", "Live queries that wait to be resumed.", |s| {
            s.parked as u64
        }),
        ("freshbase_live_views", "Results that are kept up to date.", |s| {
            s.views as u64
        }),
        ("freshbase_live_objects", "Objects in them.", |s| s.objects as u64),
        ("freshbase_live_matched_total", "Writes that were matched.", |s| {
            s.matched
        }),
        ("freshbase_live_renewed_total", "Results that were read again.", |s| {
            s.renewed
        }),
    ];
    for (name, help, value) in rows {
        for (labels, stats) in &sizes {
            gauges.push((name, help, labels.clone(), value(stats) as f64));
        }
    }
}

/// What runs the apps' code.
fn functions(state: &ServerState) -> impl Iterator<Item = (&'static str, &'static str, String, f64)> {
    let stats = state.apps.engine().stats();
    let rows = [
        (
            "freshbase_function_instances",
            "Instances of apps' code.",
            stats.instances as f64,
        ),
        (
            "freshbase_function_idle_instances",
            "Of them, those that wait for calls.",
            stats.idle as f64,
        ),
        (
            "freshbase_function_running",
            "Calls of code under way.",
            stats.running as f64,
        ),
        (
            "freshbase_function_calls",
            "Calls of code since the start.",
            stats.calls as f64,
        ),
        (
            "freshbase_function_stopped",
            "Of them, those that took longer than they may.",
            stats.stopped as f64,
        ),
        (
            "freshbase_function_panics",
            "Of them, those that ended by a mistake of the engine.",
            stats.panics as f64,
        ),
        (
            "freshbase_function_lost_threads",
            "Threads in code that cannot be stopped; each was replaced.",
            stats.lost_threads as f64,
        ),
        (
            "freshbase_function_bytes",
            "Memory of all instances.",
            stats.bytes as f64,
        ),
    ];
    rows.into_iter()
        .map(|(name, help, value)| (name, help, String::new(), value))
}

/// Of foreign caches that are told of purges.
fn foreign(state: &ServerState) -> Vec<(&'static str, &'static str, String, f64)> {
    type Figure = (&'static str, &'static str, fn(&TargetStats) -> f64);
    const FIGURES: &[Figure] = &[
        ("freshbase_purge_sent_total", "Names that a cache has dropped.", |s| {
            s.sent as f64
        }),
        (
            "freshbase_purge_everything_total",
            "How often a cache has dropped everything.",
            |s| s.everything as f64,
        ),
        (
            "freshbase_purge_failed_total",
            "Requests to a cache that failed.",
            |s| s.failed as f64,
        ),
        (
            "freshbase_purge_retried_total",
            "Names that had to be sent again.",
            |s| s.retried as f64,
        ),
        (
            "freshbase_purge_overflows_total",
            "How often names were given up for everything.",
            |s| s.overflows as f64,
        ),
        (
            "freshbase_purge_unrepeated_total",
            "Names that were not sent a second time.",
            |s| s.unrepeated as f64,
        ),
        ("freshbase_purge_queued", "Names that wait.", |s| s.queued as f64),
        (
            "freshbase_purge_under_way",
            "Names that a cache has not confirmed yet.",
            |s| s.under_way as f64,
        ),
        ("freshbase_purge_repeating", "Names that will be sent once more.", |s| {
            s.repeating as f64
        }),
        (
            "freshbase_purge_oldest_seconds",
            "For how long the first of them has waited.",
            |s| s.oldest.as_secs_f64(),
        ),
        ("freshbase_purge_failing", "1 while a cache cannot be told.", |s| {
            f64::from(u8::from(s.is_failing))
        }),
        (
            "freshbase_purge_delay_seconds_total",
            "Sum of the times from change to purge.",
            |s| s.delay.as_secs_f64(),
        ),
        ("freshbase_purge_delays_total", "How many these are.", |s| {
            s.delays as f64
        }),
    ];
    let stats = state.edges.foreign();
    let mut gauges = Vec::with_capacity(FIGURES.len() * stats.len());
    for (name, help, value) in FIGURES {
        for target in &stats {
            // Hosts and ids: nothing in them needs escaping.
            gauges.push((*name, *help, format!("{{target=\"{}\"}}", target.target), value(target)));
        }
    }
    gauges
}
