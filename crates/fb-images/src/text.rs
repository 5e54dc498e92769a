//! The options as text: splitting, reading, and the canonical form.

use percent_encoding::percent_decode_str;

use crate::crop::Crop;
use crate::error::VariantError;
use crate::measure::Length;
use crate::measure::{Fraction, parse_integer};
use crate::variant::{DEFAULT_QUALITY, Fit, Format, Variant};

/// The options of a variant as they were written, each at most once.
#[derive(Debug, Default)]
pub(crate) struct Options {
    values: [Option<String>; NAMES.len()],
}

/// In canonical order.
pub(crate) const NAMES: [&str; 9] = [
    "width", "height", "fit", "focus", "crop", "format", "quality", "auto", "enlarge",
];

impl Options {
    pub(crate) fn set(&mut self, name: &str, value: String) -> Result<(), VariantError> {
        let Some(i) = NAMES.iter().position(|n| *n == name) else {
            return Err(VariantError::unknown(name));
        };
        if self.values[i].replace(value).is_some() {
            return Err(VariantError::Duplicate { name: NAMES[i] });
        }
        Ok(())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        NAMES
            .iter()
            .position(|n| *n == name)
            .and_then(|i| self.values[i].as_deref())
    }
}

/// `name=value` pairs, separated by `;` or `&`, percent-decoded. Empty pieces are skipped, because published examples end with `;`.
pub(crate) fn pairs(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for piece in text.split([';', '&']).filter(|p| !p.is_empty()) {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        // What is not UTF-8 is no option and no value either; the checks that follow say so.
        let decoded = |s: &str| percent_decode_str(s).decode_utf8_lossy().into_owned();
        pairs.push((decoded(name), decoded(value)));
    }
    pairs
}

pub(crate) fn parse_options(options: &Options) -> Result<Variant, VariantError> {
    let size = |name: &'static str| options.get(name).map(|text| Length::size(name, text)).transpose();
    let (width, height) = (size("width")?, size("height")?);
    let fit = options.get("fit").map(parse_fit).transpose()?;
    if fit.is_some() && (width.is_none() || height.is_none()) {
        return Err(VariantError::Conflict("image option fit needs both width and height"));
    }
    let fit = fit.unwrap_or_default();
    let focus = options.get("focus").map(parse_focus).transpose()?;
    if focus.is_some() && fit != Fit::Crop {
        return Err(VariantError::Conflict("image option focus needs fit=crop"));
    }
    let format = options.get("format").map(parse_format).transpose()?.unwrap_or_default();
    let auto_webp = match options.get("auto") {
        None => false,
        Some("webp") => true,
        Some(other) => return Err(VariantError::invalid("auto", other, "webp")),
    };
    let enlarge = match options.get("enlarge") {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => return Err(VariantError::invalid("enlarge", other, "true or false")),
    };
    let quality = options.get("quality").map(parse_quality).transpose()?;
    let lossless = matches!(format, Format::Png | Format::WebpLossless) && !auto_webp;
    Ok(Variant {
        width,
        height,
        fit,
        focus: focus.filter(|f| *f != (Fraction::HALF, Fraction::HALF)),
        crop: options.get("crop").map(Crop::parse).transpose()?,
        format,
        // Published examples give a quality to lossless formats, too. It changes nothing there.
        quality: quality.filter(|_| !lossless).unwrap_or(DEFAULT_QUALITY),
        auto_webp,
        enlarge,
    })
}

fn parse_fit(text: &str) -> Result<Fit, VariantError> {
    match text {
        "fill" => Ok(Fit::Fill),
        "bounds" => Ok(Fit::Bounds),
        "crop" => Ok(Fit::Crop),
        _ => Err(VariantError::invalid("fit", text, "fill, bounds or crop")),
    }
}

fn parse_focus(text: &str) -> Result<(Fraction, Fraction), VariantError> {
    text.split_once(',')
        .and_then(|(x, y)| Some((Fraction::parse(x)?, Fraction::parse(y)?)))
        .ok_or_else(|| {
            VariantError::invalid(
                "focus",
                text,
                "<x>,<y>, each from 0.0 (left, top) to 1.0 (right, bottom)",
            )
        })
}

fn parse_format(text: &str) -> Result<Format, VariantError> {
    let known = Format::NAMES.iter().find(|(name, _)| *name == text);
    known.map(|(_, format)| *format).ok_or_else(|| {
        VariantError::invalid(
            "format",
            text,
            "keep, jpg, pjpg, png, webp or webpll (gif, png8 and avif are not written)",
        )
    })
}

fn parse_quality(text: &str) -> Result<u8, VariantError> {
    parse_integer(text, 100)
        .filter(|n| *n > 0)
        .and_then(|n| u8::try_from(n).ok())
        .ok_or_else(|| VariantError::invalid("quality", text, "a whole number from 1 to 100"))
}

/// Options that differ from their defaults, in the order of [`NAMES`].
pub(crate) fn canonical(variant: &Variant) -> Vec<(&'static str, String)> {
    let mut options = Vec::new();
    options.extend(variant.width.map(|w| ("width", w.to_string())));
    options.extend(variant.height.map(|h| ("height", h.to_string())));
    match variant.fit {
        Fit::Fill => {}
        Fit::Bounds => options.push(("fit", "bounds".into())),
        Fit::Crop => options.push(("fit", "crop".into())),
    }
    options.extend(variant.focus.map(|(x, y)| ("focus", format!("{x},{y}"))));
    options.extend(variant.crop.map(|c| ("crop", c.to_string())));
    if variant.format != Format::Keep {
        let name = Format::NAMES
            .iter()
            .find(|(_, format)| *format == variant.format)
            .map(|(name, _)| *name);
        options.extend(name.map(|n| ("format", n.into())));
    }
    if variant.quality != DEFAULT_QUALITY {
        options.push(("quality", variant.quality.to_string()));
    }
    if variant.auto_webp {
        options.push(("auto", "webp".into()));
    }
    if variant.enlarge {
        options.push(("enlarge", "true".into()));
    }
    options
}
