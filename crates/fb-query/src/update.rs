//! Partial updates: operations on single fields, all of them or none.

mod apply;
mod arithmetic;
mod parse;
mod target;

use fb_types::{ClassName, ValueError};
use serde_json::{Map, Number, Value};

use crate::ast::{Leaf, TimeKind};

/// A partial update of an object of one class, checked against its schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    operations: Vec<Operation>,
}

impl Update {
    /// Names of the top-level fields that operations look at or change, as often as they occur.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.operations.iter().map(|o| &**o.parents.first().unwrap_or(&o.field))
    }
}

/// Most elements that `$replace` lets a list grow to.
pub const MAX_PADDED_LIST: usize = 10_000;

/// Why an update was refused. Some texts are part of the protocol: clients compare them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// Not of the form that updates have.
    #[error("{0}")]
    Syntax(String),
    /// There is no such operator, or it does not fit the type of the field.
    #[error("Unsupported update operation {operator} on {path}")]
    Unsupported {
        /// The operator, shortened.
        operator: String,
        /// The path, shortened.
        path: String,
    },
    /// `$set` of a whole embedded object.
    #[error("The body can't be processed")]
    WholeEmbedded,
    /// The path leads nowhere.
    #[error("{class} has no field `{path}` that could be updated")]
    UnknownField {
        /// The class the path starts in.
        class: ClassName,
        /// The path, shortened.
        path: String,
    },
    /// Only the server writes this field.
    #[error("{path} is maintained by the server and cannot be updated")]
    ReadOnly {
        /// The path.
        path: String,
    },
    /// Two operations on one path, or on a path and a part of it.
    #[error("there are two operations on {path}: use one update for each")]
    Conflict {
        /// The shorter path.
        path: String,
    },
    /// The operand does not fit the field.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// The result is outside of the numbers that the field can hold.
    #[error("{path}: the result does not fit into the field")]
    Overflow {
        /// The path.
        path: String,
    },
    /// `$replace` beyond the end of what a list can be padded to.
    #[error("{path}: a list can be extended to at most {MAX_PADDED_LIST} elements by $replace")]
    TooLong {
        /// The path with the index.
        path: String,
    },
    /// A path leads through something in a JSON object that has no members.
    #[error("{path}: the path leads through a value that is no object")]
    NotAnObject {
        /// The path.
        path: String,
    },
    /// A limit of [`Limits`](crate::Limits) is exceeded.
    #[error("{0}")]
    TooComplex(String),
}

/// One action at one place.
#[derive(Debug, Clone, PartialEq)]
struct Operation {
    /// Embedded fields on the way, from the object's root.
    parents: Vec<Box<str>>,
    /// The field that is changed.
    field: Box<str>,
    action: Action,
}

impl Operation {
    fn path(&self) -> String {
        let mut path = self.parents.join(".");
        if !path.is_empty() {
            path.push('.');
        }
        path + &self.field
    }
}

/// What happens to a field. Operands are in normal form.
#[derive(Debug, Clone, PartialEq)]
enum Action {
    Set(Value),
    /// Sets a member inside of a JsonObject; at least one step.
    SetInside(Vec<Box<str>>, Value),
    Calculate(Calculation, Number, NumberKind),
    Bits(BitOperation, i64),
    /// Keeps the smaller or the greater of both.
    Bound(Bound, Leaf, Value),
    Push(Value),
    Unshift(Value),
    Pop,
    Shift,
    Replace(usize, Value),
    Add(Value),
    RemoveElement(Value),
    RemoveKey(String),
    /// Merges entries into a map; `null` removes one.
    Put(Map<String, Value>),
    Now(TimeKind),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Calculation {
    Add,
    Subtract,
    Multiply,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NumberKind {
    Integer,
    Double,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BitOperation {
    And,
    Or,
    Xor,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    AtMost,
    AtLeast,
}
