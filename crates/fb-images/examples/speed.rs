//! How fast variants are made: `cargo run --release -p fb-images --example speed`.
//!
//! A photo of 12 megapixels to 400 pixels in several formats, and ratios to the decoding of the same file alone in the same run. With a
//! path as argument it uses that file.
#![expect(clippy::print_stdout, reason = "it reports to a person")]

use std::time::Instant;

use fb_images::{Limits, Variant, probe, render};

#[path = "../tests/it/images.rs"]
mod images;

fn main() {
    let source = std::env::args().nth(1).map_or_else(
        || images::jpeg(&images::photo(4000, 3000), 4000, 3000),
        |path| std::fs::read(path).expect("the argument is a file that can be read"),
    );
    let info = probe(&source).expect("an image");
    let megapixels = f64::from(info.width) * f64::from(info.height) / 1e6;
    println!(
        "{} {} x {}, {} KB",
        info.format,
        info.width,
        info.height,
        source.len() / 1000
    );
    // A result of one pixel is decoding, and next to nothing else.
    let base = report(
        "baseline: one pixel",
        &source,
        "width=1;height=1;crop=1,1;format=png",
        megapixels,
        None,
    );
    for variant in [
        "width=400",
        "width=400;format=pjpg",
        "width=400;format=webp",
        "width=400;format=webpll",
        "width=400;format=png",
        "width=400;height=400;fit=crop",
        "width=1600",
        "width=1600;format=webp",
        "width=1600;format=png",
        "",
    ] {
        report(variant, &source, variant, megapixels, Some(base));
    }
}

/// Milliseconds of the fastest of five.
fn report(name: &str, source: &[u8], variant: &str, megapixels: f64, base: Option<f64>) -> f64 {
    let variant: Variant = variant.parse().expect("a valid variant");
    let mut best = f64::MAX;
    let mut length = 0;
    for _ in 0..5 {
        let start = Instant::now();
        length = render(source, &variant, &Limits::default())
            .expect("an image")
            .bytes
            .len();
        best = best.min(start.elapsed().as_secs_f64() * 1e3);
    }
    let ratio = base.map_or(1.0, |base| best / base);
    println!(
        "{name:32} {best:7.1} ms  {ratio:5.2} x  {:6.1} megapixels/s  {:5} KB",
        megapixels / best * 1e3,
        length / 1000
    );
    best
}
