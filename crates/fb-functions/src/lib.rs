//! Runs apps' JavaScript in sandboxes with limits of time and memory. Knows nothing of HTTP servers, storage, users or rights: what code
//! may do with its surroundings is what its [`Host`] does for it.
//!
//! ```
//! # use std::sync::Arc;
//! # use bytes::Bytes;
//! # use fb_functions::*;
//! # struct Alone;
//! # impl Host for Alone {
//! #     fn operate(&self, _: Operation) -> futures_util::future::BoxFuture<'static, Result<HttpResponse, HostError>> {
//! #         Box::pin(async { Err(HostError("nobody is there".to_owned())) })
//! #     }
//! #     fn log(&self, _: LogLine) {}
//! #     fn schema(&self) -> (u64, Arc<str>) { (0, Arc::from("[]")) }
//! # }
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let engine = Engine::new(EngineOptions::default()).unwrap();
//! let pool = engine.pool("app", Limits::default());
//! let source = Arc::from("exports.call = (db, name) => `Hello ${name}`;");
//! let code = Arc::new(Code::new([("greet".to_owned(), "module".to_owned(), source)]));
//! let call = Call {
//!     kind: CallKind::Hook,
//!     bucket: "greet".to_owned(),
//!     code_type: "module".to_owned(),
//!     input: r#"{"me": null, "data": "Ada"}"#.to_owned(),
//!     body: Bytes::new(),
//! };
//! let outcome = pool.call(&code, call, Arc::new(Alone)).await.unwrap();
//! assert_eq!(outcome.json, r#"{"result":"Hello Ada"}"#);
//! # });
//! ```
//!
//! # How a call runs
//!
//! [`Pool::call`] takes one of the app's places (`Limits::instances`; up to `Limits::waiting` calls wait for one), puts the call into the
//! queue and waits. A thread of the engine takes it out, gives it a warm instance of the same [`Code`] or a fresh one, and runs a
//! *slice*: the entry point, then promise jobs until there are none left. If the call is over then, the instance goes back to the pool
//! and the outcome to the caller. Otherwise the instance is parked and the thread is free; what code asked for meanwhile, operations of
//! the host and timers, is carried out **inside of the caller's future**, and each answer makes the call ready for a further slice.
//! So dropping the future gives up everything at once, without tasks to be found and ended. An instance has one call at a time.
//!
//! An *instance* is a QuickJS runtime with one context, and a second one if the app has validation code. Its memory limit is the
//! runtime's, its stack is bounded, and it has no modules `std` and `os` of QuickJS. `js/engine` is its prelude, compiled once per
//! process; code of apps is compiled once per instance, since bytecode cannot be loaded from memory that goes away again without
//! unsafe code. Some instances are made ahead, while threads have nothing else to do.
//!
//! # Time
//!
//! QuickJS asks every few thousand steps whether to go on; CPU time is the thread's own clock, so that a busy machine shortens nobody's
//! share; all that a slice does counts, with everything that came in for it, and the description of rejections that nobody listened to.
//! Apps take turns in the queue, and one app runs at most half as many slices as there are threads. A slice of more than 20 ms goes on with
//! lower priority (Linux), and another thread takes the place of its own, so that no number of apps that compute keeps others from
//! running; at most 64 are added in this way. Loops inside of QuickJS that do not ask, such as slicing a sparse array of 2³² elements, cannot be ended: the caller
//! gets [`CallError::TooLong`] at wall time, the thread is replaced, and an app that holds half of the threads in this way gets
//! [`CallError::Busy`] until they end. Regular expressions do ask.
//!
//! # Memory
//!
//! `Limits::memory_bytes` is QuickJS's own limit of one instance. Beyond that, what calls hold while they wait is counted per app: their
//! instances, measured when a slice ends, and operations that are not over, of which one call has at most 32 MiB. Together that is at most
//! four times `memory_bytes`, or 64 MiB if that is more; a call comes in only while there is room for a whole instance, and one that grows beyond what is left ends. An
//! instance with more than 16 MiB at the end of a call serves no further one, and idle instances of a node have a limit of memory besides
//! that of their number (`EngineOptions::max_idle_bytes`). Answers of the host and slices that are running come on top.
//!
//! # What stays between calls
//!
//! State of modules stays, as in all serverless platforms: what code keeps in its own variables it keeps knowingly, for as long as the
//! instance lives. Everything else does not: intrinsics are frozen, and what a call did to the global object is undone after it; globals
//! that a module makes while it loads stay as they were then, but not those that the call had made until then. Files of the engine do not
//! look globals of the language up, which a call may have replaced, but have them as constants. Assignments that a frozen prototype would forbid
//! (`error.name = …`, `object.toString = …`) work. `Promise`, `Map` and the like and everything of Node can be replaced; `Object`,
//! `Array`, `Math` and so on cannot. Exports of builtins are frozen as well when they have loaded, with prototypes of their classes
//! (`js/engine/seal.js`), state behind them is put back after a call (`native.keep`), and classes of `db` that a call has changed are made
//! anew. Functions of prototypes can still be given properties: nobody does that by mistake.
//! Callbacks of a `FinalizationRegistry` would come at any time, so there are none: it can be made and does nothing.
//! An instance that was stopped, ran out of memory, keeps too much of it, has operations under way that nobody awaits, waits for something
//! that never happens, has promise jobs left, in which a module or a builtin did not load, or whose global object cannot be restored, serves
//! no further call.
//!
//! # Errors
//!
//! Positions are the author's: frames of the engine are left out, the wrapper of CommonJS modules is taken off, inline source maps are
//! followed, unless they name more sources, or longer ones, than authors have. `null` that is thrown counts as out of memory, unless code of the app throws it by itself: QuickJS throws it when there is
//! no memory for an error. A promise that finds no memory for its next step never settles; such a call ends with the error that it
//! waits for something that never happens, as do calls that wait for neither operation nor timer.

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
mod memory;
mod native;
mod pool;
mod queue;
mod source_map;
mod stats;
mod task;
#[cfg(test)]
mod tests;
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
