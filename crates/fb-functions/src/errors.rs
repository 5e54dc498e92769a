//! What an author is told about an exception.

use crate::{CallError, Code, Exception};

/// What QuickJS says when memory runs out.
const OUT_OF_MEMORY: (&str, &str) = ("InternalError", "out of memory");

/// From name, message and stack as JavaScript has them.
pub(crate) fn failed(code: &Code, name: String, message: String, stack: &str) -> CallError {
    if (name.as_str(), message.as_str()) == OUT_OF_MEMORY {
        return CallError::OutOfMemory;
    }
    CallError::Failed(Box::new(Exception {
        name,
        message,
        stack: trace(code, stack),
    }))
}

/// The frames of `stack` that are code of the app, as the author wrote it.
pub(crate) fn trace(_code: &Code, stack: &str) -> String {
    let frames: Vec<&str> = stack
        .lines()
        .map(str::trim)
        .filter(|line| line.contains("/code/"))
        .collect();
    frames.join("\n")
}
