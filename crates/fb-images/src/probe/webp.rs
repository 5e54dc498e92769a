//! WebP (RFC 9649): simple and extended files.

use super::{Header, bytes};
use crate::orient::{Orientation, from_tiff};

pub(super) fn read(source: &[u8]) -> Result<Header, &'static str> {
    let (width, height, depth, lossless) = match &bytes::<4>(source, 12)? {
        b"VP8 " => {
            let (width, height) = lossy_size(source, 20)?;
            (width, height, 8, false)
        }
        b"VP8L" => {
            let (width, height) = lossless_size(source, 20)?;
            (width, height, 12, true)
        }
        b"VP8X" => {
            let [w0, w1, w2, h0, h1, h2] = bytes(source, 24)?;
            let size = |a, b, c| u32::from_le_bytes([a, b, c, 0]) + 1;
            (size(w0, w1, w2), size(h0, h1, h2), 12, find(source, b"VP8L").is_some())
        }
        _ => return Err("its first chunk is none of VP8, VP8L and VP8X"),
    };
    // Some programs keep the prefix that JPEG needs.
    let exif = find(source, b"EXIF").map(|e| e.strip_prefix(b"Exif\0\0").unwrap_or(e));
    let orientation = exif.map_or(Orientation::UPRIGHT, from_tiff);
    Ok(Header {
        width,
        height,
        orientation,
        depth,
        lossless,
    })
}

fn lossy_size(source: &[u8], at: usize) -> Result<(u32, u32), &'static str> {
    let [_, _, _, s0, s1, s2, w0, w1, h0, h1] = bytes(source, at)?;
    if [s0, s1, s2] != [0x9d, 0x01, 0x2a] {
        return Err("its frame has no start code");
    }
    let size = |a, b| u32::from(u16::from_le_bytes([a, b]) & 0x3fff);
    Ok((size(w0, w1), size(h0, h1)))
}

fn lossless_size(source: &[u8], at: usize) -> Result<(u32, u32), &'static str> {
    let [signature, b0, b1, b2, b3] = bytes(source, at)?;
    if signature != 0x2f {
        return Err("its frame has no signature");
    }
    let bits = u32::from_le_bytes([b0, b1, b2, b3]);
    Ok(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
}

/// The first chunk of this name.
fn find<'a>(source: &'a [u8], wanted: &[u8; 4]) -> Option<&'a [u8]> {
    let mut at = 12_usize;
    loop {
        let name = bytes::<4>(source, at).ok()?;
        let length = usize::try_from(u32::from_le_bytes(bytes(source, at + 4).ok()?)).ok()?;
        let end = (at + 8).checked_add(length)?;
        if &name == wanted {
            return source.get(at + 8..end);
        }
        at = end.checked_add(length % 2)?;
    }
}
