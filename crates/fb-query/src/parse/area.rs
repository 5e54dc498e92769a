//! Operands of the geo operators.

use serde_json::{Map, Value};

use crate::ast::{Filter, Leaf, Path, Test};
use crate::error::{Limits, QueryError};
use crate::geo::{EARTH_RADIUS, Near, Point, Region};

use super::{unknown_operator, wrong};

/// Refuses paths where no geo point can be.
pub(super) fn point_place(path: &Path, operator: &str) -> Result<(), QueryError> {
    let leaf = match &path.leaf {
        Leaf::Array(element) => element,
        leaf => leaf,
    };
    match leaf {
        Leaf::GeoPoint | Leaf::Any => Ok(()),
        Leaf::Boolean | Leaf::Number | Leaf::Text | Leaf::Time(_) | Leaf::Object | Leaf::Array(_) => {
            Err(QueryError::WrongOperand {
                path: path.to_string(),
                operator: operator.to_owned(),
                expected: "a field of type GeoPoint".into(),
                found: "a field of another type".into(),
            })
        }
    }
}

/// `{"$geometry": {"type": "Point", "coordinates": [longitude, latitude]}, "$maxDistance": m, "$minDistance": m}`
pub(super) fn near(path: &Path, operator: &str, value: &Value) -> Result<Near, QueryError> {
    let expected =
        "{\"$geometry\": {\"type\": \"Point\", \"coordinates\": [longitude, latitude]}, \"$maxDistance\": metres}";
    let Value::Object(members) = value else {
        return Err(wrong(path, operator, expected, value));
    };
    only(members, &["$geometry", "$maxDistance", "$minDistance"])?;
    let center = members
        .get("$geometry")
        .and_then(|g| geometry(g, "Point"))
        .and_then(position);
    let center = center.ok_or_else(|| wrong(path, operator, expected, value))?;
    let distance = |name: &str| match members.get(name) {
        None => Ok(None),
        Some(metres) => match metres.as_f64().filter(|metres| *metres >= 0.0) {
            Some(metres) => Ok(Some(metres)),
            None => Err(wrong(path, name, "metres, not negative", metres)),
        },
    };
    Ok(Near {
        center,
        max_distance: distance("$maxDistance")?,
        min_distance: distance("$minDistance")?.unwrap_or(0.0),
    })
}

/// The operand of `$geoWithin`: one of `$geometry` (a polygon), `$box` and `$centerSphere`.
pub(super) fn within(path: &Path, value: &Value, limits: &Limits) -> Result<Filter, QueryError> {
    let expected = "one of $geometry (a GeoJSON polygon), $box and $centerSphere";
    let Some((Some((shape, operand)), 1)) = value.as_object().map(|m| (m.iter().next(), m.len())) else {
        return Err(wrong(path, "$geoWithin", expected, value));
    };
    match shape.as_str() {
        "$geometry" => {
            let region = polygon(path, operand, limits)?;
            Ok(Filter::Field(path.clone(), Test::Within(region)))
        }
        "$box" => {
            let corners = operand.as_array().filter(|corners| corners.len() == 2);
            let corners = corners.and_then(|c| Some((position(&c[0])?, position(&c[1])?)));
            let (a, b) =
                corners.ok_or_else(|| wrong(path, shape, "two corners, [longitude, latitude] each", operand))?;
            let corner = |latitude, longitude| Point { latitude, longitude };
            let region = Region {
                outer: vec![a, corner(a.latitude, b.longitude), b, corner(b.latitude, a.longitude)],
                holes: Vec::new(),
            };
            Ok(Filter::Field(path.clone(), Test::Within(region)))
        }
        "$centerSphere" => {
            let parts = operand.as_array().filter(|parts| parts.len() == 2);
            let parts = parts.and_then(|p| Some((position(&p[0])?, p[1].as_f64().filter(|radius| *radius >= 0.0)?)));
            let (center, radius) =
                parts.ok_or_else(|| wrong(path, shape, "[[longitude, latitude], radius in radians]", operand))?;
            let near = Near {
                center,
                max_distance: Some(radius * EARTH_RADIUS),
                min_distance: 0.0,
            };
            // In a disjunction of one, because a bare `Near` would order the results, which only $near does.
            Ok(Filter::Or(vec![Filter::Field(path.clone(), Test::Near(near))]))
        }
        operator if operator.starts_with('$') => Err(QueryError::Unsupported(format!(
            "{path}: $geoWithin does not support {}; it takes {expected}",
            crate::error::echo(operator)
        ))),
        _ => Err(wrong(path, "$geoWithin", expected, value)),
    }
}

fn polygon(path: &Path, value: &Value, limits: &Limits) -> Result<Region, QueryError> {
    let bad = || {
        let expected = "{\"type\": \"Polygon\", \"coordinates\": [[[longitude, latitude], …], …]} with rings of at least \
                        three corners";
        wrong(path, "$geometry", expected, value)
    };
    let rings = geometry(value, "Polygon").and_then(Value::as_array).ok_or_else(bad)?;
    let corners: usize = rings.iter().filter_map(Value::as_array).map(Vec::len).sum();
    if corners > limits.corners || rings.len() > limits.corners {
        return Err(QueryError::TooComplex(format!(
            "{path}: the polygon has {corners} corners, at most {} are allowed",
            limits.corners
        )));
    }
    let ring = |value: &Value| {
        let mut ring = value.as_array()?.iter().map(position).collect::<Option<Vec<Point>>>()?;
        // GeoJSON repeats the first corner at the end, other clients do not.
        if ring.len() > 1 && ring.first() == ring.last() {
            ring.pop();
        }
        (ring.len() >= 3).then_some(ring)
    };
    let mut rings = rings.iter().map(ring).collect::<Option<Vec<_>>>().ok_or_else(bad)?;
    if rings.is_empty() {
        return Err(bad());
    }
    let outer = rings.remove(0);
    Ok(Region { outer, holes: rings })
}

/// The coordinates of a GeoJSON geometry of this type.
fn geometry<'v>(value: &'v Value, ty: &str) -> Option<&'v Value> {
    let members = value.as_object()?;
    let known = members
        .keys()
        .all(|name| matches!(name.as_str(), "type" | "coordinates" | "crs"));
    if known && members.get("type")?.as_str() == Some(ty) {
        members.get("coordinates")
    } else {
        None
    }
}

/// `[longitude, latitude]`
fn position(value: &Value) -> Option<Point> {
    match value.as_array()?.as_slice() {
        [longitude, latitude] => Point::new(latitude.as_f64()?, longitude.as_f64()?),
        _ => None,
    }
}

fn only(members: &Map<String, Value>, known: &[&str]) -> Result<(), QueryError> {
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => Err(unknown_operator(unknown)),
        None => Ok(()),
    }
}
