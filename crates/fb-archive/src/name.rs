//! Names of entries: which are taken, and when two are the same.

use std::borrow::Cow;

/// The one spelling of an entry's name, relative to wherever the archive is unpacked: without `.` segments, and without the slash at
/// the end of directories. Empty for the directory itself.
///
/// Refused with the reason: what would leave that place (`..`, absolute names, drive letters), what means something else on other
/// systems (backslashes), empty segments and control characters. Upper and lower case, and the forms of Unicode, stay apart, as they do
/// in buckets.
pub fn normal_name(name: &str) -> Result<Cow<'_, str>, &'static str> {
    if name.chars().any(char::is_control) {
        return Err("its name has control characters");
    }
    if name.contains('\\') {
        return Err("its name has a backslash; folders are separated by /");
    }
    if name.starts_with('/') {
        return Err("its name is absolute");
    }
    let name = name.strip_suffix('/').unwrap_or(name);
    let mut has_dots = false;
    for segment in name.split('/') {
        match segment {
            ".." => return Err("its name leads out of the archive with `..`"),
            "." => has_dots = true,
            "" => return Err("its name is empty, or has an empty segment"),
            _ => {}
        }
    }
    let normal = if has_dots {
        let segments = name.split('/').filter(|segment| *segment != ".");
        Cow::Owned(segments.collect::<Vec<_>>().join("/"))
    } else {
        Cow::Borrowed(name)
    };
    let mut start = normal.chars();
    if start.next().is_some_and(|c| c.is_ascii_alphabetic()) && start.next() == Some(':') {
        return Err("its name begins with a drive letter");
    }
    Ok(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s31_names_that_leave_the_archive_are_refused() {
        for bad in [
            "",
            "/",
            "//",
            "/a",
            "//a",
            "..",
            "../a",
            "a/..",
            "a/../b",
            "a/../../b",
            "./../a",
            "../",
            "a/../",
            "\\a",
            "..\\a",
            "a\\b",
            "\\\\host\\share",
            "C:",
            "C:a",
            "c:/a",
            "C:\\a",
            "./C:/a",
            "a:b",
            "a//b",
            "a//",
            "a\0b",
            "a\nb",
            "\u{7f}",
            "a/\u{85}",
        ] {
            assert!(normal_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_have_one_spelling() {
        for (given, normal) in [
            ("a", "a"),
            ("./a", "a"),
            ("a/./b", "a/b"),
            ("././a/.", "a"),
            ("a/", "a"),
            (".", ""),
            ("./", ""),
            ("...", "..."),
            ("a/..b/c..", "a/..b/c.."),
            (".well-known/x", ".well-known/x"),
            ("ü/é b.png", "ü/é b.png"),
            ("ab:c", "ab:c"),
            ("1:b", "1:b"),
            ("x/C:", "x/C:"),
            ("~/a", "~/a"),
            ("%2e%2e/a", "%2e%2e/a"),
        ] {
            assert_eq!(normal_name(given).unwrap(), normal, "{given:?}");
        }
    }
}
