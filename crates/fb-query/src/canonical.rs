//! One text for filters that mean the same.

use std::fmt::Write;

use serde_json::{Number, Value};

use crate::ast::{Comparison, ElementFilter, ElementTest, Filter, Operand, Order, Path, Query, SortKey, Test};
use crate::geo::{Near, Point, Region};

impl Filter {
    /// A stable text. Filters of one class and schema revision with equal texts match the same objects; filters that
    /// differ only in the order of conditions and operands, in repetitions, in the order of members, or in the spelling
    /// of numbers (`1`, `1.0`) have equal texts. For cache keys, not for parsing. Cost: sorts all lists of the filter.
    pub fn canonical(&self) -> String {
        normal(self).text()
    }
}

impl Query {
    /// A stable text, equal only for queries with equal results. See [`Filter::canonical`].
    pub fn canonical(&self) -> String {
        let order = match &self.order {
            Order::Natural => String::new(),
            Order::By(keys) => {
                let key = |SortKey { path, descending }: &SortKey| {
                    format!("{}{}", if *descending { '-' } else { '+' }, path_text(path))
                };
                keys.iter().map(key).collect::<Vec<_>>().join(",")
            }
            Order::Distance(path, near) => format!("{} {}", path_text(path), near_text(near)),
        };
        let filter = self.filter.canonical();
        format!("{}|{filter}|{order}|{}|{}", self.class, self.offset, self.limit)
    }
}

/// A filter in which what does not matter is gone: groups of the same kind inside of each other, groups of one, order,
/// repetitions, double negation.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Condition(String),
}

fn normal(filter: &Filter) -> Node {
    let mut members = Vec::new();
    match filter {
        Filter::And(filters) => {
            for member in filters.iter().map(normal) {
                match member {
                    Node::And(inner) => members.extend(inner),
                    other => members.push(other),
                }
            }
            group(members, Node::And)
        }
        Filter::Or(filters) => {
            for member in filters.iter().map(normal) {
                match member {
                    Node::Or(inner) => members.extend(inner),
                    other => members.push(other),
                }
            }
            group(members, Node::Or)
        }
        Filter::Not(filter) => match normal(filter) {
            Node::Not(inner) => *inner,
            other => Node::Not(Box::new(other)),
        },
        Filter::Field(path, test) => Node::Condition(format!("{} {}", path_text(path), test_text(test))),
    }
}

fn group(mut members: Vec<Node>, kind: fn(Vec<Node>) -> Node) -> Node {
    members.sort_unstable();
    members.dedup();
    match members.pop() {
        Some(only) if members.is_empty() => only,
        last => {
            members.extend(last);
            kind(members)
        }
    }
}

impl Node {
    fn text(&self) -> String {
        let list = |members: &[Self]| members.iter().map(Self::text).collect::<Vec<_>>().join(",");
        match self {
            Self::And(members) => format!("and({})", list(members)),
            Self::Or(members) => format!("or({})", list(members)),
            Self::Not(inner) => format!("not({})", inner.text()),
            Self::Condition(text) => text.clone(),
        }
    }
}

fn sorted(mut parts: Vec<String>) -> Vec<String> {
    parts.sort_unstable();
    parts.dedup();
    parts
}

fn path_text(path: &Path) -> String {
    Value::String(path.to_string()).to_string()
}

fn test_text(test: &Test) -> String {
    match test {
        Test::Equal(operand) => format!("= {}", operand_text(operand)),
        Test::Compare(comparison, operand) => format!("{} {}", sign(*comparison), operand_text(operand)),
        Test::In(operands) => match sorted(operands.iter().map(operand_text).collect()).as_slice() {
            [only] => format!("= {only}"),
            all => format!("in [{}]", all.join(",")),
        },
        Test::ContainsAll(operands) => match sorted(operands.iter().map(operand_text).collect()).as_slice() {
            [only] => format!("= {only}"),
            all => format!("all [{}]", all.join(",")),
        },
        Test::Size(size) => format!("size {size}"),
        Test::Exists => "exists".to_owned(),
        Test::Modulo { divisor, remainder } => format!("mod {divisor} {remainder}"),
        Test::Matches(pattern) => {
            let source = Value::String(pattern.source().to_owned());
            format!("~ {source}{}", if pattern.multi_line() { "m" } else { "" })
        }
        Test::Type(classes) => {
            format!(
                "type [{}]",
                sorted(classes.iter().map(|c| format!("{c:?}")).collect()).join(",")
            )
        }
        Test::Element(filter) => match &**filter {
            ElementFilter::Object(filter) => format!("element {{{}}}", filter.canonical()),
            ElementFilter::Value(tests) => {
                let text = |ElementTest { negated, test }: &ElementTest| {
                    format!("{}{}", if *negated { "not " } else { "" }, test_text(test))
                };
                format!("element [{}]", sorted(tests.iter().map(text).collect()).join(","))
            }
        },
        Test::Near(near) => near_text(near),
        Test::Within(region) => region_text(region),
    }
}

fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

fn operand_text(operand: &Operand) -> String {
    let mut text = String::new();
    write_value(operand.value(), &mut text);
    text
}

/// JSON with sorted members and one spelling per number. Writing to a String cannot fail.
fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => {
            let _ = write!(out, "{value}");
        }
        Value::Number(number) => out.push_str(&number_text(number)),
        Value::Array(elements) => {
            out.push('[');
            for (i, element) in elements.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { "," });
                write_value(element, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort_unstable();
            out.push('{');
            for (i, name) in names.into_iter().enumerate() {
                let _ = write!(out, "{}{}:", if i == 0 { "" } else { "," }, Value::String(name.clone()));
                write_value(&members[name], out);
            }
            out.push('}');
        }
    }
}

/// Equal for equal numbers only: whole doubles in the range of 64-bit integers are spelled as integers.
fn number_text(number: &Number) -> String {
    match number.as_f64() {
        Some(double) if number.is_f64() => double_text(double),
        _ => number.to_string(),
    }
}

fn double_text(double: f64) -> String {
    if double.fract() == 0.0 && double.abs() < 18_446_744_073_709_551_616.0 {
        (double as i128).to_string()
    } else {
        format!("{double:e}")
    }
}

fn point_text(point: &Point) -> String {
    format!("{} {}", double_text(point.latitude), double_text(point.longitude))
}

fn near_text(near: &Near) -> String {
    let max = near.max_distance.map(double_text).unwrap_or_default();
    format!(
        "near {} {}..{max}",
        point_text(&near.center),
        double_text(near.min_distance)
    )
}

fn region_text(region: &Region) -> String {
    let ring = |ring: &Vec<Point>| format!("({})", ring.iter().map(point_text).collect::<Vec<_>>().join(","));
    let holes = sorted(region.holes.iter().map(ring).collect());
    format!("within {}{}", ring(&region.outer), holes.concat())
}
