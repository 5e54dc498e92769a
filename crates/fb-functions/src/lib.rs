//! Runs apps' JavaScript in sandboxes with limits of time and memory. Knows nothing of HTTP servers, storage, users or rights: what code
//! may do with its surroundings is what its [`Host`] does for it.

mod call;
mod code;
mod host;
mod limits;
mod node;

pub use call::{Call, CallError, CallKind, Exception, Outcome};
pub use code::Code;
pub use host::{Host, HostError, HttpRequest, HttpResponse, LogLevel, LogLine, Operation};
pub use limits::Limits;
