//! What a variant means for one image: which part of it becomes how large, and what that costs.

use crate::error::RenderError;
use crate::limits::Limits;
use crate::measure::MAX_PIXELS;
use crate::probe::Info;
use crate::variant::{Fit, Variant};

/// Part of the source that is used and size of the result, both as shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// What `crop` cuts out: left, top, width, height.
    pub(crate) view: (u32, u32, u32, u32),
    /// The part of it that fits the proportions; counted from its corner.
    pub(crate) cut: Rect,
    /// Pixels; at least 1.
    pub width: u32,
    /// Pixels; at least 1.
    pub height: u32,
    /// What it takes.
    pub cost: Cost,
}

/// What a rendering takes, as far as the header tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Pixels to decode: always all of the source. A core decodes 15 to 150 million per second.
    pub pixels_in: u64,
    /// Pixels to write. A core writes 5 to 100 million per second.
    pub pixels_out: u64,
    /// Bytes of memory at the peak, estimated from above, without the source itself.
    pub bytes: u64,
}

impl Plan {
    /// # Errors
    /// The source or the variant is over the limits.
    pub fn new(source_bytes: usize, info: &Info, variant: &Variant, limits: &Limits) -> Result<Self, RenderError> {
        variant.check(limits)?;
        at_most("bytes", source_bytes as u64, limits.source_bytes as u64)?;
        at_most(
            "pixels in its longer side",
            info.width.max(info.height).into(),
            limits.source_side.into(),
        )?;
        let pixels_in = u64::from(info.width) * u64::from(info.height);
        at_most("pixels", pixels_in, limits.source_pixels)?;

        let (view, cut, width, height) = geometry(info, variant, limits);
        let pixels_out = u64::from(width) * u64::from(height);
        // One after the other, and each lets go of what the one before it had.
        let resizing = pixels_in * 4 + rows_between(info, width, height) + pixels_out * 4;
        let writing = pixels_out * 16;
        let bytes = FIXED + (pixels_in * info.depth).max(resizing).max(writing);
        at_most("bytes when it is decoded", bytes, limits.memory)?;
        Ok(Self {
            view,
            cut,
            width,
            height,
            cost: Cost {
                pixels_in,
                pixels_out,
                bytes,
            },
        })
    }
}

/// Tables and buffers that do not depend on the size, colour profiles among them.
const FIXED: u64 = 8 << 20;

/// Resizing goes in one direction first, over all rows or columns of the source.
fn rows_between(info: &Info, width: u32, height: u32) -> u64 {
    let (w, h) = info.shown_size();
    4 * (u64::from(w) * u64::from(height)).max(u64::from(width) * u64::from(h))
}

fn at_most(unit: &'static str, found: u64, limit: u64) -> Result<(), RenderError> {
    if found > limit {
        Err(RenderError::TooLarge { unit, found, limit })
    } else {
        Ok(())
    }
}

type Rect = (f64, f64, f64, f64);

fn geometry(info: &Info, variant: &Variant, limits: &Limits) -> ((u32, u32, u32, u32), Rect, u32, u32) {
    let (full_w, full_h) = info.shown_size();
    let view = variant
        .crop
        .map_or((0, 0, full_w, full_h), |crop| crop.within(full_w, full_h));
    let (w, h) = (f64::from(view.2), f64::from(view.3));
    let mut cut = (0.0, 0.0, w, h);

    let mut size = match (
        variant.width.map(|l| l.of(full_w)),
        variant.height.map(|l| l.of(full_h)),
    ) {
        (None, None) => (w, h),
        (Some(to_w), None) => (to_w, h * to_w / w),
        (None, Some(to_h)) => (w * to_h / h, to_h),
        (Some(to_w), Some(to_h)) => match variant.fit {
            Fit::Fill => (to_w, to_h),
            Fit::Bounds => {
                let scale = (to_w / w).min(to_h / h);
                (w * scale, h * scale)
            }
            Fit::Crop => {
                cut = around_focus(w, h, to_w / to_h, variant);
                (to_w, to_h)
            }
        },
    };
    if !variant.enlarge {
        // One factor for both sides: proportions are worth more than the size.
        size = shrunk(size, (cut.2 / size.0).min(cut.3 / size.1));
    }
    size = shrunk(size, f64::from(limits.side.min(MAX_PIXELS)) / size.0.max(size.1));
    size = shrunk(size, (limits.pixels as f64 / (size.0 * size.1)).sqrt());
    let whole = |length: f64| (length.round() as u32).clamp(1, limits.side.clamp(1, MAX_PIXELS));
    (view, cut, whole(size.0), whole(size.1))
}

fn shrunk((width, height): (f64, f64), factor: f64) -> (f64, f64) {
    if factor < 1.0 {
        (width * factor, height * factor)
    } else {
        (width, height)
    }
}

/// The largest part of `w` × `h` with these proportions, as near to the focus as the edges allow.
fn around_focus(w: f64, h: f64, proportions: f64, variant: &Variant) -> Rect {
    let (part_w, part_h) = if w / h > proportions {
        (h * proportions, h)
    } else {
        (w, w / proportions)
    };
    let (focus_x, focus_y) = variant.focus.map_or((0.5, 0.5), |(fx, fy)| (fx.of(1), fy.of(1)));
    let left = (focus_x * w - part_w / 2.0).clamp(0.0, (w - part_w).max(0.0));
    let top = (focus_y * h - part_h / 2.0).clamp(0.0, (h - part_h).max(0.0));
    (left, top, part_w, part_h)
}
