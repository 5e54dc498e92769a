//! The order of results.

use std::cmp::Ordering;

use serde_json::Value;

use crate::ast::{Leaf, Order, Path, SortKey};
use crate::eval::{Origin, any_end, point_at};
use crate::geo::Near;
use crate::value::{BEFORE_NULL, compare, double_key, write_key};

static NULL: Value = Value::Null;

impl Order {
    /// Compares two objects, given as their full JSON; ties are broken by `id`. `Natural` is by `id`.
    ///
    /// A total order of objects with different ids. Cost: linear in the values that the keys name.
    pub fn compare(&self, a: &Value, b: &Value) -> Ordering {
        let by_keys = match self {
            Self::Natural => Ordering::Equal,
            Self::By(keys) => {
                let orders = keys.iter().map(|key| key.compare(a, b));
                orders
                    .into_iter()
                    .find(|order| order.is_ne())
                    .unwrap_or(Ordering::Equal)
            }
            Self::Distance(path, near) => distance(path, near, a).total_cmp(&distance(path, near, b)),
        };
        by_keys.then_with(|| id(a).cmp(id(b)))
    }

    /// Bytes that stand for an object's place: for any two objects of one class their order (that of `memcmp`) is
    /// [`Self::compare`]. They end with the object's id. Cost: that of [`sort_key`] for each key.
    pub fn position(&self, object: &Value) -> Vec<u8> {
        let mut place = Vec::new();
        match self {
            Self::Natural => {}
            Self::By(keys) => {
                for key in keys {
                    let from = place.len();
                    key.write_bytes(object, &mut place);
                    if key.descending {
                        // No key is the beginning of another, so that the order is exactly reversed.
                        place[from..].iter_mut().for_each(|byte| *byte = !*byte);
                    }
                }
            }
            Self::Distance(path, near) => {
                place.extend_from_slice(&double_key(distance(path, near, object)).to_be_bytes());
            }
        }
        place.extend_from_slice(id(object).as_bytes());
        place
    }
}

impl SortKey {
    /// Compares two objects by this key alone.
    pub fn compare(&self, a: &Value, b: &Value) -> Ordering {
        let order = match (self.value(a), self.value(b)) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => compare(single_leaf(&self.path.leaf), a, b),
        };
        if self.descending { order.reverse() } else { order }
    }

    /// Bytes for an object whose order is that of this key; to be read backwards if it is descending. See [`sort_key`].
    pub fn bytes(&self, object: &Value) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write_bytes(object, &mut bytes);
        bytes
    }

    fn write_bytes(&self, object: &Value, bytes: &mut Vec<u8>) {
        match self.value(object) {
            None => bytes.push(BEFORE_NULL),
            Some(value) => write_key(single_leaf(&self.path.leaf), value, bytes),
        }
    }

    /// The value that decides: of all that the path leads to, the least one, or the greatest one if descending. `None`
    /// stands for an empty array and is less than every value.
    fn value<'v>(&self, object: &'v Value) -> Option<&'v Value> {
        let leaf = single_leaf(&self.path.leaf);
        let mut best: Option<Option<&'v Value>> = None;
        let mut offer = |candidate: Option<&'v Value>| {
            let order = match (best, candidate) {
                (None, _) => return best = Some(candidate),
                (Some(None), None) => Ordering::Equal,
                (Some(None), Some(_)) => Ordering::Greater,
                (Some(Some(_)), None) => Ordering::Less,
                (Some(Some(best)), Some(value)) => compare(leaf, value, best),
            };
            let better = if self.descending { order.is_gt() } else { order.is_lt() };
            if better {
                best = Some(candidate);
            }
        };
        any_end(&self.path, Origin::Object(object), &mut |end| {
            match end.unwrap_or(&NULL) {
                Value::Array(elements) if elements.is_empty() => offer(None),
                Value::Array(elements) => elements.iter().for_each(|element| offer(Some(element))),
                value => offer(Some(value)),
            }
            false
        });
        best.unwrap_or(Some(&NULL))
    }
}

/// The type of what is compared: arrays are sorted by one of their elements.
pub(crate) fn single_leaf(leaf: &Leaf) -> &Leaf {
    match leaf {
        Leaf::Array(element) => element,
        single => single,
    }
}

/// Bytes whose order (that of `memcmp`, shorter first) is the ascending order of the values at `path`.
///
/// No key is the beginning of another one unless they are equal, so that keys may be concatenated. Equal keys are equal
/// values. `descending` chooses the greatest instead of the least element where the path leads to several; the bytes
/// still ascend, and the caller sorts backwards. Cost: linear in the value; objects are sorted by member name.
pub fn sort_key(path: &Path, object: &Value, descending: bool) -> Vec<u8> {
    let key = SortKey {
        path: path.clone(),
        descending,
    };
    key.bytes(object)
}

/// Distance of the nearest point that the path leads to, infinite if there is none.
fn distance(path: &Path, near: &Near, object: &Value) -> f64 {
    let mut least = f64::INFINITY;
    any_end(path, Origin::Object(object), &mut |end| {
        let mut measure = |leaf: &Leaf, value: &Value| {
            if let Some(point) = point_at(leaf, value) {
                least = least.min(near.distance(point));
            }
        };
        match end.unwrap_or(&NULL) {
            Value::Array(elements) => elements
                .iter()
                .for_each(|element| measure(path.leaf.element(), element)),
            value => measure(&path.leaf, value),
        }
        false
    });
    least
}

fn id(object: &Value) -> &str {
    object.get("id").and_then(Value::as_str).unwrap_or_default()
}
