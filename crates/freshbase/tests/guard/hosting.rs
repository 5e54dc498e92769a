//! Websites: which page an address is, whom it is for, and what it must never become.

use fb_testkit::{Client, Response, Server, png, root};
use serde_json::{Value, json};

use crate::file_input::base64;
use crate::site_passwords::{PASSWORD, guard};
use crate::{Profile, no_panics, second_app, server};

/// A browser at one host name.
pub(crate) struct Browser {
    client: Client,
    host: String,
}

impl Browser {
    pub(crate) fn at(server: &Server, host: &str) -> Self {
        Self {
            client: Client::new(server.address(), ""),
            host: host.to_owned(),
        }
    }

    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
        let headers = [headers, &[("host", &self.host)]].concat();
        self.client.request(method, path, &headers, b"")
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        self.ask("GET", path, &[])
    }

    /// With name and password.
    pub(crate) fn as_guest(&self, path: &str, password: &str) -> Response {
        let given = format!("Basic {}", base64(&format!("guest:{password}")));
        self.ask("GET", path, &[("authorization", &given)])
    }
}

pub(crate) fn page(admin: &Client, path: &str, content: &str) {
    admin.upload(path, "null", content.as_bytes()).expect(200);
}

pub(crate) fn sites(admin: &Client, sites: &Value) {
    admin
        .put("/config", &json!({ "hosting": { "sites": sites } }))
        .expect(200);
}

pub(crate) fn text(answer: Response) -> String {
    String::from_utf8(answer.expect(200).body).unwrap()
}

#[test]
fn a_host_name_has_its_app_and_its_site() {
    let server = server().secure().start();
    let admin = root(&server);
    let other = second_app(&server, "other", Profile::Secure);
    for (app, name) in [(&admin, "main"), (&other, "other")] {
        app.put("/file/shop", &json!({ "load": { "*": "allow" } })).expect(204);
        page(app, "/www/index.html", &format!("www of {name}"));
        page(app, "/shop/index.html", &format!("shop of {name}"));
        page(app, &format!("/www/{name}.txt"), "x");
    }
    let at = |host: &str| Browser::at(&server, host).get("/");
    assert_eq!(text(at("localhost")), "www of main");
    assert_eq!(text(at("127.0.0.1:8080")), "www of main");
    assert_eq!(text(at("anything.example")), "www of main");
    assert_eq!(text(at("other.localhost")), "www of other");
    assert_eq!(text(at("OTHER.localhost:99")), "www of other");
    assert_eq!(at("nobody.localhost").status, 404);
    // Files of the one are none of the other.
    assert_eq!(Browser::at(&server, "other.localhost").get("/main.txt").status, 404);
    assert_eq!(Browser::at(&server, "localhost").get("/other.txt").status, 404);

    sites(
        &admin,
        &json!({ "shop.example": { "bucket": "shop" }, "closed.example": { "enabled": false } }),
    );
    assert_eq!(text(at("shop.example")), "shop of main");
    assert_eq!(text(at("SHOP.example:443")), "shop of main");
    assert_eq!(text(at("www.shop.example")), "www of main");
    assert_eq!(at("closed.example").status, 404);
    // What one app says of a name that is another's, or nobody's, means nothing.
    sites(
        &other,
        &json!({ "shop.example": { "bucket": "www" }, "localhost": { "enabled": false } }),
    );
    assert_eq!(text(at("shop.example")), "shop of main");
    assert_eq!(text(at("localhost")), "www of main");
    sites(&admin, &json!({ "*": { "bucket": "shop" }, "localhost": {} }));
    assert_eq!(text(at("anything.example")), "shop of main");
    assert_eq!(text(at("localhost")), "www of main");
    assert_eq!(text(at("other.localhost")), "www of other");
    no_panics(&server);
}

#[test]
fn addresses_are_files_folders_and_names_without_extension() {
    let server = server().secure().start();
    let admin = root(&server);
    for (path, content) in [
        ("/www/index.html", "home"),
        ("/www/blog/index.html", "blog"),
        ("/www/about.html", "about"),
        ("/www/a%20b/%C3%BC.html", "odd"),
        ("/www/plain", "plain"),
        ("/www/both", "file"),
        ("/www/both/index.html", "folder"),
    ] {
        page(&admin, path, content);
    }
    let browser = Browser::at(&server, "localhost");
    for (path, content) in [
        ("/", "home"),
        ("/index.html", "home"),
        ("/blog/", "blog"),
        ("/blog/index.html", "blog"),
        ("/a%20b/%C3%BC.html", "odd"),
        ("/plain", "plain"),
        ("/plain?x=1", "plain"),
        ("/both", "file"),
        ("/both/", "folder"),
    ] {
        let answer = browser.get(path);
        assert_eq!(text(answer), content, "{path}");
        let head = browser.ask("HEAD", path, &[]).expect(200);
        assert_eq!(head.header("content-length"), Some(&*content.len().to_string()));
    }
    for (path, to) in [("/blog", "/blog/"), ("/blog?a=b&c", "/blog/?a=b&c")] {
        let answer = browser.get(path).expect(301);
        assert_eq!((answer.header("location"), answer.body.len()), (Some(to), 0));
        assert_eq!(answer.header("cache-control"), Some("no-cache"), "the folder may go");
    }
    for path in [
        "/about",
        "/none",
        "/blog/none",
        "/about.html/",
        "/plain/",
        "/INDEX.html",
        "/a b",
        "/a%2520b/",
    ] {
        assert!(matches!(browser.get(path).status, 400 | 404), "{path}");
    }
    sites(&admin, &json!({ "*": { "cleanUrls": true } }));
    assert_eq!(text(browser.get("/about")), "about");
    assert_eq!(text(browser.get("/about.html")), "about");
    assert_eq!(browser.get("/about/").status, 404);
    assert_eq!(browser.get("/blog").status, 301);
    sites(&admin, &json!({ "*": { "index": "about.html" } }));
    assert_eq!(text(browser.get("/")), "about");
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answer = browser.ask(method, "/about.html", &[]);
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some("GET, HEAD")),
            "{method}"
        );
    }
    assert_eq!(text(browser.get("/about.html")), "about");
    no_panics(&server);
}

#[test]
fn s35_a_folder_never_leads_to_another_host() {
    let server = server().secure().start();
    let admin = root(&server);
    for folder in [
        "evil.example",
        "x",
        ";@evil.example",
        "https:",
        "https:/evil.example",
        "%2F",
        "%5Cevil.example",
        "javascript:x",
    ] {
        let url = folder.split('/').map(fb_testkit::encode).collect::<Vec<_>>().join("/");
        page(&admin, &format!("/www/{url}/index.html"), "here");
    }
    let browser = Browser::at(&server, "localhost");
    let mut moved = 0;
    for path in [
        "//evil.example",
        "///evil.example",
        "////evil.example",
        "//evil.example?x",
        "//evil.example//",
        "/\\evil.example",
        "\\\\evil.example",
        "/%5Cevil.example",
        "/%5C%5Cevil.example",
        "/%2Fevil.example",
        "/%2F%2Fevil.example",
        "//%2Fevil.example",
        "/.//evil.example",
        "/x/..//evil.example",
        "/x//evil.example",
        "/%09/evil.example",
        "/%0d%0aLocation:%20x",
        "//;@evil.example",
        "/;@evil.example",
        "/@evil.example",
        "/https:",
        "/https:/evil.example",
        "/https://evil.example",
        "/javascript:x",
        "//javascript:x",
        "/%252F",
        "/%25%32%46",
        "/evil.example",
        "/x?//evil.example",
        "/x#//evil.example",
        "/%255Cevil.example",
        "http://evil.example/x",
        "http://evil.example//evil.example",
    ] {
        let answer = browser.get(path);
        let status = answer.status;
        assert!(matches!(status, 200 | 301 | 400 | 404 | 405), "{path}: {status}");
        let Some(to) = answer.header("location") else { continue };
        moved += 1;
        let mut letters = to.chars();
        assert_eq!(letters.next(), Some('/'), "{path}: {to}");
        assert!(!matches!(letters.next(), Some('/' | '\\')), "{path}: {to}");
        let is_plain = |b: u8| (b'!'..=b'~').contains(&b) && b != b'\\';
        assert!(to.bytes().all(is_plain), "{path}: {to}");
    }
    assert!(moved > 3, "some are folders");
    no_panics(&server);
}

#[test]
fn what_is_not_there_is_said_with_404() {
    let server = server().secure().start();
    let admin = root(&server);
    page(&admin, "/www/index.html", "home");
    let browser = Browser::at(&server, "localhost");
    browser.get("/none").expect_error(404, "EndpointNotFound");
    page(&admin, "/www/404.html", "not found");
    page(&admin, "/www/lost.html", "lost");
    let gone = |headers: &[(&str, &str)]| {
        let answer = browser.ask("GET", "/none/at/all.js", headers);
        assert_eq!(
            (answer.status, &answer.body[..]),
            (404, &b"not found"[..]),
            "{headers:?}"
        );
        for name in ["etag", "last-modified", "accept-ranges", "content-range"] {
            assert_eq!(answer.header(name), None, "{name}");
        }
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    };
    gone(&[]);
    // A page that stands for another is never a part or a confirmation of it.
    gone(&[("if-none-match", "*")]);
    gone(&[("range", "bytes=0-1")]);
    gone(&[("if-match", "\"x\"")]);
    gone(&[("if-modified-since", "Fri, 31 Dec 2100 23:59:59 GMT")]);
    let head = browser.ask("HEAD", "/none", &[]);
    assert_eq!((head.status, head.header("content-length")), (404, Some("9")));
    sites(&admin, &json!({ "*": { "notFound": "lost.html" } }));
    assert_eq!(browser.get("/none").body, b"lost");

    sites(&admin, &json!({ "*": { "singlePage": true } }));
    for path in ["/none", "/a/b/c", "/users/7/edit?x=1", "/v.1/about", "/none/"] {
        assert_eq!(text(browser.get(path)), "home", "{path}");
    }
    // Scripts and pictures that are missing are missing, and so is the API.
    for path in ["/none.js", "/a/b/none.png", "/none.html", "/.well-known"] {
        assert_eq!(browser.get(path).status, 404, "{path}");
    }
    browser.get("/v1/none").expect_error(404, "EndpointNotFound");
    browser.get("/v1/file/www/none").expect_error(404, "FileNotFound");
    no_panics(&server);
}

#[test]
fn the_api_and_the_servers_own_paths_win_over_files() {
    let server = server().secure().start();
    let admin = root(&server);
    let reserved = [
        "v1",
        "v1/index.html",
        "v1/db",
        "v1/schema",
        "v1/connect",
        "v1/file/www/x",
        "apps/main/v1/schema",
        "admin/v1/apps",
        "admin/v1/login",
        "setup",
        "setup/index.html",
        "healthz",
        "readyz",
        "metrics",
    ];
    for name in reserved {
        page(&admin, &format!("/www/{name}"), "FAKE");
    }
    for name in ["v1x", "admin/x", "apps/x", "v2/db", "healthz/x", "V1/db"] {
        page(&admin, &format!("/www/{name}"), "page");
    }
    let browser = Browser::at(&server, "localhost");
    for name in reserved {
        for method in ["GET", "POST"] {
            let answer = browser.ask(method, &format!("/{name}"), &[]);
            assert_ne!(answer.body, b"FAKE", "{method} /{name}: {}", answer.status);
        }
        // They are there, as files.
        assert_eq!(admin.get(&format!("/file/www/{name}")).expect(200).body, b"FAKE");
    }
    for name in ["v1x", "admin/x", "apps/x", "v2/db", "healthz/x", "V1/db"] {
        assert_eq!(text(browser.get(&format!("/{name}"))), "page", "{name}");
    }
    no_panics(&server);
}

#[test]
fn s36_error_pages_repeat_nothing_that_runs() {
    let server = server().secure().start();
    let admin = root(&server);
    page(&admin, "/www/x", "x");
    sites(&admin, &json!({ "off.example": { "enabled": false } }));
    let evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
    let encoded = fb_testkit::encode(evil);
    for (host, method, path) in [
        ("localhost", "GET", format!("/{encoded}")),
        ("localhost", "GET", "/<script>alert(1)</script>".to_owned()),
        ("localhost", "GET", format!("/x?bqoptimize=1;variant={encoded}")),
        ("localhost", "GET", format!("/x?bqoptimize=1;{encoded}={encoded}")),
        ("localhost", "GET", format!("/x?bqoptimize={encoded}")),
        (
            "localhost",
            "GET",
            "/x?bqoptimize=1;variant=<script>alert(1)</script>".to_owned(),
        ),
        ("localhost", "POST", format!("/{encoded}")),
        ("off.example", "GET", format!("/{encoded}")),
        ("<script>alert(1)</script>.localhost", "GET", "/".to_owned()),
        ("localhost", "GET", "/{message}{request}{reason}".to_owned()),
    ] {
        let answer = Browser::at(&server, host).ask(method, &path, &[("accept", "text/html,*/*;q=0.8")]);
        let what = format!("{method} {host} {path}");
        assert!((400..500).contains(&answer.status), "{what}: {}", answer.status);
        if answer.body.is_empty() {
            // What is no HTTP the HTTP library refuses by itself.
            assert_eq!(answer.status, 400, "{what}");
            continue;
        }
        assert_eq!(answer.header("content-type"), Some("text/html;charset=utf-8"), "{what}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.contains("default-src 'none'") && !policy.contains("script-src"),
            "{what}: {policy}"
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let body = String::from_utf8(answer.body).unwrap();
        assert!(
            body.starts_with("<!doctype html>") && body.contains("Request "),
            "{what}: {body}"
        );
        for trace in ["<script", "<img", "onerror=alert(1)>", "'>"] {
            assert!(!body.contains(trace), "{what}: {body}");
        }
    }
    // Programs get what programs read.
    let answer = Browser::at(&server, "localhost").ask("GET", &format!("/{encoded}"), &[("accept", "*/*")]);
    answer.expect_error(404, "EndpointNotFound");
    no_panics(&server);
}

#[test]
fn s39_only_pages_with_a_hash_in_their_name_are_kept_for_ever() {
    let server = server().secure().start();
    let admin = root(&server);
    let hashed = ["app.3f2a9c1b.js", "assets/index-BkXz91_a.js", "main.a1b2c3d4.css"];
    let others = ["index.html", "app.js", "report-20240131.pdf"];
    for name in hashed.iter().chain(&others) {
        page(&admin, &format!("/www/{name}"), "x");
    }
    let browser = Browser::at(&server, "localhost");
    let cache = |answer: Response| answer.expect(200).header("cache-control").unwrap().to_owned();
    for name in hashed {
        assert_eq!(
            cache(browser.get(&format!("/{name}"))),
            "public, max-age=31536000, immutable"
        );
        assert!(cache(admin.get(&format!("/file/www/{name}"))).ends_with(", s-maxage=1"));
    }
    for name in others {
        assert_eq!(cache(browser.get(&format!("/{name}"))), "no-cache");
    }
    // Pages are pages: no sandbox, no download, none of what the API says of files.
    let answer = browser.get("/index.html").expect(200);
    for name in [
        "content-security-policy",
        "content-disposition",
        "baqend-acl",
        "baqend-size",
        "baqend-custom-headers",
    ] {
        assert_eq!(answer.header(name), None, "{name}");
    }
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    // Behind a password they are the visitor's own.
    admin
        .put("/file/www", &json!({ "load": { "/db/Role/1": "allow" } }))
        .expect(204);
    guard(&admin, "*", "www");
    page(&admin, "/www/404.html", "not found");
    for name in hashed.iter().chain(&others) {
        let said = cache(browser.as_guest(&format!("/{name}"), PASSWORD));
        assert_eq!(said, "private, no-cache", "{name}");
    }
    let missing = browser.as_guest("/none", PASSWORD);
    assert_eq!(
        (missing.status, missing.header("cache-control")),
        (404, Some("private, no-cache"))
    );
    no_panics(&server);
}

#[test]
fn variants_of_images_work_on_pages() {
    let server = server().secure().start();
    let admin = root(&server);
    admin
        .put(
            "/config",
            &json!({ "images": { "variants": { "thumb": { "width": 2 } } } }),
        )
        .expect(200);
    admin
        .upload("/www/x.png", "image/png", &png(4, 4, [1, 2, 3]))
        .expect(200);
    let browser = Browser::at(&server, "localhost");
    let answer = browser.get("/x.png?bqoptimize=1;variant=thumb").expect(200);
    assert_eq!(answer.body[16..24], [0, 0, 0, 2, 0, 0, 0, 2]);
    assert_eq!(browser.get("/x.png?bqoptimize=1;variant=none").status, 404);
    assert_eq!(browser.get("/x.png?bqoptimize=1;width=3").status, 466);
    no_panics(&server);
}
