//! What an edge is told when it starts.

use std::fmt;
use std::time::Duration;

use crate::body::BoxError;

/// What an edge is for, and its limits.
#[derive(Clone)]
pub struct EdgeOptions {
    /// The server behind the edge: `http://host:port` or `https://host`, without a path.
    pub origin: String,
    /// Authorities that the origin's certificate may come from besides those of browsers, in PEM.
    pub authorities: Vec<Vec<u8>>,
    /// Path of the purge stream at the origin.
    pub purge_path: String,
    /// What the edge proves to the origin that it is one with, in each request ([`EDGE_SECRET`](crate::EDGE_SECRET)). Over `http://` whoever sees
    /// the traffic has it. Empty: nothing.
    pub secret: String,
    /// Bytes of memory for answers. Default: 64 MiB.
    pub memory: u64,
    /// A directory for large answers, and how many bytes of them. What is in it is removed: it is for this process alone.
    pub disk: Option<(std::path::PathBuf, u64)>,
    /// How old the last proof that no purge is missing may be when the edge answers from memory: what the edge adds to the
    /// staleness of answers. Default: 5 seconds; should be several times the origin's beat.
    pub bound: Duration,
    /// How often the origin is told of hits. Default: 10 seconds.
    pub report_every: Duration,
    /// Limits.
    pub limits: Limits,
}

/// How much of anything.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest answer that is kept, in bytes. Larger ones pass through. Default: 1 MiB, and at most a quarter of one part of the memory.
    pub answer: usize,
    /// The same for answers on disk; they are in memory while they come in. Default: 8 MiB.
    pub answer_on_disk: usize,
    /// Answers larger than [`answer`](Self::answer) that may come in at once; further ones pass through. Default: 16.
    pub large_answers: usize,
    /// Requests to the origin at once, beyond which clients are told to come again. Default: 1,024.
    pub origin_requests: usize,
    /// Time for a connection to the origin. Default: 5 seconds.
    pub connect: Duration,
    /// How long either side may send nothing while the other waits for it. Default: 30 seconds.
    pub silence: Duration,
    /// How long idle connections to the origin are kept. Default: 30 seconds; should be shorter than the origin's own limit.
    pub keep_alive: Duration,
    /// Connections of clients at once; more wait. Default: 10,000.
    pub connections: usize,
    /// Time for the headers of a request. Default: 10 seconds.
    pub request_head: Duration,
    /// Bytes of a request's headers. Default: 32 KiB.
    pub head_bytes: usize,
    /// Time for requests that are under way when the edge stops. Default: 10 seconds.
    pub shutdown: Duration,
}

impl EdgeOptions {
    /// The defaults, in front of an origin.
    pub fn of(origin: impl Into<String>) -> Self {
        Self {
            origin: origin.into(),
            authorities: Vec::new(),
            purge_path: "/.freshbase/purges".to_owned(),
            secret: String::new(),
            memory: 64 << 20,
            disk: None,
            bound: Duration::from_secs(5),
            report_every: Duration::from_secs(10),
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            answer: 1 << 20,
            answer_on_disk: 8 << 20,
            large_answers: 16,
            origin_requests: 1024,
            connect: Duration::from_secs(5),
            silence: Duration::from_secs(30),
            keep_alive: Duration::from_secs(30),
            connections: 10_000,
            request_head: Duration::from_secs(10),
            head_bytes: 32 << 10,
            shutdown: Duration::from_secs(10),
        }
    }
}

impl fmt::Debug for EdgeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EdgeOptions")
            .field("origin", &self.origin)
            .field("purge_path", &self.purge_path)
            .field("secret", &"***")
            .field("memory", &self.memory)
            .field("disk", &self.disk)
            .field("bound", &self.bound)
            .field("report_every", &self.report_every)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// An edge cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EdgeError {
    /// The origin is not the URL of a server.
    #[error("the origin must be http:// or https:// with a host, and without a path")]
    Origin,
    /// The path or the secret of the purge stream does not fit into a request.
    #[error("the path of the purge stream must begin with /, and the secret must be of visible ASCII characters")]
    Purges,
    /// The directory for large answers cannot be used.
    #[error("the directory {0} cannot be used for answers; it must be the edge's own")]
    Disk(std::path::PathBuf, #[source] std::io::Error),
    /// TLS to the origin cannot be set up.
    #[error("TLS to the origin cannot be set up")]
    Tls(#[source] BoxError),
}
