//! One call of an app's code: what goes in, what comes out.

use bytes::Bytes;

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// `onInsert` of `/code/<class>/insert`.
    Insert,
    /// `onUpdate` of `/code/<class>/update`.
    Update,
    /// `onDelete` of `/code/<class>/delete`.
    Delete,
    /// The checks of `/code/<class>/validate`.
    Validate,
    /// `get`, `post` or `call` of `/code/<name>/module`, for a request.
    Request,
    /// `call` of `/code/<name>/module`, for something that happens in the server: a mail, a login.
    Hook,
    /// `run` or `call` of `/code/<name>/module`, for a scheduled job.
    Job,
    /// `afterInsert` and the like of `/code/<bucket>/<the same name>`, for a change that is committed.
    After,
}

/// One call. What `input` and the outcome's `json` hold by kind is described in `docs/calls.md` of this crate.
#[derive(Debug, Clone)]
pub struct Call {
    /// What is called.
    pub kind: CallKind,
    /// Class or module, as in `/code/<bucket>/<type>`.
    pub bucket: String,
    /// The type as in `/code/<bucket>/<type>`.
    pub code_type: String,
    /// A JSON object.
    pub input: String,
    /// The body of a request, as it was sent.
    pub body: Bytes,
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// A JSON object.
    pub json: String,
    /// The body of an answer.
    pub body: Bytes,
}

/// An error that code threw, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exception {
    /// `TypeError`, `Abort`, …
    pub name: String,
    /// Its message, or what was thrown instead of an error, as text.
    pub message: String,
    /// Frames, one a line, innermost first: `at f (/code/hello/module:3:7)`; lines and columns as the author wrote them.
    pub stack: String,
}

/// A call has no outcome.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// Code aborted on purpose. `data` is JSON.
    #[error("{message}")]
    Aborted {
        /// What the author says to the caller.
        message: String,
        /// JSON text.
        data: Option<String>,
    },
    /// Code threw something else, or has a mistake in it.
    #[error("{}: {}", .0.name, .0.message)]
    Failed(Box<Exception>),
    /// There is no such code.
    #[error("there is no code /code/{bucket}/{code_type}")]
    NoCode {
        /// Class or module.
        bucket: String,
        /// The type.
        code_type: String,
    },
    /// The code does not export what was to be called.
    #[error("/code/{bucket}/{code_type} exports none of {wanted}")]
    NoExport {
        /// Class or module.
        bucket: String,
        /// The type.
        code_type: String,
        /// Names, separated by commas.
        wanted: String,
    },
    /// It computed, or took, longer than it may.
    #[error("the code was stopped: {0}")]
    TooLong(&'static str),
    /// It needs more memory than it may have.
    #[error("the code was stopped: it needs more memory than it may have")]
    OutOfMemory,
    /// As many calls as allowed are running and waiting.
    #[error("too many calls are running; try again shortly")]
    Busy,
    /// The engine could not run it.
    #[error("the code could not be run: {0}")]
    Internal(String),
}
