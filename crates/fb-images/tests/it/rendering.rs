use fb_images::{Limits, Orientation, Plan, RenderError, Rendered, SourceFormat, Variant, probe, render};

use crate::images::*;

fn rendered(source: &[u8], variant: &str) -> Rendered {
    render(source, &variant.parse().unwrap(), &Limits::default()).unwrap()
}

/// Width and height of the result.
fn size(source: &[u8], variant: &str) -> (u32, u32) {
    let result = rendered(source, variant);
    let info = probe(&result.bytes).unwrap();
    assert_eq!(
        (info.width, info.height),
        (result.width, result.height),
        "the file says so too"
    );
    (result.width, result.height)
}

/// Pixel of a PNG result.
fn pixel(result: &Rendered, x: u32, y: u32) -> Vec<u8> {
    let (data, info) = read_png(&result.bytes);
    let size = info.color_type.samples();
    let at = (y * info.width + x) as usize * size;
    data[at..at + size].to_vec()
}

fn near(found: &[u8], wanted: &[u8], by: u8) -> bool {
    found.len() == wanted.len() && found.iter().zip(wanted).all(|(a, b)| a.abs_diff(*b) <= by)
}

#[test]
fn sizes_follow_the_language() {
    let source = jpeg(&photo(400, 300), 400, 300);
    for (variant, expected) in [
        ("", (400, 300)),
        ("width=200", (200, 150)),
        ("height=30", (40, 30)),
        ("width=0.5", (200, 150)),
        ("width=0.5;height=0.2", (200, 60)),
        ("width=100;height=100", (100, 100)),
        ("width=100;height=100;fit=bounds", (100, 75)),
        ("width=100;height=100;fit=crop", (100, 100)),
        ("crop=100,200", (100, 200)),
        ("crop=0.5,0.3", (200, 90)),
        ("crop=1:1", (300, 300)),
        ("crop=4:1;width=100", (100, 25)),
        ("crop=9999,10", (400, 10)),
        ("crop=100,100;width=0.1", (40, 40)),
    ] {
        assert_eq!(size(&source, variant), expected, "{variant}");
    }
}

#[test]
fn nothing_is_enlarged_unless_asked_for() {
    let source = jpeg(&photo(40, 30), 40, 30);
    for (variant, expected) in [
        ("width=200", (40, 30)),
        ("height=200", (40, 30)),
        ("width=80;height=20;fit=bounds", (27, 20)),
        ("width=200;height=200;fit=bounds", (40, 30)),
        ("width=200;height=200;fit=crop", (30, 30)),
        ("width=200;height=100", (40, 20)),
        ("crop=10,10;width=20", (10, 10)),
        ("width=200;enlarge=true", (200, 150)),
        ("width=200;height=200;fit=bounds;enlarge=true", (200, 150)),
        ("width=200;height=200;fit=crop;enlarge=true", (200, 200)),
        ("crop=10,10;width=20;enlarge=true", (20, 20)),
    ] {
        assert_eq!(size(&source, variant), expected, "{variant}");
    }
}

#[test]
fn s32_results_stay_within_the_limits_whatever_follows_from_the_source() {
    let limits = Limits {
        side: 100,
        pixels: 5_000,
        ..Limits::default()
    };
    let sized = |source: &[u8], variant: &str| {
        let result = render(source, &variant.parse().unwrap(), &limits).unwrap();
        (result.width, result.height)
    };
    assert_eq!(sized(&jpeg(&photo(400, 300), 400, 300), "quality=50"), (82, 61));
    assert_eq!(sized(&jpeg(&photo(1, 300), 1, 300), "width=100;enlarge=true"), (1, 100));
    assert_eq!(sized(&jpeg(&photo(300, 1), 300, 1), "height=1.0"), (100, 1));
    let over = render(&jpeg(&photo(9, 9), 9, 9), &"width=101".parse().unwrap(), &limits);
    assert!(matches!(over, Err(RenderError::Variant(_))), "{over:?}");
}

#[test]
fn formats_are_as_asked_for() {
    let rgb = photo(20, 10);
    let sources = [
        (jpeg(&rgb, 20, 10), SourceFormat::Jpeg, "image/jpeg"),
        (png(&rgb, 20, 10, png::ColorType::Rgb), SourceFormat::Png, "image/png"),
        (gif(20, 10, 3), SourceFormat::Gif, "image/png"),
        (webp_lossy(&rgb, 20, 10), SourceFormat::Webp, "image/webp"),
        (
            webp_lossless(&rgb, 20, 10, image_webp::ColorType::Rgb8),
            SourceFormat::Webp,
            "image/webp",
        ),
    ];
    for (source, format, kept) in &sources {
        assert_eq!(probe(source).unwrap().format, *format);
        for (variant, media_type, start) in [
            ("", *kept, None),
            ("format=jpg", "image/jpeg", Some((0, &[0xff, 0xd8, 0xff][..]))),
            ("format=pjpg", "image/jpeg", Some((0, &[0xff, 0xd8, 0xff][..]))),
            ("format=png", "image/png", Some((0, &b"\x89PNG"[..]))),
            ("format=webp", "image/webp", Some((12, &b"VP8 "[..]))),
            ("format=webpll", "image/webp", Some((12, &b"VP8L"[..]))),
        ] {
            let result = rendered(source, variant);
            assert_eq!(result.media_type, media_type, "{format} {variant}");
            assert_eq!((result.width, result.height), (20, 10));
            if let Some((at, magic)) = start {
                assert_eq!(&result.bytes[at..at + magic.len()], magic, "{format} {variant}");
            }
        }
    }
    let progressive = rendered(&sources[0].0, "format=pjpg").bytes;
    assert!(progressive.windows(2).any(|w| w == [0xff, 0xc2]));
    assert_eq!(
        &rendered(&sources[4].0, "width=5").bytes[12..16],
        b"VP8L",
        "lossless stays lossless"
    );
}

#[test]
fn all_kinds_of_pixels_are_read() {
    use png::ColorType::{Grayscale, GrayscaleAlpha, Rgb, Rgba};
    for color in [Grayscale, GrayscaleAlpha, Rgb, Rgba] {
        let data: Vec<u8> = (0..64 * 64 * color.samples()).map(|i| (i % 251) as u8).collect();
        let source = png(&data, 64, 64, color);
        assert_eq!(
            read_png(&rendered(&source, "").bytes).0,
            data,
            "{color:?}: nothing changes"
        );
        for format in ["jpg", "png", "webp", "webpll"] {
            assert_eq!(
                size(&source, &format!("format={format};width=20")),
                (20, 20),
                "{color:?} {format}"
            );
        }
    }
    let mut deep = Vec::new();
    let mut encoder = png::Encoder::new(&mut deep, 2, 1);
    encoder.set_color(Rgb);
    encoder.set_depth(png::BitDepth::Sixteen);
    encoder
        .write_header()
        .unwrap()
        .write_image_data(&[200, 1, 100, 2, 50, 3, 0, 0, 255, 255, 128, 0])
        .unwrap();
    assert_eq!(read_png(&rendered(&deep, "").bytes).0, [200, 100, 50, 0, 255, 128]);
    let gray = {
        let mut out = Vec::new();
        let encoder = jpeg_encoder::Encoder::new(&mut out, 100);
        encoder
            .encode(&[77; 16 * 16], 16, 16, jpeg_encoder::ColorType::Luma)
            .unwrap();
        out
    };
    assert!(near(&pixel(&rendered(&gray, "format=png"), 3, 3), &[77], 1));
    let cmyk = {
        let mut out = Vec::new();
        let encoder = jpeg_encoder::Encoder::new(&mut out, 100);
        let data: Vec<u8> = std::iter::repeat_n([0, 255, 255, 0], 256).flatten().collect();
        encoder.encode(&data, 16, 16, jpeg_encoder::ColorType::Cmyk).unwrap();
        out
    };
    assert!(near(&pixel(&rendered(&cmyk, "format=png"), 3, 3), &[255, 0, 0], 4));
}

#[test]
fn of_an_animation_the_first_frame_is_taken() {
    let result = rendered(&gif(30, 20, 5), "width=10");
    assert!(
        near(&pixel(&result, 5, 3), &[250, 10, 10, 255], 2),
        "{:?}",
        pixel(&result, 5, 3)
    );
}

#[test]
fn a_frame_that_covers_a_part_leaves_the_rest_transparent() {
    let mut source = Vec::new();
    let mut encoder = gif::Encoder::new(&mut source, 8, 8, &[250, 10, 10]).unwrap();
    let mut frame = gif::Frame::from_indexed_pixels(2, 3, vec![0; 6], None);
    (frame.left, frame.top) = (4, 5);
    encoder.write_frame(&frame).unwrap();
    drop(encoder);
    let result = rendered(&source, "");
    assert_eq!(pixel(&result, 4, 5), [250, 10, 10, 255]);
    assert_eq!(pixel(&result, 5, 7), [250, 10, 10, 255]);
    assert_eq!(pixel(&result, 3, 5)[3], 0);
    assert_eq!(pixel(&result, 6, 5)[3], 0);
}

const CORNERS: [[u8; 3]; 4] = [[250, 0, 0], [0, 250, 0], [0, 0, 250], [250, 250, 250]];

/// 64 × 32 as shown: red, green above blue, white; stored as the orientation wants it (meaning of the values: EXIF 2.3, table 4.6.4).
fn turned(orientation: u16) -> (Vec<u8>, u32, u32) {
    let (w, h) = (64, 32);
    let (stored_w, stored_h) = if orientation >= 5 { (h, w) } else { (w, h) };
    let mut data = Vec::new();
    for row in 0..stored_h {
        for column in 0..stored_w {
            // "The 0th row is the visual top (bottom, left, right), the 0th column the visual left (right, top, bottom)."
            let (x, y) = match orientation {
                1 => (column, row),
                2 => (w - 1 - column, row),
                3 => (w - 1 - column, h - 1 - row),
                4 => (column, h - 1 - row),
                5 => (row, column),
                6 => (w - 1 - row, column),
                7 => (w - 1 - row, h - 1 - column),
                8 => (row, h - 1 - column),
                _ => unreachable!(),
            };
            data.extend(CORNERS[usize::from(x >= w / 2) + 2 * usize::from(y >= h / 2)]);
        }
    }
    (data, stored_w, stored_h)
}

#[test]
fn images_stand_upright_whatever_their_orientation() {
    for orientation in 1..=8 {
        let (data, w, h) = turned(orientation);
        let exif = exif_segment(orientation);
        let png_bytes = png(&data, w, h, png::ColorType::Rgb);
        let with_chunk = [
            &png_bytes[..33],
            &chunk(b"eXIf", &self::exif(orientation, false)),
            &png_bytes[33..],
        ]
        .concat();
        let simple = webp_lossless(&data, w, h, image_webp::ColorType::Rgb8);
        let size = |n: u32| (n - 1).to_le_bytes()[..3].to_vec();
        let header = [vec![8, 0, 0, 0], size(w), size(h)].concat();
        let length = u32::from_le_bytes(simple[16..20].try_into().unwrap()) as usize;
        let webp_bytes = riff(&[
            (b"VP8X", &header),
            (b"VP8L", &simple[20..20 + length]),
            (b"EXIF", &self::exif(orientation, true)),
        ]);
        for source in [jpeg_with(&data, w, h, false, &[(1, &exif)]), with_chunk, webp_bytes] {
            let info = probe(&source).unwrap();
            assert_eq!(info.orientation, Orientation::from_exif(orientation).unwrap());
            assert_eq!(info.shown_size(), (64, 32));
            let result = rendered(&source, "width=32;format=png");
            assert_eq!((result.width, result.height), (32, 16));
            let corners = [(4, 3), (27, 3), (4, 12), (27, 12)].map(|(x, y)| pixel(&result, x, y));
            for (found, wanted) in corners.iter().zip(CORNERS) {
                assert!(near(found, &wanted, 12), "{} {orientation}: {corners:?}", info.format);
            }
            assert_eq!(probe(&result.bytes).unwrap().orientation, Orientation::UPRIGHT);
            // The cutout is one of the shown image.
            let cut = rendered(&source, "crop=20,10,x38,y1;format=png");
            assert_eq!((cut.width, cut.height), (20, 10));
            for (x, y) in [(0, 0), (19, 9)] {
                assert!(
                    near(&pixel(&cut, x, y), &CORNERS[1], 12),
                    "{} {orientation}",
                    info.format
                );
            }
        }
    }
}

#[test]
fn cutouts_are_where_they_should_be() {
    let (data, w, h) = turned(1);
    let source = png(&data, w, h, png::ColorType::Rgb);
    for (variant, corner) in [
        ("crop=8,8,x0,y0", 0),
        ("crop=8,8,x0.9,y0.0", 1),
        ("crop=8,8,offset-x0,offset-y100", 2),
        ("crop=8,8,x9999,y9999", 3),
        (
            "crop=1:1,offset-x0,offset-y0;width=8;height=2;fit=crop;focus=0.0,0.0",
            0,
        ),
        ("width=8;height=2;fit=crop;focus=0.5,0.0;crop=0.5,1.0,x0.5,y0", 1),
        ("width=4;height=16;fit=crop;focus=0.0,0.5;crop=1.0,0.5,x0,y16", 2),
        ("width=4;height=16;fit=crop;focus=1.0,0.5;crop=1.0,0.5,x0,y16", 3),
    ] {
        let result = rendered(&source, variant);
        for (x, y) in [(0, 0), (result.width - 1, result.height - 1)] {
            assert!(
                near(&pixel(&result, x, y), &CORNERS[corner], 3),
                "{variant}: {:?}",
                pixel(&result, x, y)
            );
        }
    }
    let middle = rendered(&source, "crop=2,2");
    assert_eq!(
        read_png(&middle.bytes).0,
        CORNERS.concat(),
        "the centre, without an offset"
    );
}

#[test]
fn transparent_pixels_lend_no_colour_to_their_neighbours() {
    // Opaque red beside transparent green.
    let data: Vec<u8> = (0..64 * 64)
        .flat_map(|i| if i % 64 < 31 { [255, 0, 0, 255] } else { [0, 255, 0, 0] })
        .collect();
    let sources = [
        png(&data, 64, 64, png::ColorType::Rgba),
        webp_lossless(&data, 64, 64, image_webp::ColorType::Rgba8),
    ];
    for source in sources {
        let (pixels, _) = read_png(&rendered(&source, "width=20;format=png").bytes);
        let mut partly = 0;
        for p in pixels.chunks_exact(4).filter(|p| p[3] > 16) {
            assert!(p[0] >= 240 && p[1] <= 10, "a fringe: {p:?}");
            partly += usize::from(p[3] < 250);
        }
        assert!(partly > 0, "there is an edge");
        // On white, in JPEG: no darker than either side.
        let flat = rendered(&source, "width=20;format=jpg;quality=100");
        let back = rendered(&flat.bytes, "format=png");
        assert!(near(&pixel(&back, 19, 10), &[255, 255, 255], 4));
        assert!(near(&pixel(&back, 1, 10), &[255, 0, 0], 6));
        for x in 0..20 {
            assert!(pixel(&back, x, 10)[0] > 225, "{x}: {:?}", pixel(&back, x, 10));
        }
    }
}

#[test]
fn s32_metadata_does_not_leak() {
    let place = b"GPS 53.55 N 9.99 E";
    let xmp = b"http://ns.adobe.com/xap/1.0/\0<x>GPS 53.55 N 9.99 E</x>";
    let rgb = photo(32, 32);
    let png_bytes = png(&rgb, 32, 32, png::ColorType::Rgb);
    let text = chunk(b"tEXt", &[b"Comment\0".as_slice(), place].concat());
    let sources = [
        jpeg_with(&rgb, 32, 32, false, &[(1, &exif_segment(1)), (1, xmp)]),
        [
            &png_bytes[..33],
            &text,
            &chunk(b"eXIf", &exif(1, true)),
            &png_bytes[33..],
        ]
        .concat(),
    ];
    for source in sources {
        assert!(source.windows(place.len()).any(|w| w == place));
        for variant in ["", "format=jpg", "format=png", "format=webp", "format=webpll"] {
            let result = rendered(&source, variant).bytes;
            for trace in [&b"GPS"[..], b"Exif", b"eXIf", b"EXIF", b"tEXt", b"xap"] {
                assert!(!result.windows(trace.len()).any(|w| w == trace), "{variant}: {trace:?}");
            }
        }
    }
}

/// What a value of Display P3 is in sRGB (CSS Color 4, section 17).
fn p3_to_srgb(p3: [f64; 3]) -> [u8; 3] {
    let linear = p3.map(|v| {
        if v <= 0.04045 {
            v / 12.92
        } else {
            ((v + 0.055) / 1.055).powf(2.4)
        }
    });
    let rows = [
        [1.224_940, -0.224_940, 0.0],
        [-0.042_057, 1.042_057, 0.0],
        [-0.019_638, -0.078_636, 1.098_274],
    ];
    rows.map(|row| {
        let v: f64 = row.iter().zip(linear).map(|(a, b)| a * b).sum();
        let v = if v <= 0.003_130_8 {
            v * 12.92
        } else {
            1.055 * v.powf(1.0 / 2.4) - 0.055
        };
        (v * 255.0).round().clamp(0.0, 255.0) as u8
    })
}

#[test]
fn colours_with_a_profile_become_srgb_without_one() {
    let profile = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let color = [180_u8, 90, 60];
    let expected = p3_to_srgb(color.map(|c| f64::from(c) / 255.0));
    assert!(expected[0] > 185, "there is something to see: {expected:?}");
    let data = color.repeat(32 * 32);
    let mut png_bytes = png(&data, 32, 32, png::ColorType::Rgb);
    png_bytes.splice(
        33..33,
        chunk(b"iCCP", &[b"P3\0\0".as_slice(), &zlib(&profile)].concat()),
    );
    let icc = [b"ICC_PROFILE\0\x01\x01".as_slice(), &profile].concat();
    for source in [png_bytes, jpeg_with(&data, 32, 32, false, &[(2, &icc)])] {
        let result = rendered(&source, "format=png;width=16");
        assert!(
            near(&pixel(&result, 8, 8), &expected, 3),
            "{:?} {expected:?}",
            pixel(&result, 8, 8)
        );
        assert!(!result.bytes.windows(4).any(|w| w == b"iCCP"));
    }
    let broken = [b"ICC_PROFILE\0\x01\x01".as_slice(), &profile[..200]].concat();
    let result = rendered(&jpeg_with(&data, 32, 32, false, &[(2, &broken)]), "format=png");
    assert!(near(&pixel(&result, 8, 8), &color, 3), "a damaged profile is ignored");
}

#[test]
fn quality_costs_bytes() {
    let source = png(&photo(200, 200), 200, 200, png::ColorType::Rgb);
    for format in ["jpg", "pjpg", "webp"] {
        let length = |q: u32| rendered(&source, &format!("format={format};quality={q}")).bytes.len();
        assert!(length(10) < length(60) && length(60) < length(98), "{format}");
    }
}

#[test]
fn the_cost_is_known_from_the_header() {
    let source = jpeg(&photo(400, 300), 400, 300);
    let info = probe(&source[..source.len() / 4]).unwrap();
    let variant: Variant = "width=100".parse().unwrap();
    let plan = Plan::new(source.len(), &info, &variant, &Limits::default()).unwrap();
    assert_eq!((plan.width, plan.height), (100, 75));
    assert_eq!((plan.cost.pixels_in, plan.cost.pixels_out), (120_000, 7_500));
}

#[test]
fn results_look_like_their_source() {
    let source = png(&photo(300, 300), 300, 300, png::ColorType::Rgb);
    for (format, by) in [("jpg", 9), ("pjpg", 9), ("png", 5), ("webp", 9), ("webpll", 5)] {
        let small = rendered(&source, &format!("width=100;format={format};quality=95"));
        let back = rendered(&small.bytes, "format=png");
        for (x, y) in [(10, 10), (90, 10), (50, 50), (10, 90), (90, 90)] {
            let wanted =
                [x * 240 / 100 + 5, y * 240 / 100 + 5, (x + y) * 240 / 200 + 5].map(|v| u8::try_from(v).unwrap());
            assert!(
                near(&pixel(&back, x, y), &wanted, by),
                "{format} {x},{y}: {:?} {wanted:?}",
                pixel(&back, x, y)
            );
        }
    }
}
