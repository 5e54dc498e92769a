//! Filters of one class that are evaluated on the same object many at a time.

use std::fmt;

use indexmap::IndexSet;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::access::Spot;
use crate::ast::{Filter, Path};
use crate::eval::{Origin, any_end};
use crate::program::Bound;

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

impl Slots {
    /// Prepares a filter of the class these slots are for.
    pub fn bind(&mut self, filter: Filter) -> Bound {
        Bound::new(self, filter)
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
    pub(crate) fn origin<'v>(&self, fields: &Fields<'v>, path: u32) -> Origin<'v> {
        let field = self.field_of.get(path as usize).copied().unwrap_or(u32::MAX);
        Origin::Field(fields.0.get(field as usize).copied().flatten())
    }

    /// The path of a number.
    pub(crate) fn known(&self, path: u32) -> Option<&Path> {
        self.paths.get_index(path as usize)
    }

    /// True if a value at the path is it, or an element of one that is an array; none of which may be missing.
    pub(crate) fn any(&self, fields: &Fields<'_>, path: u32, is_it: impl Fn(&Value) -> bool) -> bool {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::generate::{filter, object, world};
    use crate::{Limits, parse_filter};

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
