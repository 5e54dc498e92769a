//! Counters in the Prometheus text format. All requests are counted by app and route; nothing on the request path
//! takes a lock.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// Upper bounds of the latency buckets, in seconds.
const BUCKETS: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0];
/// Most apps that are counted one by one; requests to further ones are counted as app `_other`.
const MAX_APPS: usize = 10_000;

/// Counters of one app.
pub(crate) struct AppMetrics {
    /// By route and class of status (2xx, 3xx, 4xx, 5xx).
    requests: Vec<[AtomicU64; 4]>,
    buckets: [AtomicU64; BUCKETS.len() + 1],
    micros: AtomicU64,
}

impl AppMetrics {
    fn new(routes: usize) -> Self {
        Self {
            requests: (0..routes).map(|_| Default::default()).collect(),
            buckets: Default::default(),
            micros: AtomicU64::new(0),
        }
    }

    /// Counts one answered request.
    pub(crate) fn count(&self, route: usize, status: u16, took: Duration) {
        let class = usize::from((status / 100).clamp(2, 5)) - 2;
        if let Some(counters) = self.requests.get(route) {
            counters[class].fetch_add(1, Ordering::Relaxed);
        }
        let seconds = took.as_secs_f64();
        let bucket = BUCKETS
            .iter()
            .position(|limit| seconds <= *limit)
            .unwrap_or(BUCKETS.len());
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.micros
            .fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// Counters of the node.
pub(crate) struct Metrics {
    /// Names of the routes, by their number; the last two stand for pages of websites, and for requests that found none.
    routes: Vec<String>,
    /// Read for every request, written when an app gets its first one.
    apps: RwLock<HashMap<String, Arc<AppMetrics>>>,
    /// Handlers that panicked.
    pub(crate) panics: AtomicU64,
    /// Connections that are open.
    pub(crate) connections: AtomicU64,
}

impl Metrics {
    pub(crate) fn new(mut routes: Vec<String>) -> Self {
        routes.push("page".into());
        routes.push("none".into());
        Self {
            routes,
            apps: RwLock::default(),
            panics: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        }
    }

    /// The number that stands for pages of websites.
    pub(crate) fn pages(&self) -> usize {
        self.routes.len() - 2
    }

    /// The number that stands for requests without a route.
    pub(crate) fn no_route(&self) -> usize {
        self.routes.len() - 1
    }

    /// The counters of an app; they live until the server stops.
    pub(crate) fn app(&self, app: &str) -> Arc<AppMetrics> {
        if let Some(metrics) = self.apps.read().unwrap_or_else(PoisonError::into_inner).get(app) {
            return metrics.clone();
        }
        let mut apps = self.apps.write().unwrap_or_else(PoisonError::into_inner);
        let name = if apps.len() < MAX_APPS { app } else { "_other" };
        apps.entry(name.to_owned())
            .or_insert_with(|| Arc::new(AppMetrics::new(self.routes.len())))
            .clone()
    }

    /// The text of a scrape. `gauges` are measured values, and counters whose
    /// names end with `_total`: name, help, label text, value.
    pub(crate) fn render(&self, gauges: &[(&str, &str, String, f64)]) -> String {
        let mut text = String::new();
        let apps = self.apps.read().unwrap_or_else(PoisonError::into_inner);
        let mut apps: Vec<_> = apps.iter().collect();
        apps.sort_by_key(|(name, _)| name.as_str());
        head(&mut text, "freshbase_requests_total", "counter", "Answered requests.");
        for (app, metrics) in &apps {
            for (route, counters) in self.routes.iter().zip(&metrics.requests) {
                for (class, counter) in counters.iter().enumerate() {
                    let count = counter.load(Ordering::Relaxed);
                    if count > 0 {
                        let status = class + 2;
                        let _ = writeln!(
                            text,
                            "freshbase_requests_total{{app=\"{app}\",route=\"{route}\",status=\"{status}xx\"}} {count}"
                        );
                    }
                }
            }
        }
        head(
            &mut text,
            "freshbase_request_seconds",
            "histogram",
            "Time from request to answer.",
        );
        for (app, metrics) in &apps {
            let mut sum = 0;
            for (i, bucket) in metrics.buckets.iter().enumerate() {
                sum += bucket.load(Ordering::Relaxed);
                let limit = BUCKETS.get(i).map_or_else(|| "+Inf".to_owned(), f64::to_string);
                let _ = writeln!(
                    text,
                    "freshbase_request_seconds_bucket{{app=\"{app}\",le=\"{limit}\"}} {sum}"
                );
            }
            let seconds = metrics.micros.load(Ordering::Relaxed) as f64 / 1e6;
            let _ = writeln!(text, "freshbase_request_seconds_sum{{app=\"{app}\"}} {seconds}");
            let _ = writeln!(text, "freshbase_request_seconds_count{{app=\"{app}\"}} {sum}");
        }
        head(
            &mut text,
            "freshbase_panics_total",
            "counter",
            "Handlers that panicked.",
        );
        let _ = writeln!(text, "freshbase_panics_total {}", self.panics.load(Ordering::Relaxed));
        head(&mut text, "freshbase_connections", "gauge", "Open connections.");
        let _ = writeln!(
            text,
            "freshbase_connections {}",
            self.connections.load(Ordering::Relaxed)
        );
        let mut last = "";
        for (name, help, labels, value) in gauges {
            if *name != last {
                let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
                head(&mut text, name, kind, help);
                last = name;
            }
            let _ = writeln!(text, "{name}{labels} {value}");
        }
        text
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}
