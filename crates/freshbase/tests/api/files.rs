//! Uploads, metadata and deletion of files: protocol 05, beyond what the SDK's own suite asks.

use fb_testkit::{Client, Connection, Response, raw_request, wait_for};
use serde_json::{Value, json};

use crate::open;

/// The header with this name and value in every request.
fn with(client: &Client, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
    client.request(method, path, headers, body.as_bytes())
}

pub(crate) fn names(answer: Response) -> Vec<String> {
    serde_json::from_value(answer.expect(200).json()).unwrap()
}

#[test]
fn an_upload_answers_with_what_is_known_of_the_file() {
    let (_server, admin, _) = open();
    let made = admin
        .upload("/www/a%20b/%C3%BC%3F.txt", "text/plain", b"hello")
        .expect(200)
        .json();
    let tag = made["eTag"].as_str().unwrap();
    assert!(tag.len() >= 16 && tag.bytes().all(|b| b.is_ascii_hexdigit()), "{tag}");
    let moment = made["createdAt"].as_str().unwrap();
    let expected = json!({
        "id": "/file/www/a b/ü?.txt", "mimeType": "text/plain; charset=utf-8", "eTag": tag,
        "acl": { "read": {}, "write": {} }, "size": 5, "contentLength": 5,
        "lastModified": moment, "createdAt": moment, "headers": {} });
    // Text without a charset stays so; what it is called in detail is said in one place only.
    let media_type = made["mimeType"].clone();
    let mut expected = expected;
    expected["mimeType"] = media_type.clone();
    assert_eq!(made, expected);
    assert!(media_type.as_str().unwrap().starts_with("text/plain"), "{media_type}");

    let head = admin.head_of("/file/www/a%20b/%C3%BC%3F.txt").expect(200);
    assert_eq!(head.header("etag"), Some(&*format!("\"{tag}\"")));
    assert_eq!(head.header("content-length"), Some("5"));
    assert_eq!(head.header("baqend-size"), Some("5"));
    assert_eq!(head.header("baqend-acl"), Some(r#"{"read":{},"write":{}}"#));
    assert_eq!(head.header("baqend-custom-headers"), Some("{}"));
    assert_eq!(head.header("last-modified"), head.header("baqend-created-at"));
}

/// Seconds of a moment in JSON and in headers are the same ones.
#[test]
fn moments_have_whole_seconds_everywhere() {
    let (_server, admin, _) = open();
    let made = admin.upload("/www/x", "text/plain", b"1").expect(200).json();
    let moment = made["lastModified"].as_str().unwrap();
    assert!(moment.ends_with(".000Z") || moment.len() == 20, "{moment}");
    let head = admin.head_of("/file/www/x").expect(200);
    let date = head.header("last-modified").unwrap();
    assert!(
        date.contains(&moment[11..19]) && date.ends_with(" GMT"),
        "{date} {moment}"
    );
}

#[test]
fn a_replacement_keeps_rules_headers_and_birth_and_gets_a_tag_of_its_own() {
    let (_server, admin, _) = open();
    let own = [
        ("content-type", "text/plain"),
        (
            "baqend-acl",
            r#"{"read":{"/db/Role/3":"allow"},"write":{"/db/Role/1":"allow"}}"#,
        ),
        ("baqend-custom-headers", r#"{"x-note":"hi"}"#),
    ];
    let first = with(&admin, "PUT", "/file/www/x", &own, "one").expect(200).json();
    assert_eq!(first["acl"]["read"], json!({ "/db/Role/3": "allow" }));
    assert_eq!(first["headers"], json!({ "x-note": "hi" }));
    let second = admin.upload("/www/x", "text/plain", b"two").expect(200).json();
    for kept in ["acl", "headers", "createdAt", "id"] {
        assert_eq!(second[kept], first[kept], "{kept}");
    }
    assert_ne!(second["eTag"], first["eTag"]);
    // The same content under another type is something else for whoever caches it.
    let third = admin.upload("/www/x", "text/css", b"two").expect(200).json();
    assert_ne!(third["eTag"], second["eTag"]);
    // The same again is the same.
    let fourth = admin.upload("/www/x", "text/css", b"two").expect(200).json();
    assert_eq!(fourth["eTag"], third["eTag"]);
    // Said to be none, they are gone.
    let none = [("baqend-acl", "null"), ("baqend-custom-headers", "{}")];
    let fifth = with(&admin, "PUT", "/file/www/x", &none, "two").expect(200).json();
    assert_eq!((&fifth["acl"]["read"], &fifth["headers"]), (&json!({}), &json!({})));
}

#[test]
fn conditions_of_uploads() {
    let (_server, admin, _) = open();
    let put = |headers: &[(&str, &str)], body: &str| with(&admin, "PUT", "/file/www/x", headers, body);
    for missing in [("if-match", "\"x\""), ("if-match", "*")] {
        put(&[missing], "0").expect_error(412, "ObjectOutOfDate");
    }
    let made = put(&[("if-none-match", "*")], "1").expect(200).json();
    let tag = format!("\"{}\"", made["eTag"].as_str().unwrap());
    let message = put(&[("if-none-match", "*")], "2").expect_error(412, "ObjectOutOfDate");
    assert!(
        message.contains("Unique index violation. Another object already exists with the same value of the newly created/modified object FileRef: /file/www/x")
            && message.contains("exists already"),
        "{message}"
    );
    assert!(
        put(&[("if-match", "\"x\"")], "2")
            .expect_error(412, "ObjectOutOfDate")
            .contains("out of date")
    );
    let old = ("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT");
    put(&[old], "2").expect_error(412, "ObjectOutOfDate");
    assert_eq!(admin.get("/file/www/x").expect(200).body, b"1");
    // The tag wins over the date.
    let made = put(&[("if-match", &tag), old], "2").expect(200).json();
    put(&[("if-match", &tag)], "3").expect_error(412, "ObjectOutOfDate");
    // A tag of a compressed form is the file's.
    let compressed = format!("\"{}--br\"", made["eTag"].as_str().unwrap());
    put(&[("if-match", &compressed)], "3").expect(200);
    put(&[("if-match", "*")], "4").expect(200);
    // Said by published clients that mean nothing by it.
    put(&[("if-match", "\"\""), ("if-none-match", "\"-\"")], "5").expect(200);
    let date = admin.head_of("/file/www/x").header("last-modified").unwrap().to_owned();
    put(&[("if-unmodified-since", &date)], "6").expect(200);
    for nonsense in [
        ("if-none-match", "\"x\""),
        ("if-match", "\"a\", \"b\""),
        ("if-unmodified-since", "soon"),
    ] {
        put(&[nonsense], "7").expect_error(400, "BadRequest");
    }
    assert_eq!(admin.get("/file/www/x").expect(200).body, b"6");
}

#[test]
fn a_file_without_a_name_gets_one() {
    let (_server, admin, _) = open();
    let headers = [
        ("content-type", "null"),
        ("baqend-custom-headers", r#"{"x-note":"hi"}"#),
    ];
    let image = fb_testkit::png(2, 1, [1, 2, 3]);
    let made = admin.request("POST", "/file/www", &headers, &image).expect(200).json();
    let id = made["id"].as_str().unwrap();
    assert_eq!(id.len(), "/file/www/".len() + 36, "{id}");
    // Nothing but its first bytes says what it is.
    assert_eq!(
        (&made["mimeType"], &made["headers"]["x-note"]),
        (&json!("image/png"), &json!("hi"))
    );
    assert_eq!(admin.get(id).expect(200).body, image);
    let other = admin.request("POST", "/file/www", &[], b"x").expect(200).json();
    assert_ne!(other["id"], made["id"]);
}

#[test]
fn the_length_may_be_said_or_not_but_not_wrong() {
    let (server, admin, _) = open();
    let token = admin.token().unwrap();
    let head = |more: &str| {
        format!(
            "PUT /v1/file/www/x HTTP/1.1\r\nhost: x\r\nauthorization: BAT {token}\r\ncontent-type: text/plain\r\n{more}\r\n"
        )
    };
    let status = |answer: Vec<u8>| String::from_utf8_lossy(&answer).get(9..12).map(str::to_owned);
    let chunked = head("connection: close\r\ntransfer-encoding: chunked\r\n") + "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    assert_eq!(
        status(raw_request(server.address(), chunked.as_bytes())).as_deref(),
        Some("200")
    );
    assert_eq!(admin.get("/file/www/x").expect(200).body, b"abcde");
    // Empty files are files.
    let empty = head("connection: close\r\ncontent-length: 0\r\n");
    assert_eq!(
        status(raw_request(server.address(), empty.as_bytes())).as_deref(),
        Some("200")
    );
    let answer = admin.get("/file/www/x").expect(200);
    assert_eq!((answer.body.len(), answer.header("content-length")), (0, Some("0")));
    // A body that ends early is no file, in both kinds.
    for cut in [
        head("content-length: 100\r\n") + "only this",
        head("transfer-encoding: chunked\r\n") + "10\r\nonly this",
    ] {
        let mut connection = Connection::open(server.address()).unwrap();
        assert!(connection.send(cut.as_bytes()));
        drop(connection);
    }
    // Two lengths are none.
    let twice = head("connection: close\r\ncontent-length: 3\r\ncontent-length: 4\r\n") + "abc";
    assert_eq!(
        status(raw_request(server.address(), twice.as_bytes())).as_deref(),
        Some("400")
    );
    assert_eq!(admin.get("/file/www/x").expect(200).body, b"");
}

#[test]
fn a_client_that_asks_first_is_told_to_send() {
    let (server, admin, anybody) = open();
    let ask = |client: &Client, body: usize| {
        let mut connection = Connection::open(server.address()).unwrap();
        let headers = [("expect", "100-continue"), ("content-type", "text/plain")];
        let mut head = client.head("PUT", "/file/www/asked", &headers, 0);
        head.insert_str(head.len() - 2, &format!("content-length: {body}\r\n"));
        assert!(connection.send(head.as_bytes()));
        connection
    };
    let mut connection = ask(&admin, 5);
    assert_eq!(connection.receive().unwrap().status, 100);
    assert!(connection.send(b"hello"));
    assert_eq!(connection.receive().unwrap().status, 200);
    assert_eq!(admin.get("/file/www/asked").expect(200).body, b"hello");
    // Whoever may not is told so before anything is sent.
    assert_eq!(ask(&anybody, 1 << 30).receive().unwrap().status, 466);
}

#[test]
fn large_files_come_back_as_they_were() {
    let (_server, admin, anybody) = open();
    let content: Vec<u8> = (0..30_u32 << 18)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    assert_eq!(content.len(), 30 << 20);
    let made = admin
        .upload("/www/large.bin", "application/octet-stream", &content)
        .expect(200)
        .json();
    assert_eq!(made["size"], content.len());
    assert!(anybody.get("/file/www/large.bin").expect(200).body == content);
    let range = [("range", "bytes=20000000-20000099")];
    let part = anybody.request("GET", "/file/www/large.bin", &range, b"").expect(206);
    assert_eq!(part.body, content[20_000_000..20_000_100]);
}

#[test]
fn metadata_are_changed_without_the_content() {
    let (_server, admin, _) = open();
    let first = admin.upload("/www/x", "text/plain", b"1").expect(200).json();
    let post = |body: Value| admin.post("/file/www/x", &body);
    // As clients send it: with all that they know, of which only this is taken.
    let mut changed = first.clone();
    changed["mimeType"] = json!("text/css;charset=utf-8");
    changed["acl"] = json!({ "read": { "/db/Role/3": "allow" }, "write": {} });
    changed["headers"] = json!({ "X-Note": "hi", "x-number": 7, "x-flag": true });
    changed["size"] = json!(77);
    changed["createdAt"] = json!("1999-01-01T00:00:00Z");
    let second = post(changed).expect(200).json();
    assert_eq!(second["mimeType"], "text/css; charset=utf-8");
    assert_eq!(second["acl"]["read"], json!({ "/db/Role/3": "allow" }));
    assert_eq!(
        second["headers"],
        json!({ "x-note": "hi", "x-number": "7", "x-flag": "true" })
    );
    assert_eq!(
        (&second["size"], &second["createdAt"]),
        (&json!(1), &first["createdAt"])
    );
    // Copies with the old type must not be confirmed.
    assert_ne!(second["eTag"], first["eTag"]);
    let answer = admin.get("/file/www/x").expect(200);
    assert_eq!(
        (answer.header("x-note"), answer.header("content-type")),
        (Some("hi"), Some("text/css;charset=utf-8"))
    );
    assert_eq!(answer.body, b"1");

    // What is not said stays.
    let third = post(json!({})).expect(200).json();
    for kept in ["mimeType", "acl", "headers", "eTag"] {
        assert_eq!(third[kept], second[kept], "{kept}");
    }
    let fourth = post(json!({ "headers": {}, "acl": null })).expect(200).json();
    assert_eq!((&fourth["headers"], &fourth["acl"]["read"]), (&json!({}), &json!({})));
    for (condition, status) in [("\"x\"", 412), ("\"\"", 200), ("*", 200)] {
        with(&admin, "POST", "/file/www/x", &[("if-match", condition)], "{}").expect(status);
    }
    admin
        .post("/file/www/none", &json!({}))
        .expect_error(404, "FileNotFound");
    let tag = [("if-match", "\"x\"")];
    with(&admin, "POST", "/file/www/none", &tag, "{}").expect_error(412, "ObjectOutOfDate");
}

#[test]
fn headers_that_are_none_or_the_servers_are_refused() {
    let (_server, admin, anybody) = open();
    admin.put("/file/open", &json!({})).expect(204);
    admin.upload("/open/x", "text/plain", b"1").expect(200);
    let before = admin.head_of("/file/open/x").headers;
    let refused = [
        json!({ "content-length": "3" }),
        json!({ "Content-Type": "text/html" }),
        json!({ "baqend-acl": "{}" }),
        json!({ "x note": "a" }),
        json!({ "x-note": "a\r\nset-cookie: b=c" }),
        json!({ "x-note": "ü" }),
        json!({ "x-note": null }),
        json!({ "x-note": ["a"] }),
        json!({ "x-note": "a", "X-Note": "b" }),
        json!({ "": "a" }),
        json!({ "x-note": "a".repeat(9000) }),
        json!([]),
        json!("x-note: a"),
        json!(1),
    ];
    for headers in &refused {
        admin
            .post("/file/open/x", &json!({ "headers": headers }))
            .expect_error(400, "BadRequest");
        let header = headers.to_string();
        if header.is_ascii() {
            let header = [("baqend-custom-headers", header.as_str())];
            with(&admin, "PUT", "/file/open/x", &header, "2").expect_error(400, "BadRequest");
        }
    }
    // What changes how browsers treat the site is the administrators' to set.
    for name in [
        "set-cookie",
        "content-security-policy",
        "location",
        "refresh",
        "service-worker-allowed",
    ] {
        let headers = json!({ name: "x" });
        anybody
            .post("/file/open/x", &json!({ "headers": headers }))
            .expect_error(400, "BadRequest");
        let header = [("baqend-custom-headers", &*headers.to_string())];
        with(&anybody, "PUT", "/file/open/x", &header, "2").expect_error(400, "BadRequest");
        with(&anybody, "POST", "/file/open", &header, "2").expect_error(400, "BadRequest");
    }
    let dated = |mut headers: Vec<(String, String)>| {
        headers.retain(|(name, _)| name != "date");
        headers
    };
    assert_eq!(dated(admin.head_of("/file/open/x").headers), dated(before));
    assert_eq!(names(admin.get("/file/open/ids")), ["/file/open/x"]);
}

#[test]
fn files_and_folders_are_deleted() {
    let (_server, admin, _) = open();
    for path in ["/www/a/1", "/www/a/b/2", "/www/a/b/3", "/www/ab", "/www/x"] {
        admin.upload(path, "text/plain", b"1").expect(200);
    }
    let delete = |path: &str, headers: &[(&str, &str)]| with(&admin, "DELETE", path, headers, "");
    assert!(
        delete("/file/www/x", &[("if-match", "\"x\"")])
            .expect_error(412, "ObjectOutOfDate")
            .contains("is out of date")
    );
    // Sent by clients that know nothing of the file.
    delete("/file/www/x", &[("if-none-match", "*")]).expect(204);
    admin.get("/file/www/x").expect_error(404, "FileNotFound");
    delete("/file/www/x", &[]).expect(204);
    delete("/file/www/x", &[("if-match", "\"x\"")]).expect_error(412, "ObjectOutOfDate");
    // A folder is what its slash says, not what begins alike.
    let mut gone = names(delete("/file/www/a/", &[("if-none-match", "*")]));
    gone.sort();
    assert_eq!(gone, ["/file/www/a/1", "/file/www/a/b/2", "/file/www/a/b/3"]);
    assert_eq!(names(delete("/file/www/a/", &[])), [""; 0]);
    assert_eq!(names(admin.get("/file/www/ids?deep=true")), ["/file/www/ab"]);
}

#[test]
fn uploads_at_the_same_time_are_whole_and_one_of_them_wins() {
    let (_server, admin, anybody) = open();
    let content = |n: u8| vec![n; 600_000];
    let first = [("if-none-match", "*"), ("content-type", "text/plain")];
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6_u8)
            .map(|n| {
                let (admin, content) = (&admin, content(n));
                scope.spawn(move || admin.request("PUT", "/file/www/race", &first, &content).status)
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412, 412, 412]);
    std::thread::scope(|scope| {
        for n in 0..4_u8 {
            let (admin, content) = (&admin, content(n));
            scope.spawn(move || {
                for _ in 0..5 {
                    admin.upload("/www/race", "text/plain", &content).expect(200);
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..40 {
                let answer = anybody.get("/file/www/race").expect(200);
                assert_eq!(answer.body.len(), 600_000);
                assert!(
                    answer.body.iter().all(|byte| *byte == answer.body[0]),
                    "two contents in one file"
                );
            }
        });
    });
    wait_for("the file", || {
        (anybody.get("/file/www/race").status == 200).then_some(())
    });
}
