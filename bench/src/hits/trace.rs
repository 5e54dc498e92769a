//! What clients did, one event after the other.

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// An object was read.
    Object,
    /// A query was read whose result is an array of objects.
    Query,
    /// One whose result is an array of ids. The reads of its objects come right before it, as [`What::Member`].
    Ids,
    /// An object was read because it was in an array of ids.
    Member,
    /// An object was written.
    Write,
}

/// Why something was asked of the server, or of the edge in front of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// Nothing: there was a copy.
    Copy,
    /// The whole, because there was no copy.
    Absent,
    /// Whether the copy is good, because its lifetime was over.
    Ended,
    /// Whether the copy is good, because the filter names it.
    Named,
    /// Objects of a result that was there itself.
    Members,
}

impl Way {
    /// All but the first.
    pub(crate) const REQUESTS: [Self; 4] = [Self::Absent, Self::Ended, Self::Named, Self::Members];
}

/// One event. Times are in microseconds since the begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event {
    /// When it was begun.
    pub(crate) at: u32,
    /// When the answer was there.
    pub(crate) done: u32,
    /// Object or query, by rank.
    pub(crate) key: u32,
    pub(crate) what: What,
    pub(crate) way: Way,
    /// Whether the server said that the copy was good.
    pub(crate) is_confirmed: bool,
    /// Whether nothing of it was asked of the server: there was a copy, or an edge had the answer.
    pub(crate) is_near: bool,
}

impl Event {
    /// Whether its key is that of a query.
    pub(crate) fn is_query(&self) -> bool {
        matches!(self.what, What::Query | What::Ids)
    }
}
