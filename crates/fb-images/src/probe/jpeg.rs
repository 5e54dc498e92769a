//! JPEG (ITU T.81, annex B): segments up to the first scan.

use super::{CUT_OFF, Header, bytes};
use crate::orient::{Orientation, from_tiff};

pub(super) fn read(source: &[u8]) -> Result<Header, &'static str> {
    let mut at = 2;
    let mut frame = None;
    let mut orientation = Orientation::UPRIGHT;
    loop {
        if bytes::<1>(source, at)? != [0xff] {
            return Err("there is something between its segments");
        }
        let [marker] = bytes::<1>(source, at + 1)?;
        match marker {
            // Padding.
            0xff => {
                at += 1;
                continue;
            }
            // Markers without a segment.
            0x01 | 0xd0..=0xd8 => {
                at += 2;
                continue;
            }
            0xd9 => return Err("it ends before its first scan"),
            0xda => break,
            _ => {}
        }
        let length = usize::from(u16::from_be_bytes(bytes(source, at + 2)?));
        let body = source.get(at + 4..at + 2 + length.max(2)).ok_or(CUT_OFF)?;
        match marker {
            0xc4 | 0xc8 | 0xcc => {}
            0xc0..=0xcf if frame.is_none() => {
                let height = u16::from_be_bytes(bytes(body, 1)?);
                let width = u16::from_be_bytes(bytes(body, 3)?);
                let [components] = bytes(body, 5)?;
                // Progressive ones keep all coefficients, two bytes each, until the last scan is read.
                let coefficients = if marker == 0xc2 { 2 * u64::from(components) } else { 0 };
                frame = Some((u32::from(width), u32::from(height), 4 + coefficients));
            }
            0xe1 if body.starts_with(b"Exif\0\0") => orientation = from_tiff(&body[6..]),
            _ => {}
        }
        at += 2 + length.max(2);
    }
    let (width, height, depth) = frame.ok_or("its first scan comes before its size")?;
    Ok(Header {
        width,
        height,
        orientation,
        depth,
        lossless: false,
    })
}

/// Whether the end marker is there. Decoders fill up what is missing with grey, which nobody wants to keep in a cache.
pub(crate) fn has_end(source: &[u8]) -> bool {
    // Inside of scans 0xff is never followed by 0xd9; what is before the first scan (a preview in EXIF, which has an end of its own) does
    // not count. Cameras and programs append things, so the end need not be at the end.
    let Some(scan) = first_scan(source) else { return false };
    source[scan..].windows(2).rev().any(|w| w == [0xff, 0xd9])
}

fn first_scan(source: &[u8]) -> Option<usize> {
    let mut at = 2;
    loop {
        match (source.get(at)?, source.get(at + 1)?) {
            (0xff, 0xda) => return Some(at),
            (0xff, 0xff) => at += 1,
            (0xff, 0x01 | 0xd0..=0xd8) => at += 2,
            _ => at += 2 + usize::from(u16::from_be_bytes([*source.get(at + 2)?, *source.get(at + 3)?])).max(2),
        }
    }
}
