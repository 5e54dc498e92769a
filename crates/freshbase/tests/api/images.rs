//! Variants of images. The example of `docs/images.md` is one of the tests.

use fb_testkit::{Client, Response, png};
use serde_json::{Value, json};

use crate::open;

/// Key, path and signature as they are written down in `docs/images.md`.
const KEY: &str = "0123456789abcdef0123456789abcdef";
const CAT: &str = "/www/images/cat.jpg";
const SIGNED: &str = "bqoptimize=1;width=640;quality=90;signature=-IAHe1Z45FGO2rjnEO-NI5OFyLz8WS-G5ZYmFDSjbz8";

fn declare(admin: &Client, images: &Value) {
    admin.put("/config", &json!({ "images": images })).expect(200);
}

fn thumb(width: u32) -> Value {
    json!({ "variants": { "thumb": { "width": width } } })
}

/// Width and height of a PNG.
fn size(answer: &Response) -> (u32, u32) {
    assert_eq!(answer.header("content-type"), Some("image/png"));
    assert!(answer.body.starts_with(b"\x89PNG"));
    let number = |at: usize| u32::from_be_bytes(answer.body[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

#[test]
fn a_declared_variant_is_made_kept_and_confirmed() {
    let (_server, admin, anybody) = open();
    declare(&admin, &thumb(4));
    let source = admin
        .upload("/www/x.png", "image/png", &png(16, 8, [200, 10, 10]))
        .expect(200)
        .json();
    let path = "/file/www/x.png?bqoptimize=1;variant=thumb";
    let first = anybody.get(path).expect(200);
    assert_eq!(size(&first), (4, 2));
    let tag = first.header("etag").unwrap().to_owned();
    assert_ne!(tag, format!("\"{}\"", source["eTag"].as_str().unwrap()));
    let second = anybody.get(path).expect(200);
    assert_eq!((&second.body, second.header("etag")), (&first.body, Some(&*tag)));
    for (headers, status) in [
        ([("if-none-match", &*tag)], 304),
        ([("if-none-match", source["eTag"].as_str().unwrap())], 200),
        ([("if-none-match", "\"-\"")], 200),
        ([("range", "bytes=0-3")], 200),
    ] {
        let answer = anybody.request("GET", path, &headers, b"").expect(status);
        assert_eq!(answer.header("etag"), Some(&*tag), "{headers:?}");
        assert_eq!(answer.header("accept-ranges"), None);
    }
    let head = anybody.head_of(path).expect(200);
    assert_eq!(head.header("etag"), Some(&*tag));
    assert_eq!(head.header("content-length"), Some(&*first.body.len().to_string()));
    // The same in the other spelling, and with the token and the number against caches that clients add.
    for other in ["?variant=thumb&bqoptimize=1", "?BCB=12&bqoptimize=1&variant=thumb"] {
        let answer = anybody.get(&format!("/file/www/x.png{other}")).expect(200);
        assert_eq!(answer.header("etag"), Some(&*tag));
    }
    // The file itself is untouched, also with other parameters.
    assert_eq!(size(&anybody.get("/file/www/x.png?variant=thumb").expect(200)), (16, 8));

    // Another declaration is another picture, and no copy of the first one is good.
    declare(&admin, &thumb(2));
    let headers = [("if-none-match", &*tag)];
    let smaller = anybody.request("GET", path, &headers, b"").expect(200);
    assert_eq!(size(&smaller), (2, 1));
    let since = first.header("last-modified").unwrap();
    anybody
        .request("GET", path, &[("if-modified-since", since)], b"")
        .expect(200);
    declare(&admin, &json!({}));
    anybody.get(path).expect_error(404, "FileNotFound");

    // Another source as well.
    declare(&admin, &thumb(4));
    admin
        .upload("/www/x.png", "image/png", &png(16, 16, [0, 0, 0]))
        .expect(200);
    let answer = anybody.request("GET", path, &headers, b"").expect(200);
    assert_eq!(size(&answer), (4, 4));
    admin.delete("/file/www/x.png").expect(204);
    anybody.get(path).expect_error(404, "FileNotFound");
}

#[test]
fn only_what_is_declared_or_signed_is_made() {
    let (_server, admin, anybody) = open();
    declare(&admin, &thumb(4));
    admin.upload(CAT, "image/jpeg", &png(16, 8, [1, 2, 3])).expect(200);
    let get = |query: &str| anybody.get(&format!("/file{CAT}?{query}"));
    get(SIGNED).expect_error(466, "PermissionDenied");
    declare(
        &admin,
        &json!({ "variants": { "thumb": { "width": 4 } }, "signingKey": KEY }),
    );
    // No larger than its source, and of the type that its bytes have.
    assert_eq!(size(&get(SIGNED).expect(200)), (16, 8));
    let reordered = SIGNED.replace("width=640;quality=90", "quality=90&width=640");
    get(&reordered).expect(200);
    for refused in [
        "bqoptimize=1;width=640;quality=90".to_owned(),
        SIGNED.replace("640", "641"),
        SIGNED.replace("quality=90", "quality=91"),
        SIGNED.replace("-IAHe", "-IAHf"),
        SIGNED.replace("Sjbz8", ""),
        SIGNED[..SIGNED.len() - 1].to_owned(),
        format!("{SIGNED}A"),
        format!("{SIGNED}="),
        "bqoptimize=1;width=640;quality=90;signature=".to_owned(),
    ] {
        assert_eq!(get(&refused).status, 466, "{refused}");
    }
    // A signature is one for this file alone.
    admin
        .upload("/www/images/dog.jpg", "image/jpeg", &png(16, 8, [1, 2, 3]))
        .expect(200);
    assert_eq!(anybody.get(&format!("/file/www/images/dog.jpg?{SIGNED}")).status, 466);
    get("bqoptimize=1;variant=nothing").expect_error(404, "FileNotFound");
    for nonsense in [
        "bqoptimize=2;variant=thumb",
        "bqoptimize=1;variant=thumb;width=3",
        "bqoptimize=1;variant=a%2Fb",
        "bqoptimize=1;variant=thumb;variant=thumb",
        "bqoptimize=1;width=5000",
        "bqoptimize=1;width=-1",
        "bqoptimize=1;colour=red",
        "bqoptimize=1;format=gif",
    ] {
        let status = get(nonsense).status;
        assert_eq!(status, 400, "{nonsense}");
    }
    // The key changed: what it has signed is void.
    declare(&admin, &json!({ "signingKey": "another key of 16 bytes or more" }));
    get(SIGNED).expect_error(466, "PermissionDenied");
}

#[test]
fn what_is_no_image_has_no_variants() {
    let (server, admin, anybody) = open();
    declare(&admin, &thumb(4));
    let mut cut = png(16, 8, [1, 2, 3]);
    cut.truncate(60);
    let mut huge = png(1, 1, [1, 2, 3]);
    huge[16..24].copy_from_slice(&[0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30]);
    for (media_type, content) in [
        ("image/png", &b"no image at all"[..]),
        ("image/png", b""),
        (
            "image/svg+xml",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1\" height=\"1\"/>",
        ),
        ("text/html", b"<img>"),
        ("image/png", &cut),
        ("image/png", &huge),
    ] {
        admin.upload("/www/x", media_type, content).expect(200);
        for method in ["GET", "HEAD"] {
            let answer = anybody.request(method, "/file/www/x?bqoptimize=1;variant=thumb", &[], b"");
            assert_eq!(answer.status, 422, "{method} {media_type} {}", content.len());
            if method == "GET" {
                answer.expect_error(422, "ImageNotTransformable");
            }
        }
        assert_eq!(anybody.get("/file/www/x").expect(200).body, content);
    }
    let log = server.log();
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn a_variant_that_depends_on_the_client_says_so() {
    let (_server, admin, anybody) = open();
    declare(
        &admin,
        &json!({ "variants": { "auto": { "width": 4, "auto": "webp" }, "plain": { "width": 4 } } }),
    );
    admin
        .upload("/www/x.png", "image/png", &png(16, 8, [200, 10, 10]))
        .expect(200);
    let path = "/file/www/x.png?bqoptimize=1;variant=auto";
    let webp = anybody
        .request("GET", path, &[("accept", "image/webp,*/*")], b"")
        .expect(200);
    let png = anybody.request("GET", path, &[("accept", "*/*")], b"").expect(200);
    assert_eq!(webp.header("content-type"), Some("image/webp"));
    assert_eq!(png.header("content-type"), Some("image/png"));
    assert_ne!(webp.header("etag"), png.header("etag"));
    for answer in [&webp, &png] {
        assert!(answer.header("vary").unwrap().to_ascii_lowercase().contains("accept"));
    }
    let plain = anybody.get("/file/www/x.png?bqoptimize=1;variant=plain").expect(200);
    assert!(
        !plain
            .header("vary")
            .unwrap_or("")
            .to_ascii_lowercase()
            .contains("accept")
    );
}

#[test]
fn declarations_that_make_no_sense_are_refused() {
    let (_server, admin, _) = open();
    let before = admin.get("/config").expect(200).json();
    for bad in [
        json!({ "variants": { "a/b": { "width": 1 } } }),
        json!({ "variants": { "": { "width": 1 } } }),
        json!({ "variants": { "a": { "width": 0 } } }),
        json!({ "variants": { "a": { "width": 100_000 } } }),
        json!({ "variants": { "a": { "colour": "red" } } }),
        json!({ "variants": { "a": 1 } }),
        json!({ "variants": { "a": null } }),
        json!({ "variants": [] }),
        json!({ "signingKey": "short" }),
        json!({ "signingKey": 1 }),
        json!({ "signingKey": ["0123456789abcdef"] }),
        json!({ "unknown": 1 }),
        json!([]),
        json!("x"),
    ] {
        admin
            .put("/config", &json!({ "images": bad }))
            .expect_error(400, "BadRequest");
    }
    assert_eq!(admin.get("/config").expect(200).json(), before);
}
