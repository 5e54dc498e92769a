//! How an image is turned and mirrored before it is shown (EXIF).

use std::ops::Sub;

/// Orientation as in EXIF: one of the eight ways to turn and mirror what is stored into what is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orientation(u8);

impl Orientation {
    /// As stored.
    pub const UPRIGHT: Self = Self(1);

    /// From the value of EXIF's tag 0x0112; `None` unless it is 1 to 8.
    pub fn from_exif(value: u16) -> Option<Self> {
        u8::try_from(value).ok().filter(|v| (1..=8).contains(v)).map(Self)
    }

    /// 1 to 8.
    pub fn exif(self) -> u8 {
        self.0
    }

    /// Whether width and height change places.
    pub fn swaps_sides(self) -> bool {
        self.0 >= 5
    }

    /// Where a rectangle (left, top, width, height) of the shown image lies in the stored one, which is `w` × `h`.
    pub(crate) fn stored_rect<N: Copy + Sub<Output = N>>(
        self,
        (x, y, rw, rh): (N, N, N, N),
        w: N,
        h: N,
    ) -> (N, N, N, N) {
        match self.0 {
            2 => (w - x - rw, y, rw, rh),
            3 => (w - x - rw, h - y - rh, rw, rh),
            4 => (x, h - y - rh, rw, rh),
            5 => (y, x, rh, rw),
            6 => (y, h - x - rw, rh, rw),
            7 => (w - y - rh, h - x - rw, rh, rw),
            8 => (w - y - rh, x, rh, rw),
            _ => (x, y, rw, rh),
        }
    }

    /// Where a pixel of the shown image is in the stored one, which is `w` × `h`.
    fn stored_pixel(self, x: usize, y: usize, w: usize, h: usize) -> (usize, usize) {
        match self.0 {
            2 => (w - 1 - x, y),
            3 => (w - 1 - x, h - 1 - y),
            4 => (x, h - 1 - y),
            5 => (y, x),
            6 => (y, h - 1 - x),
            7 => (w - 1 - y, h - 1 - x),
            8 => (w - 1 - y, x),
            _ => (x, y),
        }
    }

    /// Pixels of `size` bytes each, `w` × `h` of them, as they are shown.
    pub(crate) fn apply(self, data: Vec<u8>, w: usize, h: usize, size: usize) -> Vec<u8> {
        if self == Self::UPRIGHT {
            return data;
        }
        let (shown_w, shown_h) = if self.swaps_sides() { (h, w) } else { (w, h) };
        let mut shown = Vec::with_capacity(data.len());
        for y in 0..shown_h {
            for x in 0..shown_w {
                let (sx, sy) = self.stored_pixel(x, y, w, h);
                let at = (sy * w + sx) * size;
                shown.extend_from_slice(&data[at..at + size]);
            }
        }
        shown
    }
}

/// Orientation from a TIFF structure, as EXIF keeps it: first directory, tag 0x0112. Whatever is not as it should be counts as upright,
/// because damaged EXIF is common and shown by everybody.
pub(crate) fn from_tiff(tiff: &[u8]) -> Orientation {
    read_tiff(tiff).unwrap_or(Orientation::UPRIGHT)
}

fn read_tiff(tiff: &[u8]) -> Option<Orientation> {
    let big = match tiff.get(..4)? {
        b"MM\0\x2a" => true,
        b"II\x2a\0" => false,
        _ => return None,
    };
    let short = |at: usize| {
        let bytes: [u8; 2] = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if big {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    };
    let long = |at: usize| {
        let bytes: [u8; 4] = tiff.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if big {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    };
    let directory = usize::try_from(long(4)?).ok()?;
    for entry in 0..usize::from(short(directory)?) {
        let at = directory.checked_add(2 + 12 * entry)?;
        if short(at)? == 0x0112 {
            return Orientation::from_exif(short(at + 8)?);
        }
    }
    None
}
