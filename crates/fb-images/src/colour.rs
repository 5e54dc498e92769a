//! Colour profiles: results are sRGB and carry none.

use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

use crate::pixels::{Channels, Pixels};

/// Profiles of cameras and screens have some kilobytes; what is larger is for printing, or meant to keep us busy.
pub(crate) const MAX_PROFILE: usize = 1 << 20;

/// Converts pixels with an RGB profile to sRGB. Profiles of other kinds (gray, CMYK) and damaged ones are ignored, as viewers do.
pub(crate) fn to_srgb(pixels: Pixels, profile: Option<&[u8]>) -> Pixels {
    let layout = match pixels.channels {
        Channels::Gray | Channels::GrayAlpha => return pixels,
        Channels::Rgb => Layout::Rgb,
        Channels::Rgba => Layout::Rgba,
    };
    let Some(profile) = profile.filter(|p| p.len() <= MAX_PROFILE) else {
        return pixels;
    };
    let Ok(from) = ColorProfile::new_from_slice(profile) else {
        return pixels;
    };
    if from.color_space != DataColorSpace::Rgb {
        return pixels;
    }
    let srgb = ColorProfile::new_srgb();
    let Ok(transform) = from.create_transform_8bit(layout, &srgb, layout, TransformOptions::default()) else {
        return pixels;
    };
    let mut data = vec![0; pixels.data.len()];
    match transform.transform(&pixels.data, &mut data) {
        Ok(()) => Pixels { data, ..pixels },
        Err(_) => pixels,
    }
}
