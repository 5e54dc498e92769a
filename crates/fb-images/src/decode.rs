//! Decoding, after the limits were checked against the header. All decoders are written in Rust and read from memory only.

use std::io::Cursor;

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;

use crate::colour::MAX_PROFILE;
use crate::pixels::{Channels, Pixels};
use crate::probe::{Info, SourceFormat, jpeg};

/// What a PNG decoder may keep beside the pixels: rows, and compressed profiles as they unfold.
const PNG_EXTRAS: usize = 4 << 20;
/// Each scan of a progressive JPEG is a walk over the whole image, and takes a few bytes to ask for. Real ones have about ten.
const JPEG_SCANS: usize = 64;

pub(crate) struct Decoded {
    pub(crate) pixels: Pixels,
    pub(crate) profile: Option<Vec<u8>>,
}

pub(crate) fn decode(source: &[u8], info: &Info) -> Result<Decoded, String> {
    let decoded = match info.format {
        SourceFormat::Jpeg => jpeg(source, info),
        SourceFormat::Png => png(source, info),
        SourceFormat::Gif => gif(source, info),
        SourceFormat::Webp => webp(source, info),
    }?;
    let Pixels {
        width,
        height,
        channels,
        data,
    } = &decoded.pixels;
    debug_assert_eq!(data.len(), *width as usize * *height as usize * channels.size());
    Ok(decoded)
}

/// Two readers of one header may differ where it is ambiguous; the limits were checked against ours.
fn agree(info: &Info, width: usize, height: usize) -> Result<(), String> {
    if (width, height) == (info.width as usize, info.height as usize) {
        Ok(())
    } else {
        Err(format!(
            "its sizes contradict each other: {} x {} and {width} x {height}",
            info.width, info.height
        ))
    }
}

fn pixels(info: &Info, channels: Channels, data: Vec<u8>) -> Pixels {
    Pixels {
        width: info.width,
        height: info.height,
        channels,
        data,
    }
}

fn jpeg(source: &[u8], info: &Info) -> Result<Decoded, String> {
    if !jpeg::has_end(source) {
        return Err("its end is missing".into());
    }
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(info.width as usize)
        .set_max_height(info.height as usize)
        .jpeg_set_max_scans(JPEG_SCANS)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(source), options);
    decoder.decode_headers().map_err(text)?;
    let (width, height) = decoder.dimensions().ok_or("it has no size")?;
    agree(info, width, height)?;
    let gray = decoder.input_colorspace() == Some(ColorSpace::Luma);
    if gray {
        decoder.set_options(options.jpeg_set_out_colorspace(ColorSpace::Luma));
    }
    let channels = if gray { Channels::Gray } else { Channels::Rgb };
    let data = decoder.decode().map_err(text)?;
    let profile = decoder.icc_profile();
    Ok(Decoded {
        pixels: pixels(info, channels, data),
        profile,
    })
}

fn png(source: &[u8], info: &Info) -> Result<Decoded, String> {
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(source), png::Limits { bytes: PNG_EXTRAS });
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    decoder.set_ignore_text_chunk(true);
    let mut reader = decoder.read_info().map_err(text)?;
    let header = reader.info();
    agree(info, header.width as usize, header.height as usize)?;
    let profile = header
        .icc_profile
        .as_deref()
        .filter(|p| p.len() <= MAX_PROFILE)
        .map(<[u8]>::to_vec);
    let size = reader.output_buffer_size().ok_or("its size overflows")?;
    let mut data = vec![0; size];
    let frame = reader.next_frame(&mut data).map_err(text)?;
    let channels = match frame.color_type {
        png::ColorType::Grayscale => Channels::Gray,
        png::ColorType::GrayscaleAlpha => Channels::GrayAlpha,
        png::ColorType::Rgb => Channels::Rgb,
        png::ColorType::Rgba => Channels::Rgba,
        png::ColorType::Indexed => return Err("its palette was not resolved".into()),
    };
    // An animation's default image is as large as the whole.
    agree(info, frame.width as usize, frame.height as usize)?;
    // What follows the pixels is not needed; that it is there and ends as it should tells that the file is whole.
    reader.finish().map_err(text)?;
    Ok(Decoded {
        pixels: pixels(info, channels, data),
        profile,
    })
}

fn gif(source: &[u8], info: &Info) -> Result<Decoded, String> {
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    // With this, a frame reaches over the screen's edge nowhere, so that the screen's size bounds its buffer.
    options.check_frame_consistency(true);
    let mut decoder = options.read_info(Cursor::new(source)).map_err(text)?;
    let (width, height) = (usize::from(decoder.width()), usize::from(decoder.height()));
    agree(info, width, height)?;
    let frame = decoder.next_frame_info().map_err(text)?.ok_or("it has no frame")?;
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let (frame_w, frame_h) = (usize::from(frame.width), usize::from(frame.height));
    if left + frame_w > width || top + frame_h > height {
        return Err("its first frame reaches over its edge".into());
    }
    let mut cells = vec![0; decoder.buffer_size()];
    decoder.read_into_buffer(&mut cells).map_err(text)?;
    if (frame_w, frame_h) == (width, height) {
        return Ok(Decoded {
            pixels: pixels(info, Channels::Rgba, cells),
            profile: None,
        });
    }
    let mut data = vec![0; width * height * 4];
    for (row, cells) in cells.chunks_exact(frame_w.max(1) * 4).enumerate() {
        let at = ((top + row) * width + left) * 4;
        data[at..at + cells.len()].copy_from_slice(cells);
    }
    Ok(Decoded {
        pixels: pixels(info, Channels::Rgba, data),
        profile: None,
    })
}

fn webp(source: &[u8], info: &Info) -> Result<Decoded, String> {
    // The decoder is content with less than the file says it has, and leaves the rest of the image as it was.
    let length: [u8; 4] = source.get(4..8).and_then(|b| b.try_into().ok()).unwrap_or_default();
    if source.len() < 8_usize.saturating_add(u32::from_le_bytes(length) as usize) {
        return Err("its end is missing".into());
    }
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(source)).map_err(text)?;
    decoder.set_memory_limit(source.len());
    let (width, height) = decoder.dimensions();
    agree(info, width as usize, height as usize)?;
    let channels = if decoder.has_alpha() {
        Channels::Rgba
    } else {
        Channels::Rgb
    };
    let mut data = vec![0; decoder.output_buffer_size().ok_or("its size overflows")?];
    decoder.read_image(&mut data).map_err(text)?;
    let profile = decoder.icc_profile().ok().flatten();
    Ok(Decoded {
        pixels: pixels(info, channels, data),
        profile,
    })
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
