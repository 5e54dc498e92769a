//! Regular expressions in filters: anchored, case-sensitive, linear in time.

mod class;
mod translate;

use regex::{Regex, RegexBuilder};

use crate::error::{Limits, QueryError, echo};

/// A compiled pattern; equal if its source and options are.
#[derive(Debug, Clone)]
pub struct Pattern {
    pub(crate) source: String,
    pub(crate) multi_line: bool,
    pub(crate) regex: Regex,
    prefix: Option<String>,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.multi_line == other.multi_line
    }
}

/// Largest compiled program in bytes. A pattern of ordinary size takes some kilobytes; what repeats Unicode classes a
/// thousand times takes more than this and is refused.
const PROGRAM_SIZE: usize = 1 << 20;

/// Largest cache that matching with one pattern may build, in bytes.
const CACHE_SIZE: usize = 1 << 20;

impl Pattern {
    /// Compiles a pattern in JavaScript's syntax. Every alternative of it must begin with `^`. `options` may hold `m`:
    /// then `^` and `$` also match at `\n`.
    ///
    /// Errors: `Syntax` for what is no pattern; `Unsupported` for unanchored patterns, other options, look-around,
    /// back-references and inline flags; `TooComplex` if source or program are too large. Never the regex engine's text.
    pub fn parse(source: &str, options: &str, limits: &Limits) -> Result<Self, QueryError> {
        let multi_line = multi_line(options)?;
        if source.len() > limits.pattern_length {
            return Err(QueryError::TooComplex(format!(
                "the regular expression has {} bytes, at most {} are allowed",
                source.len(),
                limits.pattern_length
            )));
        }
        let translated = translate::translate(source)?;
        let regex = RegexBuilder::new(&translated.pattern)
            .multi_line(multi_line)
            .size_limit(PROGRAM_SIZE)
            .dfa_size_limit(CACHE_SIZE)
            .build()
            .map_err(|error| refused(source, &error))?;
        Ok(Self {
            source: source.to_owned(),
            multi_line,
            regex,
            prefix: translated.prefix.filter(|prefix| !multi_line && !prefix.is_empty()),
        })
    }

    /// True if the pattern matches somewhere in `text`; because of its anchors: at the beginning of the text or, with
    /// multi-line, of one of its lines. Cost: linear in `text`.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// The pattern as it was given.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// True if `^` and `$` also match at line breaks.
    pub fn multi_line(&self) -> bool {
        self.multi_line
    }

    /// A text that every matching text begins with; `None` if there is none, and always in multi-line mode.
    pub fn literal_prefix(&self) -> Option<String> {
        self.prefix.clone()
    }
}

fn multi_line(options: &str) -> Result<bool, QueryError> {
    let mut multi_line = false;
    for option in options.chars() {
        match option {
            'm' => multi_line = true,
            // Everything is Unicode already.
            'u' => {}
            'i' => {
                return Err(QueryError::Unsupported(
                    "$options: `i` is not supported, patterns are case-sensitive: store a lower-case copy of the text \
                     and match that"
                        .into(),
                ));
            }
            other => {
                return Err(QueryError::Unsupported(format!(
                    "$options: `{other}` is not supported, only `m` is"
                )));
            }
        }
    }
    Ok(multi_line)
}

fn refused(source: &str, error: &regex::Error) -> QueryError {
    match error {
        regex::Error::CompiledTooBig(_) => QueryError::TooComplex(format!(
            "the regular expression `{}` is too large when compiled: use fewer or smaller repetitions",
            echo(source)
        )),
        _ => QueryError::Syntax(format!("`{}` is no valid regular expression", echo(source))),
    }
}

#[cfg(test)]
mod tests;
