use fb_images::{ImageQuery, Limits, Variant, VariantError, Wanted};
use proptest::prelude::*;

fn query(text: &str) -> Result<Option<ImageQuery>, VariantError> {
    ImageQuery::parse(text, &["BCB"], &Limits::default())
}

/// The canonical text of what a query describes, or the error's.
fn described(text: &str) -> String {
    match query(&format!("bqoptimize=1;{text}")) {
        Ok(Some(ImageQuery {
            wanted: Wanted::Described(variant),
            ..
        })) => variant.to_string(),
        Ok(other) => format!("{other:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn documented_options_have_one_canonical_text() {
    for (text, canonical) in [
        ("", ""),
        ("width=640;quality=90", "width=640;quality=90"),
        ("quality=90&width=640&", "width=640;quality=90"),
        ("width=0.50", "width=0.5"),
        ("width=1.0", "width=1.0"),
        ("width=0.5;height=0.2", "width=0.5;height=0.2"),
        ("height=9;width=9;fit=fill", "width=9;height=9"),
        ("width=100;height=100;fit=bounds", "width=100;height=100;fit=bounds"),
        (
            "width=100;height=100;fit=crop;focus=0.5,0.50",
            "width=100;height=100;fit=crop",
        ),
        (
            "width=100;height=100;fit=crop;focus=0.0,1.0",
            "width=100;height=100;fit=crop;focus=0.0,1.0",
        ),
        ("crop=500,200", "crop=500,200"),
        ("crop=0.5,0.2", "crop=0.5,0.2"),
        ("crop=100,200,x50,y0.25", "crop=100,200,x50,y0.25"),
        ("crop=100%2C200%2Coffset-x50%2Coffset-y50", "crop=100,200"),
        ("crop=16:8,offset-x0,offset-y100", "crop=2:1,offset-x0,offset-y100"),
        ("format=jpeg", "format=jpg"),
        ("format=webply;quality=85", "format=webp"),
        ("format=png;quality=40", "format=png"),
        ("format=png;quality=40;auto=webp", "format=png;quality=40;auto=webp"),
        ("format=keep;enlarge=false", ""),
        ("enlarge=true;format=pjpg", "format=pjpg;enlarge=true"),
        ("BCB;width=5;BCB=7", "width=5"),
    ] {
        assert_eq!(described(text), canonical, "{text}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    for (text, error) in [
        ("widht=640", "unknown image option \"widht\""),
        ("downscale=false", "unknown image option \"downscale\""),
        ("width=640;width=640", "image option width is given twice"),
        ("width=640&BCB&width=1", "image option width is given twice"),
        ("width=0", "image option width must be a number of pixels (1 to 16383)"),
        ("width=0.0", "must be a number of pixels"),
        ("width=1.5", "must be a number of pixels"),
        ("width=0.12345", "must be a number of pixels"),
        ("width=-1", "must be a number of pixels"),
        ("width=1e3", "must be a number of pixels"),
        ("width=007", "must be a number of pixels"),
        ("width=", "must be a number of pixels"),
        ("width", "must be a number of pixels"),
        ("width=4097", "image option width may be at most 4096 pixels"),
        ("height=99999999999999999999", "must be a number of pixels"),
        ("width=9;fit=crop", "fit needs both width and height"),
        (
            "width=9;height=9;fit=cover",
            "image option fit must be fill, bounds or crop, not \"cover\"",
        ),
        ("width=9;height=9;focus=0.1,0.2", "focus needs fit=crop"),
        ("width=9;height=9;fit=crop;focus=2,0.2", "image option focus must be"),
        ("crop=5", "image option crop must be"),
        ("crop=0:5", "image option crop must be"),
        ("crop=5:5,x1,y1", "image option crop must be"),
        ("crop=5,5,x1", "image option crop must be"),
        ("crop=5,5,offset-x101,offset-y1", "image option crop must be"),
        ("crop=5,5,x1,y1,z1", "image option crop must be"),
        (
            "quality=0",
            "image option quality must be a whole number from 1 to 100, not \"0\"",
        ),
        ("quality=101", "image option quality must be"),
        ("format=gif", "gif, png8 and avif are not written"),
        ("auto=avif", "image option auto must be webp"),
        ("enlarge=yes", "image option enlarge must be true or false"),
        ("variant=thumb;width=9", "cannot be combined"),
        ("variant=../x", "image option variant must be"),
        ("%ff=1", "unknown image option"),
        ("bqoptimize=1", "image option bqoptimize is given twice"),
    ] {
        let said = described(text);
        assert!(said.contains(error), "{text}: {said}");
    }
    let long = format!("width={}", "9".repeat(100_000));
    assert!(described(&long).len() < 300, "errors do not repeat everything");
}

#[test]
fn a_query_without_bqoptimize_asks_for_the_file_itself() {
    for text in ["", "width=640", "xbqoptimize=1", "BCB=bqoptimize"] {
        assert_eq!(query(text), Ok(None), "{text}");
    }
    assert!(query("bqoptimize=2;width=9").is_err());
    assert!(query("bqoptimize").is_err());
}

#[test]
fn a_query_names_a_declared_variant_and_carries_a_signature() {
    let found = query("bqoptimize=1&variant=thumb-2_x&signature=abc").unwrap().unwrap();
    assert_eq!(
        found,
        ImageQuery {
            wanted: Wanted::Named("thumb-2_x".into()),
            signature: Some("abc".into())
        }
    );
}

#[test]
fn auto_webp_is_decided_by_the_client() {
    let variant: Variant = "format=png;quality=40;auto=webp".parse().unwrap();
    assert!(variant.varies_by_accept());
    let with = |accept| variant.for_client(accept).to_string();
    assert_eq!(with(Some("image/avif,image/webp,*/*;q=0.8")), "format=webp;quality=40");
    assert_eq!(with(Some("Image/WebP; q=0.5")), "format=webp;quality=40");
    for without in [
        None,
        Some(""),
        Some("*/*"),
        Some("image/*"),
        Some("image/webp;q=0"),
        Some("image/webpx"),
    ] {
        assert_eq!(with(without), "format=png", "{without:?}");
    }
    assert!(!variant.for_client(None).varies_by_accept());
    let plain: Variant = "format=jpg;quality=40".parse().unwrap();
    assert_eq!(plain.for_client(Some("image/webp")), plain);
}

#[test]
fn json_says_the_same_as_text() {
    for (json, canonical) in [
        (r#"{}"#, ""),
        (r#"{"width":640,"quality":90}"#, "width=640;quality=90"),
        (r#"{"width":0.25}"#, "width=0.25"),
        (r#"{"width":1.0}"#, "width=1.0"),
        (r#"{"width":"0.25"}"#, "width=0.25"),
        (r#"{"width":9,"height":9,"fit":"fill"}"#, "width=9;height=9"),
        (
            r#"{"width":9,"height":9,"fit":"crop","focus":"0.5,0.1"}"#,
            "width=9;height=9;fit=crop;focus=0.5,0.1",
        ),
        (
            r#"{"crop":"4:3","format":"webp","auto":"webp","enlarge":true}"#,
            "crop=4:3;format=webp;auto=webp;enlarge=true",
        ),
    ] {
        let variant: Variant = serde_json::from_str(json).unwrap();
        assert_eq!(variant.to_string(), canonical, "{json}");
        let back = serde_json::to_string(&variant).unwrap();
        assert_eq!(serde_json::from_str::<Variant>(&back).unwrap(), variant, "{back}");
    }
    let variant: Variant = "width=9;height=0.5;quality=7".parse().unwrap();
    assert_eq!(
        serde_json::to_string(&variant).unwrap(),
        r#"{"width":9,"height":0.5,"fit":"fill","quality":7}"#
    );
}

#[test]
fn json_that_is_wrong_is_refused() {
    for (json, error) in [
        (r#"{"widht":640}"#, "unknown field `widht`"),
        (r#"{"width":640,"width":640}"#, "duplicate field `width`"),
        (r#"{"width":-1}"#, "must be a number of pixels"),
        (r#"{"width":1.5}"#, "must be a number of pixels"),
        (r#"{"width":[640]}"#, "a number, a text or true or false"),
        (r#"{"width":9,"height":9}"#, "need a fit"),
        (r#"{"quality":0}"#, "whole number from 1 to 100"),
        (r#"{"format":"avif"}"#, "are not written"),
        (r#"7"#, "expected struct"),
    ] {
        let said = serde_json::from_str::<Variant>(json).unwrap_err().to_string();
        assert!(said.contains(error), "{json}: {said}");
    }
}

fn length() -> impl Strategy<Value = String> {
    prop_oneof![
        (1_u32..=4096).prop_map(|n| n.to_string()),
        (1_u32..=9999).prop_map(|n| format!("0.{n:04}"))
    ]
}

fn crop() -> impl Strategy<Value = String> {
    let offset = (0_u32..=100, 0_u32..=100).prop_map(|(x, y)| format!(",offset-x{x},offset-y{y}"));
    let at = (length(), length()).prop_map(|(x, y)| format!(",x{x},y{y}"));
    prop_oneof![
        (length(), length(), prop_oneof![Just(String::new()), offset.clone(), at])
            .prop_map(|(w, h, place)| format!("{w},{h}{place}")),
        (1_u32..100, 1_u32..100, prop_oneof![Just(String::new()), offset])
            .prop_map(|(w, h, place)| format!("{w}:{h}{place}")),
    ]
}

fn option(name: &'static str, value: impl Strategy<Value = String>) -> impl Strategy<Value = Option<String>> {
    proptest::option::of(value.prop_map(move |v| format!("{name}={v}")))
}

fn choice(values: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::sample::select(values).prop_map(String::from)
}

/// Options in any order, valid unless a fit lacks its sides.
fn options() -> impl Strategy<Value = String> {
    let all = (
        option("width", length()),
        option("height", length()),
        option("fit", choice(&["fill", "bounds", "crop"])),
        option(
            "focus",
            (1_u32..=9999, 1_u32..=9999).prop_map(|(x, y)| format!("0.{x:04},0.{y:04}")),
        ),
        option("crop", crop()),
        option(
            "format",
            choice(&[
                "keep", "jpg", "jpeg", "pjpg", "pjpeg", "png", "webp", "webply", "webpll",
            ]),
        ),
        option("quality", (1_u32..=100).prop_map(|q| q.to_string())),
        option("auto", choice(&["webp"])),
        option("enlarge", choice(&["true", "false"])),
    );
    all.prop_map(|(a, b, c, d, e, f, g, h, i)| [a, b, c, d, e, f, g, h, i].into_iter().flatten().collect::<Vec<_>>())
        .prop_shuffle()
        .prop_map(|options| options.join(";"))
}

proptest! {
    #[test]
    fn the_canonical_text_is_stable(text in options()) {
        if let Ok(variant) = text.parse::<Variant>() {
            let canonical = variant.to_string();
            prop_assert_eq!(canonical.parse::<Variant>(), Ok(variant));
            prop_assert_eq!(canonical.parse::<Variant>().unwrap().to_string(), canonical);
            let json = serde_json::to_string(&variant).unwrap();
            prop_assert_eq!(serde_json::from_str::<Variant>(&json).unwrap(), variant);
        }
    }

    #[test]
    fn s32_no_text_makes_the_parser_panic(text in "\\PC*") {
        let _ = query(&format!("bqoptimize=1;{text}"));
        let _ = query(&format!("bqoptimize=1;crop={text}"));
        let _ = text.parse::<Variant>();
    }
}
