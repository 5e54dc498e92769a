//! Runs apps' JavaScript in sandboxes with limits of time and memory. Knows nothing of HTTP servers, storage, users or rights: what code
//! may do with its surroundings is what its [`Host`] does for it.

mod bridge;
mod builtins;
mod call;
mod code;
mod compile;
mod engine;
mod errors;
mod hands;
mod host;
mod instance;
mod limits;
mod native;
mod pool;
mod queue;
mod source_map;
mod stats;
mod task;
mod threads;
mod validation;
mod watch;

pub use call::{Call, CallError, CallKind, Exception, Outcome};
pub use code::Code;
pub use engine::{Engine, EngineError, EngineOptions};
pub use host::{Host, HostError, HttpRequest, HttpResponse, LogLevel, LogLine, Operation};
pub use limits::Limits;
pub use pool::Pool;
pub use stats::Stats;
