//! Filters of one class that are evaluated on the same object many at a time.

mod paths;

use std::fmt;

use indexmap::IndexSet;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use self::paths::Paths;
use crate::access::Spot;
use crate::ast::{Filter, Path};
use crate::eval::{Origin, any_end};
use crate::program::Bound;

/// So many names are compared one after the other rather than hashed.
const FEW: usize = 12;

/// The fields and paths that the filters of one class name, numbered, so that each field of an object is looked up once
/// for all filters. Paths are forgotten with the last filter that names them: clients make up as many as they like. Fields
/// stay; there are no more of them than the schema has.
#[derive(Debug, Default)]
pub struct Slots {
    fields: IndexSet<Box<str>>,
    paths: Paths,
}

/// The values of one object at the fields of [`Slots`].
#[derive(Debug)]
pub struct Fields<'v>(Vec<Option<&'v Value>>);

/// As much of an object as [`Slots`] has fields for.
#[derive(Debug)]
pub struct Parsed(Vec<Option<Value>>);

impl Slots {
    /// Prepares a filter of the class these slots are for. It is to be given back to [`Self::release`].
    pub fn bind(&mut self, filter: Filter) -> Bound {
        Bound::new(self, filter)
    }

    /// Ends a filter that was bound with these slots. Paths that no other one names are forgotten, and their numbers given to
    /// others later on. Cost: linear in the filter.
    pub fn release(&mut self, bound: Bound) {
        bound.each_path(|path| self.paths.release(path));
    }

    /// How many paths there is room for: the greatest number of distinct ones that bound filters have named at the same time.
    pub fn room(&self) -> usize {
        self.paths.room()
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

    /// The number of a path that a bound filter names, as all paths of its [`choices`](Filter::choices) are; the same for equal
    /// paths, and for as long as any such filter is there.
    pub fn path(&self, path: &Path) -> Option<u32> {
        self.paths.number(path)
    }

    /// The number of a path, for one more use of it.
    pub(crate) fn take(&mut self, path: Path) -> u32 {
        let field = match self.fields.get_index_of(path.field()) {
            Some(known) => known,
            None => self.fields.insert_full(path.field().into()).0,
        };
        self.paths.take(path, field)
    }

    /// Looks up the fields of an object. Cost: one lookup per field that any filter names.
    pub fn fields<'v>(&self, object: &'v Value) -> Fields<'v> {
        Fields(self.fields.iter().map(|name| object.get(&**name)).collect())
    }

    /// The path of a number, and where it starts in an object.
    pub(crate) fn known<'v>(&self, fields: &Fields<'v>, path: u32) -> Option<(&Path, Origin<'v>)> {
        let known = self.paths.get(path)?;
        let origin = Origin::Field(fields.0.get(known.field()).copied().flatten());
        Some((known.path()?, origin))
    }

    /// True if a value at the path is it, or an element of one that is an array; none of which may be missing.
    pub(crate) fn any(&self, fields: &Fields<'_>, path: u32, is_it: impl Fn(&Value) -> bool) -> bool {
        let Some((known, origin)) = self.known(fields, path) else {
            return false;
        };
        any_end(known, origin, &mut |end| match end {
            Some(Value::Array(elements)) => elements.iter().any(&is_it),
            Some(value) => is_it(value),
            None => false,
        })
    }

    /// Tells everything that an index over the path must look up of an object: the keys of all values that the path leads
    /// to, elements of arrays included. What is told more than once may count once.
    pub fn spots(&self, fields: &Fields<'_>, path: u32, found: &mut dyn FnMut(Spot<'_>)) {
        if let Some((known, origin)) = self.known(fields, path) {
            crate::access::spots(known, origin, found);
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
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;
    use serde_json::json;

    use super::*;
    use crate::generate::{filter, object, world, world_of};
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

        /// Numbers of paths that are given anew mean the new path to new filters, and nothing to old ones.
        #[test]
        fn filters_that_come_and_go_pass_the_same_and_leave_no_path_behind(
            (world, steps, objects) in world().prop_flat_map(|world| {
                let step = (filter(&world), any::<Index>(), 0..3_u8);
                let objects = vec(object(&world), 1..4);
                (Just(world), vec(step, 1..60), objects)
            }),
        ) {
            let mut slots = Slots::default();
            let mut bound: Vec<(Filter, Bound)> = Vec::new();
            let mut most = 0;
            for (json, which, step) in &steps {
                if *step == 0 && !bound.is_empty() {
                    let (_, gone) = bound.swap_remove(which.index(bound.len()));
                    slots.release(gone);
                } else if let Ok(filter) = parse_filter(json, &world.schema, &world.class, &Limits::default()) {
                    let new = slots.bind(filter.clone());
                    bound.push((filter, new));
                }
                most = most.max(slots.paths.in_use());
                prop_assert_eq!(slots.room(), most);
                for (filter, bound) in &bound {
                    // Nobody but filters holds paths for indexes.
                    for access in filter.choices().iter().flatten() {
                        prop_assert!(slots.path(access.path()).is_some(), "{:?}", access);
                    }
                    for object in &objects {
                        prop_assert_eq!(bound.matches(&slots, &slots.fields(object)), filter.matches(object));
                    }
                }
            }
            bound.into_iter().for_each(|(_, bound)| slots.release(bound));
            prop_assert_eq!(slots.paths.in_use(), 0);
        }
    }

    #[test]
    fn made_up_paths_take_room_for_as_long_as_they_are_named() {
        let world = world_of(&["/db/JsonObject"]);
        let mut slots = Slots::default();
        let bind = |slots: &mut Slots, json: Value| {
            let filter = parse_filter(&json, &world.schema, &world.class, &Limits::default());
            slots.bind(filter.expect("it is a filter"))
        };
        let stays = bind(&mut slots, json!({ "f0.stays": 1 }));
        let object = json!({ "f0": { "stays": 1 } });
        for i in 0..5_000 {
            // Of all forms that tests have, two of them on the same path.
            let own = json!({ format!("f0.a{i}"): 1, format!("f0.b{i}"): { "$mod": [3, 1], "$gt": 1 },
                "$or": [{ format!("f0.c{i}"): "x".repeat(200) }, { format!("f0.d{i}"): { "$regex": "^x" } }],
                "$nor": [{ format!("f0.e{i}"): { "$in": [1, "a"] } }, { format!("f0.f{i}"): true }] });
            let comes = bind(&mut slots, own);
            assert_eq!(slots.paths.in_use(), 7);
            slots.release(comes);
            assert_eq!((slots.paths.in_use(), slots.room()), (1, 7));
            assert!(stays.matches(&slots, &slots.fields(&object)));
        }
        assert_eq!(slots.fields.len(), 1);
    }
}
