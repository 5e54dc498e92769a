//! A small HTTP server beside the edge's own, for whoever runs it: health and figures.

use std::convert::Infallible;
use std::fmt::Write;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

use crate::edge::Edge;
use crate::groups::GroupStats;
use crate::stats::EdgeStats;

impl Edge {
    /// Answers `/healthz` (200), `/readyz` (200 while nothing is known to be missing of the purges, else 503) and `/metrics` (Prometheus text)
    /// until `stop` is done. Not for the edge's clients: whoever can connect sees the figures.
    pub async fn serve_figures(&self, listener: TcpListener, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => return,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                // Out of file handles, mostly: a pause lets some connections end.
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            };
            let edge = self.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let answer = answer(request.uri().path(), &edge);
                    async move { Ok::<_, Infallible>(answer) }
                });
                let mut builder = auto::Builder::new(TokioExecutor::new());
                builder.http1().timer(TokioTimer::new());
                builder.http2().timer(TokioTimer::new());
                // What comes of one connection is nobody's concern.
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }
}

fn answer(path: &str, edge: &Edge) -> Response<Full<Bytes>> {
    let stats = edge.stats();
    let (status, text) = match path {
        "/healthz" => (StatusCode::OK, "ok\n".to_owned()),
        "/readyz" if stats.is_intact => (StatusCode::OK, "ready\n".to_owned()),
        "/readyz" => {
            let text = "the stream of purges is not there: every request goes to the origin\n";
            (StatusCode::SERVICE_UNAVAILABLE, text.to_owned())
        }
        "/metrics" => (StatusCode::OK, render(&stats) + &render_groups(&edge.groups())),
        _ => (
            StatusCode::NOT_FOUND,
            "there are /healthz, /readyz and /metrics\n".to_owned(),
        ),
    };
    let mut answer = Response::new(Full::from(text));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// Name without prefix, kind, meaning, value.
type Row = (&'static str, &'static str, &'static str, u64);

fn rows(stats: &EdgeStats) -> [Row; 18] {
    let size = |n: usize| n as u64;
    [
        ("hits_total", "counter", "Answers from the edge.", stats.hits),
        (
            "guarded_hits_total",
            "counter",
            "Those of them that were not for everybody.",
            stats.guarded_hits,
        ),
        (
            "fills_total",
            "counter",
            "Requests to the origin for answers to keep.",
            stats.fills,
        ),
        (
            "refreshed_total",
            "counter",
            "Fills of what clients wanted before it was purged.",
            stats.refreshed,
        ),
        (
            "confirmed_total",
            "counter",
            "Fills that confirmed what was there.",
            stats.confirmed,
        ),
        (
            "followed_total",
            "counter",
            "Requests that waited for another one's answer.",
            stats.followed,
        ),
        (
            "collapsed_total",
            "counter",
            "Those of them that got it.",
            stats.collapsed,
        ),
        ("passed_total", "counter", "Requests that were passed on.", stats.passed),
        (
            "stale_total",
            "counter",
            "Outdated answers, because the origin was down and the app allowed it.",
            stats.stale,
        ),
        (
            "purges_total",
            "counter",
            "Purges that have taken effect.",
            stats.purges,
        ),
        (
            "stream_number",
            "gauge",
            "The last number of the stream of purges that has taken effect.",
            stats.stream_number,
        ),
        ("entries", "gauge", "Answers that are kept.", size(stats.entries)),
        (
            "guarded_entries",
            "gauge",
            "Those of them that are not for everybody.",
            size(stats.guarded_entries),
        ),
        (
            "memory_bytes",
            "gauge",
            "Bytes of memory that answers take.",
            stats.bytes,
        ),
        ("disk_bytes", "gauge", "Bytes of answers on disk.", stats.disk_bytes),
        (
            "callers",
            "gauge",
            "Tokens of which it is known what they are worth.",
            size(stats.callers),
        ),
        (
            "under_way",
            "gauge",
            "Requests to the origin that others may wait for.",
            size(stats.under_way),
        ),
        (
            "intact",
            "gauge",
            "1 while nothing is known to be missing of the purges.",
            u64::from(stats.is_intact),
        ),
    ]
}

fn render(stats: &EdgeStats) -> String {
    let mut text = String::new();
    for (name, kind, help, value) in rows(stats) {
        let _ = write!(
            text,
            "# HELP freshbase_edge_{name} {help}\n# TYPE freshbase_edge_{name} {kind}\nfreshbase_edge_{name} {value}\n"
        );
    }
    text
}

/// The meaning, and the number of a group.
type GroupRow = (&'static str, &'static str, fn(&GroupStats) -> u64);

fn render_groups(groups: &[GroupStats]) -> String {
    const ROWS: [GroupRow; 2] = [
        (
            "group_hits_total",
            "Requests without one to the origin, by what the origin counts them by.",
            |group| group.hits,
        ),
        ("group_misses_total", "Those that went to the origin.", |group| {
            group.misses
        }),
    ];
    let mut text = String::new();
    for (name, help, value) in ROWS {
        let _ = write!(
            text,
            "# HELP freshbase_edge_{name} {help}\n# TYPE freshbase_edge_{name} counter\n"
        );
        for group in groups {
            // Visible ASCII: there is no end of line in it.
            let label = group.group.replace('\\', "\\\\").replace('"', "\\\"");
            let _ = writeln!(text, "freshbase_edge_{name}{{group=\"{label}\"}} {}", value(group));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_groups_are_labels_whatever_is_in_them() {
        let group = GroupStats {
            group: r#"a"b\c{d}"#.to_owned(),
            hits: 7,
            misses: 1,
        };
        let text = render_groups(&[group]);
        let line = r#"freshbase_edge_group_hits_total{group="a\"b\\c{d}"} 7"#;
        assert!(text.lines().any(|other| other == line), "{text}");
        assert_eq!(text.lines().count(), 6);
    }
}
