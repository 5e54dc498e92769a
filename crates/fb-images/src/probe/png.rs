//! PNG (third edition, section 5): IHDR, and eXIf wherever it is.

use super::{Header, bytes};
use crate::orient::{Orientation, from_tiff};

pub(super) fn read(source: &[u8]) -> Result<Header, &'static str> {
    if bytes::<8>(source, 8)? != *b"\0\0\0\x0dIHDR" {
        return Err("its first chunk is not IHDR");
    }
    let width = u32::from_be_bytes(bytes(source, 16)?);
    let height = u32::from_be_bytes(bytes(source, 20)?);
    let [_depth, _color, _, _, _interlaced] = bytes::<5>(source, 24)?;
    Ok(Header {
        width,
        height,
        orientation: orientation(source),
        depth: 4,
        lossless: false,
    })
}

fn orientation(source: &[u8]) -> Orientation {
    let mut at = 33;
    while let (Ok(length), Ok(name)) = (bytes::<4>(source, at), bytes::<4>(source, at + 4)) {
        let Ok(length) = usize::try_from(u32::from_be_bytes(length)) else {
            break;
        };
        let end = (at + 8).saturating_add(length);
        if &name == b"eXIf" {
            return source.get(at + 8..end).map_or(Orientation::UPRIGHT, from_tiff);
        }
        at = end.saturating_add(4);
        if &name == b"IEND" || at >= source.len() {
            break;
        }
    }
    Orientation::UPRIGHT
}
