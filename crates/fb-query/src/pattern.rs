//! Regular expressions in filters: anchored, case-sensitive, linear in time.

use regex::Regex;

/// A compiled pattern; equal if its source and options are.
#[derive(Debug, Clone)]
pub struct Pattern {
    pub(crate) source: String,
    pub(crate) multi_line: bool,
    pub(crate) regex: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.multi_line == other.multi_line
    }
}
