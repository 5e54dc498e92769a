//! What a store of one app's objects must do, and the contract suite that every store has to pass.
//!
//! Knows nothing of SQL, HTTP or tokens. Backends depend on this crate and implement [`Store`] and [`Node`].

mod batch;
mod error;
mod files;
mod index;
mod node;
mod observer;
mod rows;
mod store;
#[cfg(feature = "testkit")]
pub mod testkit;

pub use batch::{
    Batch, Decide, Effect, Expect, Moment, NOTES, ObjectWrite, Outcome, RecordWrite, Refusal, Write, note_key,
};
pub use error::{BoxError, NodeError, StoreError};
pub use files::{
    BucketEffect, BucketWrite, ContentWrite, DecideFile, FileEffect, FileList, FileWrite, Unused, verdict,
};
pub use index::{Direction, IndexDef, IndexKey};
pub use node::{AppRecord, Node, OpenOptions};
pub use observer::{CommitObserver, Committed, NoObserver};
pub use rows::{Row, Rows, RowsBuilder};
pub use store::{Alteration, BoxFuture, Oldest, Records, Rewrite, Store, StoreStats};
