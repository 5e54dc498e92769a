//! Equality and order of values, as queries see them.

use std::cmp::Ordering;

use fb_types::same_value;
use serde_json::{Number, Value};

use crate::ast::{Leaf, TypeClass, comparison_form};

const ANY: Leaf = Leaf::Any;

impl Leaf {
    /// The type of the elements of an array at such a place.
    pub(crate) fn element(&self) -> &Self {
        match self {
            Self::Array(element) => element,
            _ => &ANY,
        }
    }
}

/// The type class of a value at a place of type `leaf`.
pub(crate) fn class_of(leaf: &Leaf, value: &Value) -> TypeClass {
    match value {
        Value::Null => TypeClass::Null,
        Value::Bool(_) => TypeClass::Boolean,
        Value::Number(_) => TypeClass::Number,
        Value::String(_) if matches!(leaf, Leaf::Time(_)) => TypeClass::Time,
        Value::String(_) => TypeClass::String,
        Value::Array(_) => TypeClass::Array,
        Value::Object(_) => TypeClass::Object,
    }
}

/// Equality at a place of type `leaf`. Numbers are compared exactly, the order of members does not count.
pub(crate) fn equal(leaf: &Leaf, a: &Value, b: &Value) -> bool {
    match (leaf, a, b) {
        (Leaf::Time(_), Value::String(a), Value::String(b)) => comparison_form(a) == comparison_form(b),
        (Leaf::Array(element), Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(element, a, b))
        }
        _ => same_value(a, b),
    }
}

/// The total order of values at a place of type `leaf`: first by type class, then within it.
///
/// Texts by bytes, times chronologically, arrays element by element, objects by their members sorted by name: first
/// name, then value, of each in turn. `Equal` exactly if [`equal`].
pub(crate) fn compare(leaf: &Leaf, a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => number_key(a).cmp(&number_key(b)),
        (Value::String(a), Value::String(b)) if matches!(leaf, Leaf::Time(_)) => {
            comparison_form(a).cmp(comparison_form(b))
        }
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => {
            let element = leaf.element();
            let differing = a.iter().zip(b).map(|(a, b)| compare(element, a, b)).find(|o| o.is_ne());
            differing.unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        (Value::Object(a), Value::Object(b)) => {
            let (a, b) = (sorted_members(a), sorted_members(b));
            let by_member = |((a_name, a), (b_name, b)): (&(&str, &Value), &(&str, &Value))| {
                a_name.cmp(b_name).then_with(|| compare(&ANY, a, b))
            };
            let differing = a.iter().zip(&b).map(by_member).find(|o| o.is_ne());
            differing.unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        _ => class_of(leaf, a).cmp(&class_of(leaf, b)),
    }
}

fn sorted_members(object: &serde_json::Map<String, Value>) -> Vec<(&str, &Value)> {
    let mut members: Vec<(&str, &Value)> = object.iter().map(|(name, value)| (name.as_str(), value)).collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    members
}

/// A pair whose order is the numeric order, exact for all of i64, u64 and f64, and equal only for equal numbers.
///
/// The first part orders doubles: for an integer the greatest double that is not above it. The second is how far above
/// that double the integer is; below 2^11, because doubles are at most that far apart in the range of u64.
pub(crate) fn number_key(number: &Number) -> (u64, u16) {
    let whole = match (number.as_i64(), number.as_u64()) {
        (Some(int), _) => i128::from(int),
        (None, Some(int)) => i128::from(int),
        (None, None) => return (double_key(number.as_f64().unwrap_or(0.0)), 0),
    };
    let mut double = whole as f64;
    if double as i128 > whole {
        double = double.next_down();
    }
    let above = whole - double as i128;
    (double_key(double), u16::try_from(above).unwrap_or(u16::MAX))
}

/// Maps doubles to integers of the same order; 0.0 and -0.0 are one.
pub(crate) fn double_key(double: f64) -> u64 {
    // Adding 0.0 turns -0.0 into 0.0.
    let bits = (double + 0.0).to_bits();
    if bits >> 63 == 0 { bits | (1 << 63) } else { !bits }
}

/// Appends bytes whose order is that of [`compare`]. No such text is the beginning of another one.
pub(crate) fn write_key(leaf: &Leaf, value: &Value, out: &mut Vec<u8>) {
    out.push(class_byte(class_of(leaf, value)));
    match value {
        Value::Null => {}
        Value::Bool(value) => out.push(u8::from(*value)),
        Value::Number(number) => {
            let (double, above) = number_key(number);
            out.extend_from_slice(&double.to_be_bytes());
            out.extend_from_slice(&above.to_be_bytes());
        }
        Value::String(text) if matches!(leaf, Leaf::Time(_)) => write_text(comparison_form(text), out),
        Value::String(text) => write_text(text, out),
        Value::Array(elements) => {
            for element in elements {
                out.push(MORE);
                write_key(leaf.element(), element, out);
            }
            out.push(END);
        }
        Value::Object(members) => {
            for (name, value) in sorted_members(members) {
                out.push(MORE);
                write_text(name, out);
                write_key(&ANY, value, out);
            }
            out.push(END);
        }
    }
}

const END: u8 = 0;
const MORE: u8 = 1;

/// The first byte of a key that sorts before every value.
pub(crate) const BEFORE_NULL: u8 = 0;

pub(crate) fn class_byte(class: TypeClass) -> u8 {
    match class {
        TypeClass::Null => 1,
        TypeClass::Number => 2,
        TypeClass::String => 3,
        TypeClass::Object => 4,
        TypeClass::Array => 5,
        TypeClass::Boolean => 6,
        TypeClass::Time => 7,
    }
}

/// The text, ended by `00 00`; a NUL in the text becomes `00 FF`.
fn write_text(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        out.push(byte);
        if byte == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ast::TimeKind;

    fn key(leaf: &Leaf, value: &Value) -> Vec<u8> {
        let mut key = Vec::new();
        write_key(leaf, value, &mut key);
        key
    }

    /// Values in ascending order: comparison and keys agree, and no key is the beginning of another.
    #[test]
    fn order_and_keys_agree() {
        let any = [
            json!(null),
            json!(-1e300),
            json!(i64::MIN),
            json!(-1.5),
            json!(-5e-324),
            json!(0),
            json!(5e-324),
            json!(9_007_199_254_740_992_i64),
            json!(9_007_199_254_740_993_i64),
            json!(9_007_199_254_740_994.0),
            json!(i64::MAX),
            json!(9_223_372_036_854_775_808_u64),
            json!(9_223_372_036_854_775_809_u64),
            json!(u64::MAX),
            json!(18_446_744_073_709_551_616.0),
            json!(1e300),
            json!(""),
            json!("\0"),
            json!("\0\0"),
            json!("\0\u{1}"),
            json!("\u{1}"),
            json!("a"),
            json!("a\0"),
            json!("a\0b"),
            json!("ab"),
            json!("\u{ffff}"),
            json!("\u{10000}"),
            json!({}),
            json!({ "b": 9, "a": 1 }),
            json!({ "a": 1, "c": 0 }),
            json!({ "a": 2 }),
            json!({ "a\0": 0 }),
            json!([]),
            json!([null]),
            json!([null, null]),
            json!([1, 2]),
            json!([2]),
            json!([[]]),
            json!([true]),
            json!(false),
            json!(true),
        ];
        let time = [
            "0000-01-01",
            "2024-01-01T00:00:00Z",
            "2024-01-01T00:00:00.1Z",
            "2024-01-01T00:00:00.12Z",
        ]
        .map(Value::from);
        for (leaf, values) in [(Leaf::Any, &any[..]), (Leaf::Time(TimeKind::DateTime), &time[..])] {
            for (i, a) in values.iter().enumerate() {
                for (j, b) in values.iter().enumerate() {
                    assert_eq!(compare(&leaf, a, b), i.cmp(&j), "{a} {b}");
                    assert_eq!(key(&leaf, a).cmp(&key(&leaf, b)), i.cmp(&j), "{a} {b}");
                    assert_eq!(equal(&leaf, a, b), i == j, "{a} {b}");
                    assert!(i == j || !key(&leaf, b).starts_with(&key(&leaf, a)), "{a} {b}");
                }
            }
        }
        assert_eq!(key(&Leaf::Any, &json!(-0.0)), key(&Leaf::Any, &json!(0)));
    }
}
