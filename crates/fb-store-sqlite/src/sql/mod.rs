//! Filters and sort orders as SQL. Texts are made of numbers, checked identifiers and placeholders only; everything a
//! client sent is bound.

mod operand;
mod order;
mod place;
mod predicate;

pub(crate) use order::order;
pub(crate) use place::{Kind, Place, place_of_index};
pub(crate) use predicate::predicate;
