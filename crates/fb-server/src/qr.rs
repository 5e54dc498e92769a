//! QR codes as pictures.

use data_encoding::BASE64;
use qrcodegen::{QrCode, QrCodeEcc};

/// Pixels per module.
const SCALE: i32 = 5;
/// Light modules around the code; the standard asks for four.
const BORDER: i32 = 4;

/// The text as a QR code: a PNG picture in a `data:` URI. `None` if it is too long, above some 2,000 bytes.
pub(crate) fn png_data_uri(text: &str) -> Option<String> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let side = (code.size() + 2 * BORDER) * SCALE;
    // One bit per pixel, rows in whole bytes; light is 1.
    let row_bytes = usize::try_from(side).ok()?.div_ceil(8);
    let mut bits = Vec::with_capacity(row_bytes * usize::try_from(side).ok()?);
    for y in 0..side {
        let mut row = vec![0_u8; row_bytes];
        for (x, i) in (0..side).zip(0_usize..) {
            if !code.get_module(x / SCALE - BORDER, y / SCALE - BORDER) {
                row[i / 8] |= 0x80 >> (i % 8);
            }
        }
        bits.extend(row);
    }
    let mut picture = Vec::new();
    let side = u32::try_from(side).ok()?;
    let mut encoder = png::Encoder::new(&mut picture, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(&bits).ok()?;
    writer.finish().ok()?;
    Some(format!("data:image/png;base64,{}", BASE64.encode(&picture)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_square_picture_with_a_light_border() {
        let uri = png_data_uri("otpauth://totp/App:ann?secret=ABC").unwrap();
        let bytes = BASE64
            .decode(uri.strip_prefix("data:image/png;base64,").unwrap().as_bytes())
            .unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!(info.width, info.height);
        assert_eq!(i64::from(info.width) % i64::from(SCALE), 0);
        // The first row is light, the corner pattern behind the border is dark.
        assert_eq!(pixels[0], 0xff);
        let row = info.line_size;
        let first_module = usize::try_from(BORDER * SCALE).unwrap();
        let byte = pixels[row * first_module + first_module / 8];
        assert_eq!(byte & (0x80 >> (first_module % 8)), 0);
        assert_eq!(png_data_uri(&"x".repeat(5000)), None);
    }
}
