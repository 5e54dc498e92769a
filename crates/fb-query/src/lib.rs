//! The query language: filters, sort orders and partial updates, parsed against a schema and evaluated on one object.
//!
//! Knows nothing of SQL, HTTP, storage, users or time zones; it performs no I/O and reads no clock.
//! `SPEC.md` beside this crate says in numbered rules what every operator means.
//!
//! ```
//! use fb_query::{Limits, parse_filter};
//! # let schema = fb_types::Schema::initial()?;
//! # let class = schema.class("Device").expect("a predefined class");
//! let filter = parse_filter(&serde_json::json!({ "deviceOs": { "$in": ["iOS", null] } }), &schema, class, &Limits::default())?;
//! assert!(filter.matches(&serde_json::json!({ "id": "/db/Device/1", "deviceOs": "iOS" })));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod access;
mod ast;
mod bound;
mod canonical;
#[cfg(any(test, feature = "testkit"))]
pub mod conformance;
mod error;
mod eval;
#[cfg(any(test, feature = "testkit"))]
pub mod generate;
mod geo;
mod order;
mod parse;
mod pattern;
mod program;
#[cfg(test)]
mod properties;
mod shape;
mod update;
mod value;

pub use access::{Access, Choice, Spot};
pub use ast::{
    Comparison, ElementFilter, ElementTest, Filter, Leaf, Operand, Order, Path, Query, SortKey, Test, TimeKind,
    TypeClass, comparison_form,
};
pub use bound::{Fields, Parsed, Slots};
pub use error::{Limits, QueryError};
pub use geo::{Bounds, Near, Point, Region};
pub use order::sort_key;
pub use parse::{parse_filter, parse_sort};
pub use pattern::Pattern;
pub use program::Bound;
pub use update::{MAX_PADDED_LIST, Update, UpdateError};
