//! Modules and handlers in files, compared with those of an app.

mod bundle;
mod imports;
mod local;
mod plan;

pub(crate) use bundle::text_of;
pub(crate) use local::{Sources, read};
pub(crate) use plan::{CodePlan, plan, remote};

use std::fmt;

use crate::CliError;

/// What code can be. Source: protocol 06, and the handlers that run after an operation.
const TYPES: [&str; 9] = [
    "module",
    "insert",
    "update",
    "delete",
    "validate",
    "afterInsert",
    "afterUpdate",
    "afterDelete",
    "afterUpload",
];

/// The name of a piece of code: `/code/<bucket>/<type>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CodeId {
    pub(crate) bucket: String,
    pub(crate) code_type: &'static str,
}

impl CodeId {
    /// Joins the name of a module or class and a type, if both can be what they are.
    pub(crate) fn new(bucket: &str, code_type: &str) -> Option<Self> {
        let code_type = TYPES.into_iter().find(|known| *known == code_type)?;
        crate::write::is_plain(bucket).then(|| Self {
            bucket: bucket.to_owned(),
            code_type,
        })
    }

    /// Reads what people write: `hello` (a module), `Todo/insert`, `/code/Todo/insert`.
    pub fn parse(text: &str) -> Result<Self, CliError> {
        let short = text.strip_prefix("/code/").unwrap_or(text);
        let (bucket, code_type) = short.split_once('/').unwrap_or((short, "module"));
        Self::new(bucket, code_type).ok_or_else(|| {
            CliError::Usage(format!(
                "`{text}` is no code: name a module (hello) or a handler (Todo/insert); types are {}",
                TYPES.join(", ")
            ))
        })
    }

    /// The path of its URL.
    pub(crate) fn path(&self) -> String {
        format!("/code/{}/{}", self.bucket, self.code_type)
    }

    pub(crate) fn is_module(&self) -> bool {
        self.code_type == TYPES[0]
    }
}

impl fmt::Display for CodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_module() {
            true => write!(f, "{} (module)", self.bucket),
            false => write!(f, "{}/{}", self.bucket, self.code_type),
        }
    }
}

#[cfg(test)]
mod tests;
