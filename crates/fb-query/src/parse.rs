//! From JSON to typed filters and sort orders.

mod area;
mod field;
mod operand;
mod sort;

use fb_types::{Class, Schema};
use serde_json::{Map, Value};

use crate::ast::{Filter, Order, Path, Query, SortKey, Test};
use crate::error::{Limits, QueryError, describe, echo};
use crate::shape::{Shape, resolve};

pub(crate) use operand::depth_of;
pub use sort::parse_sort;

/// Parses a filter in MongoDB's JSON notation for objects of `class`. SPEC.md says what is understood, and how.
///
/// Errors: see [`QueryError`]. Cost: linear in `json`; what exceeds `limits` is refused before it costs more.
pub fn parse_filter(json: &Value, schema: &Schema, class: &Class, limits: &Limits) -> Result<Filter, QueryError> {
    let mut parser = Parser {
        schema,
        class,
        limits,
        conditions: 0,
    };
    match json {
        Value::Object(members) => parser.filter(members, Shape::Class(class), 1),
        other => Err(QueryError::Syntax(format!(
            "a filter is an object like {{\"name\": \"x\"}}, found {}",
            describe(other)
        ))),
    }
}

impl Query {
    /// A query on `class`. Without sort keys, the first `$near` that every result must pass orders by distance.
    pub fn new(class: &Class, filter: Filter, sort: Vec<SortKey>, offset: u64, limit: u64) -> Self {
        let order = if sort.is_empty() {
            nearness(&filter).unwrap_or(Order::Natural)
        } else {
            Order::By(sort)
        };
        Self {
            class: class.name().clone(),
            filter,
            order,
            offset,
            limit,
        }
    }
}

fn nearness(filter: &Filter) -> Option<Order> {
    match filter {
        Filter::And(filters) => filters.iter().find_map(nearness),
        Filter::Field(path, Test::Near(near)) => Some(Order::Distance(path.clone(), *near)),
        Filter::Field(..) | Filter::Or(_) | Filter::Not(_) => None,
    }
}

/// What is the same for all parts of one filter, and how much of it was seen.
struct Parser<'a> {
    schema: &'a Schema,
    class: &'a Class,
    limits: &'a Limits,
    conditions: usize,
}

impl<'a> Parser<'a> {
    /// All members of a filter object, whose paths start at `root`.
    fn filter(&mut self, members: &Map<String, Value>, root: Shape<'a>, depth: usize) -> Result<Filter, QueryError> {
        self.check_depth(depth)?;
        let mut all = Vec::with_capacity(members.len());
        for (name, value) in members {
            match name.as_str() {
                "$and" => all.push(Filter::And(self.branches(name, value, root, depth)?)),
                "$or" => all.push(Filter::Or(self.branches(name, value, root, depth)?)),
                "$nor" => {
                    let branches = self.branches(name, value, root, depth)?;
                    all.push(Filter::Not(Box::new(Filter::Or(branches))));
                }
                operator if operator.starts_with('$') => return Err(unknown_operator(operator)),
                path => {
                    let (path, shape) = resolve(path, root, self.schema, self.class, self.limits)?;
                    self.conditions_of(&path, shape, value, depth, &mut all)?;
                }
            }
        }
        Ok(and(all))
    }

    fn branches(
        &mut self,
        operator: &str,
        value: &Value,
        root: Shape<'a>,
        depth: usize,
    ) -> Result<Vec<Filter>, QueryError> {
        let branches = value.as_array().filter(|branches| !branches.is_empty());
        let branches = branches.ok_or_else(|| {
            QueryError::Syntax(format!(
                "{operator} needs an array of at least one filter, found {}",
                describe(value)
            ))
        })?;
        if branches.len() > self.limits.branches {
            return Err(QueryError::TooComplex(format!(
                "{operator} has {} operands, at most {} are allowed",
                branches.len(),
                self.limits.branches
            )));
        }
        self.count_condition()?;
        let mut filters = Vec::with_capacity(branches.len());
        for branch in branches {
            self.count_condition()?;
            let Value::Object(members) = branch else {
                return Err(QueryError::Syntax(format!(
                    "the operands of {operator} must be filters, found {}",
                    describe(branch)
                )));
            };
            filters.push(self.filter(members, root, depth + 1)?);
        }
        Ok(filters)
    }

    fn check_depth(&self, depth: usize) -> Result<(), QueryError> {
        if depth > self.limits.depth {
            return Err(QueryError::TooComplex(format!(
                "the filter is nested deeper than {} levels",
                self.limits.depth
            )));
        }
        Ok(())
    }

    fn count_condition(&mut self) -> Result<(), QueryError> {
        self.conditions += 1;
        if self.conditions > self.limits.conditions {
            return Err(QueryError::TooComplex(format!(
                "the filter has more than {} conditions",
                self.limits.conditions
            )));
        }
        Ok(())
    }
}

/// The conjunction; a single filter stands for itself.
fn and(mut filters: Vec<Filter>) -> Filter {
    match filters.pop() {
        Some(only) if filters.is_empty() => only,
        Some(last) => {
            filters.push(last);
            Filter::And(filters)
        }
        None => Filter::ALL,
    }
}

fn negate(filter: Filter) -> Filter {
    Filter::Not(Box::new(filter))
}

/// Operators of MongoDB that are not offered, and what to do instead.
const UNSUPPORTED: [(&str, &str); 10] = [
    ("$where", "it would run code of the caller: use the other operators"),
    ("$expr", "compare a field with a value instead"),
    ("$function", "it would run code of the caller: use the other operators"),
    ("$text", "there is no text index: use an anchored $regex"),
    ("$jsonSchema", "the class's schema says it already"),
    ("$comment", "leave it out"),
    ("$geoIntersects", "use $geoWithin or $nearSphere"),
    ("$bitsAllSet", "use $mod, or a list of flags"),
    ("$bitsAnySet", "use $mod, or a list of flags"),
    ("$bitsAllClear", "use $mod, or a list of flags"),
];

/// The error for an operator that is not known at this place.
fn unknown_operator(operator: &str) -> QueryError {
    match UNSUPPORTED.iter().find(|(name, _)| *name == operator) {
        Some((name, advice)) => QueryError::Unsupported(format!("{name} is not supported; {advice}")),
        None => QueryError::UnknownOperator {
            operator: echo(operator),
        },
    }
}

fn wrong(path: &Path, operator: &str, expected: &str, found: &Value) -> QueryError {
    QueryError::WrongOperand {
        path: path.to_string(),
        operator: operator.to_owned(),
        expected: expected.to_owned(),
        found: describe(found),
    }
}
