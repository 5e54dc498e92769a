//! What one may not see answers like what is not there; S01: what a new app gives away; S45: the walls between apps.

use fb_testkit::{Client, Response, Server, png, root};
use serde_json::{Value, json};

use crate::files::thumbs;
use crate::kit::resource_token;
use crate::{PROFILES, Profile, no_panics, operator, second_app, server, user};

/// The answer without what differs from request to request.
fn plain(answer: &Response, name: &str) -> String {
    let mut headers = answer.headers.clone();
    headers.retain(|(name, _)| !matches!(name.as_str(), "date" | "content-length" | "x-request-id"));
    let mut body = String::from_utf8_lossy(&answer.body).replace(name, "<name>");
    if let Ok(Value::Object(mut error)) = serde_json::from_str(&body) {
        error.remove("requestId");
        body = Value::Object(error).to_string();
    }
    format!("{} {headers:?} {body}", answer.status)
}

#[test]
fn s30_what_one_may_not_see_answers_like_what_is_not_there() {
    let server = server().secure().start();
    let (admin, stranger) = (root(&server), server.client());
    let (ann, _) = user(&admin, &stranger, "ann");
    thumbs(&admin);
    admin
        .put(
            "/file/shared",
            &json!({ "load": { "*": "allow" }, "query": { "*": "allow" } }),
        )
        .expect(204);
    admin.put("/file/closed", &json!({ "load": { "/db/Role/1": "allow" }, "query": { "/db/Role/1": "allow" },
        "insert": { "/db/Role/1": "allow" }, "update": { "/db/Role/1": "allow" }, "delete": { "/db/Role/1": "allow" } }))
        .expect(204);
    let acl = [(
        "baqend-acl",
        r#"{"read":{"/db/Role/1":"allow"},"write":{"/db/Role/1":"allow"}}"#,
    )];
    let image = png(4, 4, [1, 2, 3]);
    for path in [
        "/file/shared/hidden",
        "/file/shared/folder/hidden",
        "/file/closed/hidden",
    ] {
        admin.request("PUT", path, &acl, &image).expect(200);
    }
    let headers: [&[(&str, &str)]; 7] = [
        &[],
        &[("range", "bytes=0-0")],
        &[("range", "bytes=99999-")],
        &[("if-none-match", "*")],
        &[("if-match", "\"x\"")],
        &[("accept-encoding", "br")],
        &[("accept", "text/html")],
    ];
    for client in [&stranger, &ann] {
        for method in ["GET", "HEAD"] {
            for headers in headers {
                for query in [
                    "",
                    "?bqoptimize=1;variant=thumb",
                    "?bqoptimize=1;variant=none",
                    "?bqoptimize=1;width=3",
                ] {
                    let ask = |name: &str| {
                        let answer = client.request(method, &format!("/file/{name}{query}"), headers, b"");
                        plain(&answer, name)
                    };
                    assert_eq!(
                        ask("shared/hidden"),
                        ask("shared/absent"),
                        "{method} {headers:?} {query}"
                    );
                    assert_eq!(
                        ask("closed/hidden"),
                        ask("closed/absent"),
                        "{method} {headers:?} {query}"
                    );
                }
            }
        }
        // Buckets that one may not enter and those that there are not.
        for (method, rest, body) in [
            ("GET", "", ""),
            ("PUT", "", "{}"),
            ("DELETE", "", ""),
            ("POST", "", "x"),
            ("GET", "/ids", ""),
            ("GET", "/hidden", ""),
            ("HEAD", "/hidden", ""),
            ("PUT", "/hidden", "x"),
            ("POST", "/hidden", "{}"),
            ("DELETE", "/hidden", ""),
            ("DELETE", "/folder/", ""),
        ] {
            let ask = |bucket: &str| {
                let answer = client.request(method, &format!("/file/{bucket}{rest}"), &[], body.as_bytes());
                assert_eq!(answer.status, 466, "{method} {bucket}{rest}");
                plain(&answer, bucket)
            };
            assert_eq!(ask("closed"), ask("absent"), "{method} {rest}");
        }
        client.get("/file/buckets").expect_error(466, "PermissionDenied");
        // A folder with nothing for the caller in it is none.
        for query in [
            "",
            "?deep=true",
            "?path=folder/",
            "?path=folder/&deep=true",
            "?start=a",
            "?count=1",
        ] {
            let listed = client.get(&format!("/file/shared/ids{query}")).expect(200).json();
            assert_eq!(listed, json!([]), "{query}");
        }
    }
    // Deleting a folder deletes nothing that one may not see, and says nothing of it.
    let everybody = json!({ "load": { "*": "allow" }, "delete": { "*": "allow" } });
    admin.put("/file/shared", &everybody).expect(204);
    assert_eq!(stranger.delete("/file/shared/folder/").expect(200).json(), json!([]));
    admin.get("/file/shared/folder/hidden").expect(200);
    no_panics(&server);
}

#[test]
fn s01_in_a_new_app_nobody_gets_at_files_but_those_of_the_website() {
    let server = server().secure().start();
    let (admin, stranger) = (root(&server), server.client());
    let (ann, _) = user(&admin, &stranger, "ann");
    admin.upload("/www/index.html", "text/html", b"hello").expect(200);
    admin.upload("/data/x", "text/plain", b"1").expect(200);
    for client in [&stranger, &ann] {
        client.get("/file/www/index.html").expect(200);
        client.get("/file/data/x").expect_error(466, "PermissionDenied");
        for bucket in ["www", "data", "new"] {
            for (method, path) in [
                ("POST", ""),
                ("PUT", ""),
                ("DELETE", ""),
                ("GET", ""),
                ("GET", "/ids"),
                ("PUT", "/index.html"),
                ("PUT", "/new.html"),
                ("POST", "/index.html"),
                ("DELETE", "/index.html"),
                ("DELETE", "/a/"),
            ] {
                for headers in [&[][..], &[("if-match", "*")], &[("if-none-match", "*")]] {
                    let answer = client.request(method, &format!("/file/{bucket}{path}"), headers, b"{}");
                    // That a name is taken is no secret.
                    assert!(
                        matches!(answer.status, 412 | 466),
                        "{method} {bucket}{path}: {}",
                        answer.status
                    );
                }
            }
        }
    }
    assert_eq!(admin.get("/file/www/index.html").expect(200).body, b"hello");
    assert_eq!(
        admin.get("/file/buckets").expect(200).json(),
        json!(["/file/data", "/file/www"])
    );

    // A bucket that is opened without a word is for those who are logged in.
    admin.put("/file/data", &json!({})).expect(204);
    ann.get("/file/data/x").expect(200);
    ann.upload("/data/y", "text/plain", b"1").expect(200);
    for (method, path) in [
        ("GET", "/x"),
        ("PUT", "/x"),
        ("GET", "/ids"),
        ("DELETE", "/x"),
        ("POST", ""),
    ] {
        let answer = stranger.request(method, &format!("/file/data{path}"), &[], b"{}");
        answer.expect_error(466, "PermissionDenied");
    }
    let rules = admin.get("/file/data").expect(200).json();
    assert_eq!(rules["load"], json!({ "/db/Role/3": "allow" }), "{rules}");
}

#[test]
fn s45_files_tokens_and_urls_of_one_app_mean_nothing_in_another() {
    for profile in PROFILES {
        let server = profile.start();
        let main = root(&server);
        let other = second_app(&server, "other", profile);
        let signing = json!({ "images": { "signingKey": "0123456789abcdef0123456789abcdef" } });
        main.put("/config", &signing).expect(200);
        let closed = json!({ "load": { "/db/Role/1": "allow" }, "query": { "/db/Role/1": "allow" } });
        for (app, content) in [(&main, png(4, 4, [1, 1, 1])), (&other, png(4, 4, [2, 2, 2]))] {
            app.put("/file/private", &closed).expect(204);
            for name in ["/private/x", "/www/images/cat.jpg"] {
                app.upload(name, "image/png", &content).expect(200);
            }
        }
        let both = |path: &str| (main.get(path).expect(200).body, other.get(path).expect(200).body);
        let (a, b) = both("/file/private/x");
        assert_ne!(a, b);
        // The administrator of one, at the other.
        let foreign = server.app("other").with_token(main.token().unwrap());
        foreign.get("/file/private/x").expect_error(460, "BadCredentials");
        foreign
            .get("/file/www/images/cat.jpg")
            .expect_error(460, "BadCredentials");
        for (method, path) in [
            ("PUT", "/file/private/x"),
            ("DELETE", "/file/private/x"),
            ("DELETE", "/file/private"),
        ] {
            foreign
                .request(method, path, &[], b"{}")
                .expect_error(460, "BadCredentials");
        }
        let token = main.token().unwrap();
        for signed in [
            "/v1/file/private/x",
            "/apps/other/v1/file/private/x",
            "/apps/main/v1/file/private/x",
        ] {
            let token = resource_token(token, signed);
            let answer = server.app("other").get(&format!("/file/private/x?BAT={token}"));
            assert!(matches!(answer.status, 460 | 466), "{signed}: {}", answer.status);
        }
        // A signature of one app, at another without a key, and with one of its own.
        let signed = "/file/www/images/cat.jpg?bqoptimize=1;width=640;quality=90;signature=-IAHe1Z45FGO2rjnEO-NI5OFyLz8WS-G5ZYmFDSjbz8";
        main.get(signed).expect(200);
        other.get(signed).expect_error(466, "PermissionDenied");
        other
            .put(
                "/config",
                &json!({ "images": { "signingKey": "another key, of the other" } }),
            )
            .expect(200);
        other.get(signed).expect_error(466, "PermissionDenied");
        // Rules and deletions of one leave the other alone.
        main.put("/file/private", &json!({ "load": { "*": "allow" } }))
            .expect(204);
        server.client().get("/file/private/x").expect(200);
        server
            .app("other")
            .get("/file/private/x")
            .expect_error(466, "PermissionDenied");
        main.delete("/file/private").expect(204);
        assert_eq!(other.get("/file/private/x").expect(200).body, b);
        no_panics(&server);
    }
}

fn delete_app(server: &Server, name: &str) {
    let bearer = operator(server);
    let headers = [("authorization", bearer.as_str())];
    Client::new(server.address(), "/admin/v1")
        .request("DELETE", &format!("/apps/{name}"), &headers, b"")
        .expect(204);
}

#[test]
fn s45_an_app_that_was_deleted_and_made_again_has_no_old_files() {
    let server = server().secure().start();
    let old = second_app(&server, "other", Profile::Secure);
    thumbs(&old);
    let open = json!({ "load": { "*": "allow" }, "query": { "*": "allow" } });
    old.put("/file/shared", &open).expect(204);
    let small = old
        .upload("/shared/x", "image/png", &png(4, 4, [1, 2, 3]))
        .expect(200)
        .json();
    old.upload("/shared/large", "text/plain", &vec![b'x'; 600_000])
        .expect(200);
    old.get("/file/shared/x?bqoptimize=1;variant=thumb").expect(200);
    let files = server.data_dir().join("apps").join("other").join("files");
    assert!(files.try_exists().unwrap());
    delete_app(&server, "other");
    assert!(!files.try_exists().unwrap(), "contents go with their app");
    let stranger = server.app("other");
    stranger.get("/file/shared/x").expect_error(404, "AppNotFound");
    let new = second_app(&server, "other", Profile::Secure);
    assert_eq!(new.get("/file/buckets").expect(200).json(), json!(["/file/www"]));
    new.put("/file/shared", &open).expect(204);
    assert_eq!(new.get("/file/shared/ids?deep=true").expect(200).json(), json!([]));
    let tag = format!("\"{}\"", small["eTag"].as_str().unwrap());
    for path in [
        "/file/shared/x",
        "/file/shared/large",
        "/file/shared/x?bqoptimize=1;variant=thumb",
    ] {
        stranger.get(path).expect_error(404, "FileNotFound");
        stranger
            .request("GET", path, &[("if-none-match", &tag)], b"")
            .expect(404);
    }
    let token = old.token().unwrap();
    stranger
        .clone()
        .with_token(token)
        .get("/file/shared/x")
        .expect_error(460, "BadCredentials");
    no_panics(&server);
}
