//! Types of fields and of their elements.

use std::fmt;

use crate::ClassName;

/// The type of a field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// A single value.
    One(ItemType),
    /// An ordered list, `/db/collection.List[T]`.
    List(ItemType),
    /// A list without repetitions, `/db/collection.Set[T]`.
    Set(ItemType),
    /// Values by key, `/db/collection.Map[K,V]`.
    Map(ItemType, ItemType),
}

/// The type of a single value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ItemType {
    /// `true` or `false`
    Boolean,
    /// 64-bit float
    Double,
    /// 64-bit signed integer
    Integer,
    /// Unicode text
    String,
    /// A moment, `2024-11-20T22:16:00.12Z`
    DateTime,
    /// A calendar day, `2013-11-22`
    Date,
    /// A time of day in UTC, `17:33:14.5Z`
    Time,
    /// A file id, `/file/www/a b.png`
    File,
    /// `{"latitude": -90…90, "longitude": -180…180}`
    GeoPoint,
    /// Any JSON array, kept verbatim
    JsonArray,
    /// Any JSON object, kept verbatim
    JsonObject,
    /// The id of an object of this class or a subclass of it
    Reference(ClassName),
    /// An object of this embeddable class
    Embedded(ClassName),
}

/// Names of the basic types; no class may be called like one of them.
pub(super) const BASIC: [(&str, ItemType); 11] = [
    ("Boolean", ItemType::Boolean),
    ("Double", ItemType::Double),
    ("Integer", ItemType::Integer),
    ("String", ItemType::String),
    ("DateTime", ItemType::DateTime),
    ("Date", ItemType::Date),
    ("Time", ItemType::Time),
    ("File", ItemType::File),
    ("GeoPoint", ItemType::GeoPoint),
    ("JsonArray", ItemType::JsonArray),
    ("JsonObject", ItemType::JsonObject),
];

impl FieldType {
    /// The type of the value itself, of the elements, or of the map's values.
    pub fn item(&self) -> &ItemType {
        match self {
            Self::One(item) | Self::List(item) | Self::Set(item) | Self::Map(_, item) => item,
        }
    }

    /// Parses `/db/String`, `/db/collection.Map[/db/String, /db/Todo]` and the like. `embedded` tells of a class whether
    /// it is an embeddable, `None` if there is no such class. The error is a sentence for the author of the schema.
    pub(super) fn parse(text: &str, embedded: &dyn Fn(&ClassName) -> Option<bool>) -> Result<Self, ParseError> {
        let Some(rest) = text.strip_prefix("/db/collection.") else {
            return ItemType::parse(text, embedded).map(Self::One);
        };
        let bad = || ParseError::Syntax(format!("`{text}` is no collection type"));
        let (kind, args) = rest.split_once('[').ok_or_else(bad)?;
        let args = args.strip_suffix(']').ok_or_else(bad)?;
        match kind {
            "List" => ItemType::parse(args.trim(), embedded).map(Self::List),
            "Set" => ItemType::parse(args.trim(), embedded).map(Self::Set),
            "Map" => {
                let (key, value) = args.split_once(',').ok_or_else(bad)?;
                let key = ItemType::parse(key.trim(), embedded)?;
                match key {
                    ItemType::Embedded(_) | ItemType::GeoPoint | ItemType::JsonArray | ItemType::JsonObject => Err(
                        ParseError::Syntax(format!("{} cannot be the key of a map", key.describe())),
                    ),
                    _ => Ok(Self::Map(key, ItemType::parse(value.trim(), embedded)?)),
                }
            }
            _ => Err(bad()),
        }
    }
}

/// Why a type text was refused.
pub(super) enum ParseError {
    Syntax(String),
    Missing(String),
}

impl ItemType {
    fn parse(text: &str, embedded: &dyn Fn(&ClassName) -> Option<bool>) -> Result<Self, ParseError> {
        let name = ClassName::from_reference(text).map_err(|_| ParseError::Syntax(format!("`{text}` is no type")))?;
        if let Some((_, basic)) = BASIC.iter().find(|(basic, _)| *basic == name.as_str()) {
            return Ok(basic.clone());
        }
        match embedded(&name) {
            Some(true) => Ok(Self::Embedded(name)),
            Some(false) => Ok(Self::Reference(name)),
            None => Err(ParseError::Missing(text.to_owned())),
        }
    }

    /// The class of an embedded object.
    pub fn embedded(&self) -> Option<&ClassName> {
        match self {
            Self::Embedded(class) => Some(class),
            _ => None,
        }
    }

    /// The class this type points to or contains.
    pub fn class(&self) -> Option<&ClassName> {
        match self {
            Self::Reference(class) | Self::Embedded(class) => Some(class),
            _ => None,
        }
    }

    /// What a value must be, for messages: `an ISO 8601 date`.
    pub fn describe(&self) -> String {
        match self {
            Self::Boolean => "a boolean".into(),
            Self::Double => "a finite number".into(),
            Self::Integer => "a 64-bit integer".into(),
            Self::String => "a string".into(),
            Self::DateTime => "an ISO 8601 date and time".into(),
            Self::Date => "an ISO 8601 date".into(),
            Self::Time => "an ISO 8601 time of day".into(),
            Self::File => "a file id (/file/<bucket>/<path>)".into(),
            Self::GeoPoint => "a geo point (latitude -90 to 90, longitude -180 to 180)".into(),
            Self::JsonArray => "an array".into(),
            Self::JsonObject => "an object".into(),
            Self::Reference(class) => format!("the id of an object of class {class} (/db/{class}/<key>)"),
            Self::Embedded(class) => format!("an object (embedded {class})"),
        }
    }
}

impl fmt::Display for ItemType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.class(), BASIC.iter().find(|(_, basic)| basic == self)) {
            (Some(class), _) => write!(f, "/db/{class}"),
            (None, Some((name, _))) => write!(f, "/db/{name}"),
            (None, None) => Ok(()),
        }
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(item) => item.fmt(f),
            Self::List(item) => write!(f, "/db/collection.List[{item}]"),
            Self::Set(item) => write!(f, "/db/collection.Set[{item}]"),
            Self::Map(key, item) => write!(f, "/db/collection.Map[{key},{item}]"),
        }
    }
}
