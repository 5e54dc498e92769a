//! What bombs take: a binary of its own, because it counts all that is allocated, and whose tests therefore run one at a time.
#![allow(clippy::unwrap_used, reason = "a failure is a fault")]

#[path = "it/images.rs"]
mod images;

use std::sync::Mutex;

use fb_images::{Limits, Plan, RenderError, Variant, probe, render};
use images::*;
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;
static ALONE: Mutex<()> = Mutex::new(());

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Result of a rendering, and bytes that it took at its peak.
fn measured(source: &[u8], variant: &str) -> (Result<(u32, u32), RenderError>, usize) {
    let variant: Variant = variant.parse().unwrap();
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    let result = render(source, &variant, &Limits::default()).map(|r| (r.width, r.height));
    (result, HEAP.peak_usage().saturating_sub(before))
}

fn estimated(source: &[u8], variant: &str) -> usize {
    let info = probe(source).unwrap();
    let plan = Plan::new(source.len(), &info, &variant.parse().unwrap(), &Limits::default()).unwrap();
    usize::try_from(plan.cost.bytes).unwrap()
}

#[test]
fn s32_bombs_are_refused_by_their_header_before_anything_is_decoded() {
    let _alone = ALONE.lock();
    let zeros = zlib(&vec![0; 4 * MIB]);
    let gif_screen = {
        let mut source = gif(10, 10, 1);
        source[6..10].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
        source
    };
    let simple = webp_lossy(&photo(16, 16), 16, 16);
    let lossless = {
        let mut source = webp_lossless(&photo(16, 16), 16, 16, image_webp::ColorType::Rgb8);
        source[21..25].copy_from_slice(&0x0fff_ffff_u32.to_le_bytes());
        source
    };
    for (name, source) in [
        ("png", png_saying(50_000, 50_000, &zeros, &[])),
        (
            "png, as large as can be",
            png_saying(0x7fff_ffff, 0x7fff_ffff, &zeros, &[]),
        ),
        ("png, larger than can be", png_saying(u32::MAX, u32::MAX, &zeros, &[])),
        ("png, one row", png_saying(1_000_000, 1, &zeros, &[])),
        ("gif", gif_screen),
        ("jpeg", jpeg_saying(65_535, 65_535, false)),
        ("progressive jpeg", jpeg_saying(65_500, 65_500, true)),
        ("webp canvas", webp_saying(16_384, 16_384, &simple)),
        (
            "webp canvas, as large as can be",
            webp_saying(1 << 24, 1 << 24, &simple),
        ),
        ("lossless webp", lossless),
    ] {
        assert!(source.len() < 16 * KIB, "{name}: {} bytes", source.len());
        let (result, peak) = measured(&source, "width=100");
        assert!(
            matches!(result, Err(RenderError::TooLarge { .. })),
            "{name}: {result:?}"
        );
        assert!(peak < 4 * KIB, "{name}: {peak} bytes");
    }
}

#[test]
fn s32_files_over_the_limit_are_not_looked_into() {
    let _alone = ALONE.lock();
    let mut source = jpeg(&photo(16, 16), 16, 16);
    source.resize(Limits::default().source_bytes + 1, 0);
    let (result, peak) = measured(&source, "");
    assert!(
        matches!(result, Err(RenderError::TooLarge { unit: "bytes", .. })),
        "{result:?}"
    );
    assert!(peak < 4 * KIB);
}

#[test]
fn s32_what_unfolds_beside_the_pixels_is_bounded() {
    let _alone = ALONE.lock();
    let rows = zlib(&[0; 17 * 16]);
    let huge = zlib(&vec![0; 32 * MIB]);
    let profile = chunk(b"iCCP", &[b"x\0\0".as_slice(), &huge].concat());
    let text = chunk(b"zTXt", &[b"x\0\0".as_slice(), &huge].concat());
    let international = chunk(b"iTXt", &[b"x\0\x01\0\0\0".as_slice(), &huge].concat());
    let many: Vec<Vec<u8>> = (0..20_000)
        .map(|i| chunk(b"tEXt", format!("k{i}\0v").as_bytes()))
        .collect();
    for (name, extra) in [
        ("iCCP", vec![profile]),
        ("zTXt", vec![text]),
        ("iTXt", vec![international]),
        ("many", many),
    ] {
        let source = png_saying(16, 16, &rows, &extra);
        let (result, peak) = measured(&source, "width=8");
        assert!(
            matches!(result, Ok((8, 8)) | Err(RenderError::Malformed { .. })),
            "{name}: {result:?}"
        );
        assert!(peak < 10 * MIB, "{name}: {peak} bytes");
        assert!(peak < estimated(&source, "width=8") + MIB, "{name}: {peak} bytes");
    }
    // More rows than the header says.
    let source = png_saying(16, 16, &huge, &[]);
    let (_, peak) = measured(&source, "width=8");
    assert!(peak < 10 * MIB, "{peak} bytes");
}

#[test]
fn s32_frames_beyond_the_first_cost_nothing() {
    let _alone = ALONE.lock();
    let source = gif(100, 100, 2_000);
    let (result, peak) = measured(&source, "width=50");
    assert_eq!(result, Ok((50, 50)));
    assert!(peak < MIB, "{peak} bytes");
}

#[test]
fn s32_images_take_no_more_than_was_estimated() {
    let _alone = ALONE.lock();
    let (w, h) = (1_200, 1_000);
    let white = vec![255; w * h * 3];
    let (wide, high) = (u32::try_from(w).unwrap(), u32::try_from(h).unwrap());
    let rows = zlib(&vec![0; (w + 1) * h]);
    let rgba: Vec<u8> = [9, 9, 9, 9].repeat(w * h);
    let sources = [
        ("png", png_saying(wide, high, &rows, &[])),
        ("jpeg", jpeg(&white, wide, high)),
        ("progressive jpeg", jpeg_with(&white, wide, high, true, &[])),
        ("jpeg that lies", jpeg_saying(1_200, 1_000, false)),
        ("progressive jpeg that lies", jpeg_saying(1_200, 1_000, true)),
        ("gif", gif(1_200, 1_000, 1)),
        ("lossy webp", webp_lossy(&white, wide, high)),
        (
            "lossless webp",
            webp_lossless(&white, wide, high, image_webp::ColorType::Rgb8),
        ),
        ("png with alpha", png(&rgba, wide, high, png::ColorType::Rgba)),
        (
            "webp with alpha",
            webp::Encoder::from_rgba(&rgba, wide, high).encode(80.0).to_vec(),
        ),
    ];
    drop((white, rgba, rows));
    for (name, source) in sources {
        // A narrow result is decoding above all, the other ones are resizing and writing.
        for variant in ["width=100;format=png", "width=0.5;format=jpg", "format=webpll"] {
            let (result, peak) = measured(&source, variant);
            let estimate = estimated(&source, variant);
            assert!(result.is_ok() || name.ends_with("lies"), "{name}: {result:?}");
            // What is estimated for tables and profiles is not needed by these, and must not hide what their pixels take.
            assert!(
                peak + 6 * MIB <= estimate,
                "{name}, {variant}: {peak} of {estimate} bytes"
            );
        }
    }
}

#[test]
fn s32_all_kinds_of_images_up_to_the_limit_of_pixels_are_within_the_limit_of_memory() {
    let simple = webp_lossy(&photo(16, 16), 16, 16);
    for source in [
        png_saying(8_000, 5_000, &[], &[]),
        jpeg_saying(8_000, 5_000, false),
        jpeg_saying(8_000, 5_000, true),
        webp_saying(8_000, 5_000, &simple),
    ] {
        for variant in [
            "width=400",
            "width=0.5",
            "width=1.0",
            "width=4096;height=4096;enlarge=true",
        ] {
            assert!(estimated(&source, variant) <= 512 * MIB);
        }
    }
}

#[test]
fn probing_allocates_nothing() {
    let _alone = ALONE.lock();
    for source in [
        jpeg(&photo(99, 99), 99, 99),
        webp_lossy(&photo(99, 99), 99, 99),
        gif(9, 9, 9),
        png_saying(9, 9, &[], &[]),
    ] {
        HEAP.reset_peak_usage();
        let before = HEAP.current_usage();
        probe(&source).unwrap();
        assert!(HEAP.peak_usage() <= before + 64, "{} bytes", HEAP.peak_usage() - before);
    }
}
