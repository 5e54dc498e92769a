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

/// `null` was thrown. QuickJS does that if there is no memory left for an error; hardly anybody else does.
pub(crate) fn null(code: &Code) -> CallError {
    if code.throws_null() {
        return failed(code, "Error".to_owned(), "null".to_owned(), "");
    }
    CallError::OutOfMemory
}

/// Frames that are shown. A stack may be any text, and names of sources may be long.
const MOST_FRAMES: usize = 100;

/// The first frames of `stack` that are code of the app, at positions as the author wrote them.
pub(crate) fn trace(code: &Code, stack: &str) -> String {
    let frames: Vec<String> = stack
        .lines()
        .filter_map(|line| frame(code, line.trim()))
        .take(MOST_FRAMES)
        .collect();
    frames.join("\n")
}

/// `at f (/code/m/module:1:68)`, or `at /code/m/module:1:68`.
fn frame(code: &Code, line: &str) -> Option<String> {
    let line = line.strip_prefix("at ")?;
    let (function, place) = match line.rsplit_once(" (") {
        Some((function, place)) => (function, place.strip_suffix(')')?),
        None => ("", line),
    };
    let path = place.strip_prefix("/code/")?;
    let mut parts = path.rsplitn(3, ':');
    let column: u32 = parts.next()?.parse().ok()?;
    let row: u32 = parts.next()?.parse().ok()?;
    let path = parts.next()?;
    let (bucket, code_type) = path.rsplit_once('/')?;
    code.get(bucket, code_type)?;
    let head = if row == 1 { code.head(bucket, code_type) } else { 0 };
    let column = column.saturating_sub(head).max(1);
    let place = match code.map(bucket, code_type).and_then(|map| map.origin(row, column)) {
        Some((file, row, column)) => format!("{file}:{row}:{column}"),
        None => format!("/code/{path}:{row}:{column}"),
    };
    Some(match function {
        "" | "<anonymous>" => format!("at {place}"),
        _ => format!("at {function} ({place})"),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_stack_has_no_more_frames_than_a_stack_has() {
        let code = Code::new([("m".to_owned(), "module".to_owned(), Arc::from(""))]);
        let shown = trace(&code, &"at /code/m/module:1:1\n".repeat(1000));
        assert_eq!(shown.lines().count(), MOST_FRAMES);
    }

    #[test]
    fn frames_are_the_apps_own_at_its_own_positions() {
        let code = Code::new([("a.b".to_owned(), "module".to_owned(), Arc::from(""))]);
        let head = 61;
        code.found("a.b", "module", false, head);
        let stack = format!(
            "    at f (/code/a.b/module:1:{})\n    at g (/code/a.b/module:2:5)\n    at push (native)\n    at <anonymous> (freshbase:engine:4:4)\n at /code/a.b/module:7:1\n at h (/code/other/module:1:1)",
            head + 3
        );
        assert_eq!(
            trace(&code, &stack),
            "at f (/code/a.b/module:1:3)\nat g (/code/a.b/module:2:5)\nat /code/a.b/module:7:1"
        );
    }
}
