//! From the bytes of an image to the bytes of a variant.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::colour;
use crate::decode::{self, Decoded};
use crate::encode::encode;
use crate::error::RenderError;
use crate::limits::Limits;
use crate::pixels::Pixels;
use crate::plan::Plan;
use crate::probe::{Info, SourceFormat, probe};
use crate::resize::resize;
use crate::variant::{Format, Variant};

/// Changes whenever the same variant of the same source may come out differently, so that caches know.
pub const RENDERER: &str = "1";

/// A variant of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The file.
    pub bytes: Vec<u8>,
    /// `image/jpeg`, `image/png` or `image/webp`.
    pub media_type: &'static str,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// Makes a variant of an image: cut, resized, upright, in sRGB, without metadata.
///
/// An undecided `auto=webp` counts as a client without WebP; see [`Variant::for_client`].
///
/// Cost: as [`Plan::cost`](Plan) says; keeps one core busy for up to seconds, and cannot be interrupted.
///
/// # Errors
/// Whatever is wrong with the source, and limits. Nothing is decoded before the header was checked. No input makes it panic: decoders run
/// behind a border that turns their panics into [`RenderError::Malformed`], since only the source can have caused them.
pub fn render(source: &[u8], variant: &Variant, limits: &Limits) -> Result<Rendered, RenderError> {
    let variant = variant.for_client(None);
    let info = probe(source)?;
    let plan = Plan::new(source.len(), &info, &variant, limits)?;
    let malformed = |reason| RenderError::Malformed {
        format: info.format,
        reason,
    };
    let pixels = guarded(|| {
        let Decoded { pixels, profile } = decode::decode(source, &info)?;
        let pixels = shape(pixels, &info, &plan)?;
        Ok(colour::to_srgb(pixels, profile.as_deref()))
    })
    .map_err(malformed)?;
    let (width, height) = (pixels.width, pixels.height);
    let format = target(variant.format, &info);
    let (bytes, media_type) =
        encode(pixels, format, variant.quality).map_err(|(format, reason)| RenderError::Encode { format, reason })?;
    Ok(Rendered {
        bytes,
        media_type,
        width,
        height,
    })
}

/// Cuts and resizes in the stored orientation, and turns the result, which is smaller.
fn shape(pixels: Pixels, info: &Info, plan: &Plan) -> Result<Pixels, String> {
    let view = info.orientation.stored_rect(plan.view, info.width, info.height);
    let cut = info.orientation.stored_rect(plan.cut, view.2.into(), view.3.into());
    let turned = info.orientation.swaps_sides();
    let (width, height) = if turned {
        (plan.height, plan.width)
    } else {
        (plan.width, plan.height)
    };
    let small = resize(pixels, view, cut, width, height)?;
    let data = info
        .orientation
        .apply(small.data, width as usize, height as usize, small.channels.size());
    Ok(Pixels {
        width: plan.width,
        height: plan.height,
        channels: small.channels,
        data,
    })
}

fn target(format: Format, info: &Info) -> Format {
    match (format, info.format) {
        (Format::Keep, SourceFormat::Jpeg) => Format::Jpeg,
        (Format::Keep, SourceFormat::Png | SourceFormat::Gif) => Format::Png,
        (Format::Keep, SourceFormat::Webp) if info.lossless => Format::WebpLossless,
        (Format::Keep, SourceFormat::Webp) => Format::Webp,
        (Format::Jpeg | Format::ProgressiveJpeg | Format::Png | Format::Webp | Format::WebpLossless, _) => format,
    }
}

/// Nothing that the closure touches outlives a panic in it: it reads the source and makes new values.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("the decoder gave up on it".into()))
}
