//! The operators that stand behind a path.

use serde_json::{Map, Value};

use crate::ast::{Comparison, ElementFilter, ElementTest, Filter, Operand, Path, Test, TypeClass};
use crate::error::{QueryError, describe};
use crate::eval::whole;
use crate::pattern::Pattern;
use crate::shape::Shape;
use crate::value::compare;

use super::area::{near, point_place, within};
use super::operand::{At, Form, depth_of, normal_form};
use super::{Parser, and, negate, unknown_operator, wrong};

impl<'a> Parser<'a> {
    /// What stands behind a path: an object of operators, or a value to equal. Conditions are appended to `all`.
    pub(super) fn conditions_of(
        &mut self,
        path: &Path,
        shape: Shape<'a>,
        value: &Value,
        depth: usize,
        all: &mut Vec<Filter>,
    ) -> Result<(), QueryError> {
        match operators(value)? {
            None => {
                self.count_condition()?;
                let operand = self.operand(path, shape, "$eq", value)?;
                all.push(Filter::Field(path.clone(), Test::Equal(operand)));
                Ok(())
            }
            Some(members) => self.operators(path, shape, members, depth, all),
        }
    }

    fn operators(
        &mut self,
        path: &Path,
        shape: Shape<'a>,
        members: &Map<String, Value>,
        depth: usize,
        all: &mut Vec<Filter>,
    ) -> Result<(), QueryError> {
        for (operator, value) in members {
            self.count_condition()?;
            let operator = operator.as_str();
            let field = |test| Filter::Field(path.clone(), test);
            let filter = match operator {
                "$eq" => field(Test::Equal(self.operand(path, shape, operator, value)?)),
                "$ne" => negate(field(Test::Equal(self.operand(path, shape, operator, value)?))),
                "$gt" => self.comparison(path, shape, Comparison::Greater, operator, value)?,
                "$gte" => self.comparison(path, shape, Comparison::GreaterOrEqual, operator, value)?,
                "$lt" => self.comparison(path, shape, Comparison::Less, operator, value)?,
                "$lte" => self.comparison(path, shape, Comparison::LessOrEqual, operator, value)?,
                "$in" => field(Test::In(self.sorted_operands(path, shape, operator, value)?)),
                "$nin" => negate(field(Test::In(self.sorted_operands(path, shape, operator, value)?))),
                "$all" => self.contains_all(path, shape, value, depth)?,
                "$exists" => {
                    if truth(path, operator, value)? {
                        field(Test::Exists)
                    } else {
                        negate(field(Test::Exists))
                    }
                }
                "$size" => field(Test::Size(size(path, value)?)),
                "$mod" => field(modulo(path, value)?),
                "$type" => field(Test::Type(type_classes(path, value)?)),
                "$regex" => field(Test::Matches(self.pattern(path, value, members.get("$options"))?)),
                "$options" if members.contains_key("$regex") => continue,
                "$options" => return Err(wrong(path, operator, "a $regex beside it", value)),
                "$not" => {
                    let Some(negated) = operators(value)? else {
                        return Err(wrong(path, operator, "an object of operators", value));
                    };
                    self.check_depth(depth + 1)?;
                    let mut inner = Vec::new();
                    self.operators(path, shape, negated, depth + 1, &mut inner)?;
                    negate(and(inner))
                }
                "$elemMatch" => field(Test::Element(Box::new(self.element(path, shape, value, depth)?))),
                "$near" | "$nearSphere" => {
                    point_place(path, operator)?;
                    field(Test::Near(near(path, operator, value)?))
                }
                "$geoWithin" => {
                    point_place(path, operator)?;
                    within(path, value, self.limits)?
                }
                other => return Err(unknown_operator(other)),
            };
            all.push(filter);
        }
        Ok(())
    }

    fn operand(&self, path: &Path, shape: Shape<'a>, operator: &str, value: &Value) -> Result<Operand, QueryError> {
        let limit = self.limits.operand_depth;
        if depth_of(value, limit) > limit {
            return Err(QueryError::TooComplex(format!(
                "{path}: the operand of {operator} is nested deeper than {limit} levels"
            )));
        }
        normal_form(self.schema, shape, Form::Compared, value, At { path, operator }).map(Operand)
    }

    fn comparison(
        &self,
        path: &Path,
        shape: Shape<'a>,
        comparison: Comparison,
        operator: &str,
        value: &Value,
    ) -> Result<Filter, QueryError> {
        let operand = self.operand(path, shape, operator, value)?;
        // Null is only as great as itself.
        Ok(match (comparison, operand.value()) {
            (Comparison::LessOrEqual | Comparison::GreaterOrEqual, Value::Null) => {
                Filter::Field(path.clone(), Test::Equal(operand))
            }
            (Comparison::Less | Comparison::Greater, Value::Null) => Filter::Field(path.clone(), Test::In(Vec::new())),
            _ => Filter::Field(path.clone(), Test::Compare(comparison, operand)),
        })
    }

    fn values<'v>(&self, path: &Path, operator: &str, value: &'v Value) -> Result<&'v [Value], QueryError> {
        let values = value
            .as_array()
            .ok_or_else(|| wrong(path, operator, "an array", value))?;
        if values.len() > self.limits.values {
            return Err(QueryError::TooComplex(format!(
                "{path}: {operator} has {} values, at most {} are allowed",
                values.len(),
                self.limits.values
            )));
        }
        Ok(values)
    }

    /// Sorted and without repetitions, so that membership can be searched by halves.
    fn sorted_operands(
        &self,
        path: &Path,
        shape: Shape<'a>,
        operator: &str,
        value: &Value,
    ) -> Result<Vec<Operand>, QueryError> {
        let values = self.values(path, operator, value)?;
        let operand = |value| self.operand(path, shape, operator, value);
        let mut operands = values.iter().map(operand).collect::<Result<Vec<_>, _>>()?;
        let leaf = match &path.leaf {
            crate::ast::Leaf::Array(element) => element,
            leaf => leaf,
        };
        operands.sort_by(|a, b| compare(leaf, &a.0, &b.0));
        operands.dedup_by(|a, b| compare(leaf, &a.0, &b.0).is_eq());
        Ok(operands)
    }

    /// `$all` takes values, or `$elemMatch` conditions which must each be passed by some element.
    fn contains_all(
        &mut self,
        path: &Path,
        shape: Shape<'a>,
        value: &Value,
        depth: usize,
    ) -> Result<Filter, QueryError> {
        let values = self.values(path, "$all", value)?;
        let is_element = |value: &Value| value.get("$elemMatch").is_some();
        if !values.iter().any(is_element) {
            let operand = |value| self.operand(path, shape, "$all", value);
            let operands = values.iter().map(operand).collect::<Result<_, _>>()?;
            return Ok(Filter::Field(path.clone(), Test::ContainsAll(operands)));
        }
        let mut all = Vec::with_capacity(values.len());
        for condition in values {
            match condition {
                Value::Object(members) if members.len() == 1 && is_element(condition) => {
                    self.operators(path, shape, members, depth, &mut all)?;
                }
                other => return Err(wrong(path, "$all", "either values or $elemMatch conditions", other)),
            }
        }
        Ok(and(all))
    }

    fn pattern(&self, path: &Path, source: &Value, options: Option<&Value>) -> Result<Pattern, QueryError> {
        let Value::String(source) = source else {
            return Err(wrong(path, "$regex", "a string", source));
        };
        let options = match options {
            None => "",
            Some(Value::String(options)) => options,
            Some(other) => return Err(wrong(path, "$options", "a string", other)),
        };
        Pattern::parse(source, options, self.limits)
    }

    fn element(
        &mut self,
        path: &Path,
        shape: Shape<'a>,
        value: &Value,
        depth: usize,
    ) -> Result<ElementFilter, QueryError> {
        self.check_depth(depth + 1)?;
        let Value::Object(members) = value else {
            return Err(wrong(path, "$elemMatch", "an object of conditions", value));
        };
        let element = shape.element();
        let logical = |name: &String| matches!(name.as_str(), "$and" | "$or" | "$nor");
        let is_object_form = members.keys().all(|name| !name.starts_with('$') || logical(name));
        if is_object_form {
            let root = match element {
                Shape::Item(item) => match item.embedded().and_then(|class| self.schema.class(class.as_str())) {
                    Some(class) => Shape::Class(class),
                    None => Shape::Any,
                },
                Shape::Class(_) | Shape::Field(_) | Shape::Id | Shape::Coordinate | Shape::Any => Shape::Any,
            };
            return self.filter(members, root, depth + 1).map(ElementFilter::Object);
        }
        if members.keys().any(|name| !name.starts_with('$') || logical(name)) {
            return Err(mixed());
        }
        // The element has the path of its array in messages.
        let at_element = Path {
            leaf: element.leaf(),
            direct: false,
            ..path.clone()
        };
        let mut tests = Vec::new();
        self.operators(&at_element, element, members, depth + 1, &mut tests)?;
        element_tests(tests).map(ElementFilter::Value)
    }
}

/// Conditions on one and the same value as a list of tests.
fn element_tests(filters: Vec<Filter>) -> Result<Vec<ElementTest>, QueryError> {
    let mut tests = Vec::with_capacity(filters.len());
    for filter in filters {
        match filter {
            Filter::Field(_, test) => tests.push(ElementTest { negated: false, test }),
            Filter::Not(inner) => match *inner {
                Filter::Field(_, test) => tests.push(ElementTest { negated: true, test }),
                Filter::Not(inner) => tests.extend(element_tests(vec![*inner])?),
                Filter::And(_) | Filter::Or(_) => {
                    return Err(QueryError::Unsupported(
                        "$not inside of $elemMatch takes one operator: write one $not for each".into(),
                    ));
                }
            },
            Filter::And(inner) => tests.extend(element_tests(inner)?),
            Filter::Or(inner) => match inner.into_iter().next() {
                // The form that $centerSphere has.
                Some(only) => tests.extend(element_tests(vec![only])?),
                None => tests.push(ElementTest {
                    negated: false,
                    test: Test::In(Vec::new()),
                }),
            },
        }
    }
    Ok(tests)
}

/// The operators, if `value` is an object with `$` members; `None` if it is a value.
fn operators(value: &Value) -> Result<Option<&Map<String, Value>>, QueryError> {
    let Value::Object(members) = value else { return Ok(None) };
    let count = members.keys().filter(|name| name.starts_with('$')).count();
    if count == 0 || members.keys().next().is_some_and(|name| name == "$date") {
        return Ok(None);
    }
    if count < members.len() {
        Err(mixed())
    } else {
        Ok(Some(members))
    }
}

fn mixed() -> QueryError {
    QueryError::Syntax("operators and plain members cannot be mixed in one object".into())
}

fn truth(path: &Path, operator: &str, value: &Value) -> Result<bool, QueryError> {
    match value {
        Value::Bool(truth) => Ok(*truth),
        Value::Number(number) => Ok(number.as_f64() != Some(0.0)),
        other => Err(wrong(path, operator, "true or false", other)),
    }
}

fn size(path: &Path, value: &Value) -> Result<u64, QueryError> {
    let size = whole(value).filter(|size| value.as_f64() == Some(*size as f64));
    size.and_then(|size| u64::try_from(size).ok())
        .ok_or_else(|| wrong(path, "$size", "a whole number that is not negative", value))
}

fn modulo(path: &Path, value: &Value) -> Result<Test, QueryError> {
    let expected = "[divisor, remainder], two numbers of 64 bits, the divisor not 0";
    let parts = value.as_array().filter(|parts| parts.len() == 2);
    let parts = parts.and_then(|parts| Some((whole(&parts[0])?, whole(&parts[1])?)));
    match parts {
        Some((divisor, remainder)) if divisor != 0 => Ok(Test::Modulo { divisor, remainder }),
        _ => Err(wrong(path, "$mod", expected, value)),
    }
}

fn type_classes(path: &Path, value: &Value) -> Result<Vec<TypeClass>, QueryError> {
    let names = match value {
        Value::Array(names) if !names.is_empty() => names.as_slice(),
        single => std::slice::from_ref(single),
    };
    let mut classes = names
        .iter()
        .map(|name| type_class(path, name))
        .collect::<Result<Vec<_>, _>>()?;
    classes.sort_unstable();
    classes.dedup();
    Ok(classes)
}

fn type_class(path: &Path, name: &Value) -> Result<TypeClass, QueryError> {
    let code = name.as_i64();
    match (name.as_str(), code) {
        (Some("null"), _) | (_, Some(10)) => Ok(TypeClass::Null),
        // One class here, several of BSON's.
        (Some("number" | "double" | "int" | "long" | "decimal"), _) | (_, Some(1 | 16 | 18 | 19)) => {
            Ok(TypeClass::Number)
        }
        (Some("string"), _) | (_, Some(2)) => Ok(TypeClass::String),
        (Some("object"), _) | (_, Some(3)) => Ok(TypeClass::Object),
        (Some("array"), _) | (_, Some(4)) => Ok(TypeClass::Array),
        (Some("bool"), _) | (_, Some(8)) => Ok(TypeClass::Boolean),
        (Some("date"), _) | (_, Some(9)) => Ok(TypeClass::Time),
        _ => Err(QueryError::WrongOperand {
            path: path.to_string(),
            operator: "$type".into(),
            expected: "null, number, string, object, array, bool or date".into(),
            found: describe(name),
        }),
    }
}
