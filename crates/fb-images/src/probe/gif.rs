//! GIF89a, section 18: the logical screen.

use super::{Header, bytes};
use crate::orient::Orientation;

pub(super) fn read(source: &[u8]) -> Result<Header, &'static str> {
    let width = u32::from(u16::from_le_bytes(bytes(source, 6)?));
    let height = u32::from(u16::from_le_bytes(bytes(source, 8)?));
    // The screen, and a frame that may be as large.
    Ok(Header {
        width,
        height,
        orientation: Orientation::UPRIGHT,
        depth: 8,
        lossless: false,
    })
}
