//! From JSON to checked operations.

use fb_types::{Class, FieldType, ItemType, Schema, ValueError};
use serde_json::{Map, Value};

use super::target::{Inside, Target, target};
use super::{Action, BitOperation, Bound, Calculation, NumberKind, Operation, Update, UpdateError};
use crate::ast::{Leaf, TimeKind};
use crate::error::{Limits, describe, echo};
use crate::parse::depth_of;
use crate::shape::Shape;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    Set,
    Calculate(Calculation),
    Bits(BitOperation),
    Bound(Bound),
    Push,
    Unshift,
    Pop,
    Shift,
    Replace,
    Add,
    Remove,
    Put,
    CurrentDate,
}

/// By name. `$rename` is known to clients but not offered.
fn operator(name: &str) -> Option<Operator> {
    Some(match name {
        "$set" => Operator::Set,
        "$inc" => Operator::Calculate(Calculation::Add),
        "$dec" => Operator::Calculate(Calculation::Subtract),
        "$mul" => Operator::Calculate(Calculation::Multiply),
        "$min" => Operator::Bound(Bound::AtMost),
        "$max" => Operator::Bound(Bound::AtLeast),
        "$and" => Operator::Bits(BitOperation::And),
        "$or" => Operator::Bits(BitOperation::Or),
        "$xor" => Operator::Bits(BitOperation::Xor),
        "$push" => Operator::Push,
        "$unshift" => Operator::Unshift,
        "$pop" => Operator::Pop,
        "$shift" => Operator::Shift,
        "$replace" => Operator::Replace,
        "$add" => Operator::Add,
        "$remove" => Operator::Remove,
        "$put" => Operator::Put,
        "$currentDate" => Operator::CurrentDate,
        _ => return None,
    })
}

impl Update {
    /// Parses `{"<operator>": {"<path>": <operand>, …}, …}` for objects of `class`. `{}` changes nothing.
    ///
    /// Errors: see [`UpdateError`]; all of them are the client's. Cost: linear in `json`, apart from sorting the paths.
    pub fn parse(json: &Value, schema: &Schema, class: &Class, limits: &Limits) -> Result<Self, UpdateError> {
        let form = "an update is an object of operators like {\"$set\": {\"name\": \"x\"}}";
        let Value::Object(operators) = json else {
            return Err(UpdateError::Syntax(format!("{form}, found {}", describe(json))));
        };
        let mut operations = Vec::new();
        let mut paths: Vec<Vec<&str>> = Vec::new();
        for (name, entries) in operators {
            if !name.starts_with('$') {
                return Err(UpdateError::Syntax(format!(
                    "{form}, found the member `{}`",
                    echo(name)
                )));
            }
            let Value::Object(entries) = entries else {
                return Err(UpdateError::Syntax(format!(
                    "{} needs an object of paths and operands, found {}",
                    echo(name),
                    describe(entries)
                )));
            };
            if operations.len() + entries.len() > limits.operations {
                return Err(UpdateError::TooComplex(format!(
                    "an update may have at most {} operations",
                    limits.operations
                )));
            }
            for (path, operand) in entries {
                let parser = OperationParser {
                    schema,
                    class,
                    limits,
                    name,
                    path,
                };
                operations.push(parser.operation(operand)?);
                paths.push(path.split('.').collect());
            }
        }
        // Sorted, a path stands right before the first one that it is the beginning of.
        paths.sort_unstable();
        match paths.windows(2).find(|pair| pair[1].starts_with(&pair[0])) {
            Some(pair) => Err(UpdateError::Conflict {
                path: pair[0].join("."),
            }),
            None => Ok(Self { operations }),
        }
    }
}

/// One operator on one path.
struct OperationParser<'a> {
    schema: &'a Schema,
    class: &'a Class,
    limits: &'a Limits,
    name: &'a str,
    path: &'a str,
}

impl OperationParser<'_> {
    fn unsupported(&self) -> UpdateError {
        UpdateError::Unsupported {
            operator: echo(self.name),
            path: echo(self.path),
        }
    }

    fn operation(&self, operand: &Value) -> Result<Operation, UpdateError> {
        let operator = operator(self.name).ok_or_else(|| self.unsupported())?;
        let limit = self.limits.operand_depth;
        if depth_of(operand, limit) > limit {
            return Err(UpdateError::TooComplex(format!(
                "{}: the operand is nested deeper than {limit} levels",
                echo(self.path)
            )));
        }
        let Target { parents, field, inside } = target(self.path, self.schema, self.class, self.limits)?;
        let action = match inside {
            Inside::Whole => self.whole(operator, field, operand)?,
            Inside::Element(index) => match (operator, field.ty()) {
                (Operator::Replace, FieldType::List(item)) => Action::Replace(index, self.item(item, operand)?),
                _ => return Err(self.unsupported()),
            },
            Inside::Json(steps) if operator == Operator::Set => Action::SetInside(steps, operand.clone()),
            Inside::Json(_) => return Err(self.unsupported()),
        };
        let field = field.name().into();
        Ok(Operation { parents, field, action })
    }

    fn whole(&self, operator: Operator, field: &fb_types::Field, operand: &Value) -> Result<Action, UpdateError> {
        use FieldType::{List, Map, One, Set};
        let ty = field.ty();
        match (operator, ty) {
            (Operator::Set, One(ItemType::Embedded(_))) => Err(UpdateError::WholeEmbedded),
            (Operator::Set, _) => Ok(Action::Set(
                self.schema.check_field(self.class, field, self.path, operand)?,
            )),
            (Operator::Calculate(calculation), One(item)) => {
                let kind = match item {
                    ItemType::Integer => NumberKind::Integer,
                    ItemType::Double => NumberKind::Double,
                    _ => return Err(self.unsupported()),
                };
                match operand {
                    Value::Number(number) => Ok(Action::Calculate(calculation, number.clone(), kind)),
                    other => Err(self.wrong("a number", other)),
                }
            }
            (Operator::Bits(operation), One(ItemType::Integer)) => {
                let whole = crate::eval::whole(operand).filter(|whole| operand.as_f64() == Some(*whole as f64));
                match whole {
                    Some(mask) => Ok(Action::Bits(operation, mask)),
                    None => Err(self.wrong("a 64-bit integer", operand)),
                }
            }
            (Operator::Bound(bound), One(item)) => match Shape::Item(item).leaf() {
                leaf @ (Leaf::Number | Leaf::Time(_)) if !operand.is_null() => {
                    Ok(Action::Bound(bound, leaf, self.item(item, operand)?))
                }
                Leaf::Number | Leaf::Time(_) => Err(self.wrong(&item.describe(), operand)),
                Leaf::Boolean | Leaf::Text | Leaf::GeoPoint | Leaf::Object | Leaf::Array(_) | Leaf::Any => {
                    Err(self.unsupported())
                }
            },
            (Operator::Push, List(item)) => Ok(Action::Push(self.item(item, operand)?)),
            (Operator::Unshift, List(item)) => Ok(Action::Unshift(self.item(item, operand)?)),
            (Operator::Pop, List(_)) => self.no_operand(operand, Action::Pop),
            (Operator::Shift, List(_)) => self.no_operand(operand, Action::Shift),
            (Operator::Add, Set(item)) => Ok(Action::Add(self.item(item, operand)?)),
            (Operator::Remove, List(item) | Set(item)) => Ok(Action::RemoveElement(self.item(item, operand)?)),
            (Operator::Remove, Map(..)) => match operand {
                Value::String(key) => Ok(Action::RemoveKey(key.clone())),
                // Clients write other keys as their JSON text.
                Value::Number(_) | Value::Bool(_) => Ok(Action::RemoveKey(operand.to_string())),
                other => Err(self.wrong("a key of the map", other)),
            },
            (Operator::Put, Map(..)) => self.put(field, operand),
            (Operator::CurrentDate, One(item)) => match Shape::Item(item).leaf() {
                Leaf::Time(kind) if matches!(operand, Value::Null | Value::Bool(true)) => Ok(Action::Now(kind)),
                Leaf::Time(TimeKind::DateTime | TimeKind::Date | TimeKind::Time) => {
                    Err(self.wrong("null: the moment is the server's", operand))
                }
                _ => Err(self.unsupported()),
            },
            _ => Err(self.unsupported()),
        }
    }

    fn item(&self, item: &ItemType, operand: &Value) -> Result<Value, UpdateError> {
        Ok(self.schema.check_item(self.class, item, self.path, operand)?)
    }

    fn no_operand(&self, operand: &Value, action: Action) -> Result<Action, UpdateError> {
        if operand.is_null() {
            Ok(action)
        } else {
            Err(self.wrong("null", operand))
        }
    }

    fn put(&self, field: &fb_types::Field, operand: &Value) -> Result<Action, UpdateError> {
        let Value::Object(given) = operand else {
            return Err(self.wrong("an object of entries", operand));
        };
        // Checking drops the entries without a value; here they mean that the key goes.
        let checked = self.schema.check_field(self.class, field, self.path, operand)?;
        let mut entries: Map<String, Value> = match checked {
            Value::Object(entries) => entries,
            _ => Map::new(),
        };
        for key in given.keys() {
            entries.entry(key.as_str()).or_insert(Value::Null);
        }
        Ok(Action::Put(entries))
    }

    fn wrong(&self, expected: &str, found: &Value) -> UpdateError {
        UpdateError::Value(ValueError {
            class: self.class.name().clone(),
            field: echo(self.path),
            expected: format!("updated by {} with {expected}", self.name),
            found: describe(found),
        })
    }
}
