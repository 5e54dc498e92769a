//! Cutting and resizing.

use fast_image_resize::images::{CroppedImage, Image};
use fast_image_resize::{FilterType, MulDiv, ResizeAlg, ResizeOptions, Resizer};

use crate::pixels::Pixels;

/// The part `cut` of the cutout `view` (both left, top, width, height; `cut` counts from the view's corner), as large as asked for. Lanczos,
/// on the values as they are stored, like browsers and most other programs do it. Nothing outside of `view` shows in the result.
pub(crate) fn resize(
    mut source: Pixels,
    view: (u32, u32, u32, u32),
    cut: (f64, f64, f64, f64),
    width: u32,
    height: u32,
) -> Result<Pixels, String> {
    let (full_w, full_h) = (f64::from(view.2), f64::from(view.3));
    let whole = view == (0, 0, source.width, source.height) && cut == (0.0, 0.0, full_w, full_h);
    if whole && (width, height) == (source.width, source.height) {
        return Ok(source);
    }
    let channels = source.channels;
    let kind = channels.pixel_type();
    // The colour of transparent pixels must not mix into their neighbours. In place, because a copy of the source is the largest thing here.
    let weigh = !source.is_opaque();
    let mut from = Image::from_slice_u8(source.width, source.height, &mut source.data, kind).map_err(text)?;
    if weigh {
        MulDiv::new().multiply_alpha_inplace(&mut from).map_err(text)?;
    }
    let from = CroppedImage::new(&from, view.0, view.1, view.2, view.3).map_err(text)?;
    // Arithmetic on fractions may come out a hair over the edge.
    let (left, top) = (cut.0.clamp(0.0, full_w - 1.0), cut.1.clamp(0.0, full_h - 1.0));
    let (cut_w, cut_h) = (cut.2.min(full_w - left), cut.3.min(full_h - top));
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
        .crop(left, top, cut_w, cut_h)
        .use_alpha(false);
    let mut to = Image::new(width, height, kind);
    Resizer::new().resize(&from, &mut to, &options).map_err(text)?;
    if weigh {
        MulDiv::new().divide_alpha_inplace(&mut to).map_err(text)?;
    }
    Ok(Pixels {
        width,
        height,
        channels,
        data: to.into_vec(),
    })
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
