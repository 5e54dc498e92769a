//! What is refused, and how much of it is too much.

use fb_types::ClassName;

/// How large filters, sort orders and updates may be. The defaults are on the safe side and above what clients send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Deepest nesting of logical operators and `$elemMatch`; the outermost object counts as 1.
    pub depth: usize,
    /// Most conditions in a whole filter; logical operators count as one each.
    pub conditions: usize,
    /// Most values in one `$in`, `$nin` or `$all`.
    pub values: usize,
    /// Most operands of one `$and`, `$or` or `$nor`.
    pub branches: usize,
    /// Most steps of a path.
    pub path_steps: usize,
    /// Longest path in bytes.
    pub path_length: usize,
    /// Longest source of a regular expression in bytes.
    pub pattern_length: usize,
    /// Most corners of a polygon, holes included.
    pub corners: usize,
    /// Most keys of a sort order.
    pub sort_keys: usize,
    /// Most operations in one update.
    pub operations: usize,
    /// Deepest nesting of arrays and objects in one operand. Stays well below the 128 levels that JSON parsers accept,
    /// because an operand can become a part of a stored object.
    pub operand_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 20,
            conditions: 2_000,
            values: 10_000,
            branches: 500,
            path_steps: 20,
            path_length: 500,
            pattern_length: 500,
            corners: 1_000,
            sort_keys: 20,
            operations: 500,
            operand_depth: 80,
        }
    }
}

/// Why a filter, path or sort order was refused. Messages are for the author of the query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Not of the form that filters and sort orders have.
    #[error("{0}")]
    Syntax(String),
    /// There is no such operator, or not at this place.
    #[error("there is no query operator `{operator}` at this place")]
    UnknownOperator {
        /// The operator, shortened.
        operator: String,
    },
    /// A known operator or form of an operator that is deliberately not offered.
    #[error("{0}")]
    Unsupported(String),
    /// The path leads nowhere.
    #[error("{class} has no field `{path}`{}", hint.map(|h| format!("; {h}")).unwrap_or_default())]
    UnknownField {
        /// The class the path starts in.
        class: ClassName,
        /// The path as given, shortened.
        path: String,
        /// What to do instead.
        hint: Option<&'static str>,
    },
    /// The operator cannot work with its operand, or with this field.
    #[error("{path}: {operator} needs {expected}, found {found}")]
    WrongOperand {
        /// Path of the field.
        path: String,
        /// The operator, `$eq` for a plain value.
        operator: String,
        /// What the operator needs.
        expected: String,
        /// What came.
        found: String,
    },
    /// A limit of [`Limits`] is exceeded.
    #[error("{0}")]
    TooComplex(String),
}

/// Longest text echoed in an error message, in characters.
const ECHO: usize = 80;

/// The beginning of a text that came from outside.
pub(crate) fn echo(text: &str) -> String {
    text.chars().take(ECHO).collect()
}

/// What a value is, for messages: its kind, and the value itself if it is short.
pub(crate) fn describe(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::String(text) => format!("the string \"{}\"", echo(text)),
        Value::Number(number) => format!("the number {number}"),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => fb_types::kind_of(value).to_string(),
    }
}
