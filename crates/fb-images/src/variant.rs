//! What a variant of an image is.

use std::fmt;
use std::str::FromStr;

use crate::crop::Crop;
use crate::error::VariantError;
use crate::limits::Limits;
use crate::measure::{Fraction, Length};
use crate::text::{self, Options};

/// Quality of lossy formats where none is asked for.
pub const DEFAULT_QUALITY: u8 = 85;

/// What a variant is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// As the source is; GIF becomes PNG, and lossless WebP stays lossless.
    #[default]
    Keep,
    /// JPEG; transparent parts become white.
    Jpeg,
    /// JPEG that appears coarse first and then gets finer; about 5 % smaller, and half as fast to write.
    ProgressiveJpeg,
    /// PNG with 8 bits per channel.
    Png,
    /// Lossy WebP.
    Webp,
    /// Lossless WebP.
    WebpLossless,
}

impl Format {
    /// By the names that the language has for them; the first name is the canonical one.
    pub(crate) const NAMES: [(&'static str, Self); 9] = [
        ("keep", Self::Keep),
        ("jpg", Self::Jpeg),
        ("jpeg", Self::Jpeg),
        ("pjpg", Self::ProgressiveJpeg),
        ("png", Self::Png),
        ("webp", Self::Webp),
        ("webply", Self::Webp),
        ("webpll", Self::WebpLossless),
        ("pjpeg", Self::ProgressiveJpeg),
    ];
}

/// How width and height together are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Fit {
    /// Exactly these proportions, distorted if need be. The original product's meaning of two lengths without `fit`.
    #[default]
    Fill,
    /// Inside of the box.
    Bounds,
    /// The whole box, with what hangs over cut off around the focus.
    Crop,
}

/// A valid description of a variant. Two that are equal have the same text and give the same image from the same source.
///
/// Its text ([`Display`](fmt::Display), [`FromStr`]) is canonical: fixed order, one spelling, nothing that is the default. It is the key of a
/// cache and part of what is signed; `docs/images.md` says how to write it. In JSON it is an object with one member per option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Variant {
    pub(crate) width: Option<Length>,
    pub(crate) height: Option<Length>,
    pub(crate) fit: Fit,
    pub(crate) focus: Option<(Fraction, Fraction)>,
    pub(crate) crop: Option<Crop>,
    pub(crate) format: Format,
    /// 1 to 100.
    pub(crate) quality: u8,
    pub(crate) auto_webp: bool,
    pub(crate) enlarge: bool,
}

impl Variant {
    pub(crate) fn from_options(options: &Options) -> Result<Self, VariantError> {
        text::parse_options(options)
    }

    /// What it is written as; [`Format::Keep`] where that is up to the source.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Quality of lossy formats, 1 to 100.
    pub fn quality(&self) -> u8 {
        self.quality
    }

    /// Whether the result depends on the client's `Accept`, so that a response needs `Vary: Accept`.
    pub fn varies_by_accept(&self) -> bool {
        self.auto_webp
    }

    /// The variant for one client: with `auto=webp` decided by its `Accept` header. The result does not vary any more.
    #[must_use]
    pub fn for_client(&self, accept: Option<&str>) -> Self {
        let mut variant = Self {
            auto_webp: false,
            ..*self
        };
        if self.auto_webp && accept.is_some_and(accepts_webp) {
            variant.format = Format::Webp;
        } else if matches!(variant.format, Format::Png | Format::WebpLossless) {
            // The quality was meant for WebP; equal images have equal texts.
            variant.quality = DEFAULT_QUALITY;
        }
        variant
    }

    /// # Errors
    /// A length in pixels is over `limits.side`.
    pub fn check(&self, limits: &Limits) -> Result<(), VariantError> {
        for (option, length) in [("width", self.width), ("height", self.height)] {
            if length.and_then(Length::pixels).is_some_and(|n| n > limits.side) {
                return Err(VariantError::TooLarge {
                    option,
                    limit: limits.side,
                });
            }
        }
        Ok(())
    }
}

/// Whether a media range names WebP itself. `image/*` and `*/*` do not count: clients that cannot show it send them too.
fn accepts_webp(accept: &str) -> bool {
    accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("image/webp"));
        let refused = parts
            .filter_map(|p| p.split_once('='))
            .any(|(k, v)| k.trim().eq_ignore_ascii_case("q") && v.trim().parse() == Ok(0.0_f32));
        named && !refused
    })
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, value)) in text::canonical(self).iter().enumerate() {
            write!(f, "{}{name}={value}", if i == 0 { "" } else { ";" })?;
        }
        Ok(())
    }
}

impl FromStr for Variant {
    type Err = VariantError;

    /// Reads options separated by `;` or `&`, canonical or not, without `bqoptimize`, `variant` and `signature`.
    fn from_str(text: &str) -> Result<Self, VariantError> {
        let mut options = Options::default();
        for (name, value) in text::pairs(text) {
            options.set(&name, value)?;
        }
        Self::from_options(&options)
    }
}
