//! What code may do with its surroundings.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;

/// A request that code makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET`, …
    pub method: String,
    /// For [`Operation::Api`] path and query below the API's base (`/db/Todo?…`), else a whole URL.
    pub url: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Empty if there is none.
    pub body: Bytes,
}

/// The answer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// Status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Bytes,
}

/// What code asks for; each is answered by an [`HttpResponse`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// A request to the app's own API, with the rights of the call.
    Api(HttpRequest),
    /// A request to the outside.
    Fetch(HttpRequest),
    /// A variant of an image: the URL is its description (`crop=1:1&width=200&format=webp`), the body the image.
    Image(HttpRequest),
}

/// How important a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// `console.trace`, `db.log.trace`.
    Trace,
    /// `console.debug`.
    Debug,
    /// `console.log`, `console.info`.
    Info,
    /// `console.warn`.
    Warn,
    /// `console.error`.
    Error,
}

/// A line for the app's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How important it is.
    pub level: LogLevel,
    /// The text.
    pub message: String,
}

/// Why an operation has no answer; code sees it as the message of an error.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct HostError(pub String);

/// What one call may do with its surroundings. One value per call: it knows on whose behalf the call is.
pub trait Host: Send + Sync + 'static {
    /// Carries out an operation. Dropping the future gives it up.
    fn operate(&self, operation: Operation) -> BoxFuture<'static, Result<HttpResponse, HostError>>;

    /// Takes a line for the log. Must not block.
    fn log(&self, line: LogLine);

    /// The call asks to be nobody's in particular: operations that begin behind this are made with the rights that everybody's calls
    /// have. `knows_caller` says that code has looked by then who calls. Must not block.
    fn share(&self, knows_caller: bool) {
        let _ = knows_caller;
    }

    /// The app's schema: a number that changes with it, and the JSON array of its classes.
    fn schema(&self) -> (u64, Arc<str>);
}
