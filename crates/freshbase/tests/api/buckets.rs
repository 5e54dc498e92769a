//! Buckets of files, lists of what is in them, and the names that files may have: protocol 05.

use fb_testkit::Connection;
use serde_json::json;

use crate::files::names;
use crate::open;

#[test]
fn lists_come_in_pieces() {
    let (_server, admin, _) = open();
    let mut all = Vec::new();
    for folder in ["", "b/", "b/c/", "ü/"] {
        for n in 0..4 {
            let path = format!("{folder}{n}");
            let url = path.replace('ü', "%C3%BC");
            admin.upload(&format!("/www/{url}"), "text/plain", b"1").expect(200);
            all.push(format!("/file/www/{path}"));
        }
    }
    all.sort();
    let list = |query: &str| names(admin.get(&format!("/file/www/ids?{query}")));
    assert_eq!(list("deep=true"), all);
    assert_eq!(
        list(""),
        [
            "/file/www/0",
            "/file/www/1",
            "/file/www/2",
            "/file/www/3",
            "/file/www/b/",
            "/file/www/ü/"
        ]
    );
    assert_eq!(list("path=/"), list("path="));
    let in_b = [
        "/file/www/b/0",
        "/file/www/b/1",
        "/file/www/b/2",
        "/file/www/b/3",
        "/file/www/b/c/",
    ];
    for path in ["b/", "b", "/b/", "b%2F"] {
        assert_eq!(list(&format!("path={path}")), in_b, "{path}");
    }
    assert_eq!(list("path=%C3%BC/").len(), 4);
    assert_eq!(list("path=none/"), [""; 0]);
    // A page begins behind the last entry of the page before, whether that is a file or a folder.
    for (query, whole) in [
        ("deep=true", all),
        ("path=b/", in_b.map(str::to_owned).to_vec()),
        ("", list("")),
    ] {
        let (mut found, mut start) = (Vec::new(), String::new());
        loop {
            let page = list(&format!("{query}&count=3&start={}", fb_testkit::encode(&start)));
            assert!(page.len() <= 3);
            let Some(last) = page.last() else { break };
            last.strip_prefix("/file/www/").unwrap().clone_into(&mut start);
            found.extend(page);
        }
        assert_eq!(found, whole, "{query}");
    }
    assert_eq!(list("count=0&deep=true").len(), 0);
    assert_eq!(list("count=-1&deep=true").len(), 16);
    for bad in ["path=../", "path=a//b", "path=%00"] {
        admin
            .get(&format!("/file/www/ids?{bad}"))
            .expect_error(400, "BadRequest");
    }
}

#[test]
fn more_than_a_thousand_files_are_never_listed_at_once() {
    let (server, admin, _) = open();
    let mut connection = Connection::open(server.address()).unwrap();
    for n in 0..1005 {
        let answer = connection.request(&admin, "PUT", &format!("/file/many/{n:04}"), &[], &json!(n));
        assert_eq!(answer.unwrap().status, 200);
    }
    for count in ["", "?count=-1", "?count=5000"] {
        let page = names(admin.get(&format!("/file/many/ids{count}")));
        assert_eq!((page.len(), &*page[999]), (1000, "/file/many/0999"), "{count}");
    }
    assert_eq!(names(admin.get("/file/many/ids?start=0999")).len(), 5);
    // Deleted as a whole all the same, in both ways.
    admin.delete("/file/many").expect(204);
    assert_eq!(names(admin.get("/file/many/ids")), [""; 0]);
}

#[test]
fn buckets_are_made_read_replaced_and_deleted() {
    let (_server, admin, anybody) = open();
    let rules = json!({ "load": { "*": "allow" }, "insert": { "/db/Role/3": "allow" } });
    admin.get("/file/pictures").expect_error(461, "BucketNotFound");
    admin.delete("/file/pictures").expect_error(461, "BucketNotFound");
    assert_eq!(names(admin.get("/file/buckets")), ["/file/www"]);
    admin.put("/file/pictures", &rules).expect(204);
    let expected = json!({ "load": { "*": "allow" }, "insert": { "/db/Role/3": "allow" }, "update": {}, "delete": {}, "query": {} });
    assert_eq!(admin.get("/file/pictures").expect(200).json(), expected);
    assert_eq!(names(admin.get("/file/buckets")), ["/file/pictures", "/file/www"]);
    admin.upload("/pictures/a", "text/plain", b"1").expect(200);
    admin.upload("/unnamed/a", "text/plain", b"1").expect(200);
    assert_eq!(
        names(admin.get("/file/buckets")),
        ["/file/pictures", "/file/unnamed", "/file/www"]
    );
    // What nobody configured is the administrators'.
    let admins = json!({ "/db/Role/1": "allow" });
    assert_eq!(admin.get("/file/unnamed").expect(200).json()["load"], admins);
    anybody.get("/file/unnamed/a").expect_error(466, "PermissionDenied");
    // Rules are replaced as a whole, and count at once.
    anybody.get("/file/pictures/a").expect(200);
    admin.put("/file/pictures", &json!({ "load": admins })).expect(204);
    assert_eq!(admin.get("/file/pictures").expect(200).json()["insert"], json!({}));
    anybody.get("/file/pictures/a").expect_error(466, "PermissionDenied");

    admin.delete("/file/pictures").expect(204);
    admin.get("/file/pictures").expect_error(461, "BucketNotFound");
    admin.get("/file/pictures/a").expect_error(404, "FileNotFound");
    assert_eq!(names(admin.get("/file/buckets")), ["/file/unnamed", "/file/www"]);
    // A later one of the same name is new.
    admin.put("/file/pictures", &json!({})).expect(204);
    assert_eq!(names(admin.get("/file/pictures/ids")), [""; 0]);
    admin.delete("/file/www").expect_error(461, "BucketNotFound");
    for bad in [".", "a%2Fb", "a%20b", "%C3%A4", &"x".repeat(64)] {
        admin
            .put(&format!("/file/{bad}"), &json!({}))
            .expect_error(400, "BadRequest");
    }
}

#[test]
fn names_may_have_any_sign_that_is_no_trap() {
    let (_server, admin, _) = open();
    for name in [
        ";,?:@&=+$#-_.!~*'()",
        " a b ",
        "%2F",
        "%",
        "a%zz",
        "ü/é/日本語.png",
        "🦀",
        "...",
        "..a",
        "C:",
        "a|b<c>\"d\"",
        "ids/x",
        "x/ids",
        "buckets",
        "\u{202e}abc",
        "e\u{301}",
        "é",
        "index.html",
        "__proto__",
        "a{b}c",
        "{*oid}",
    ] {
        let segments: Vec<String> = name.split('/').map(fb_testkit::encode).collect();
        let url = format!("/www/{}", segments.join("/"));
        let made = admin.upload(&url, "text/plain", name.as_bytes()).expect(200).json();
        assert_eq!(made["id"], format!("/file/www/{name}"));
        assert_eq!(
            admin.get(&format!("/file{url}")).expect(200).body,
            name.as_bytes(),
            "{name}"
        );
        let listed = names(admin.get("/file/www/ids?deep=true"));
        assert_eq!(listed, [format!("/file/www/{name}")]);
        let folder = segments.len() > 1;
        admin.delete(&format!("/file{url}")).expect(204);
        assert!(folder || names(admin.get("/file/www/ids")).is_empty());
    }
    // Two spellings of one name are one file; two Unicode forms are two.
    admin.upload("/www/%61", "text/plain", b"1").expect(200);
    assert_eq!(admin.get("/file/www/a").expect(200).body, b"1");
    // The list of files, which nothing can be uploaded over.
    admin
        .upload("/www/ids", "text/plain", b"1")
        .expect_error(405, "MethodNotAllowed");
    for bad in [
        "/www/a%2Fb",
        "/www/a//b",
        "/www/../x",
        "/www/%ff",
        "/www/a/",
        "/www/%5C",
    ] {
        admin.upload(bad, "text/plain", b"1").expect_error(400, "BadRequest");
    }
    assert_eq!(names(admin.get("/file/www/ids?deep=true")), ["/file/www/a"]);
}
