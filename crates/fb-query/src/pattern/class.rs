//! Character classes and escapes.

use std::fmt::Write;

use super::translate::{Term, Translator};
use crate::error::QueryError;

const DIGIT: &str = "0-9";
const WORD: &str = "0-9A-Za-z_";
/// White space and line terminators of ECMAScript.
const SPACE: &str = r"\x{9}-\x{d}\x{20}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}";

impl Translator<'_> {
    /// `[…]`, behind the opening bracket.
    pub(super) fn class(&mut self) -> Result<Term, QueryError> {
        let negated = self.take("^");
        let mut items = String::new();
        while let Some(item) = self.class_atom()? {
            let ClassItem::Char(from) = item else {
                item.write(&mut items);
                continue;
            };
            // A range needs characters on both sides; otherwise the hyphen is one of the characters.
            let is_range = self.peek() == Some('-') && self.chars.get(self.at + 1).is_some_and(|c| *c != ']');
            if !is_range {
                item.write(&mut items);
                continue;
            }
            self.at += 1;
            match self.class_atom()? {
                Some(ClassItem::Char(to)) if from <= to => {
                    let _ = write!(items, r"\x{{{:x}}}-\x{{{:x}}}", u32::from(from), u32::from(to));
                }
                Some(ClassItem::Char(_)) => return Err(self.invalid("a range of characters is out of order")),
                Some(set @ ClassItem::Set(_)) => {
                    item.write(&mut items);
                    ClassItem::Char('-').write(&mut items);
                    set.write(&mut items);
                }
                None => return Err(self.invalid("a `]` is missing")),
            }
        }
        match (items.is_empty(), negated) {
            (true, true) => self.out.push_str("(?s:.)"),
            (true, false) => self.out.push_str(r"[^\x{0}-\x{10ffff}]"),
            (false, true) => {
                let _ = write!(self.out, "[^{items}]");
            }
            (false, false) => {
                let _ = write!(self.out, "[{items}]");
            }
        }
        Ok(Term::Other)
    }

    /// One character or set inside of a class; `None` behind its closing bracket.
    fn class_atom(&mut self) -> Result<Option<ClassItem>, QueryError> {
        match self.next() {
            None => Err(self.invalid("a `]` is missing")),
            Some(']') => Ok(None),
            Some('\\') if self.take("b") => Ok(Some(ClassItem::Char('\u{8}'))),
            Some('\\') => self.class_escape().map(Some),
            Some(char) => Ok(Some(ClassItem::Char(char))),
        }
    }

    /// An escape that stands for a character or a set, behind its backslash.
    pub(super) fn class_escape(&mut self) -> Result<ClassItem, QueryError> {
        let Some(char) = self.next() else {
            return Err(self.invalid("it ends with a backslash"));
        };
        let set = |text: &str| Ok(ClassItem::Set(text.to_owned()));
        match char {
            'd' => set(DIGIT),
            'D' => set(&format!("[^{DIGIT}]")),
            'w' => set(WORD),
            'W' => set(&format!("[^{WORD}]")),
            's' => set(SPACE),
            'S' => set(&format!("[^{SPACE}]")),
            'p' | 'P' => self.property(char),
            'n' => Ok(ClassItem::Char('\n')),
            'r' => Ok(ClassItem::Char('\r')),
            't' => Ok(ClassItem::Char('\t')),
            'v' => Ok(ClassItem::Char('\u{b}')),
            'f' => Ok(ClassItem::Char('\u{c}')),
            '0' if !self.peek().is_some_and(|c| c.is_ascii_digit()) => Ok(ClassItem::Char('\0')),
            'c' => match self.next() {
                Some(letter) if letter.is_ascii_alphabetic() => Ok(ClassItem::Char(char::from(letter as u8 & 0x1f))),
                _ => Err(self.invalid(r"\c needs a letter")),
            },
            'x' => self.code_point(2),
            'u' if self.take("{") => self.braced_code_point(),
            'u' => self.code_point(4),
            other if other.is_alphanumeric() => Err(self.unsupported(&format!(r"the escape \{other}"))),
            punctuation => Ok(ClassItem::Char(punctuation)),
        }
    }

    fn hex(&mut self, digits: usize) -> Option<u32> {
        let text: String = self.chars.get(self.at..self.at + digits)?.iter().collect();
        if !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        self.at += digits;
        u32::from_str_radix(&text, 16).ok()
    }

    /// `\xHH` or `\uHHHH`; a surrogate must be followed by its other half.
    fn code_point(&mut self, digits: usize) -> Result<ClassItem, QueryError> {
        let mut code = self.hex(digits);
        if let Some(high @ 0xd800..=0xdbff) = code {
            let low = if self.take("\\u") { self.hex(4) } else { None };
            code = match low {
                Some(low @ 0xdc00..=0xdfff) => Some(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)),
                _ => None,
            };
        }
        let char = code.and_then(char::from_u32).map(ClassItem::Char);
        char.ok_or_else(|| self.invalid("an escape has no proper code point"))
    }

    fn braced_code_point(&mut self) -> Result<ClassItem, QueryError> {
        let length = self.chars[self.at..]
            .iter()
            .position(|c| *c == '}')
            .filter(|l| (1..=6).contains(l));
        let code = length.and_then(|length| self.hex(length)).filter(|_| self.take("}"));
        let char = code.and_then(char::from_u32).map(ClassItem::Char);
        char.ok_or_else(|| self.invalid("an escape has no proper code point"))
    }

    /// `\p{…}`: the names of Unicode properties are the same in both syntaxes.
    fn property(&mut self, kind: char) -> Result<ClassItem, QueryError> {
        let mut name = String::new();
        if self.take("{") {
            while let Some(char) = self.next() {
                match char {
                    '}' if !name.is_empty() => return Ok(ClassItem::Set(format!(r"\{kind}{{{name}}}"))),
                    'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '=' => name.push(char),
                    _ => break,
                }
            }
        }
        Err(self.invalid(r"\p needs a property in braces"))
    }
}

/// A part of a class.
pub(super) enum ClassItem {
    Char(char),
    /// Ranges as they stand inside of brackets.
    Set(String),
}

impl ClassItem {
    fn write(&self, out: &mut String) {
        let _ = match self {
            Self::Char(char) => write!(out, r"\x{{{:x}}}", u32::from(*char)),
            Self::Set(set) => write!(out, "{set}"),
        };
    }
}
