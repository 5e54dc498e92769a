//! The query language: filters, sort orders and partial updates, parsed against a schema and evaluated on one object.
//!
//! Knows nothing of SQL, HTTP, storage, users or time zones; it performs no I/O and reads no clock.
//! `SPEC.md` beside this crate says in numbered rules what every operator means.

mod ast;
mod geo;
mod pattern;

pub use ast::{
    Comparison, ElementFilter, ElementTest, Filter, Leaf, Operand, Order, Path, Query, SortKey, Test, TimeKind,
    TypeClass, comparison_form,
};
pub use geo::{Bounds, Near, Point, Region};
pub use pattern::Pattern;
