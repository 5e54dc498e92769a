//! What can go wrong with a request to the outside.

use std::time::Duration;

/// A cause, for the log.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why there is no answer. None of them is retried here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboundError {
    /// The URL, or a header, is not one that can be requested. The caller gave it.
    #[error("not a URL to request: {reason}")]
    Invalid {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The guard refuses the target. An operator can allow it.
    #[error("{host} is refused: {reason}")]
    Refused {
        /// The host as it stands in the URL.
        host: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// No connection, no TLS session, or the connection broke.
    #[error("failed while {during}")]
    Unreachable {
        /// What was going on.
        during: &'static str,
        /// Why it failed.
        #[source]
        source: BoxError,
    },
    /// The answer was not complete in time.
    #[error("no complete answer within {limit:?}")]
    Timeout {
        /// The time for the whole request.
        limit: Duration,
    },
    /// The body of the answer is larger than permitted.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// Largest body in bytes.
        limit: usize,
    },
    /// The client could not be set up. Only [`Outbound::new`](crate::Outbound::new) gives this.
    #[error("failed while {during}")]
    Setup {
        /// What was going on.
        during: &'static str,
        /// Why it failed.
        #[source]
        source: BoxError,
    },
}
