//! Downloads of files: ranges, conditions, compression, media types.

use std::io::Read;

use fb_testkit::{Client, Response, encode, png};

use crate::open;

fn get(client: &Client, path: &str, headers: &[(&str, &str)]) -> Response {
    client.request("GET", path, headers, b"")
}

#[test]
fn ranges_of_small_and_large_files() {
    let (_server, admin, anybody) = open();
    for size in [1000_usize, 1 << 20] {
        let content: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let tag = admin
            .upload("/www/x", "application/octet-stream", &content)
            .expect(200)
            .json()["eTag"]
            .clone();
        let tag = format!("\"{}\"", tag.as_str().unwrap());
        let last = size - 1;
        for (range, from, to) in [
            ("bytes=0-0".to_owned(), 0, 0),
            ("bytes=0-99".into(), 0, 99),
            ("bytes=990-".into(), 990, last),
            ("bytes=-10".into(), size - 10, last),
            (format!("bytes=500-{}", size * 2), 500, last),
            (format!("bytes=-{}", size * 2), 0, last),
            (format!("bytes=0-{}", u64::MAX), 0, last),
        ] {
            let answer = get(&anybody, "/file/www/x", &[("range", &range)]).expect(206);
            assert_eq!(answer.body, content[from..=to], "{range}");
            assert_eq!(
                answer.header("content-range"),
                Some(&*format!("bytes {from}-{to}/{size}"))
            );
            assert_eq!(answer.header("content-length"), Some(&*(to - from + 1).to_string()));
            assert_eq!(answer.header("etag"), Some(&*tag));
            assert_eq!(answer.header("accept-ranges"), Some("bytes"));
        }
        for range in [
            format!("bytes={size}-"),
            "bytes=-0".into(),
            format!("bytes={}-", u64::MAX),
        ] {
            let answer = get(&anybody, "/file/www/x", &[("range", &range)]);
            answer.expect_error(416, "RangeNotSatisfiable");
            assert_eq!(answer.header("content-range"), Some(&*format!("bytes */{size}")));
        }
        // What is no range, or several, is the whole.
        for range in [
            "bytes=5-2",
            "bytes=0-1,5-6",
            "lines=0-1",
            "bytes=x-",
            "bytes=",
            "0-1",
            "",
        ] {
            let answer = get(&anybody, "/file/www/x", &[("range", range)]).expect(200);
            assert_eq!(answer.body.len(), size, "{range}");
        }
        let modified = anybody
            .head_of("/file/www/x")
            .header("last-modified")
            .unwrap()
            .to_owned();
        for (condition, status) in [
            (&*tag, 206),
            (&*modified, 206),
            ("\"other\"", 200),
            (&*format!("W/{tag}"), 200),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 200),
        ] {
            let headers = [("range", "bytes=0-9"), ("if-range", condition)];
            get(&anybody, "/file/www/x", &headers).expect(status);
        }
        let head = anybody
            .request("HEAD", "/file/www/x", &[("range", "bytes=0-9")], b"")
            .expect(200);
        assert_eq!(head.header("content-length"), Some(&*size.to_string()));
    }
    admin.upload("/www/empty", "text/plain", b"").expect(200);
    for range in ["bytes=0-", "bytes=-1", "bytes=0-0"] {
        get(&anybody, "/file/www/empty", &[("range", range)]).expect_error(416, "RangeNotSatisfiable");
    }
}

#[test]
fn copies_are_confirmed() {
    let (_server, admin, anybody) = open();
    let tag = admin.upload("/www/x", "text/plain", b"1").expect(200).json()["eTag"].clone();
    let tag = format!("\"{}\"", tag.as_str().unwrap());
    let modified = anybody
        .head_of("/file/www/x")
        .header("last-modified")
        .unwrap()
        .to_owned();
    let old = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (headers, status) in [
        (vec![("if-none-match", &*tag)], 304),
        (vec![("if-none-match", &*format!("W/{tag}"))], 304),
        (vec![("if-none-match", &*format!("\"a\", {tag}"))], 304),
        (vec![("if-none-match", tag.trim_matches('"'))], 304),
        (vec![("if-none-match", "*")], 304),
        (vec![("if-none-match", "\"a\"")], 200),
        // Published clients that want no confirmation.
        (vec![("if-none-match", "\"-\"")], 200),
        (vec![("if-none-match", "-")], 200),
        (vec![("if-match", "\"\"")], 200),
        (vec![("if-match", "")], 200),
        (vec![("if-match", &*tag)], 200),
        (vec![("if-match", "\"a\"")], 412),
        (vec![("if-modified-since", &*modified)], 304),
        (vec![("if-modified-since", old)], 200),
        (vec![("if-modified-since", "yesterday")], 200),
        (vec![("if-none-match", "\"a\""), ("if-modified-since", &*modified)], 200),
        (vec![("if-unmodified-since", &*modified)], 200),
        (vec![("if-unmodified-since", old)], 412),
        (vec![("if-none-match", &*tag), ("range", "bytes=0-0")], 304),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = anybody.request(method, "/file/www/x", &headers, b"");
            assert_eq!(answer.status, status, "{method} {headers:?}");
            if status == 304 {
                assert_eq!(answer.header("etag"), Some(&*tag));
                assert!(answer.header("last-modified").is_some() && answer.header("cache-control").is_some());
            }
        }
    }
    // After a write nothing old is confirmed, also within the same second by its tag.
    admin.upload("/www/x", "text/plain", b"2").expect(200);
    let answer = get(&anybody, "/file/www/x", &[("if-none-match", &tag)]).expect(200);
    assert_eq!(answer.body, b"2");
}

fn decoded(answer: &Response) -> Vec<u8> {
    let mut content = Vec::new();
    let body = &answer.body[..];
    match answer.header("content-encoding") {
        None => content.extend(body),
        Some("br") => drop(brotli::Decompressor::new(body, 4096).read_to_end(&mut content).unwrap()),
        Some("gzip") => drop(
            flate2::read::MultiGzDecoder::new(body)
                .read_to_end(&mut content)
                .unwrap(),
        ),
        Some("zstd") => content = zstd::bulk::decompress(body, 16 << 20).unwrap(),
        Some(other) => panic!("{other}"),
    }
    content
}

#[test]
fn compressed_forms_are_the_original() {
    let (_server, admin, anybody) = open();
    let small: Vec<u8> = b"body { color: red }\n".repeat(500);
    // Larger than what is kept in memory, and than what is compressed thoroughly.
    let large: Vec<u8> = (0..60_000)
        .flat_map(|n| format!("a line with the number {n}\n").into_bytes())
        .collect();
    for content in [&small, &large] {
        let tag = admin.upload("/www/x.css", "text/css", content).expect(200).json()["eTag"].clone();
        let tag = tag.as_str().unwrap();
        // Made for the first, kept for the second.
        for _ in 0..2 {
            for (accepted, encoding) in [
                ("gzip", Some("gzip")),
                ("br", Some("br")),
                ("zstd", Some("zstd")),
                ("gzip, deflate, br, zstd", Some("br")),
                ("br;q=0, gzip;q=0.5", Some("gzip")),
                ("identity", None),
                ("deflate", None),
                ("br;q=0", None),
            ] {
                let answer = get(&anybody, "/file/www/x.css", &[("accept-encoding", accepted)]).expect(200);
                assert_eq!(answer.header("content-encoding"), encoding, "{accepted}");
                assert!(decoded(&answer) == *content, "{accepted}");
                assert!(
                    answer
                        .header("vary")
                        .unwrap()
                        .to_ascii_lowercase()
                        .contains("accept-encoding")
                );
                let own = encoding.map_or_else(|| format!("\"{tag}\""), |e| format!("\"{tag}--{e}\""));
                assert_eq!(answer.header("etag"), Some(&*own));
                assert!(encoding.is_none() || answer.body.len() < content.len() / 2);
                let headers = [("accept-encoding", accepted), ("if-none-match", &*own)];
                get(&anybody, "/file/www/x.css", &headers).expect(304);
            }
        }
        // A range is one of the content itself.
        let headers = [("accept-encoding", "br"), ("range", "bytes=10-19")];
        let part = get(&anybody, "/file/www/x.css", &headers).expect(206);
        assert_eq!(
            (&part.body[..], part.header("content-encoding")),
            (&content[10..20], None)
        );
    }
    // A replacement has no old compressed form.
    let new = b"p { margin: 0 }\n".repeat(100);
    admin.upload("/www/x.css", "text/css", &new).expect(200);
    for accepted in ["br", "gzip", "zstd"] {
        let answer = get(&anybody, "/file/www/x.css", &[("accept-encoding", accepted)]).expect(200);
        assert!(decoded(&answer) == new, "{accepted}");
    }
    // What would not get smaller stays as it is.
    for (media_type, content) in [("image/png", png(200, 200, [1, 2, 3])), ("text/css", b"p {}".to_vec())] {
        admin.upload("/www/y", media_type, &content).expect(200);
        let answer = get(&anybody, "/file/www/y", &[("accept-encoding", "br, gzip, zstd")]).expect(200);
        assert_eq!(answer.header("content-encoding"), None, "{media_type}");
        assert_eq!(answer.body, content);
    }
}

#[test]
fn media_types_have_one_spelling_and_are_found_if_none_is_given() {
    let (_server, admin, anybody) = open();
    let image = png(1, 1, [0, 0, 0]);
    let cases: [(&str, &str, &[u8], &str, &str); 12] = [
        (
            "a",
            "application/json",
            b"{}",
            "application/json; charset=utf-8",
            "application/json;charset=utf-8",
        ),
        (
            "a",
            "APPLICATION/JSON;charset=\"UTF-8\"",
            b"{}",
            "application/json; charset=utf-8",
            "application/json;charset=utf-8",
        ),
        (
            "a",
            "text/html;charset=utf-8",
            b"x",
            "text/html; charset=utf-8",
            "text/html;charset=utf-8",
        ),
        ("a", "image/png", b"x", "image/png", "image/png"),
        ("a.html", "image/png", b"<html>", "image/png", "image/png"),
        (
            "a.css",
            "null",
            b"x",
            "text/css; charset=utf-8",
            "text/css;charset=utf-8",
        ),
        (
            "a.js",
            "undefined",
            b"x",
            "text/javascript; charset=utf-8",
            "text/javascript;charset=utf-8",
        ),
        ("a.svg", "null", b"<svg/>", "image/svg+xml", "image/svg+xml"),
        ("a", "null", &image, "image/png", "image/png"),
        (
            "a",
            "null",
            b"<html><script>",
            "application/octet-stream",
            "application/octet-stream",
        ),
        (
            "a",
            "text/html, image/png",
            b"x",
            "application/octet-stream",
            "application/octet-stream",
        ),
        ("a.b.tar.gz", "*/*", b"x", "application/gzip", "application/gzip"),
    ];
    for (name, given, content, json, header) in cases {
        let path = format!("/www/{}", encode(name).replace("%2E", "."));
        let made = admin.upload(&path, given, content).expect(200).json();
        assert_eq!(made["mimeType"], json, "{name} {given}");
        let answer = anybody.get(&format!("/file{path}")).expect(200);
        assert_eq!(answer.header("content-type"), Some(header), "{name} {given}");
        assert_eq!(answer.body, content);
    }
    // Without any header at all, as some clients send it.
    let request = format!(
        "PUT /v1/file/www/plain.css HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: BAT {}\r\ncontent-length: 1\r\n\r\nx",
        admin.token().unwrap()
    );
    fb_testkit::raw_request(_server.address(), request.as_bytes());
    let answer = anybody.get("/file/www/plain.css").expect(200);
    assert_eq!(answer.header("content-type"), Some("text/css;charset=utf-8"));
}

#[test]
fn custom_headers_are_sent_and_readable_for_pages_of_other_origins() {
    let (_server, admin, anybody) = open();
    let headers = [
        (
            "baqend-custom-headers",
            r#"{"x-note":"hi","X-Other":"1","cache-control":"max-age=60"}"#,
        ),
        ("content-type", "text/plain"),
    ];
    admin.request("PUT", "/file/www/x", &headers, b"1").expect(200);
    for method in ["GET", "HEAD"] {
        let answer = anybody
            .request(method, "/file/www/x", &[("origin", "https://shop.example")], b"")
            .expect(200);
        assert_eq!(
            (answer.header("x-note"), answer.header("x-other")),
            (Some("hi"), Some("1"))
        );
        assert_eq!(answer.header("cache-control"), Some("max-age=60"));
        let told: serde_json::Value = serde_json::from_str(answer.header("baqend-custom-headers").unwrap()).unwrap();
        assert_eq!(
            told,
            serde_json::json!({ "x-note": "hi", "x-other": "1", "cache-control": "max-age=60" })
        );
        let exposed: String = answer
            .headers
            .iter()
            .filter(|(name, _)| name == "access-control-expose-headers")
            .map(|(_, value)| value.to_ascii_lowercase() + ",")
            .collect();
        for name in [
            "x-note",
            "x-other",
            "baqend-acl",
            "baqend-size",
            "baqend-created-at",
            "last-modified",
        ] {
            assert!(exposed.contains(name), "{name} in {exposed}");
        }
    }
}

#[test]
fn methods_that_files_do_not_know_are_refused() {
    let (_server, admin, _) = open();
    admin.upload("/www/x", "text/plain", b"1").expect(200);
    for method in ["PATCH", "TRACE", "MOVE"] {
        let answer = admin.request(method, "/file/www/x", &[], b"");
        assert_eq!(answer.status, 405, "{method}");
        assert!(answer.header("allow").unwrap().contains("PUT"));
    }
    assert_eq!(admin.get("/file/www/x").expect(200).body, b"1");
}
