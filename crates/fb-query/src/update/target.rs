//! What a path of an update leads to.

use fb_types::{Class, FieldType, ItemType, Schema};

use super::UpdateError;
use crate::error::{Limits, QueryError, echo};
use crate::shape::{list_index, split_path};

/// A place that can be updated.
pub(super) struct Target<'a> {
    /// Embedded fields on the way.
    pub(super) parents: Vec<Box<str>>,
    /// The field.
    pub(super) field: &'a fb_types::Field,
    pub(super) inside: Inside,
}

/// Where within the field.
pub(super) enum Inside {
    /// The field as a whole.
    Whole,
    /// An element of a list.
    Element(usize),
    /// A member inside of a JsonObject; at least one step.
    Json(Vec<Box<str>>),
}

pub(super) fn target<'a>(
    text: &str,
    schema: &'a Schema,
    class: &'a Class,
    limits: &Limits,
) -> Result<Target<'a>, UpdateError> {
    let steps = split_path(text, limits).map_err(|error| match error {
        QueryError::TooComplex(text) => UpdateError::TooComplex(text),
        other => UpdateError::Syntax(other.to_string()),
    })?;
    let unknown = || UpdateError::UnknownField {
        class: class.name().clone(),
        path: echo(text),
    };
    if class.metadata_type(steps[0]).is_some() {
        return Err(UpdateError::ReadOnly { path: echo(text) });
    }
    let mut owner = class;
    let mut parents: Vec<Box<str>> = Vec::new();
    let mut rest = steps.as_slice();
    loop {
        let Some((step, inner)) = rest.split_first() else {
            return Err(unknown());
        };
        let field = owner.field(step).ok_or_else(unknown)?;
        if field.is_read_only() {
            return Err(UpdateError::ReadOnly { path: echo(text) });
        }
        let inside = match (field.ty(), inner) {
            (_, []) => Inside::Whole,
            (FieldType::One(ItemType::Embedded(name)), _) => {
                owner = schema.class(name.as_str()).ok_or_else(unknown)?;
                parents.push(Box::from(*step));
                rest = inner;
                continue;
            }
            (FieldType::One(ItemType::JsonObject), _) => Inside::Json(inner.iter().copied().map(Box::from).collect()),
            (FieldType::List(_), [index]) => Inside::Element(list_index(index).ok_or_else(unknown)?),
            _ => return Err(unknown()),
        };
        return Ok(Target { parents, field, inside });
    }
}
