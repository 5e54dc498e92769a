//! Reading the parts of an object that a filter or an order names, and skipping the rest. This is what makes scans with
//! the evaluator bearable.

use std::fmt;
use std::sync::Arc;

use fb_query::{Filter, Path};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

/// Names of an object's members that matter. A path cannot see the others.
#[derive(Debug, Clone, Default)]
pub(crate) struct Projection(Arc<[Box<str>]>);

impl Projection {
    /// The members that these filters and paths name.
    pub(crate) fn new<'a>(filter: Option<&Filter>, paths: impl Iterator<Item = &'a Path>) -> Self {
        let mut names = Vec::new();
        if let Some(filter) = filter {
            add_filter(filter, &mut names);
        }
        paths.for_each(|path| add(path, &mut names));
        Self(names.into())
    }

    /// Parses an object; members without a meaning for the query are left out.
    pub(crate) fn parse(&self, json: &[u8]) -> Result<Value, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let value = self.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(value)
    }
}

fn add_filter(filter: &Filter, names: &mut Vec<Box<str>>) {
    match filter {
        Filter::And(parts) | Filter::Or(parts) => parts.iter().for_each(|part| add_filter(part, names)),
        Filter::Not(inner) => add_filter(inner, names),
        // Conditions on elements start at the elements, within what this path leads to.
        Filter::Field(path, _) => add(path, names),
    }
}

fn add(path: &Path, names: &mut Vec<Box<str>>) {
    if let Some(name) = path.steps().first()
        && !names.contains(name)
    {
        names.push(name.clone());
    }
}

impl<'de> DeserializeSeed<'de> for &Projection {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &Projection {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::with_capacity(self.0.len());
        while let Some(wanted) = members.next_key_seed(Name(&self.0))? {
            match wanted {
                Some(name) => drop(object.insert(name.into(), members.next_value()?)),
                None => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Value::Object(object))
    }
}

/// Finds a member's name among those that matter.
struct Name<'a>(&'a [Box<str>]);

impl<'de, 'a> DeserializeSeed<'de> for Name<'a> {
    type Value = Option<&'a str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Name<'a> {
    type Value = Option<&'a str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_str<E: Error>(self, found: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().find(|name| &***name == found).map(|name| &**name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_members_are_read() {
        let names = ["a", "b"].map(Box::from);
        let projection = Projection(Arc::new(names));
        let parse = |text: &str| projection.parse(text.as_bytes());
        assert_eq!(
            parse(r#"{"x":[1,{"a":2}],"a":{"a":1},"\u0062":"\u0000é"}"#).unwrap(),
            serde_json::json!({ "a": { "a": 1 }, "b": "\0é" })
        );
        assert!(parse(r#"{"a":1} x"#).is_err());
        assert!(parse("[]").is_err());
    }
}
