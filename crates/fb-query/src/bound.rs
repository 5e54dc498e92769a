//! Filters of one class that are evaluated on the same object many at a time.

use indexmap::IndexSet;
use serde_json::Value;

use crate::access::Spot;
use crate::ast::{Filter, Path, Test};
use crate::eval::{Origin, path_passes};

/// The fields and paths that the filters of one class name, numbered, so that each field of an object is looked up once
/// for all filters. It only grows.
#[derive(Debug, Default)]
pub struct Slots {
    fields: IndexSet<Box<str>>,
    paths: IndexSet<Path>,
    /// The field that each path begins with.
    field_of: Vec<u32>,
}

/// The values of one object at the fields of [`Slots`].
#[derive(Debug)]
pub struct Fields<'v>(Vec<Option<&'v Value>>);

/// A [`Filter`] whose paths are numbers of [`Slots`]. Passes exactly the objects that the filter passes.
#[derive(Debug)]
pub struct Bound(Node);

#[derive(Debug)]
enum Node {
    And(Box<[Node]>),
    Or(Box<[Node]>),
    Not(Box<Node>),
    Field(u32, Test),
}

impl Slots {
    /// Prepares a filter of the class these slots are for.
    pub fn bind(&mut self, filter: Filter) -> Bound {
        Bound(self.node(filter))
    }

    fn node(&mut self, filter: Filter) -> Node {
        match filter {
            Filter::And(filters) => Node::And(filters.into_iter().map(|f| self.node(f)).collect()),
            Filter::Or(filters) => Node::Or(filters.into_iter().map(|f| self.node(f)).collect()),
            Filter::Not(filter) => Node::Not(Box::new(self.node(*filter))),
            Filter::Field(path, test) => Node::Field(self.path(path), test),
        }
    }

    /// The number of a path, the same for equal paths.
    pub fn path(&mut self, path: Path) -> u32 {
        let field = match self.fields.get_index_of(path.field()) {
            Some(known) => known,
            None => self.fields.insert_full(path.field().into()).0,
        };
        let (number, is_new) = self.paths.insert_full(path);
        if is_new {
            self.field_of.push(u32::try_from(field).unwrap_or(u32::MAX));
        }
        u32::try_from(number).unwrap_or(u32::MAX)
    }

    /// Looks up the fields of an object. Cost: one lookup per field that any filter names.
    pub fn fields<'v>(&self, object: &'v Value) -> Fields<'v> {
        Fields(self.fields.iter().map(|name| object.get(&**name)).collect())
    }

    /// Where a path starts in an object.
    fn origin<'v>(&self, fields: &Fields<'v>, path: u32) -> Origin<'v> {
        let field = self.field_of.get(path as usize).copied().unwrap_or(u32::MAX);
        Origin::Field(fields.0.get(field as usize).copied().flatten())
    }

    /// Tells everything that an index over the path must look up of an object: the keys of all values that the path leads
    /// to, elements of arrays included. What is told more than once may count once.
    pub fn spots(&self, fields: &Fields<'_>, path: u32, found: &mut dyn FnMut(Spot<'_>)) {
        if let Some(known) = self.paths.get_index(path as usize) {
            crate::access::spots(known, self.origin(fields, path), found);
        }
    }
}

impl Bound {
    /// True if the object whose fields these are passes. `slots` are those it was bound with.
    /// Cost: as [`Filter::matches`], without looking up fields.
    pub fn matches(&self, slots: &Slots, fields: &Fields<'_>) -> bool {
        self.0.matches(slots, fields)
    }
}

impl Node {
    fn matches(&self, slots: &Slots, fields: &Fields<'_>) -> bool {
        match self {
            Self::And(nodes) => nodes.iter().all(|node| node.matches(slots, fields)),
            Self::Or(nodes) => nodes.iter().any(|node| node.matches(slots, fields)),
            Self::Not(node) => !node.matches(slots, fields),
            Self::Field(path, test) => match slots.paths.get_index(*path as usize) {
                Some(known) => path_passes(known, test, slots.origin(fields, *path)),
                None => false,
            },
        }
    }
}
