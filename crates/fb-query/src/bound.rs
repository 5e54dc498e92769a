//! Filters of one class that are evaluated on the same object many at a time.

use std::fmt;

use indexmap::IndexSet;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::access::Spot;
use crate::ast::{Comparison, Filter, Leaf, Operand, Path, Test};
use crate::eval::{Origin, any_end, holds, path_passes};
use crate::value::number_key;

/// So many names are compared one after the other rather than hashed.
const FEW: usize = 12;

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

/// As much of an object as [`Slots`] has fields for.
#[derive(Debug)]
pub struct Parsed(Vec<Option<Value>>);

/// A [`Filter`] whose paths are numbers of [`Slots`]. Passes exactly the objects that the filter passes.
#[derive(Debug)]
pub struct Bound(Node);

/// Small, because there are many: what is tested most is kept in as little as it needs.
#[derive(Debug)]
enum Node {
    And(Box<[Node]>),
    Or(Box<[Node]>),
    Not(Box<Node>),
    Field(u32, Box<Test>),
    /// This very text.
    Is(u32, Box<str>),
    /// A number on this side of one with this key.
    Number(u32, Comparison, (u64, u16)),
    /// A text that begins so: what most regular expressions are about.
    Begins(u32, Box<str>),
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
            Filter::Field(path, test) => {
                let short = short(&path, &test);
                let path = self.path(path);
                match short {
                    Some(Short::Is(text)) => Node::Is(path, text),
                    Some(Short::Begins(text)) => Node::Begins(path, text),
                    Some(Short::Number(comparison, key)) => Node::Number(path, comparison, key),
                    None => Node::Field(path, Box::new(test)),
                }
            }
        }
    }

    /// Makes [`Self::parse`] keep a field that no filter need name.
    pub fn name(&mut self, field: &str) {
        if !self.fields.contains(field) {
            self.fields.insert(field.into());
        }
    }

    /// Reads an object's JSON, but keeps only what these slots are about. `None` for what is no object.
    /// Cost: one pass over the text; memory for what is kept.
    pub fn parse(&self, json: &[u8]) -> Option<Parsed> {
        let mut values = vec![None; self.fields.len()];
        let mut from = serde_json::Deserializer::from_slice(json);
        let keep = Keep {
            names: &self.fields,
            values: &mut values,
        };
        keep.deserialize(&mut from).ok()?;
        from.end().ok()?;
        Some(Parsed(values))
    }

    /// The object again, with no members but those that slots are about.
    pub fn object(&self, fields: &Fields<'_>) -> Value {
        let members = self.fields.iter().zip(&fields.0);
        let members = members.filter_map(|(name, value)| Some((String::from(&**name), (*value)?.clone())));
        Value::Object(members.collect::<Map<_, _>>())
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

    /// True if a value at the path is it, or an element of one that is an array; none of which may be missing.
    fn any(&self, fields: &Fields<'_>, path: u32, is_it: impl Fn(&Value) -> bool) -> bool {
        let Some(known) = self.paths.get_index(path as usize) else {
            return false;
        };
        any_end(known, self.origin(fields, path), &mut |end| match end {
            Some(Value::Array(elements)) => elements.iter().any(&is_it),
            Some(value) => is_it(value),
            None => false,
        })
    }

    /// Tells everything that an index over the path must look up of an object: the keys of all values that the path leads
    /// to, elements of arrays included. What is told more than once may count once.
    pub fn spots(&self, fields: &Fields<'_>, path: u32, found: &mut dyn FnMut(Spot<'_>)) {
        if let Some(known) = self.paths.get_index(path as usize) {
            crate::access::spots(known, self.origin(fields, path), found);
        }
    }
}

fn slot(names: &IndexSet<Box<str>>, name: &str) -> Option<usize> {
    if names.len() <= FEW {
        names.iter().position(|known| **known == *name)
    } else {
        names.get_index_of(name)
    }
}

/// A test of single values in less space.
enum Short {
    Is(Box<str>),
    Begins(Box<str>),
    Number(Comparison, (u64, u16)),
}

fn short(path: &Path, test: &Test) -> Option<Short> {
    // The form in which times are compared is not that of their JSON.
    if matches!(path.leaf(), Leaf::Time(_)) || matches!(path.leaf().element(), Leaf::Time(_)) {
        return None;
    }
    match test {
        Test::Equal(Operand(Value::String(text))) => Some(Short::Is(text.as_str().into())),
        Test::Compare(comparison, Operand(Value::Number(number))) => {
            Some(Short::Number(*comparison, number_key(number)))
        }
        Test::Matches(pattern) => {
            let literal = pattern.literal_prefix()?;
            // Whatever is no plain character does not stand for itself, and so ends the literal before its place.
            let is_all = pattern.source.strip_prefix('^') == Some(literal.as_str());
            is_all.then(|| Short::Begins(literal.into()))
        }
        _ => None,
    }
}

impl Parsed {
    /// The values.
    pub fn fields(&self) -> Fields<'_> {
        Fields(self.0.iter().map(Option::as_ref).collect())
    }
}

/// Reads an object into its slots.
struct Keep<'a> {
    names: &'a IndexSet<Box<str>>,
    values: &'a mut Vec<Option<Value>>,
}

impl<'de> DeserializeSeed<'de> for Keep<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Keep<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(slot) = members.next_key_seed(Name(self.names))? {
            match slot.and_then(|slot| self.values.get_mut(slot)) {
                Some(value) => *value = Some(members.next_value()?),
                None => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Reads the name of a member as the number of its slot.
struct Name<'a>(&'a IndexSet<Box<str>>);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(slot(self.0, name))
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
            Self::Is(path, text) => slots.any(fields, *path, |value| value.as_str() == Some(&**text)),
            Self::Begins(path, beginning) => slots.any(fields, *path, |value| {
                value.as_str().is_some_and(|text| text.starts_with(&**beginning))
            }),
            Self::Number(path, comparison, key) => slots.any(fields, *path, |value| match value {
                Value::Number(number) => holds(*comparison, number_key(number).cmp(key)),
                _ => false,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::generate::{filter, object, world, world_of};
    use crate::{Limits, parse_filter};

    #[test]
    fn patterns_that_are_plain_beginnings_are_evaluated_as_such_and_pass_the_same() {
        for (ty, is_plain) in [
            ("/db/String", true),
            ("/db/collection.List[/db/String]", true),
            ("/db/JsonObject", true),
            ("/db/Date", false),
        ] {
            let world = world_of(&[ty]);
            for pattern in [
                "^2013",
                "^2013-11-22",
                "^a.c",
                "^a\\.",
                "^a|^b",
                "^ab$",
                "^(ab)",
                "^ab?",
            ] {
                let json = json!({ "f0": { "$regex": pattern } });
                let Ok(filter) = parse_filter(&json, &world.schema, &world.class, &Limits::default()) else {
                    continue;
                };
                let mut slots = Slots::default();
                let bound = slots.bind(filter.clone());
                let is_begins = matches!(bound.0, Node::Begins(..));
                assert_eq!(is_begins, is_plain && pattern.starts_with("^2013"), "{ty} {pattern}");
                for value in [
                    json!("2013-11-22"),
                    json!("201"),
                    json!("2013"),
                    json!("a.c"),
                    json!("abc"),
                    json!("ab"),
                    json!(2013),
                    json!(["x", "2013-11"]),
                    json!([["2013"]]),
                    json!({ "2013": "2013" }),
                    json!(null),
                ] {
                    let object = json!({ "f0": value });
                    let passes = bound.matches(&slots, &slots.fields(&object));
                    assert_eq!(passes, filter.matches(&object), "{ty} {pattern} {object}");
                }
            }
        }
    }

    #[test]
    fn short_forms_pass_the_same() {
        let values = [
            json!("a"),
            json!("ab"),
            json!(5),
            json!(5.5),
            json!(-0.0),
            json!(9_007_199_254_740_993_u64),
            json!(true),
            json!(null),
            json!(["a", 7]),
            json!([["a"]]),
            json!([]),
            json!({ "a": "a" }),
            json!("2013-11-22"),
        ];
        for ty in [
            "/db/String",
            "/db/Double",
            "/db/JsonObject",
            "/db/JsonArray",
            "/db/collection.List[/db/String]",
            "/db/Date",
        ] {
            let world = world_of(&[ty]);
            for test in [
                json!("a"),
                json!("2013-11-22"),
                json!({ "$ne": "a" }),
                json!({ "$gt": 5 }),
                json!({ "$gte": 5 }),
                json!({ "$lt": 9_007_199_254_740_992_u64 }),
                json!({ "$lte": 5.5 }),
                json!({ "$lt": 0 }),
            ] {
                let json = json!({ "f0": test });
                let Ok(filter) = parse_filter(&json, &world.schema, &world.class, &Limits::default()) else {
                    continue;
                };
                let mut slots = Slots::default();
                let bound = slots.bind(filter.clone());
                for value in &values {
                    let object = json!({ "f0": value });
                    let passes = bound.matches(&slots, &slots.fields(&object));
                    assert_eq!(passes, filter.matches(&object), "{ty} {json} {object}");
                }
                assert_eq!(
                    bound.matches(&slots, &slots.fields(&json!({}))),
                    filter.matches(&json!({})),
                    "{ty} {json}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_object_is_not_parsed() {
        let slots = Slots::default();
        for json in ["", "1", "[]", "{", "{} {}", "{\"a\":}"] {
            assert!(slots.parse(json.as_bytes()).is_none(), "{json}");
        }
        assert!(slots.parse(b" {\"a\": [1, {\"b\": \"\\\"\"}]} ").is_some());
    }

    proptest! {
        #[test]
        fn parsing_what_filters_name_is_enough(
            (world, filters, objects) in world().prop_flat_map(|world| {
                let filters = proptest::collection::vec(filter(&world), 1..20);
                let objects = proptest::collection::vec(object(&world), 1..5);
                (Just(world), filters, objects)
            }),
        ) {
            let mut slots = Slots::default();
            let parsed: Vec<_> = filters
                .iter()
                .filter_map(|json| parse_filter(json, &world.schema, &world.class, &Limits::default()).ok())
                .collect();
            let bound: Vec<_> = parsed.iter().map(|filter| slots.bind(filter.clone())).collect();
            for object in &objects {
                let part = slots.parse(object.to_string().as_bytes()).expect("it is an object");
                let again = slots.object(&part.fields());
                for (filter, bound) in parsed.iter().zip(&bound) {
                    let expected = filter.matches(object);
                    prop_assert_eq!(bound.matches(&slots, &part.fields()), expected);
                    prop_assert_eq!(filter.matches(&again), expected);
                }
            }
        }
    }
}
