//! `crop`: the part of the original that is used.

use std::fmt;

use crate::error::VariantError;
use crate::measure::{Length, parse_integer};

const EXPECTED: &str = "<width>,<height> or <width>:<height>, then nothing, ,offset-x<percent>,offset-y<percent> or (not for proportions) \
                        ,x<position>,y<position>";

/// A cutout of the original.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Crop {
    pub(crate) size: CropSize,
    pub(crate) place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum CropSize {
    Lengths(Length, Length),
    /// The largest cutout with these proportions, in lowest terms.
    Ratio(u32, u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// Upper left corner.
    At(Length, Length),
    /// Where the room beside the cutout goes: 0 is left or top, 50 the centre, 100 right or bottom.
    Offset(u32, u32),
}

impl Place {
    const CENTRE: Self = Self::Offset(50, 50);
}

impl Crop {
    pub(crate) fn parse(text: &str) -> Result<Self, VariantError> {
        let invalid = || VariantError::invalid("crop", text, EXPECTED);
        let parts: Vec<&str> = text.split(',').collect();
        let (size, place) = if let Some((w, h)) = parts[0].split_once(':') {
            (parse_ratio(w, h).ok_or_else(invalid)?, &parts[1..])
        } else {
            let [w, h, place @ ..] = parts.as_slice() else {
                return Err(invalid());
            };
            (
                CropSize::Lengths(Length::size("crop", w)?, Length::size("crop", h)?),
                place,
            )
        };
        let place = match (size, place) {
            (_, []) => Place::CENTRE,
            (_, [x, y]) if x.starts_with("offset-x") && y.starts_with("offset-y") => {
                let percent = |t: &str| parse_integer(&t["offset-x".len()..], 100).ok_or_else(invalid);
                Place::Offset(percent(x)?, percent(y)?)
            }
            (CropSize::Lengths(..), [x, y]) if x.starts_with('x') && y.starts_with('y') => {
                Place::At(Length::position("crop", &x[1..])?, Length::position("crop", &y[1..])?)
            }
            (CropSize::Lengths(..) | CropSize::Ratio(..), _) => return Err(invalid()),
        };
        Ok(Self { size, place })
    }

    /// `(x, y, width, height)` in an image of this size: whole pixels, inside of it. A cutout that is larger than the image becomes as large
    /// as the image, and one that reaches over the edge is moved back inside.
    pub(crate) fn within(self, width: u32, height: u32) -> (u32, u32, u32, u32) {
        let (w, h) = match self.size {
            CropSize::Lengths(w, h) => (whole(w.of(width), width), whole(h.of(height), height)),
            CropSize::Ratio(w, h) => {
                let (a, b) = (u64::from(width) * u64::from(h), u64::from(height) * u64::from(w));
                if a > b {
                    (whole(f64::from(height) * f64::from(w) / f64::from(h), width), height)
                } else {
                    (width, whole(f64::from(width) * f64::from(h) / f64::from(w), height))
                }
            }
        };
        let (room_x, room_y) = (width - w, height - h);
        let (x, y) = match self.place {
            Place::At(x, y) => (x.of(width).round() as u32, y.of(height).round() as u32),
            Place::Offset(x, y) => {
                let share = |room: u32, percent: u32| (f64::from(room) * f64::from(percent) / 100.0).round() as u32;
                (share(room_x, x), share(room_y, y))
            }
        };
        (x.min(room_x), y.min(room_y), w, h)
    }
}

fn whole(length: f64, max: u32) -> u32 {
    (length.round() as u32).clamp(1, max)
}

fn parse_ratio(w: &str, h: &str) -> Option<CropSize> {
    let term = |t: &str| parse_integer(t, 10_000).filter(|n| *n > 0);
    let (w, h) = (term(w)?, term(h)?);
    let divisor = gcd(w, h);
    Some(CropSize::Ratio(w / divisor, h / divisor))
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl fmt::Display for Crop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.size {
            CropSize::Lengths(w, h) => write!(f, "{w},{h}")?,
            CropSize::Ratio(w, h) => write!(f, "{w}:{h}")?,
        }
        match self.place {
            Place::CENTRE => Ok(()),
            Place::At(x, y) => write!(f, ",x{x},y{y}"),
            Place::Offset(x, y) => write!(f, ",offset-x{x},offset-y{y}"),
        }
    }
}
