//! Arithmetic of update operators.

use serde_json::{Number, Value};

use super::{BitOperation, Calculation, NumberKind};
use crate::eval::whole;

/// Largest integer that every double up to it represents exactly, 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The new value of a number field; `null` counts as 0. `None` if the result does not fit.
///
/// Integers are exact as long as the operand is one; otherwise the fraction of the IEEE result is dropped.
pub(super) fn calculate(calculation: Calculation, value: &Value, operand: &Number, kind: NumberKind) -> Option<Number> {
    match kind {
        NumberKind::Integer => {
            let value = value.as_i64().unwrap_or(0);
            let result = match exact_integer(operand) {
                Some(operand) => match calculation {
                    Calculation::Add => value.checked_add(operand),
                    Calculation::Subtract => value.checked_sub(operand),
                    Calculation::Multiply => value.checked_mul(operand),
                },
                None => whole(&Value::Number(Number::from_f64(double(
                    calculation,
                    value as f64,
                    operand,
                )?)?)),
            };
            result.map(Number::from)
        }
        NumberKind::Double => {
            let result = double(calculation, value.as_f64().unwrap_or(0.0), operand)?;
            // Whole doubles are spelled without a fraction, as clients do.
            if result.fract() == 0.0 && result.abs() <= EXACT {
                Some(Number::from(result as i64))
            } else {
                Number::from_f64(result)
            }
        }
    }
}

fn exact_integer(number: &Number) -> Option<i64> {
    let int = whole(&Value::Number(number.clone()))?;
    (number.is_i64() || number.as_f64() == Some(int as f64)).then_some(int)
}

fn double(calculation: Calculation, value: f64, operand: &Number) -> Option<f64> {
    let operand = operand.as_f64()?;
    Some(match calculation {
        Calculation::Add => value + operand,
        Calculation::Subtract => value - operand,
        Calculation::Multiply => value * operand,
    })
}

pub(super) fn bits(operation: BitOperation, value: i64, mask: i64) -> i64 {
    match operation {
        BitOperation::And => value & mask,
        BitOperation::Or => value | mask,
        BitOperation::Xor => value ^ mask,
    }
}
