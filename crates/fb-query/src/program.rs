//! Filters as one short run of bytes each, so that asking one of a million costs one look into memory.
//!
//! A node is a byte that says what it is, then its content. What other nodes are in says how long it is; what tests a value
//! says the number of its path first. Numbers are written in groups of seven bits, the lowest first.

use serde_json::Value;

use crate::ast::{Comparison, Filter, Leaf, Operand, Path, Test};
use crate::bound::{Fields, Slots};
use crate::eval::{holds, path_passes, whole};
use crate::value::number_key;

/// A [`Filter`] whose paths are numbers of [`Slots`]. Passes exactly the objects that the filter passes. 48 bytes, in which
/// most filters of up to three or four conditions find room; what does not has memory of its own.
#[derive(Debug)]
pub struct Bound(Room);

#[derive(Debug)]
enum Room {
    Own(u8, [u8; OWN]),
    Far(Box<Far>),
}

/// So much more room there is in what a pointer and two small numbers would make 48 bytes of.
const OWN: usize = 46;

#[derive(Debug)]
struct Far {
    code: Box<[u8]>,
    /// What has no short form.
    tests: Box<[Test]>,
}

// What nodes are.
const AND: u8 = 0;
const OR: u8 = 1;
const NOT: u8 = 2;
/// One of the tests that have no short form.
const TEST: u8 = 3;
/// This very text.
const IS: u8 = 4;
/// A text that begins so: what most regular expressions are about.
const BEGINS: u8 = 5;
/// A number with this remainder.
const MODULO: u8 = 6;
const FALSE: u8 = 7;
const TRUE: u8 = 8;
/// A number that compares so with the one of this key.
const EQUAL: u8 = 9;
const LESS: u8 = 10;
const LESS_OR_EQUAL: u8 = 11;
const GREATER: u8 = 12;
const GREATER_OR_EQUAL: u8 = 13;

impl Bound {
    pub(crate) fn new(slots: &mut Slots, filter: Filter) -> Self {
        let mut writer = Writer {
            slots,
            code: Vec::new(),
            tests: Vec::new(),
        };
        writer.node(filter);
        let Writer { code, tests, .. } = writer;
        let mut own = [0; OWN];
        match (own.get_mut(..code.len()), u8::try_from(code.len())) {
            (Some(room), Ok(n)) if tests.is_empty() => {
                room.copy_from_slice(&code);
                Self(Room::Own(n, own))
            }
            _ => Self(Room::Far(Box::new(Far {
                code: code.into(),
                tests: tests.into(),
            }))),
        }
    }

    /// True if the object whose fields these are passes. `slots` are those it was bound with.
    /// Cost: as [`Filter::matches`], without looking up fields.
    pub fn matches(&self, slots: &Slots, fields: &Fields<'_>) -> bool {
        let (code, tests) = self.code();
        let evaluation = Evaluation { tests, slots, fields };
        evaluation.passes(&mut Reader(code))
    }

    fn code(&self) -> (&[u8], &[Test]) {
        match &self.0 {
            Room::Own(n, own) => (own.get(..usize::from(*n)).unwrap_or_default(), &[]),
            Room::Far(far) => (&far.code, &far.tests),
        }
    }

    /// Tells the number of each path, as often as it is tested.
    pub(crate) fn each_path(&self, mut tell: impl FnMut(u32)) {
        let mut code = Reader(self.code().0);
        while !code.0.is_empty() {
            let what = code.byte();
            let number = code.number();
            match what {
                // What is in it comes next.
                AND | OR | NOT => continue,
                TEST => drop(code.number()),
                IS | BEGINS => {
                    let n = code.number();
                    code.bytes(n);
                }
                FALSE | TRUE => {}
                MODULO => drop(code.array::<16>()),
                // A comparison with the key of a number.
                _ => drop(code.array::<10>()),
            }
            tell(number as u32);
        }
    }
}

struct Writer<'s> {
    slots: &'s mut Slots,
    code: Vec<u8>,
    tests: Vec<Test>,
}

impl Writer<'_> {
    fn node(&mut self, filter: Filter) {
        match filter {
            Filter::And(filters) => self.group(AND, filters),
            Filter::Or(filters) => self.group(OR, filters),
            Filter::Not(filter) => self.group(NOT, vec![*filter]),
            Filter::Field(path, test) => {
                let in_short = in_short(&path, &test);
                let path = self.slots.take(path);
                match in_short {
                    Some(Short::Text(what, text)) => {
                        self.begin(what, path);
                        self.number(text.len());
                        self.code.extend_from_slice(text.as_bytes());
                    }
                    Some(Short::Number(what, (double, above))) => {
                        self.begin(what, path);
                        self.code.extend_from_slice(&double.to_le_bytes());
                        self.code.extend_from_slice(&above.to_le_bytes());
                    }
                    Some(Short::Boolean(what)) => self.begin(what, path),
                    Some(Short::Modulo(divisor, remainder)) => {
                        self.begin(MODULO, path);
                        self.code.extend_from_slice(&divisor.to_le_bytes());
                        self.code.extend_from_slice(&remainder.to_le_bytes());
                    }
                    None => {
                        self.begin(TEST, path);
                        self.number(self.tests.len());
                        self.tests.push(test);
                    }
                }
            }
        }
    }

    fn group(&mut self, what: u8, filters: Vec<Filter>) {
        let outer = std::mem::take(&mut self.code);
        filters.into_iter().for_each(|filter| self.node(filter));
        let inner = std::mem::replace(&mut self.code, outer);
        self.code.push(what);
        self.number(inner.len());
        self.code.extend_from_slice(&inner);
    }

    fn begin(&mut self, what: u8, path: u32) {
        self.code.push(what);
        // Numbers of paths fit.
        self.number(usize::try_from(path).unwrap_or(usize::MAX));
    }

    fn number(&mut self, mut number: usize) {
        while number >= 0x80 {
            self.code.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.code.push(number as u8);
    }
}

/// A test of single values in less space.
enum Short<'t> {
    Text(u8, &'t str),
    Number(u8, (u64, u16)),
    Boolean(u8),
    Modulo(i64, i64),
}

fn in_short<'t>(path: &Path, test: &'t Test) -> Option<Short<'t>> {
    // The form in which times are compared is not that of their JSON.
    if matches!(path.leaf(), Leaf::Time(_)) || matches!(path.leaf().element(), Leaf::Time(_)) {
        return None;
    }
    match test {
        Test::Equal(Operand(Value::String(text))) => Some(Short::Text(IS, text)),
        Test::Equal(Operand(Value::Number(number))) => Some(Short::Number(EQUAL, number_key(number))),
        Test::Equal(Operand(Value::Bool(value))) => Some(Short::Boolean(if *value { TRUE } else { FALSE })),
        Test::Compare(comparison, Operand(Value::Number(number))) => {
            let what = match comparison {
                Comparison::Less => LESS,
                Comparison::LessOrEqual => LESS_OR_EQUAL,
                Comparison::Greater => GREATER,
                Comparison::GreaterOrEqual => GREATER_OR_EQUAL,
            };
            Some(Short::Number(what, number_key(number)))
        }
        Test::Modulo { divisor, remainder } => Some(Short::Modulo(*divisor, *remainder)),
        Test::Matches(pattern) => {
            let literal = pattern.literal_prefix()?;
            // Whatever is no plain character does not stand for itself, and so ends the literal before its place.
            let all = pattern.source.strip_prefix('^')?;
            (all == literal).then_some(Short::Text(BEGINS, all))
        }
        _ => None,
    }
}

/// What is left of the code. Behind its end everything is 0, so that nothing can go wrong.
struct Reader<'c>(&'c [u8]);

impl<'c> Reader<'c> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn number(&mut self) -> usize {
        let (mut number, mut shift) = (0_usize, 0);
        loop {
            let byte = self.byte();
            number |= usize::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte < 0x80 {
                return number;
            }
            shift += 7;
        }
    }

    fn bytes(&mut self, n: usize) -> &'c [u8] {
        let (bytes, rest) = self.0.split_at_checked(n).unwrap_or((self.0, &[]));
        self.0 = rest;
        bytes
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk() {
            Some((array, rest)) => {
                self.0 = rest;
                *array
            }
            None => [0; N],
        }
    }
}

struct Evaluation<'e> {
    tests: &'e [Test],
    slots: &'e Slots,
    fields: &'e Fields<'e>,
}

impl Evaluation<'_> {
    /// Whether the object passes the next node, which is read to its end.
    fn passes(&self, code: &mut Reader<'_>) -> bool {
        let what = code.byte();
        let number = code.number();
        if matches!(what, AND | OR | NOT) {
            let mut inner = Reader(code.bytes(number));
            // The first that passes ends an Or, the first that does not an And.
            let ends = what != AND;
            while !inner.0.is_empty() {
                if self.passes(&mut inner) == ends {
                    return what == OR;
                }
            }
            return what != OR;
        }
        let (Self { slots, fields, .. }, path) = (self, number as u32);
        match what {
            TEST => match (slots.known(fields, path), self.tests.get(code.number())) {
                (Some((known, origin)), Some(test)) => path_passes(known, test, origin),
                _ => false,
            },
            IS | BEGINS => {
                let n = code.number();
                let text = code.bytes(n);
                slots.any(fields, path, |value| match value {
                    Value::String(value) if what == IS => value.as_bytes() == text,
                    Value::String(value) => value.as_bytes().starts_with(text),
                    _ => false,
                })
            }
            MODULO => {
                let (divisor, remainder) = (i64::from_le_bytes(code.array()), i64::from_le_bytes(code.array()));
                slots.any(fields, path, |value| {
                    whole(value).is_some_and(|whole| whole.checked_rem(divisor).unwrap_or(0) == remainder)
                })
            }
            FALSE | TRUE => slots.any(fields, path, |value| *value == Value::Bool(what == TRUE)),
            _ => {
                let key = (u64::from_le_bytes(code.array()), u16::from_le_bytes(code.array()));
                slots.any(fields, path, |value| match value {
                    Value::Number(number) => {
                        let order = number_key(number).cmp(&key);
                        match what {
                            LESS => holds(Comparison::Less, order),
                            LESS_OR_EQUAL => holds(Comparison::LessOrEqual, order),
                            GREATER => holds(Comparison::Greater, order),
                            GREATER_OR_EQUAL => holds(Comparison::GreaterOrEqual, order),
                            _ => order.is_eq(),
                        }
                    }
                    _ => false,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests;
