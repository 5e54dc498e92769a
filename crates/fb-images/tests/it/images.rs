//! Images made by the tests themselves, good and bad.
#![allow(dead_code, reason = "each of its users needs a part")]
#![allow(clippy::unwrap_used, reason = "a failure is a fault of the test")]

use std::io::Write as _;

/// Red, green and blue by position, with some texture.
pub(crate) fn photo(width: u32, height: u32) -> Vec<u8> {
    let mut noise = 0x2545_f491_u32;
    (0..height)
        .flat_map(|y| (0..width).map(move |x| (x, y)))
        .flat_map(|(x, y)| {
            noise ^= noise << 13;
            noise ^= noise >> 17;
            noise ^= noise << 5;
            let n = noise % 8;
            let ramp = |at: u32, of: u32| u8::try_from(at * 240 / of + n).unwrap();
            [ramp(x, width), ramp(y, height), ramp(x + y, width + height)]
        })
        .collect()
}

pub(crate) fn jpeg(rgb: &[u8], width: u32, height: u32) -> Vec<u8> {
    jpeg_with(rgb, width, height, false, &[])
}

/// With application segments `(number, content)`.
pub(crate) fn jpeg_with(rgb: &[u8], width: u32, height: u32, progressive: bool, segments: &[(u8, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut out, 95);
    encoder.set_progressive(progressive);
    for (number, content) in segments {
        encoder.add_app_segment(*number, content.to_vec()).unwrap();
    }
    let side = |n: u32| u16::try_from(n).unwrap();
    encoder
        .encode(rgb, side(width), side(height), jpeg_encoder::ColorType::Rgb)
        .unwrap();
    out
}

pub(crate) fn png(data: &[u8], width: u32, height: u32, color: png::ColorType) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(color);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(data).unwrap();
    writer.finish().unwrap();
    out
}

pub(crate) fn gif(width: u16, height: u16, frames: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = gif::Encoder::new(&mut out, width, height, &[250, 10, 10, 10, 10, 250]).unwrap();
    for i in 0..frames {
        let pixels = vec![u8::from(i > 0); usize::from(width) * usize::from(height)];
        encoder
            .write_frame(&gif::Frame::from_indexed_pixels(width, height, pixels, None))
            .unwrap();
    }
    drop(encoder);
    out
}

pub(crate) fn webp_lossless(data: &[u8], width: u32, height: u32, color: image_webp::ColorType) -> Vec<u8> {
    let mut out = Vec::new();
    image_webp::WebPEncoder::new(&mut out)
        .encode(data, width, height, color)
        .unwrap();
    out
}

pub(crate) fn webp_lossy(rgb: &[u8], width: u32, height: u32) -> Vec<u8> {
    webp::Encoder::from_rgb(rgb, width, height).encode(80.0).to_vec()
}

/// A TIFF structure as EXIF has it: orientation, and a text that gives a place away.
pub(crate) fn exif(orientation: u16, big: bool) -> Vec<u8> {
    let two = |n: u16| if big { n.to_be_bytes() } else { n.to_le_bytes() };
    let four = |n: u32| if big { n.to_be_bytes() } else { n.to_le_bytes() };
    let mut out = if big { b"MM".to_vec() } else { b"II".to_vec() };
    out.extend(two(42));
    out.extend(four(8));
    out.extend(two(1));
    out.extend(two(0x0112));
    out.extend(two(3));
    out.extend(four(1));
    out.extend(two(orientation));
    out.extend(two(0));
    out.extend(four(0));
    out.extend(b"GPS 53.55 N 9.99 E");
    out
}

pub(crate) fn exif_segment(orientation: u16) -> Vec<u8> {
    [b"Exif\0\0".as_slice(), &exif(orientation, true)].concat()
}

pub(crate) fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut out = u32::try_from(content.len()).unwrap().to_be_bytes().to_vec();
    out.extend(name);
    out.extend(content);
    let mut crc = flate2::Crc::new();
    crc.update(&out[4..]);
    out.extend(crc.sum().to_be_bytes());
    out
}

pub(crate) fn zlib(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A PNG whose header says `width` × `height` gray pixels, with `rows` as its compressed content and `extra` chunks before it.
pub(crate) fn png_saying(width: u32, height: u32, rows: &[u8], extra: &[Vec<u8>]) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    out.extend(chunk(b"IHDR", &header));
    out.extend(extra.concat());
    out.extend(chunk(b"IDAT", rows));
    out.extend(chunk(b"IEND", b""));
    out
}

/// A JPEG whose header says another size than its content has.
pub(crate) fn jpeg_saying(width: u16, height: u16, progressive: bool) -> Vec<u8> {
    let mut out = jpeg_with(&photo(16, 16), 16, 16, progressive, &[]);
    let sof = out
        .windows(2)
        .position(|w| w == [0xff, if progressive { 0xc2 } else { 0xc0 }])
        .unwrap();
    out[sof + 5..sof + 7].copy_from_slice(&height.to_be_bytes());
    out[sof + 7..sof + 9].copy_from_slice(&width.to_be_bytes());
    out
}

pub(crate) fn riff(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut body = b"WEBP".to_vec();
    for (name, content) in chunks {
        body.extend(*name);
        body.extend(u32::try_from(content.len()).unwrap().to_le_bytes());
        body.extend(*content);
        body.extend(vec![0; content.len() % 2]);
    }
    [
        b"RIFF".as_slice(),
        &u32::try_from(body.len()).unwrap().to_le_bytes(),
        &body,
    ]
    .concat()
}

/// An extended WebP around the first chunk of a simple one.
pub(crate) fn webp_saying(width: u32, height: u32, simple: &[u8]) -> Vec<u8> {
    let size = |n: u32| (n - 1).to_le_bytes()[..3].to_vec();
    let header = [vec![0; 4], size(width), size(height)].concat();
    let name: &[u8; 4] = simple[12..16].try_into().unwrap();
    let length = u32::from_le_bytes(simple[16..20].try_into().unwrap()) as usize;
    riff(&[(b"VP8X", &header), (name, &simple[20..20 + length])])
}

/// The pixels of a PNG, as they are in it.
pub(crate) fn read_png(bytes: &[u8]) -> (Vec<u8>, png::OutputInfo) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut data = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut data).unwrap();
    (data, info)
}
