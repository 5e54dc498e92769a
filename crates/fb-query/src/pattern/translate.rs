//! From JavaScript's pattern syntax to the `regex` crate's, where a pattern means the same in both or is refused.
//!
//! Everything is spelled out: literals as code points, classes as ranges, groups without capturing. So nothing that the
//! `regex` crate understands beyond JavaScript (flags, set operations, POSIX classes) can slip through.

use std::fmt::Write;

use super::class::ClassItem;
use crate::error::{QueryError, echo};

/// A pattern for the `regex` crate, and the text that every match begins with (possibly empty) unless multi-line.
pub(super) struct Translated {
    pub(super) pattern: String,
    pub(super) prefix: Option<String>,
}

pub(super) fn translate(source: &str) -> Result<Translated, QueryError> {
    let mut translator = Translator {
        source,
        chars: source.chars().collect(),
        at: 0,
        out: String::with_capacity(source.len() * 2),
        depth: 0,
    };
    let mut prefix: Option<String> = None;
    loop {
        if translator.peek() != Some('^') {
            return Err(QueryError::Unsupported(format!(
                "the regular expression `{}` must begin with ^, and so must each of its alternatives",
                echo(source)
            )));
        }
        let own = translator.alternative()?;
        prefix = Some(match prefix {
            None => own,
            Some(other) => common_prefix(&other, &own),
        });
        match translator.next() {
            None => break,
            Some('|') => translator.out.push('|'),
            Some(_) => return Err(translator.invalid("it has a `)` too many")),
        }
    }
    Ok(Translated {
        pattern: translator.out,
        prefix,
    })
}

fn common_prefix(a: &str, b: &str) -> String {
    a.chars()
        .zip(b.chars())
        .take_while(|(a, b)| a == b)
        .map(|(a, _)| a)
        .collect()
}

/// Deepest nesting of groups.
const MAX_DEPTH: usize = 50;
/// Greatest count in `{n,m}`, PCRE's limit is 65,535.
const MAX_REPEAT: u32 = 1_000;

/// Everything but line terminators.
const DOT: &str = r"[^\x{a}\x{d}\x{2028}\x{2029}]";

/// What one term of an alternative is.
pub(super) enum Term {
    /// Exactly this character.
    Literal(char),
    /// Something else that can be repeated.
    Other,
    /// A place, not a character.
    Assertion,
}

pub(super) struct Translator<'a> {
    source: &'a str,
    pub(super) chars: Vec<char>,
    pub(super) at: usize,
    pub(super) out: String,
    depth: usize,
}

impl Translator<'_> {
    pub(super) fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let next = self.peek();
        self.at += usize::from(next.is_some());
        next
    }

    pub(super) fn take(&mut self, expected: &str) -> bool {
        let found = expected
            .chars()
            .enumerate()
            .all(|(i, c)| self.chars.get(self.at + i) == Some(&c));
        if found {
            self.at += expected.chars().count();
        }
        found
    }

    pub(super) fn invalid(&self, why: &str) -> QueryError {
        QueryError::Syntax(format!("`{}` is no valid regular expression: {why}", echo(self.source)))
    }

    pub(super) fn unsupported(&self, what: &str) -> QueryError {
        QueryError::Unsupported(format!(
            "the regular expression `{}` uses {what}, which is not supported",
            echo(self.source)
        ))
    }

    /// Writing to a String cannot fail.
    fn literal(&mut self, char: char) {
        let _ = write!(self.out, r"\x{{{:x}}}", u32::from(char));
    }

    /// Terms up to `|`, `)` or the end. Returns the literal text that it begins with, behind an optional `^`.
    fn alternative(&mut self) -> Result<String, QueryError> {
        let mut prefix = String::new();
        let mut is_prefix = true;
        let mut first = true;
        while let Some(char) = self.peek() {
            if matches!(char, '|' | ')') {
                break;
            }
            let start = self.out.len();
            let term = self.term()?;
            let min = self.quantifier(&term, start)?;
            match (term, min) {
                (Term::Literal(char), None) if is_prefix => prefix.push(char),
                (Term::Literal(char), Some(min)) if is_prefix => {
                    if min > 0 {
                        prefix.push(char);
                    }
                    is_prefix = false;
                }
                (Term::Assertion, _) if first && char == '^' => {}
                _ => is_prefix = false,
            }
            first = false;
        }
        Ok(prefix)
    }

    fn term(&mut self) -> Result<Term, QueryError> {
        let Some(char) = self.next() else {
            return Err(self.invalid("it ends too early"));
        };
        match char {
            '^' | '$' => {
                self.out.push(char);
                Ok(Term::Assertion)
            }
            '.' => {
                self.out.push_str(DOT);
                Ok(Term::Other)
            }
            '(' => self.group(),
            '[' => self.class(),
            '\\' => self.escape(),
            '*' | '+' | '?' => Err(self.invalid("there is nothing to repeat before a quantifier")),
            '{' if self.counts(self.at - 1).is_some() => {
                Err(self.invalid("there is nothing to repeat before a quantifier"))
            }
            literal => {
                self.literal(literal);
                Ok(Term::Literal(literal))
            }
        }
    }

    fn group(&mut self) -> Result<Term, QueryError> {
        if self.take("?") {
            if ["=", "!", "<=", "<!"].iter().any(|sign| self.take(sign)) {
                return Err(self.unsupported("look-ahead or look-behind"));
            }
            if self.take("<") {
                self.group_name()?;
            } else if !self.take(":") {
                return Err(self.unsupported("inline flags or another kind of group"));
            }
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(QueryError::TooComplex(format!(
                "the groups of a regular expression are nested deeper than {MAX_DEPTH}"
            )));
        }
        self.out.push_str("(?:");
        loop {
            self.alternative()?;
            match self.next() {
                Some('|') => self.out.push('|'),
                Some(_) => break,
                None => return Err(self.invalid("a `)` is missing")),
            }
        }
        self.out.push(')');
        self.depth -= 1;
        Ok(Term::Other)
    }

    fn group_name(&mut self) -> Result<(), QueryError> {
        let start = self.at;
        while let Some(char) = self.next() {
            match char {
                '>' if self.at > start + 1 => return Ok(()),
                'a'..='z' | 'A'..='Z' | '_' | '$' => {}
                '0'..='9' if self.at > start + 1 => {}
                _ => break,
            }
        }
        Err(self.invalid("a group has no proper name"))
    }

    /// A quantifier behind the term that was written at `start`; returns its minimum.
    fn quantifier(&mut self, term: &Term, start: usize) -> Result<Option<u32>, QueryError> {
        let (min, max) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => match self.counts(self.at) {
                Some((min, max, end)) => {
                    self.at = end - 1;
                    (min, max)
                }
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        self.at += 1;
        if matches!(term, Term::Assertion) {
            return Err(self.invalid("there is nothing to repeat before a quantifier"));
        }
        if max.is_some_and(|max| max < min) {
            return Err(self.invalid("the counts of a repetition are out of order"));
        }
        if min.max(max.unwrap_or(0)) > MAX_REPEAT {
            return Err(QueryError::TooComplex(format!(
                "a regular expression repeats something more than {MAX_REPEAT} times"
            )));
        }
        debug_assert!(start < self.out.len());
        let _ = match max {
            Some(max) => write!(self.out, "{{{min},{max}}}"),
            None => write!(self.out, "{{{min},}}"),
        };
        // Whether it is lazy does not decide whether it matches.
        self.take("?");
        Ok(Some(min))
    }

    /// `{n}`, `{n,}` or `{n,m}` whose brace is at `open`: the counts, and where it ends.
    /// Anything else that begins with `{` is literal text, as in JavaScript.
    fn counts(&self, open: usize) -> Option<(u32, Option<u32>, usize)> {
        let rest = self.chars.get(open + 1..)?;
        let length = rest.iter().position(|c| *c == '}')?;
        let text: String = rest[..length].iter().collect();
        // Counts beyond u32 are as wrong as the greatest one.
        let number = |digits: &str| {
            let all_digits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            all_digits.then(|| digits.parse::<u32>().unwrap_or(u32::MAX))
        };
        let (min, max) = match text.split_once(',') {
            None => {
                let count = number(&text)?;
                (count, Some(count))
            }
            Some((min, "")) => (number(min)?, None),
            Some((min, max)) => (number(min)?, Some(number(max)?)),
        };
        Some((min, max, open + length + 2))
    }

    /// An escape outside of a class, behind its backslash.
    fn escape(&mut self) -> Result<Term, QueryError> {
        match self.peek() {
            Some('b' | 'B') => {
                let word = self.next() == Some('b');
                self.out.push_str(if word { r"(?-u:\b)" } else { r"(?-u:\B)" });
                Ok(Term::Assertion)
            }
            Some('k' | '1'..='9') => Err(self.unsupported("a back-reference")),
            _ => match self.class_escape()? {
                ClassItem::Char(char) => {
                    self.literal(char);
                    Ok(Term::Literal(char))
                }
                ClassItem::Set(set) => {
                    let _ = write!(self.out, "[{set}]");
                    Ok(Term::Other)
                }
            },
        }
    }
}
