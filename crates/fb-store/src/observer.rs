//! Who wants to know at once what was committed.

use fb_types::{Change, Stored};

/// One committed change, with the object as it is now. Of files and buckets it says only that they were written.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The change record.
    pub change: Change,
    /// The object after the change; `None` for a delete, and for files and buckets.
    pub after: Option<Stored>,
}

/// Is told of every commit of one store: after it is durable, before it is acknowledged, in commit order. It runs on
/// the writer and must be quick; it must not call the store, except for [`Store::schema`](crate::Store::schema).
pub trait CommitObserver: Send + Sync + 'static {
    /// These changes were committed together. Of an alteration these are the writes that went along with it; they are
    /// told after [`Self::altered`].
    fn committed(&self, changes: &[Committed]);

    /// The schema or stored objects were rewritten; whatever is cached of the app is void.
    fn altered(&self);
}

/// Wants to know nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl CommitObserver for NoObserver {
    fn committed(&self, _changes: &[Committed]) {}

    fn altered(&self) {}
}
