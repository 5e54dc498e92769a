//! Numbers of the language: pixels, and fractions of the original.

use std::fmt;

use crate::error::VariantError;

/// More than any format that is written can hold; what is below is up to [`Limits`](crate::Limits).
pub(crate) const MAX_PIXELS: u32 = 16_383;

/// A fraction in ten-thousandths, `0..=10_000`, so that its text is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Fraction(u16);

impl Fraction {
    pub(crate) const HALF: Self = Self(5_000);

    /// `digits.digits`, up to four of the latter, from 0.0 to 1.0.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.')?;
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if !matches!(whole, "0" | "1") || !(1..=4).contains(&part.len()) || !digits(part) {
            return None;
        }
        let part: u16 = format!("{part:0<4}").parse().ok()?;
        let value = if whole == "1" { 10_000 + part } else { part };
        (value <= 10_000).then_some(Self(value))
    }

    pub(crate) fn of(self, whole: u32) -> f64 {
        f64::from(whole) * f64::from(self.0) / 10_000.0
    }

    fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:04}", self.0 / 10_000, self.0 % 10_000);
        let short = text.trim_end_matches('0');
        // At least one digit stays, because "1" would be a pixel.
        f.write_str(if short.ends_with('.') {
            &text[..short.len() + 1]
        } else {
            short
        })
    }
}

/// A distance along one side of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Length {
    Pixels(u32),
    Fraction(Fraction),
}

impl Length {
    /// A length of at least one pixel or more than nothing of the original.
    pub(crate) fn size(option: &'static str, text: &str) -> Result<Self, VariantError> {
        const EXPECTED: &str = "a number of pixels (1 to 16383) or a fraction of the original (0.0001 to 1.0, up to four digits after the point)";
        Self::parse(text)
            .filter(|l| !l.is_zero())
            .ok_or_else(|| VariantError::invalid(option, text, EXPECTED))
    }

    /// A length that may be zero.
    pub(crate) fn position(option: &'static str, text: &str) -> Result<Self, VariantError> {
        const EXPECTED: &str = "a position in pixels (0 to 16383) or as a fraction (0.0 to 1.0)";
        Self::parse(text).ok_or_else(|| VariantError::invalid(option, text, EXPECTED))
    }

    fn parse(text: &str) -> Option<Self> {
        if text.contains('.') {
            return Fraction::parse(text).map(Self::Fraction);
        }
        parse_integer(text, MAX_PIXELS).map(Self::Pixels)
    }

    fn is_zero(self) -> bool {
        match self {
            Self::Pixels(n) => n == 0,
            Self::Fraction(f) => f.is_zero(),
        }
    }

    /// In pixels of a side that is `whole` long.
    pub(crate) fn of(self, whole: u32) -> f64 {
        match self {
            Self::Pixels(n) => f64::from(n),
            Self::Fraction(f) => f.of(whole),
        }
    }

    pub(crate) fn pixels(self) -> Option<u32> {
        match self {
            Self::Pixels(n) => Some(n),
            Self::Fraction(_) => None,
        }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pixels(n) => n.fmt(f),
            Self::Fraction(part) => part.fmt(f),
        }
    }
}

/// Plain decimal digits without sign or leading zeros, so that a number has one spelling.
pub(crate) fn parse_integer(text: &str, max: u32) -> Option<u32> {
    let plain = !text.is_empty() && text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit());
    if !plain || (text.len() > 1 && text.starts_with('0')) {
        return None;
    }
    text.parse().ok().filter(|n| *n <= max)
}
