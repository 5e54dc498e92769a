use fb_images::{SigningKey, Variant, WeakKey};

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

fn key() -> SigningKey {
    SigningKey::new(KEY).unwrap()
}

fn variant(text: &str) -> Variant {
    text.parse().unwrap()
}

#[test]
fn the_worked_example_of_the_documentation_is_true() {
    let signature = key().sign("/file/www/images/cat.jpg", &variant("quality=90;width=640"));
    let documentation = include_str!("../../../../docs/images.md");
    assert!(documentation.contains(&format!("signature={signature}")), "{signature}");
    assert!(documentation.contains(std::str::from_utf8(KEY).unwrap()));
    assert!(documentation.contains("freshbase-image-v1\n/file/www/images/cat.jpg\nwidth=640;quality=90\n"));
}

#[test]
fn s32_a_signature_permits_one_variant_of_one_file() {
    let (path, wanted) = ("/file/www/a.jpg", variant("width=640"));
    let signature = key().sign(path, &wanted);
    assert_eq!(signature.len(), 43);
    assert!(key().verify(path, &wanted, &signature));
    assert!(
        key().verify(path, &variant("quality=85&width=640"), &signature),
        "spelling does not matter"
    );
    assert!(!key().verify(path, &variant("width=641"), &signature));
    assert!(!key().verify("/file/www/b.jpg", &wanted, &signature));
    let other = SigningKey::new(b"another key of the right length!").unwrap();
    assert!(!other.verify(path, &wanted, &signature));
}

#[test]
fn s32_path_and_options_cannot_be_shifted_against_each_other() {
    let signature = key().sign("/a\nwidth=9", &variant(""));
    assert!(!key().verify("/a", &variant("width=9"), &signature));
}

#[test]
fn what_is_no_signature_is_refused() {
    let (path, wanted) = ("/a", variant("width=9"));
    let right = key().sign(path, &wanted);
    let longer = format!("{right}A");
    let padded = format!("{right}=");
    for wrong in [
        "",
        "A",
        "!",
        &right[1..],
        &longer,
        &padded,
        &"A".repeat(43),
        &"A".repeat(10_000),
        "ä",
    ] {
        assert!(!key().verify(path, &wanted, wrong), "{wrong}");
    }
}

#[test]
fn keys_that_can_be_guessed_are_refused_and_none_is_printed() {
    assert_eq!(SigningKey::new(b"short").unwrap_err(), WeakKey);
    assert_eq!(SigningKey::new(b"").unwrap_err(), WeakKey);
    assert!(!format!("{:?}", key()).contains("0123"));
}
