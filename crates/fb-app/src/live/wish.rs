//! What a client wants to be told.

use fb_live::{Operation, What};
use serde_json::Value;

/// A subscription as it came.
#[derive(Debug, Clone)]
pub struct LiveWish {
    /// The class.
    pub bucket: String,
    /// The filter.
    pub filter: Value,
    /// The sort order; `null` is none.
    pub sort: Value,
    /// How many matching objects to skip.
    pub offset: u64,
    /// How many to keep up to date; `None` is all, or as many as a sorted query may have.
    pub limit: Option<u64>,
    /// True if the result as it is now is wanted first.
    pub initial: bool,
    /// Which events.
    pub events: Events,
    /// If it is to go on when its connection breaks.
    pub resume: Resume,
}

impl LiveWish {
    /// True if the same events are wanted of the same query.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let key = |wish: &Self| (wish.offset, wish.limit, wish.events);
        self.bucket == other.bucket && self.filter == other.filter && self.sort == other.sort && key(self) == key(other)
    }
}

/// What is to become of a subscription whose connection breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resume {
    /// It ends.
    Never,
    /// It can be resumed: messages come with tokens.
    Possible,
    /// The one that the token is from goes on behind that message if it can; else this one begins. The first message says which.
    After(String),
}

/// Which events a client wants. They are counted out after the result was kept up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Events {
    /// By what happens to the result; `None` is all.
    pub matches: Option<Matches>,
    /// By what was done to the object; `None` is any.
    pub operations: Option<Operations>,
}

/// Kinds of changes of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Matches {
    /// Objects that come in
    pub add: bool,
    /// Objects that are changed where they are
    pub change: bool,
    /// Objects that are moved
    pub change_index: bool,
    /// Objects that leave
    pub remove: bool,
    /// All but those that leave, under the name `match` unless they are wanted by their own
    pub any_match: bool,
}

/// Kinds of writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Operations {
    /// Inserts
    pub insert: bool,
    /// Updates
    pub update: bool,
    /// Deletes
    pub delete: bool,
    /// Of objects that were not written themselves
    pub none: bool,
}

impl Events {
    /// Everything.
    pub const ALL: Self = Self {
        matches: None,
        operations: None,
    };

    /// The name under which an event is told; `None` if it is not.
    pub(super) fn name(&self, what: What, operation: Operation) -> Option<&'static str> {
        if let Some(wanted) = self.operations {
            let is_wanted = match operation {
                Operation::Insert => wanted.insert,
                Operation::Update => wanted.update,
                Operation::Delete => wanted.delete,
                Operation::None => wanted.none,
            };
            if !is_wanted {
                return None;
            }
        }
        let Some(wanted) = self.matches else {
            return Some(own_name(what));
        };
        let by_name = match what {
            What::Add => wanted.add,
            What::Change => wanted.change,
            What::ChangeIndex => wanted.change_index,
            What::Remove => wanted.remove,
        };
        if by_name {
            Some(own_name(what))
        } else {
            (wanted.any_match && what != What::Remove).then_some("match")
        }
    }
}

fn own_name(what: What) -> &'static str {
    match what {
        What::Add => "add",
        What::Change => "change",
        What::ChangeIndex => "changeIndex",
        What::Remove => "remove",
    }
}
