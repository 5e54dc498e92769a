//! Paths resolved against the schema, one step at a time.

use fb_types::{Class, FieldType, ItemType, Schema};

use crate::ast::{Leaf, Path, TimeKind};
use crate::error::{Limits, QueryError, echo};

static INTEGER: ItemType = ItemType::Integer;
static JSON_OBJECT: ItemType = ItemType::JsonObject;
static DATE_TIME: ItemType = ItemType::DateTime;

/// What the schema says about a place in an object.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape<'a> {
    /// An entity, or an embedded object that a filter starts at.
    Class(&'a Class),
    /// The whole content of a field.
    Field(&'a FieldType),
    /// One value.
    Item(&'a ItemType),
    /// The metadata field `id`.
    Id,
    /// Latitude or longitude of a geo point.
    Coordinate,
    /// Anything, inside of untyped JSON.
    Any,
}

/// Why a step leads nowhere.
pub(crate) struct NoSuchStep(pub(crate) Option<&'static str>);

impl<'a> Shape<'a> {
    /// The type of the value itself.
    pub(crate) fn leaf(self) -> Leaf {
        match self {
            Self::Class(_) => Leaf::Object,
            Self::Field(FieldType::One(item)) | Self::Item(item) => item_leaf(item),
            Self::Field(FieldType::List(item) | FieldType::Set(item)) => Leaf::Array(Box::new(item_leaf(item))),
            Self::Field(FieldType::Map(..)) => Leaf::Object,
            Self::Id => Leaf::Text,
            Self::Coordinate => Leaf::Number,
            Self::Any => Leaf::Any,
        }
    }

    /// The shape of the elements of an array at this place.
    pub(crate) fn element(self) -> Self {
        match self {
            Self::Field(FieldType::List(item) | FieldType::Set(item)) => Self::Item(item),
            _ => Self::Any,
        }
    }

    /// The shape of member (or element) `name`, and whether the way there is direct, see [`Path::is_direct`].
    fn step(self, schema: &'a Schema, name: &str) -> Result<(Self, bool), NoSuchStep> {
        match self {
            Self::Class(class) => match (class.field(name), class.metadata_type(name)) {
                (Some(field), _) => Ok((Self::Field(field.ty()), true)),
                (None, Some(_)) => Ok((metadata(name), true)),
                (None, None) => Err(NoSuchStep(None)),
            },
            Self::Field(FieldType::One(item)) | Self::Item(item) => step_into_item(item, schema, name),
            Self::Field(FieldType::List(item) | FieldType::Set(item)) => match (list_index(name), item) {
                // A number may also be a member name of such elements.
                (Some(_), ItemType::JsonObject | ItemType::JsonArray) => Ok((Self::Any, false)),
                (Some(_), _) => Ok((Self::Item(item), false)),
                (None, _) => step_into_item(item, schema, name).map(|(shape, _)| (shape, false)),
            },
            Self::Field(FieldType::Map(_, item)) => Ok((Self::Item(item), false)),
            Self::Id | Self::Coordinate => Err(NoSuchStep(None)),
            Self::Any => Ok((Self::Any, false)),
        }
    }
}

fn step_into_item<'a>(item: &'a ItemType, schema: &'a Schema, name: &str) -> Result<(Shape<'a>, bool), NoSuchStep> {
    match item {
        ItemType::Embedded(class) => match schema.class(class.as_str()) {
            Some(class) => Shape::Class(class).step(schema, name),
            None => Err(NoSuchStep(None)),
        },
        ItemType::JsonObject | ItemType::JsonArray => Ok((Shape::Any, false)),
        ItemType::GeoPoint if matches!(name, "latitude" | "longitude") => Ok((Shape::Coordinate, true)),
        ItemType::Reference(_) => Err(NoSuchStep(Some(
            "a path cannot lead into another object: query that class first, then compare the reference with $in",
        ))),
        ItemType::Boolean
        | ItemType::Double
        | ItemType::Integer
        | ItemType::String
        | ItemType::DateTime
        | ItemType::Date
        | ItemType::Time
        | ItemType::File
        | ItemType::GeoPoint => Err(NoSuchStep(None)),
    }
}

fn metadata<'a>(name: &str) -> Shape<'a> {
    match name {
        "id" => Shape::Id,
        "version" => Shape::Item(&INTEGER),
        "acl" => Shape::Item(&JSON_OBJECT),
        _ => Shape::Item(&DATE_TIME),
    }
}

fn item_leaf(item: &ItemType) -> Leaf {
    match item {
        ItemType::Boolean => Leaf::Boolean,
        ItemType::Double | ItemType::Integer => Leaf::Number,
        ItemType::String | ItemType::File | ItemType::Reference(_) => Leaf::Text,
        ItemType::DateTime => Leaf::Time(TimeKind::DateTime),
        ItemType::Date => Leaf::Time(TimeKind::Date),
        ItemType::Time => Leaf::Time(TimeKind::Time),
        ItemType::GeoPoint => Leaf::GeoPoint,
        ItemType::JsonArray => Leaf::Array(Box::new(Leaf::Any)),
        ItemType::JsonObject | ItemType::Embedded(_) => Leaf::Object,
    }
}

/// The index that a path step means in an array: decimal digits without leading zeros.
pub(crate) fn list_index(step: &str) -> Option<usize> {
    let digits = (1..=9).contains(&step.len()) && step.bytes().all(|b| b.is_ascii_digit());
    if digits && (step == "0" || !step.starts_with('0')) {
        step.parse().ok()
    } else {
        None
    }
}

/// Splits a dotted path and checks its limits.
pub(crate) fn split_path<'t>(text: &'t str, limits: &Limits) -> Result<Vec<&'t str>, QueryError> {
    if text.len() > limits.path_length {
        return Err(QueryError::TooComplex(format!(
            "the path `{}…` has {} bytes, at most {} are allowed",
            echo(text),
            text.len(),
            limits.path_length
        )));
    }
    let steps: Vec<&str> = text.split('.').collect();
    if steps.len() > limits.path_steps {
        return Err(QueryError::TooComplex(format!(
            "the path `{}` has {} steps, at most {} are allowed",
            echo(text),
            steps.len(),
            limits.path_steps
        )));
    }
    if steps.iter().any(|step| step.is_empty()) {
        return Err(QueryError::Syntax(format!(
            "`{}` is no path: use field names joined by single dots",
            echo(text)
        )));
    }
    Ok(steps)
}

/// A path from `root`, and the shape at its end.
pub(crate) fn resolve<'a>(
    text: &str,
    root: Shape<'a>,
    schema: &'a Schema,
    class: &Class,
    limits: &Limits,
) -> Result<(Path, Shape<'a>), QueryError> {
    let steps = split_path(text, limits)?;
    let mut shape = root;
    let mut direct = true;
    for step in &steps {
        let (next, is_direct) = shape
            .step(schema, step)
            .map_err(|NoSuchStep(hint)| QueryError::UnknownField {
                class: class.name().clone(),
                path: echo(text),
                hint,
            })?;
        shape = next;
        direct &= is_direct;
    }
    let metadata = match root {
        Shape::Class(root) => {
            steps.len() == 1 && root.field(steps[0]).is_none() && root.metadata_type(steps[0]).is_some()
        }
        Shape::Field(_) | Shape::Item(_) | Shape::Id | Shape::Coordinate | Shape::Any => false,
    };
    let path = Path {
        steps: steps.into_iter().map(Box::from).collect(),
        leaf: shape.leaf(),
        direct,
        metadata,
    };
    Ok((path, shape))
}

impl Path {
    /// Parses a dotted path that starts at an object of `class`.
    ///
    /// Steps are field names; inside of lists also element indexes, inside of maps and untyped JSON any member name.
    /// Errors: `Syntax` for empty steps, `UnknownField` if the schema knows no such place, `TooComplex` beyond the limits.
    pub fn parse(text: &str, schema: &Schema, class: &Class, limits: &Limits) -> Result<Self, QueryError> {
        resolve(text, Shape::Class(class), schema, class, limits).map(|(path, _)| path)
    }
}
