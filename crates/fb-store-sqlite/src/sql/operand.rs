//! Operands as bound values.

use fb_query::comparison_form;
use fb_types::Timestamp;
use rusqlite::types::Value as Sql;
use serde_json::Value;

use super::place::Kind;

/// An operand in the form that an expression of a kind compares with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Bound {
    /// It is `null`.
    Null,
    /// Bind this.
    Value(Sql),
    /// All values of the expression are greater than the operand (an id of another class).
    BelowAll,
    /// All values of the expression are less than the operand.
    AboveAll,
    /// It is of another type than the expression: it equals nothing there and compares with nothing.
    Foreign,
}

/// `None` if the engine cannot represent the operand: the evaluator knows what it means.
pub(crate) fn bind(kind: Kind, id_prefix: &str, value: &Value) -> Option<Bound> {
    let bound = match (kind, value) {
        (_, Value::Null) => return Some(Bound::Null),
        (Kind::Boolean, Value::Bool(b)) => Sql::Integer(i64::from(*b)),
        (Kind::Number, Value::Number(n)) => match n.as_i64() {
            Some(i) => Sql::Integer(i),
            // Integers beyond 64 bits signed would lose digits.
            None if n.is_u64() => return None,
            None => Sql::Real(n.as_f64()?),
        },
        (Kind::Text, Value::String(s)) => Sql::Text(s.clone()),
        (Kind::Time, Value::String(s)) => Sql::Text(comparison_form(s).to_owned()),
        (Kind::Moment, Value::String(s)) => Sql::Integer(moment(s)?),
        (Kind::Key, Value::String(s)) => match s.strip_prefix(id_prefix) {
            Some(key) => Sql::Text(key.to_owned()),
            None if s.as_str() < id_prefix => return Some(Bound::BelowAll),
            None => return Some(Bound::AboveAll),
        },
        (
            Kind::Boolean | Kind::Number | Kind::Text | Kind::Time | Kind::Moment | Kind::Key,
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_),
        ) => return Some(Bound::Foreign),
    };
    Some(Bound::Value(bound))
}

/// Milliseconds of a time in comparison form, if it is exactly that.
fn moment(text: &str) -> Option<i64> {
    let stored = format!("{}Z", comparison_form(text));
    let moment: Timestamp = stored.parse().ok()?;
    (moment.to_string() == stored).then(|| moment.millis())
}
