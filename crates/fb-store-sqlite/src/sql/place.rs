//! Where in a row the value at a path is. Queries and indexes get their SQL expressions from this one place, because the
//! engine uses an expression index only for exactly the same expression.

use fb_query::{Leaf, Path};
use fb_types::{Class, FieldType, ItemType, Schema};

/// How the values of an SQL expression compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 0 and 1
    Boolean,
    /// Integers and reals
    Number,
    /// Texts, byte by byte
    Text,
    /// Times without their `Z`, byte by byte
    Time,
    /// Milliseconds in a column; operands are times
    Moment,
    /// The key column; operands are complete ids
    Key,
}

/// What the engine can do with the value at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// One scalar, as an SQL expression over the row.
    Scalar {
        /// The expression.
        expr: String,
        /// How it compares.
        kind: Kind,
    },
    /// An array of scalars.
    Elements {
        /// JSON path of the array.
        json: String,
        /// How elements compare.
        kind: Kind,
    },
    /// A geo point.
    Point {
        /// JSON path of the point.
        json: String,
    },
    /// Anything else; only indexes have such places.
    Other {
        /// JSON path of the value.
        json: String,
    },
}

/// `$.a.b`, if all steps are plain identifiers. Such a text holds nothing that SQL or JSON paths treat specially.
fn json_path<'a>(steps: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut path = "$".to_owned();
    for step in steps {
        let plain = !step.is_empty()
            && !step.starts_with(|c: char| c.is_ascii_digit())
            && step.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !plain {
            return None;
        }
        path.push('.');
        path.push_str(step);
    }
    Some(path)
}

fn scalar(json: &str, kind: Kind) -> Place {
    let expr = match kind {
        Kind::Boolean | Kind::Number | Kind::Text => format!("json_extract(body,'{json}')"),
        Kind::Time => format!("rtrim(json_extract(body,'{json}'),'Z')"),
        Kind::Moment | Kind::Key => unreachable!("these are columns"),
    };
    Place::Scalar { expr, kind }
}

fn metadata(name: &str) -> Option<Place> {
    let (expr, kind) = match name {
        "id" => ("key", Kind::Key),
        "version" => ("version", Kind::Number),
        "createdAt" => ("created_at", Kind::Moment),
        "updatedAt" => ("updated_at", Kind::Moment),
        _ => return None,
    };
    Some(Place::Scalar {
        expr: expr.to_owned(),
        kind,
    })
}

/// The place of a query's path; `None` leaves it to the evaluator.
pub(crate) fn place_of_path(path: &Path) -> Option<Place> {
    if path.is_metadata() {
        return match path.steps() {
            [name] => metadata(name),
            _ => None,
        };
    }
    if !path.is_direct() {
        return None;
    }
    let json = json_path(path.steps().iter().map(|s| &**s))?;
    let scalar_kind = |leaf: &Leaf| match leaf {
        Leaf::Boolean => Some(Kind::Boolean),
        Leaf::Number => Some(Kind::Number),
        Leaf::Text => Some(Kind::Text),
        Leaf::Time(_) => Some(Kind::Time),
        Leaf::GeoPoint | Leaf::Object | Leaf::Array(_) | Leaf::Any => None,
    };
    match path.leaf() {
        Leaf::GeoPoint => Some(Place::Point { json }),
        Leaf::Array(element) => scalar_kind(element).map(|kind| Place::Elements { json, kind }),
        Leaf::Object | Leaf::Any => None,
        leaf => scalar_kind(leaf).map(|kind| scalar(&json, kind)),
    }
}

/// JSON path of the object that declares the field at the end of a direct path; `Some(None)` if that is the row's object
/// itself, `None` if the path is not direct.
pub(crate) fn place_of_parent(path: &Path) -> Option<Option<String>> {
    match path.steps() {
        _ if !path.is_direct() => None,
        [] => None,
        [_] => Some(None),
        [parents @ .., _] => json_path(parents.iter().map(|s| &**s)).map(Some),
    }
}

/// The place of an index's dotted path; `None` if there is no such field.
pub(crate) fn place_of_index(schema: &Schema, class: &Class, dotted: &str) -> Option<Place> {
    if class.metadata_type(dotted).is_some() {
        return metadata(dotted);
    }
    let json = json_path(dotted.split('.'))?;
    let mut steps = dotted.split('.').peekable();
    let mut class = class;
    while let Some(step) = steps.next() {
        let ty = class.field(step)?.ty();
        if steps.peek().is_some() {
            match ty {
                FieldType::One(ItemType::Embedded(inner)) => class = schema.class(inner.as_str())?,
                FieldType::One(ItemType::JsonObject) | FieldType::Map(..) => return Some(Place::Other { json }),
                FieldType::One(ItemType::GeoPoint) => {
                    let coordinate = steps.next().filter(|s| matches!(*s, "latitude" | "longitude"));
                    return match (coordinate, steps.next()) {
                        (Some(_), None) => Some(scalar(&json, Kind::Number)),
                        _ => None,
                    };
                }
                FieldType::One(_) | FieldType::List(_) | FieldType::Set(_) => return None,
            }
            continue;
        }
        return Some(match ty {
            FieldType::One(ItemType::GeoPoint) => Place::Point { json },
            FieldType::One(item) => match item_kind(item) {
                Some(kind) => scalar(&json, kind),
                None => Place::Other { json },
            },
            FieldType::List(item) | FieldType::Set(item) => match item_kind(item) {
                Some(kind) => Place::Elements { json, kind },
                None => Place::Other { json },
            },
            FieldType::Map(..) => Place::Other { json },
        });
    }
    None
}

fn item_kind(item: &ItemType) -> Option<Kind> {
    match item {
        ItemType::Boolean => Some(Kind::Boolean),
        ItemType::Double | ItemType::Integer => Some(Kind::Number),
        ItemType::String | ItemType::File | ItemType::Reference(_) => Some(Kind::Text),
        ItemType::DateTime | ItemType::Date | ItemType::Time => Some(Kind::Time),
        ItemType::GeoPoint | ItemType::JsonArray | ItemType::JsonObject | ItemType::Embedded(_) => None,
    }
}
