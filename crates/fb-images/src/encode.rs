//! Writing. No metadata of the source goes in.

use crate::pixels::{Channels, Pixels};
use crate::variant::Format;

/// Writes pixels in a format other than [`Format::Keep`]. Returns bytes and media type.
pub(crate) fn encode(
    pixels: Pixels,
    format: Format,
    quality: u8,
) -> Result<(Vec<u8>, &'static str), (&'static str, String)> {
    match format {
        Format::Jpeg => jpeg(pixels, quality, false)
            .map(|b| (b, "image/jpeg"))
            .map_err(|e| ("JPEG", e)),
        Format::ProgressiveJpeg => jpeg(pixels, quality, true)
            .map(|b| (b, "image/jpeg"))
            .map_err(|e| ("JPEG", e)),
        Format::Png | Format::Keep => png(&pixels)
            .map(|b| (b, "image/png"))
            .map_err(|e| ("PNG", e.to_string())),
        Format::Webp => webp(pixels, quality)
            .map(|b| (b, "image/webp"))
            .map_err(|e| ("WebP", e)),
        Format::WebpLossless => webp_lossless(&pixels)
            .map(|b| (b, "image/webp"))
            .map_err(|e| ("WebP", e)),
    }
}

fn jpeg(pixels: Pixels, quality: u8, progressive: bool) -> Result<Vec<u8>, String> {
    let pixels = pixels.flattened();
    let side = |length: u32| u16::try_from(length).map_err(|e| e.to_string());
    let (width, height) = (side(pixels.width)?, side(pixels.height)?);
    let color = if pixels.channels == Channels::Gray {
        jpeg_encoder::ColorType::Luma
    } else {
        jpeg_encoder::ColorType::Rgb
    };
    let mut out = Vec::new();
    // It halves the resolution of colours below quality 90.
    let mut encoder = jpeg_encoder::Encoder::new(&mut out, quality);
    encoder.set_progressive(progressive);
    encoder.set_optimized_huffman_tables(true);
    encoder
        .encode(&pixels.data, width, height, color)
        .map_err(|e| e.to_string())?;
    Ok(out)
}

fn png(pixels: &Pixels) -> Result<Vec<u8>, png::EncodingError> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, pixels.width, pixels.height);
    encoder.set_color(match pixels.channels {
        Channels::Gray => png::ColorType::Grayscale,
        Channels::GrayAlpha => png::ColorType::GrayscaleAlpha,
        Channels::Rgb => png::ColorType::Rgb,
        Channels::Rgba => png::ColorType::Rgba,
    });
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Balanced);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels.data)?;
    writer.finish()?;
    Ok(out)
}

fn webp(pixels: Pixels, quality: u8) -> Result<Vec<u8>, String> {
    let pixels = pixels.colored();
    let layout = if pixels.channels.has_alpha() {
        webp::PixelLayout::Rgba
    } else {
        webp::PixelLayout::Rgb
    };
    let encoder = webp::Encoder::new(&pixels.data, layout, pixels.width, pixels.height);
    encoder
        .encode_simple(false, f32::from(quality))
        .map(|memory| memory.to_vec())
        .map_err(|e| format!("{e:?}"))
}

fn webp_lossless(pixels: &Pixels) -> Result<Vec<u8>, String> {
    let color = match pixels.channels {
        Channels::Gray => image_webp::ColorType::L8,
        Channels::GrayAlpha => image_webp::ColorType::La8,
        Channels::Rgb => image_webp::ColorType::Rgb8,
        Channels::Rgba => image_webp::ColorType::Rgba8,
    };
    let mut out = Vec::new();
    let encoder = image_webp::WebPEncoder::new(&mut out);
    encoder
        .encode(&pixels.data, pixels.width, pixels.height, color)
        .map_err(|e| e.to_string())?;
    Ok(out)
}
