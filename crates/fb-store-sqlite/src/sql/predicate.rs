//! Filters as conditions of a WHERE clause.
//!
//! A condition may evaluate to NULL where the filter says false: AND and OR treat the two alike as far as the result's
//! truth goes, and negation is written `IS NOT TRUE`. A condition is exact, or it is necessary only; in that case the
//! evaluator has the last word on every row that passes.

use fb_query::{Comparison, Filter, Operand, Path, Test};
use rusqlite::types::Value as Sql;
use serde_json::Value;

use super::operand::{Bound, bind};
use super::place::{Kind, Place, place_of_parent, place_of_path};
use crate::catalog::Table;

/// A WHERE clause for a filter.
#[derive(Debug, Default)]
pub(crate) struct Predicate {
    /// The condition; empty if there is none.
    pub(crate) sql: String,
    /// Values of its placeholders, in order.
    pub(crate) params: Vec<Sql>,
    /// What the evaluator has to check on each row that meets the condition.
    pub(crate) residual: Option<Filter>,
}

/// Most operands written as placeholders of their own; more are bound as one JSON array.
const MAX_LISTED: usize = 8;
/// Most branches of one AND or OR.
const MAX_BRANCHES: usize = 100;
/// Highest expression tree; the engine's limit is 1,000.
const MAX_HEIGHT: usize = 500;
/// Height of a single condition, with room to spare.
const LEAF_HEIGHT: usize = 8;
/// Most placeholders of one query; the engine's limit is 32,766.
const MAX_PARAMS: usize = 10_000;
/// Deepest nesting that is translated.
const MAX_DEPTH: usize = 30;

struct Condition {
    sql: String,
    params: Vec<Sql>,
    exact: bool,
    /// Height of the expression tree, roughly.
    height: usize,
}

impl Condition {
    fn exact(sql: String, params: Vec<Sql>) -> Self {
        Self {
            sql,
            params,
            exact: true,
            height: LEAF_HEIGHT,
        }
    }

    fn never() -> Self {
        Self::exact("0".to_owned(), Vec::new())
    }

    fn always() -> Self {
        Self::exact("1".to_owned(), Vec::new())
    }
}

/// Compiles `filter` for the objects of `table`.
pub(crate) fn predicate(table: &Table, filter: &Filter) -> Predicate {
    let mut out = Predicate::default();
    let parts = match filter {
        Filter::And(parts) => parts.as_slice(),
        other => std::slice::from_ref(other),
    };
    let mut residual = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        let condition = (i < MAX_BRANCHES).then(|| condition(table, part, 0)).flatten();
        let condition = condition.filter(|c| out.params.len() + c.params.len() <= MAX_PARAMS);
        if !condition.as_ref().is_some_and(|c| c.exact) {
            residual.push(part.clone());
        }
        if let Some(condition) = condition {
            if !out.sql.is_empty() {
                out.sql.push_str(" AND ");
            }
            out.sql.push_str(&condition.sql);
            out.params.extend(condition.params);
        }
    }
    out.residual = match residual.len() {
        0 => None,
        1 => residual.pop(),
        _ => Some(Filter::And(residual)),
    };
    out
}

fn condition(table: &Table, filter: &Filter, depth: usize) -> Option<Condition> {
    if depth > MAX_DEPTH {
        return None;
    }
    match filter {
        Filter::And(parts) => all(table, parts, depth),
        Filter::Or(parts) => any(table, parts, depth),
        Filter::Not(inner) => condition(table, inner, depth + 1)
            .filter(|c| c.exact)
            .map(|c| Condition {
                sql: format!("({} IS NOT TRUE)", c.sql),
                height: c.height + 2,
                ..c
            }),
        Filter::Field(path, test) => field(table, path, test),
    }
}

fn all(table: &Table, parts: &[Filter], depth: usize) -> Option<Condition> {
    if parts.is_empty() {
        return Some(Condition::always());
    }
    let mut exact = parts.len() <= MAX_BRANCHES;
    let mut conditions = Vec::new();
    for part in parts.iter().take(MAX_BRANCHES) {
        match condition(table, part, depth + 1) {
            Some(c) => {
                exact &= c.exact;
                conditions.push(c);
            }
            None => exact = false,
        }
    }
    if conditions.is_empty() {
        None
    } else {
        join(conditions, " AND ", exact)
    }
}

fn any(table: &Table, parts: &[Filter], depth: usize) -> Option<Condition> {
    if parts.is_empty() {
        return Some(Condition::never());
    }
    if parts.len() > MAX_BRANCHES {
        return None;
    }
    let conditions: Vec<_> = parts
        .iter()
        .map(|part| condition(table, part, depth + 1))
        .collect::<Option<_>>()?;
    let exact = conditions.iter().all(|c| c.exact);
    join(conditions, " OR ", exact)
}

/// `None` if the engine would refuse the result.
fn join(conditions: Vec<Condition>, operator: &str, exact: bool) -> Option<Condition> {
    let height = conditions.len() + conditions.iter().map(|c| c.height).max().unwrap_or(0);
    if height > MAX_HEIGHT {
        return None;
    }
    let mut sql = "(".to_owned();
    let mut params = Vec::new();
    for (i, condition) in conditions.into_iter().enumerate() {
        if i > 0 {
            sql.push_str(operator);
        }
        sql.push_str(&condition.sql);
        params.extend(condition.params);
    }
    sql.push(')');
    Some(Condition {
        sql,
        params,
        exact,
        height,
    })
}

fn field(table: &Table, path: &Path, test: &Test) -> Option<Condition> {
    if matches!(test, Test::Exists) {
        return place_of_parent(path).map(|parent| match parent {
            None => Condition::always(),
            Some(json) => Condition::exact(format!("(json_type(body,'{json}') = 'object')"), Vec::new()),
        });
    }
    match place_of_path(path)? {
        Place::Scalar { expr, kind } => scalar(table, &expr, kind, test),
        Place::Elements { json, kind } => elements(table, &json, kind, test),
        Place::Point { json } => point(table, &json, test),
        Place::Other { .. } => None,
    }
}

fn scalar(table: &Table, expr: &str, kind: Kind, test: &Test) -> Option<Condition> {
    match test {
        Test::Equal(operand) => Some(match bind(kind, &table.id_prefix, operand.value())? {
            Bound::Null => Condition::exact(format!("({expr} IS NULL)"), Vec::new()),
            Bound::Value(value) => Condition::exact(format!("({expr} = ?)"), vec![value]),
            Bound::BelowAll | Bound::AboveAll | Bound::Foreign => Condition::never(),
        }),
        Test::Compare(comparison, operand) => compare(table, expr, kind, *comparison, operand),
        Test::In(operands) => one_of(table, expr, kind, operands),
        // On a single value this is equality with each of them.
        Test::ContainsAll(operands) => {
            let all: Vec<_> = operands.iter().take(MAX_BRANCHES).collect();
            let each = all
                .iter()
                .map(|o| scalar(table, expr, kind, &Test::Equal((*o).clone())));
            let conditions: Vec<_> = each.collect::<Option<_>>()?;
            if conditions.is_empty() {
                return Some(Condition::never());
            }
            join(conditions, " AND ", all.len() == operands.len())
        }
        Test::Matches(pattern) if kind == Kind::Text => prefix(expr, &pattern.literal_prefix()?),
        Test::Matches(_)
        | Test::Size(_)
        | Test::Exists
        | Test::Modulo { .. }
        | Test::Type(_)
        | Test::Element(_)
        | Test::Near(_)
        | Test::Within(_) => None,
    }
}

fn compare(table: &Table, expr: &str, kind: Kind, comparison: Comparison, operand: &Operand) -> Option<Condition> {
    let bound = bind(kind, &table.id_prefix, operand.value())?;
    let (operator, downwards) = match comparison {
        Comparison::Less => ("<", true),
        Comparison::LessOrEqual => ("<=", true),
        Comparison::Greater => (">", false),
        Comparison::GreaterOrEqual => (">=", false),
    };
    match bound {
        // What null compares with is the evaluator's business.
        Bound::Null => None,
        Bound::Value(value) => Some(Condition::exact(format!("({expr} {operator} ?)"), vec![value])),
        Bound::BelowAll => Some(if downwards {
            Condition::never()
        } else {
            Condition::always()
        }),
        Bound::AboveAll => Some(if downwards {
            Condition::always()
        } else {
            Condition::never()
        }),
        Bound::Foreign => Some(Condition::never()),
    }
}

fn one_of(table: &Table, expr: &str, kind: Kind, operands: &[Operand]) -> Option<Condition> {
    let mut values = Vec::with_capacity(operands.len());
    let mut or_null = false;
    for operand in operands {
        match bind(kind, &table.id_prefix, operand.value())? {
            Bound::Null => or_null = true,
            Bound::Value(value) => values.push(value),
            Bound::BelowAll | Bound::AboveAll | Bound::Foreign => {}
        }
    }
    let listed = (!values.is_empty()).then(|| listed(expr, values));
    let null = or_null.then(|| Condition::exact(format!("({expr} IS NULL)"), Vec::new()));
    Some(match (listed, null) {
        (None, None) => Condition::never(),
        (Some(one), None) | (None, Some(one)) => one,
        (Some(a), Some(b)) => join(vec![a, b], " OR ", true)?,
    })
}

fn listed(expr: &str, values: Vec<Sql>) -> Condition {
    if values.len() > MAX_LISTED {
        let sql = format!("({expr} IN (SELECT value FROM json_each(?)))");
        return Condition::exact(sql, vec![json_array(values)]);
    }
    let marks = vec!["?"; values.len()].join(",");
    Condition::exact(format!("({expr} IN ({marks}))"), values)
}

/// Many values as one bound value.
fn json_array(values: Vec<Sql>) -> Sql {
    let plain = |value| match value {
        Sql::Null | Sql::Blob(_) => Value::Null,
        Sql::Integer(i) => Value::from(i),
        Sql::Real(f) => Value::from(f),
        Sql::Text(s) => Value::from(s),
    };
    Sql::Text(Value::Array(values.into_iter().map(plain).collect()).to_string())
}

/// All texts with a prefix lie between the prefix and the least text behind all of them.
fn prefix(expr: &str, literal: &str) -> Option<Condition> {
    if literal.is_empty() {
        return None;
    }
    let from = Sql::Text(literal.to_owned());
    Some(match behind(literal) {
        Some(to) => Condition {
            sql: format!("({expr} >= ? AND {expr} < ?)"),
            params: vec![from, Sql::Text(to)],
            exact: false,
            height: LEAF_HEIGHT,
        },
        None => Condition {
            sql: format!("({expr} >= ?)"),
            params: vec![from],
            exact: false,
            height: LEAF_HEIGHT,
        },
    })
}

/// The least text that is greater than every text beginning with `prefix`: its last character replaced by the next one.
/// UTF-8 keeps the order of characters. `None` if there is no such text.
fn behind(prefix: &str) -> Option<String> {
    let mut head: Vec<char> = prefix.chars().collect();
    while let Some(last) = head.pop() {
        // The range steps over the surrogates, which are no characters.
        if let Some(next) = (last..=char::MAX).nth(1) {
            head.push(next);
            return Some(head.into_iter().collect());
        }
    }
    None
}

fn elements(table: &Table, json: &str, kind: Kind, test: &Test) -> Option<Condition> {
    let index = table.elements_index(json, kind)?;
    let bound = |operand: &Operand| match bind(kind, &table.id_prefix, operand.value())? {
        Bound::Value(value) => Some(value),
        Bound::Null | Bound::BelowAll | Bound::AboveAll | Bound::Foreign => None,
    };
    // Operands are single values of the elements' type here, so that no array as a whole can equal one.
    let (sql, params, exact) = match test {
        Test::Equal(operand) => {
            let sql = format!("(rid IN (SELECT rid FROM m{index} WHERE v = ?))");
            (sql, vec![bound(operand)?], true)
        }
        Test::In(operands) if !operands.is_empty() => {
            let values: Vec<Sql> = operands.iter().map(bound).collect::<Option<_>>()?;
            let listed = listed("v", values);
            let sql = format!("(rid IN (SELECT rid FROM m{index} WHERE {}))", listed.sql);
            (sql, listed.params, true)
        }
        Test::ContainsAll(operands) if !operands.is_empty() => {
            // The first few narrow it down enough.
            let few = operands.iter().take(4);
            let values: Vec<Sql> = few.map(bound).collect::<Option<_>>()?;
            let one = format!("rid IN (SELECT rid FROM m{index} WHERE v = ?)");
            let sql = format!("({})", vec![one; values.len()].join(" AND "));
            let exact = values.len() == operands.len();
            (sql, values, exact)
        }
        Test::In(_)
        | Test::ContainsAll(_)
        | Test::Compare(..)
        | Test::Size(_)
        | Test::Exists
        | Test::Modulo { .. }
        | Test::Matches(_)
        | Test::Type(_)
        | Test::Element(_)
        | Test::Near(_)
        | Test::Within(_) => return None,
    };
    Some(Condition {
        sql,
        params,
        exact,
        height: LEAF_HEIGHT,
    })
}

fn point(table: &Table, json: &str, test: &Test) -> Option<Condition> {
    let index = table.geo_index(json)?;
    let boxes = match test {
        Test::Near(near) => near.bounds()?,
        Test::Within(region) => vec![region.bounds()],
        Test::Equal(_)
        | Test::Compare(..)
        | Test::In(_)
        | Test::ContainsAll(_)
        | Test::Size(_)
        | Test::Exists
        | Test::Modulo { .. }
        | Test::Matches(_)
        | Test::Type(_)
        | Test::Element(_) => return None,
    };
    if boxes.is_empty() {
        return None;
    }
    let mut sql = "(".to_owned();
    let mut params = Vec::new();
    for (i, area) in boxes.iter().enumerate() {
        if i > 0 {
            sql.push_str(" OR ");
        }
        sql.push_str("rid IN (SELECT rid FROM g");
        sql.push_str(&index.to_string());
        sql.push_str(" WHERE south <= ? AND north >= ? AND west <= ? AND east >= ?)");
        params.extend([area.north, area.south, area.east, area.west].map(Sql::Real));
    }
    sql.push(')');
    Some(Condition {
        sql,
        params,
        exact: false,
        height: LEAF_HEIGHT,
    })
}
