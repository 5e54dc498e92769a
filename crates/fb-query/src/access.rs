//! What an index can look up of a filter: conditions that every object it passes must meet.
//!
//! They only narrow. Whoever finds a filter by them asks the filter itself whether the object passes.

use serde_json::Value;

use crate::ast::{Comparison, ElementFilter, Filter, Leaf, Operand, Path, Test, TypeClass};
use crate::eval::{Origin, any_end, point_at};
use crate::geo::{Bounds, Point};
use crate::order::single_leaf;
use crate::value::{class_byte, class_of, write_key};

/// One necessary condition: the object has, at the path, a [`Spot`] that it covers.
#[derive(Debug, Clone, PartialEq)]
pub enum Access {
    /// A value with exactly this key.
    Equal(Path, Box<[u8]>),
    /// A value whose place is in this range, both ends included. Places are the first 16 bytes of keys.
    Range(Path, u128, u128),
    /// A point in this rectangle.
    Area(Path, Bounds),
}

/// Conditions of which every object that passes the filter meets at least one. Never empty unless no object passes.
pub type Choice = Vec<Access>;

/// One of the values at a path, as an index looks it up.
#[derive(Debug)]
pub enum Spot<'k> {
    /// The key of a value that is neither an array nor an object.
    Key(&'k [u8]),
    /// A point.
    Point(Point),
}

/// Most conditions in one choice; filters that need more are not looked up but asked about every object.
const MOST: usize = 256;

impl Spot<'_> {
    /// The place of a key among ranges.
    pub fn place(key: &[u8]) -> u128 {
        let mut first = [0; 16];
        let n = key.len().min(16);
        first[..n].copy_from_slice(&key[..n]);
        u128::from_be_bytes(first)
    }
}

impl Filter {
    /// All choices that the filter offers: for each, every object that passes meets at least one of its conditions. Their
    /// paths are paths that the filter names.
    /// An index uses the one that it can look up best; none means that nothing can be looked up.
    pub fn choices(&self) -> Vec<Choice> {
        match self {
            Self::And(filters) => {
                let mut all: Vec<Choice> = filters.iter().flat_map(Self::choices).collect();
                join_ranges(&mut all);
                all
            }
            Self::Or(filters) => {
                let mut joined = Choice::new();
                for filter in filters {
                    let Some(best) = filter.choices().into_iter().min_by_key(weight) else {
                        return Vec::new();
                    };
                    joined.extend(best);
                }
                if joined.len() > MOST { Vec::new() } else { vec![joined] }
            }
            Self::Not(_) => Vec::new(),
            Self::Field(path, test) => of_test(path, test).into_iter().collect(),
        }
    }
}

/// How many objects meet a choice, roughly: the greater the more.
pub(crate) fn weight(choice: &Choice) -> u64 {
    choice.iter().map(Access::weight).sum()
}

impl Access {
    /// The path that is looked at.
    pub fn path(&self) -> &Path {
        match self {
            Self::Equal(path, _) | Self::Range(path, ..) | Self::Area(path, _) => path,
        }
    }

    /// True if an object with this spot at the path may pass.
    pub fn covers(&self, spot: &Spot<'_>) -> bool {
        match (self, spot) {
            (Self::Equal(_, key), Spot::Key(other)) => **key == **other,
            (Self::Range(_, from, to), Spot::Key(key)) => (*from..=*to).contains(&Spot::place(key)),
            (Self::Area(_, bounds), Spot::Point(point)) => {
                (bounds.south..=bounds.north).contains(&point.latitude)
                    && (bounds.west..=bounds.east).contains(&point.longitude)
            }
            (Self::Equal(..) | Self::Range(..), Spot::Point(_)) | (Self::Area(..), Spot::Key(_)) => false,
        }
    }

    /// How many objects meet the condition, roughly: the greater the more. For choosing among several.
    pub fn weight(&self) -> u64 {
        match self {
            // There are two truth values, and missing values are many.
            Self::Equal(_, key) if matches!(key.first(), Some(1 | 6)) => 1_000,
            Self::Equal(..) => 1,
            Self::Area(..) => 20,
            Self::Range(_, from, to) => {
                let open = (from << 8 == 0) || (to << 8 == !0 << 8);
                if open { 5_000 } else { 20 }
            }
        }
    }
}

/// Two bounds of one value are one range. Where a path may lead to several values, each bound may be met by another one.
fn join_ranges(choices: &mut Vec<Choice>) {
    let mut joined: Vec<Choice> = Vec::with_capacity(choices.len());
    for choice in choices.drain(..) {
        if let [Access::Range(path, from, to)] = choice.as_slice()
            && path.is_direct()
            && !matches!(path.leaf(), Leaf::Array(_))
        {
            let same = joined.iter_mut().find_map(|known| match known.as_mut_slice() {
                [Access::Range(other, from, to)] if other == path => Some((from, to)),
                _ => None,
            });
            if let Some((known_from, known_to)) = same {
                *known_from = (*known_from).max(*from);
                *known_to = (*known_to).min(*to);
                continue;
            }
        }
        joined.push(choice);
    }
    *choices = joined;
}

fn of_test(path: &Path, test: &Test) -> Option<Choice> {
    let equal = |operand: &Operand| Some(Access::Equal(path.clone(), key_of(path, operand)?));
    match test {
        Test::Equal(operand) => Some(vec![equal(operand)?]),
        Test::In(operands) if operands.len() <= MOST => operands.iter().map(equal).collect(),
        // All of them are there, so the first one is.
        Test::ContainsAll(operands) => match operands.iter().find_map(equal) {
            Some(first) => Some(vec![first]),
            None if operands.is_empty() => Some(Vec::new()),
            None => None,
        },
        Test::Compare(comparison, operand) => {
            let key = key_of(path, operand)?;
            let class = u128::from(*key.first()?) << 120;
            let place = Spot::place(&key);
            Some(vec![match comparison {
                Comparison::Less | Comparison::LessOrEqual => Access::Range(path.clone(), class, place),
                Comparison::Greater | Comparison::GreaterOrEqual => {
                    Access::Range(path.clone(), place, class | (!0 >> 8))
                }
            }])
        }
        Test::Matches(pattern) => {
            let prefix = pattern.literal_prefix()?;
            let mut from = vec![class_byte(TypeClass::String)];
            // A NUL is written as two bytes: what is before it is a prefix as well.
            from.extend(prefix.bytes().take_while(|byte| *byte != 0));
            let n = from.len().min(16);
            let rest = if n == 16 { 0 } else { !0_u128 >> (8 * n) };
            let place = Spot::place(&from);
            Some(vec![Access::Range(path.clone(), place, place | rest)])
        }
        Test::Near(near) => {
            let bounds = near.bounds()?;
            Some(bounds.into_iter().map(|b| Access::Area(path.clone(), b)).collect())
        }
        Test::Within(region) => Some(vec![Access::Area(path.clone(), region.bounds())]),
        Test::Element(filter) => match &**filter {
            // Elements are among what the path leads to.
            ElementFilter::Value(tests) => tests
                .iter()
                .filter(|test| !test.negated)
                .filter_map(|test| of_test(path, &test.test))
                .min_by_key(weight),
            ElementFilter::Object(_) => None,
        },
        Test::In(_) | Test::Size(_) | Test::Exists | Test::Modulo { .. } | Test::Type(_) => None,
    }
}

/// The key of an operand that a value at the path must have to be equal; `None` for arrays and objects.
fn key_of(path: &Path, operand: &Operand) -> Option<Box<[u8]>> {
    let value = operand.value();
    if matches!(value, Value::Array(_) | Value::Object(_)) {
        return None;
    }
    let mut key = Vec::new();
    write_key(single_leaf(path.leaf()), value, &mut key);
    Some(key.into())
}

/// See [`Slots::spots`](crate::Slots::spots).
pub(crate) fn spots(path: &Path, origin: Origin<'_>, found: &mut dyn FnMut(Spot<'_>)) {
    let leaf = single_leaf(path.leaf());
    let mut key = Vec::with_capacity(32);
    let mut tell = |value: &Value| match value {
        Value::Array(_) => {}
        Value::Object(_) => {
            if let Some(point) = point_at(leaf, value) {
                found(Spot::Point(point));
            }
        }
        value => {
            key.clear();
            debug_assert!(!matches!(class_of(leaf, value), TypeClass::Array | TypeClass::Object));
            write_key(leaf, value, &mut key);
            found(Spot::Key(&key));
        }
    };
    any_end(path, origin, &mut |end| {
        match end {
            Some(Value::Array(elements)) => elements.iter().for_each(&mut tell),
            Some(value) => tell(value),
            None => tell(&Value::Null),
        }
        false
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::generate::world_of;
    use crate::{Limits, parse_filter};

    fn choices(ty: &str, filter: &Value) -> Vec<Choice> {
        let world = world_of(&[ty]);
        let filter = parse_filter(filter, &world.schema, &world.class, &Limits::default());
        filter.expect("it is a filter").choices()
    }

    #[test]
    fn two_bounds_are_one_range_only_of_a_single_value() {
        let both = json!({ "f0": { "$gt": 5, "$lt": 10 } });
        assert_eq!(choices("/db/Integer", &both).len(), 1);
        // `[1, 20]` passes: each bound is met by another element.
        assert_eq!(choices("/db/collection.List[/db/Integer]", &both).len(), 2);
    }

    #[test]
    fn what_can_be_looked_up_is_offered() {
        for (ty, filter) in [
            ("/db/String", json!({ "f0": "a" })),
            ("/db/String", json!({ "f0": { "$in": ["a", null] } })),
            ("/db/String", json!({ "f0": { "$regex": "^ab" } })),
            (
                "/db/String",
                json!({ "f0": { "$gte": "a" }, "version": { "$mod": [2, 0] } }),
            ),
            ("/db/String", json!({ "$or": [{ "f0": "a" }, { "version": 1 }] })),
            (
                "/db/collection.List[/db/String]",
                json!({ "f0": { "$all": ["a", "b"] } }),
            ),
            (
                "/db/collection.List[/db/String]",
                json!({ "f0": { "$elemMatch": { "$gt": "a" } } }),
            ),
            (
                "/db/GeoPoint",
                json!({ "f0": { "$geoWithin": { "$box": [[0, 0], [1, 1]] } } }),
            ),
        ] {
            assert!(!choices(ty, &filter).is_empty(), "{filter}");
        }
        for (ty, filter) in [
            ("/db/String", json!({})),
            ("/db/String", json!({ "f0": { "$ne": "a" } })),
            (
                "/db/String",
                json!({ "$or": [{ "f0": "a" }, { "f0": { "$ne": "b" } }] }),
            ),
        ] {
            assert!(choices(ty, &filter).is_empty(), "{filter}");
        }
    }
}
