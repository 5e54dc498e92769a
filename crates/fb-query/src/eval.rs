//! Filters evaluated on one object. The rules are numbered in SPEC.md.

use std::cmp::Ordering;

use serde_json::Value;

use crate::ast::{Comparison, ElementFilter, ElementTest, Filter, Leaf, Operand, Path, Test, TypeClass};
use crate::geo::Point;
use crate::shape::list_index;
use crate::value::{class_of, compare, equal};

static NULL: Value = Value::Null;

/// From this length on, a list of operands is searched by halving.
const SEARCH_BY_HALVES: usize = 8;

impl Filter {
    /// True if `object`, the full JSON of an object of the class the filter was parsed for, passes.
    ///
    /// Declared fields that the JSON lacks count as `null`. Never panics, whatever the JSON.
    /// Cost: linear in the filter and in the parts of the object it names, no allocation except for comparing objects.
    pub fn matches(&self, object: &Value) -> bool {
        match self {
            Self::And(filters) => filters.iter().all(|f| f.matches(object)),
            Self::Or(filters) => filters.iter().any(|f| f.matches(object)),
            Self::Not(filter) => !filter.matches(object),
            Self::Field(path, test) => path_passes(path, test, Origin::Object(object)),
        }
    }
}

/// What a path starts at.
#[derive(Clone, Copy)]
pub(crate) enum Origin<'v> {
    /// The object as a whole.
    Object(&'v Value),
    /// The field that the path begins with, already looked up.
    Field(Option<&'v Value>),
}

/// Calls `found` for every place that `path` leads to until it returns true, and tells whether it did. `None` is a
/// missing value. On the way, arrays stand for their object elements, and a number also for the element of that index.
/// Scalars and arrays inside of such an array are passed over, so that there may be no call at all.
pub(crate) fn any_end<'v>(path: &Path, origin: Origin<'v>, found: &mut dyn FnMut(Option<&'v Value>) -> bool) -> bool {
    match origin {
        Origin::Object(object) => walk(object, &path.steps, found),
        Origin::Field(None) => found(None),
        Origin::Field(Some(value)) => walk(value, path.steps.get(1..).unwrap_or_default(), found),
    }
}

fn walk<'v>(value: &'v Value, steps: &[Box<str>], found: &mut dyn FnMut(Option<&'v Value>) -> bool) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        return found(Some(value));
    };
    match value {
        Value::Object(members) => match members.get(&**step) {
            Some(member) => walk(member, rest, found),
            None => found(None),
        },
        Value::Array(elements) => {
            let index = list_index(step);
            if let Some(element) = index.and_then(|i| elements.get(i))
                && walk(element, rest, found)
            {
                return true;
            }
            elements.iter().any(|element| match element {
                // A number that means an index must not make each of the elements a missing value.
                Value::Object(members) if index.is_some() && !members.contains_key(&**step) => false,
                Value::Object(_) => walk(element, steps, found),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => false,
            })
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => found(None),
    }
}

pub(crate) fn path_passes(path: &Path, test: &Test, object: Origin<'_>) -> bool {
    match test {
        Test::Exists => exists(path, object),
        Test::ContainsAll(operands) => {
            let contains = |operand| any_candidate(path, object, &|leaf, value| equals(leaf, value, operand));
            !operands.is_empty() && operands.iter().all(contains)
        }
        // These look at an array as a whole.
        Test::Size(_) | Test::Element(_) => any_end(path, object, &mut |end| {
            end.is_some_and(|value| value_passes(test, &path.leaf, value))
        }),
        Test::Equal(_)
        | Test::Compare(..)
        | Test::In(_)
        | Test::Modulo { .. }
        | Test::Matches(_)
        | Test::Type(_)
        | Test::Near(_)
        | Test::Within(_) => any_candidate(path, object, &|leaf, value| value_passes(test, leaf, value)),
    }
}

/// A declared field exists if the object that declares it does; anything else, if it is there.
fn exists(path: &Path, object: Origin<'_>) -> bool {
    if !path.direct {
        return any_end(path, object, &mut |end| end.is_some());
    }
    let mut is_object = |parent: Option<&Value>| parent.is_some_and(Value::is_object);
    match (path.steps.split_last(), object) {
        // The object that declares a path of one step is the root.
        (None, _) => true,
        (Some((_, [])), Origin::Field(_)) => true,
        (Some((_, parents)), Origin::Object(object)) => walk(object, parents, &mut is_object),
        (Some((_, _)), Origin::Field(None)) => false,
        (Some((_, parents)), Origin::Field(Some(value))) => walk(value, &parents[1..], &mut is_object),
    }
}

/// True if a value passes, of those that the path leads to and, where these are arrays, their elements. Missing is null.
fn any_candidate(path: &Path, object: Origin<'_>, passes: &dyn Fn(&Leaf, &Value) -> bool) -> bool {
    any_end(path, object, &mut |end| {
        let value = end.unwrap_or(&NULL);
        if let Value::Array(elements) = value {
            let leaf = path.leaf.element();
            if elements.iter().any(|element| passes(leaf, element)) {
                return true;
            }
        }
        passes(&path.leaf, value)
    })
}

/// The test of one value by itself; the elements of an array are not looked at, except by `Element`.
fn value_passes(test: &Test, leaf: &Leaf, value: &Value) -> bool {
    match test {
        Test::Equal(operand) => equals(leaf, value, operand),
        Test::Compare(comparison, operand) => {
            class_of(leaf, value) == class_of(leaf, &operand.0) && holds(*comparison, compare(leaf, value, &operand.0))
        }
        Test::In(operands) => is_in(leaf, value, operands),
        Test::ContainsAll(operands) => !operands.is_empty() && operands.iter().all(|o| equals(leaf, value, o)),
        Test::Size(size) => value.as_array().is_some_and(|elements| elements.len() as u64 == *size),
        Test::Exists => true,
        Test::Modulo { divisor, remainder } => {
            whole(value).is_some_and(|whole| whole.wrapping_rem(*divisor) == *remainder)
        }
        Test::Matches(pattern) => match value {
            Value::String(text) => class_of(leaf, value) == TypeClass::String && pattern.is_match(text),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => false,
        },
        Test::Type(classes) => classes.contains(&class_of(leaf, value)),
        Test::Element(filter) => value.as_array().is_some_and(|elements| {
            let leaf = leaf.element();
            elements.iter().any(|element| element_passes(filter, leaf, element))
        }),
        Test::Near(near) => point_at(leaf, value).is_some_and(|point| near.contains(point)),
        Test::Within(region) => point_at(leaf, value).is_some_and(|point| region.contains(point)),
    }
}

fn element_passes(filter: &ElementFilter, leaf: &Leaf, element: &Value) -> bool {
    match filter {
        ElementFilter::Value(tests) => tests
            .iter()
            .all(|ElementTest { negated, test }| value_passes(test, leaf, element) != *negated),
        ElementFilter::Object(filter) => element.is_object() && filter.matches(element),
    }
}

fn equals(leaf: &Leaf, value: &Value, operand: &Operand) -> bool {
    equal(leaf, value, &operand.0)
}

fn is_in(leaf: &Leaf, value: &Value, operands: &[Operand]) -> bool {
    // The parser sorts operands as single values. Arrays may have typed elements, whose order is another one.
    if operands.len() < SEARCH_BY_HALVES || value.is_array() {
        operands.iter().any(|operand| equals(leaf, value, operand))
    } else {
        operands.binary_search_by(|o| compare(leaf, &o.0, value)).is_ok()
    }
}

pub(crate) fn holds(comparison: Comparison, order: Ordering) -> bool {
    match comparison {
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    }
}

/// A number without its fraction, if that is a 64-bit integer.
pub(crate) fn whole(value: &Value) -> Option<i64> {
    let Value::Number(number) = value else { return None };
    if number.is_i64() || number.is_u64() {
        return number.as_i64();
    }
    let float = number.as_f64()?.trunc();
    // 2^63 is exactly representable, i64::MAX is not.
    (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0)
        .contains(&float)
        .then_some(float as i64)
}

/// The point that a value is at such a place: geo points, and objects of their form in untyped JSON.
pub(crate) fn point_at(leaf: &Leaf, value: &Value) -> Option<Point> {
    match leaf {
        Leaf::GeoPoint | Leaf::Any => Point::from_json(value),
        Leaf::Boolean | Leaf::Number | Leaf::Text | Leaf::Time(_) | Leaf::Object | Leaf::Array(_) => None,
    }
}
