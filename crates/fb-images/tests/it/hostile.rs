use fb_images::{Limits, RenderError, Variant, probe, render};

use crate::images::*;

fn attempt(source: &[u8]) -> Result<(u32, u32), RenderError> {
    let variant: Variant = "width=8;format=png".parse().unwrap();
    render(source, &variant, &Limits::default()).map(|r| (r.width, r.height))
}

/// A small valid file of each kind.
fn specimens() -> Vec<(&'static str, Vec<u8>)> {
    let rgb = photo(24, 18);
    let rgba: Vec<u8> = rgb.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], p[0]]).collect();
    let lossy = webp_lossy(&rgb, 24, 18);
    vec![
        ("jpeg", jpeg_with(&rgb, 24, 18, false, &[(1, &exif_segment(6))])),
        ("progressive jpeg", jpeg_with(&rgb, 24, 18, true, &[])),
        ("png", png(&rgba, 24, 18, png::ColorType::Rgba)),
        ("gif", gif(24, 18, 2)),
        ("lossy webp", lossy.clone()),
        (
            "lossless webp",
            webp_lossless(&rgba, 24, 18, image_webp::ColorType::Rgba8),
        ),
        ("extended webp", webp_saying(24, 18, &lossy)),
    ]
}

#[test]
fn s32_what_is_no_image_is_refused_whatever_its_name_says() {
    let xxe = br#"<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><svg xmlns="http://www.w3.org/2000/svg">&e;</svg>"#;
    for source in [
        &b""[..],
        b"\0",
        b"\xff\xd8",
        b"<svg xmlns=\"http://www.w3.org/2000/svg\"><image href=\"http://169.254.169.254/\"/></svg>",
        xxe,
        b"<!DOCTYPE html><script>alert(1)</script>",
        b"<?xml version=\"1.0\"?><a/>",
        b"%PDF-1.7\n",
        b"%!PS-Adobe-3.0",
        b"PK\x03\x04\x14\0\0\0\0\0",
        b"BM\x46\0\0\0\0\0\0\0",
        b"II\x2a\0\x08\0\0\0",
        b"MM\0\x2a\0\0\0\x08",
        b"\0\0\x01\0\x01\0",
        b"\0\0\0\x1cftypavif\0\0\0\0avif",
        b"8BPS\0\x01",
        b"P6 1 1 255 aaa",
        b"push graphic-context\nviewbox 0 0 1 1\nimage over 0,0 0,0 'https://example.com/'\n",
        b"RIFF\x04\0\0\0WAVE",
        b"GIF90a\x01\0\x01\0\0\0\0",
        b"\xef\xbb\xbf\x89PNG\r\n\x1a\n",
        b" GIF89a",
    ] {
        assert_eq!(
            attempt(source),
            Err(RenderError::NotAnImage),
            "{:?}",
            String::from_utf8_lossy(source)
        );
        assert_eq!(probe(source).unwrap_err(), RenderError::NotAnImage);
    }
    let said = RenderError::NotAnImage.to_string();
    assert!(
        said.starts_with("not an image format that can be transformed"),
        "{said}"
    );
}

#[test]
fn s32_files_that_are_cut_off_are_refused_at_every_length() {
    for (name, whole) in specimens() {
        assert!(attempt(&whole).is_ok(), "{name}: {:?}", attempt(&whole));
        for length in 0..whole.len() {
            // The last bytes of a GIF say that there are no further frames, which nobody asks for; padding of WebP is no content.
            let complete_enough = match name {
                "gif" => whole.len() / 2,
                _ => whole.len() - 1,
            };
            match attempt(&whole[..length]) {
                Err(RenderError::NotAnImage) => assert!(length < 12, "{name} {length}"),
                Err(RenderError::Malformed { .. }) => {}
                other => assert!(
                    length >= complete_enough && other.is_ok(),
                    "{name} {length} of {}: {other:?}",
                    whole.len()
                ),
            }
        }
    }
}

#[test]
fn s32_flipped_bits_make_an_error_or_an_image_but_no_panic() {
    let mut seed = 0x9e37_79b9_u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    let (mut images, mut errors) = (0, 0);
    for (name, whole) in specimens() {
        for round in 0..1_500 {
            let mut damaged = whole.clone();
            for _ in 0..=random(8) {
                let at = random(damaged.len());
                match round % 3 {
                    0 => damaged[at] ^= 1 << random(8),
                    1 => damaged[at] = [0, 0xff, 0x7f, 0x80][random(4)],
                    _ => {
                        let until = (at + random(16)).min(damaged.len());
                        damaged.drain(at..until);
                        damaged.push(0);
                    }
                }
            }
            match attempt(&damaged) {
                Ok((w, h)) => {
                    assert!(w <= 8 && h <= 4096, "{name}");
                    images += 1;
                }
                Err(RenderError::Encode { reason, .. }) => panic!("{name}: {reason}"),
                Err(_) => errors += 1,
            }
        }
    }
    assert!(
        images > 100 && errors > 1_000,
        "the damage is neither too small nor too large: {images} {errors}"
    );
}

#[test]
fn s32_headers_that_contradict_each_other_are_refused() {
    let simple = webp_lossy(&photo(24, 18), 24, 18);
    let refused = [webp_saying(1000, 1000, &simple), webp_saying(2, 2, &simple)];
    for source in refused {
        let found = attempt(&source);
        assert!(matches!(found, Err(RenderError::Malformed { .. })), "{found:?}");
    }
    // A second, much larger frame header behind the one that was checked.
    let mut two = jpeg(&photo(16, 16), 16, 16);
    let sof = two.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    let mut second = two[sof..sof + 19].to_vec();
    second[5..9].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
    two.splice(sof + 19..sof + 19, second);
    assert!(
        matches!(attempt(&two), Err(RenderError::Malformed { .. })),
        "{:?}",
        attempt(&two)
    );
}

#[test]
fn s32_thousands_of_scans_are_refused() {
    let mut source = jpeg_with(&photo(64, 64), 64, 64, true, &[]);
    let end = source.len() - 2;
    let last = source.windows(2).rposition(|w| w == [0xff, 0xda]).unwrap();
    let scan = source[last..end].to_vec();
    for _ in 0..2_000 {
        source.splice(end..end, scan.iter().copied());
    }
    let found = attempt(&source);
    assert!(matches!(found, Err(RenderError::Malformed { .. })), "{found:?}");
}

#[test]
fn s32_gifs_with_frames_outside_of_their_screen_are_refused() {
    let mut source = gif(10, 10, 1);
    let frame = source.iter().rposition(|b| *b == 0x2c).unwrap();
    source[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
    assert!(
        matches!(attempt(&source), Err(RenderError::Malformed { .. })),
        "{:?}",
        attempt(&source)
    );
    let empty = [b"GIF89a\x0a\0\x0a\0\x80\0\0".as_slice(), &[0; 6], b";"].concat();
    assert!(
        matches!(attempt(&empty), Err(RenderError::Malformed { .. })),
        "{:?}",
        attempt(&empty)
    );
}

#[test]
fn s32_each_limit_holds_on_its_own() {
    let unit = |source: &[u8], limits: &Limits| match render(source, &"width=8".parse().unwrap(), limits) {
        Err(RenderError::TooLarge { unit, .. }) => unit,
        other => panic!("{other:?}"),
    };
    let default = Limits::default();
    assert_eq!(unit(&png_saying(10_000, 4_001, &[], &[]), &default), "pixels");
    assert_eq!(
        unit(&png_saying(20_001, 1, &[], &[]), &default),
        "pixels in its longer side"
    );
    assert_eq!(
        unit(&png_saying(1, 20_001, &[], &[]), &default),
        "pixels in its longer side"
    );
    let small = jpeg(&photo(16, 16), 16, 16);
    assert_eq!(
        unit(
            &small,
            &Limits {
                source_bytes: small.len() - 1,
                ..default
            }
        ),
        "bytes"
    );
    assert_eq!(
        unit(
            &small,
            &Limits {
                source_pixels: 255,
                ..default
            }
        ),
        "pixels"
    );
    assert_eq!(
        unit(
            &small,
            &Limits {
                source_side: 15,
                ..default
            }
        ),
        "pixels in its longer side"
    );
    assert_eq!(
        unit(
            &small,
            &Limits {
                memory: 1 << 20,
                ..default
            }
        ),
        "bytes when it is decoded"
    );
}
