//! S29: what users upload can do nothing in a browser; S39: and what is not for everybody is not kept by shared caches.

use fb_testkit::{Client, Response, encode, png, root};
use serde_json::json;

use crate::kit::resource_token;
use crate::{no_panics, server, user};

const SCRIPT: &[u8] = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><script>alert(1)</script></svg>";

/// What keeps an answer with somebody's bytes from doing anything.
#[track_caller]
fn inert(answer: &Response, what: &str) {
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{what}");
    let policies: Vec<&str> = answer
        .headers
        .iter()
        .filter(|(name, _)| name == "content-security-policy")
        .map(|(_, value)| value.as_str())
        .collect();
    let [policy] = policies[..] else {
        panic!("{what}: {policies:?}")
    };
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("allow-scripts"),
        "{what}: {policy}"
    );
    let is_pdf = answer
        .header("content-type")
        .is_some_and(|t| t.starts_with("application/pdf"));
    assert!(
        is_pdf || policy.split(';').any(|part| part.trim() == "sandbox"),
        "{what}: {policy}"
    );
}

/// Media type as it is said, name, and whether a browser would do something with such a document.
const TYPES: [(&str, &str, bool); 44] = [
    ("text/html", "x", true),
    ("text/html; charset=utf-7", "x", true),
    ("TEXT/HTML", "x.png", true),
    ("text/html;x=y", "x", true),
    ("text/html ; charset=\"utf-8\"", "x", true),
    ("application/xhtml+xml", "x", true),
    ("image/svg+xml", "x", true),
    ("image/svg+xml; charset=utf-8", "x.png", true),
    ("image/svg", "x", true),
    ("text/xml", "x", true),
    ("application/xml", "x", true),
    ("application/xslt+xml", "x", true),
    ("application/rss+xml", "x", true),
    ("application/mathml+xml", "x", true),
    ("application/vnd.unknown+xml", "x", true),
    ("message/rfc822", "x", true),
    ("multipart/related", "x", true),
    ("multipart/x-mixed-replace; boundary=x", "x", true),
    ("application/x-shockwave-flash", "x", true),
    ("application/java-archive", "x", true),
    ("application/hta", "x", true),
    ("application/octet-stream", "x.html", true),
    ("application/unknown", "x", true),
    ("text/unknown", "x", true),
    ("x/y", "x", true),
    // No type at all: by the name, which is how the page got its own.
    ("null", "x.html", true),
    ("null", "x.htm", true),
    ("null", "x.HTML", true),
    ("null", "x.svg", true),
    ("null", "x.xhtml", true),
    ("null", "x.png.html", true),
    ("null", "x.html.", true),
    ("null", "x.html%20", true),
    ("null", "x", true),
    ("text", "x.html", true),
    ("text/html, image/png", "x", true),
    ("text/html\tx", "x", true),
    ("image/png", "x.html", false),
    ("image/png", "x.svg", false),
    ("text/plain", "x.html", false),
    ("text/css", "x.html", false),
    ("text/javascript", "x.html", false),
    ("application/json", "x.html", false),
    ("application/pdf", "x.pdf", false),
];

#[test]
fn s29_whatever_is_uploaded_is_inert() {
    let server = server().secure().start();
    let admin = root(&server);
    let open =
        json!({ "load": { "*": "allow" }, "insert": { "/db/Role/3": "allow" }, "update": { "/db/Role/3": "allow" } });
    admin.put("/file/uploads", &open).expect(204);
    let (ann, _) = user(&admin, &server.client(), "ann");
    let stranger = server.client();
    for (media_type, name, is_active) in TYPES {
        let url = format!("/uploads/{name}");
        ann.upload(&url, media_type, SCRIPT).expect(200);
        let url = format!("/file{url}");
        for (method, headers, status) in [
            ("GET", &[][..], 200),
            ("HEAD", &[], 200),
            ("GET", &[("range", "bytes=0-9")], 206),
            ("GET", &[("if-none-match", "*")], 304),
            ("GET", &[("accept", "text/html,*/*")], 200),
            ("GET", &[("accept-encoding", "br, gzip")], 200),
        ] {
            let what = format!("{method} {media_type} {name} {headers:?}");
            let answer = stranger.request(method, &url, headers, b"").expect(status);
            inert(&answer, &what);
            let disposition = answer.header("content-disposition");
            assert_eq!(
                disposition.is_some_and(|d| d.starts_with("attachment")),
                is_active,
                "{what}: {disposition:?}"
            );
        }
        let answer = ann.get(&format!(
            "{url}?BAT={}",
            resource_token(ann.token().unwrap(), &format!("/v1{url}"))
        ));
        inert(&answer.expect(200), media_type);
    }
    no_panics(&server);
}

#[test]
fn s29_the_name_of_a_download_cannot_break_out_of_its_header() {
    let server = server().secure().start();
    let admin = root(&server);
    for name in [
        "a\"b",
        "a;b=c",
        "a'b",
        "a b",
        "ü",
        "a\u{202e}gnp.exe",
        "a,b",
        "a%22b",
        "x.html",
    ] {
        let url = format!("/www/folder/{}", encode(name));
        admin.upload(&url, "text/html", b"x").expect(200);
        let answer = admin.get(&format!("/file{url}")).expect(200);
        let disposition = answer.header("content-disposition").unwrap();
        let value = disposition.strip_prefix("attachment; filename*=UTF-8''").unwrap();
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"%-_.!~".contains(&b);
        assert!(value.bytes().all(is_plain), "{name}: {disposition}");
    }
}

/// What an administrator gives to pages does not reach what users see as data.
#[test]
fn s29_custom_headers_take_nothing_away() {
    let server = server().secure().start();
    let admin = root(&server);
    let powerful = [
        ("content-security-policy", "script-src *"),
        ("content-security-policy-report-only", "script-src *"),
        ("content-disposition", "inline"),
        ("set-cookie", "a=b"),
        ("location", "https://evil.example"),
        ("refresh", "0; url=https://evil.example"),
        ("link", "<https://evil.example/x.js>; rel=preload; as=script"),
        ("service-worker-allowed", "/"),
        ("clear-site-data", "*"),
        ("strict-transport-security", "max-age=0"),
        ("x-frame-options", "ALLOWALL"),
        ("cross-origin-opener-policy", "unsafe-none"),
        ("permissions-policy", "camera=*"),
        ("origin-agent-cluster", "?0"),
        ("alt-svc", "h3=\":443\""),
        ("report-to", "{}"),
        ("speculation-rules", "\"/x\""),
    ];
    let open = json!({ "load": { "*": "allow" }, "insert": { "*": "allow" }, "update": { "*": "allow" } });
    admin.put("/file/www", &open).expect(204);
    let stranger = server.client();
    let (ann, _) = user(&admin, &stranger, "ann");
    for (name, value) in powerful {
        let headers = json!({ name: value, "x-note": "hi" }).to_string();
        let custom = [
            ("baqend-custom-headers", headers.as_str()),
            ("content-type", "text/html"),
        ];
        for client in [&stranger, &ann] {
            for (method, path) in [("PUT", "/file/www/x.html"), ("POST", "/file/www")] {
                client
                    .request(method, path, &custom, SCRIPT)
                    .expect_error(400, "BadRequest");
            }
        }
        admin.request("PUT", "/file/www/x.html", &custom, SCRIPT).expect(200);
        for client in [&stranger, &ann, &admin] {
            let answer = client.get("/file/www/x.html").expect(200);
            inert(&answer, name);
            assert_eq!(answer.header("x-note"), Some("hi"));
            let own = answer.header(name);
            let is_ours = matches!(name, "content-security-policy" | "content-disposition");
            assert!(own.is_none() || is_ours && own != Some(value), "{name}: {own:?}");
        }
        let page = Client::new(server.address(), "").get("/x.html").expect(200);
        assert_eq!(page.header(name), Some(value), "pages are what they are for");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        for client in [&stranger, &ann] {
            let body = json!({ "headers": { name: value } });
            client.post("/file/www/x.html", &body).expect_error(400, "BadRequest");
        }
    }
    // Neither are they the administrators' to give where another header already says it, nor to proxies.
    for name in [
        "content-type",
        "content-length",
        "content-encoding",
        "transfer-encoding",
        "x-content-type-options",
        "connection",
        "access-control-allow-origin",
        "etag",
        "date",
        "vary",
        "server",
        "www-authenticate",
        "x-accel-redirect",
        "x-sendfile",
        "x-request-id",
        "baqend-authorization-token",
    ] {
        let body = json!({ "headers": { name: "x" } });
        admin.post("/file/www/x.html", &body).expect_error(400, "BadRequest");
    }
    no_panics(&server);
}

/// The part of an answer that caches listen to.
fn for_caches(answer: &Response) -> Vec<(&str, &str)> {
    let headers = answer
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    headers
        .filter(|(name, _)| {
            name.contains("cache-control") || ["expires", "pragma", "surrogate-control", "edge-control"].contains(name)
        })
        .collect()
}

#[test]
fn s39_what_is_not_for_everybody_is_never_public() {
    let server = server().secure().start();
    let admin = root(&server);
    let (ann, id) = user(&admin, &server.client(), "ann");
    let images = json!({ "images": { "variants": { "thumb": { "width": 2 } } } });
    admin.put("/config", &images).expect(200);
    let users = json!({ "load": { "/db/Role/3": "allow" } });
    admin.put("/file/users", &users).expect(204);
    admin
        .put("/file/open", &json!({ "load": { "*": "allow" } }))
        .expect(204);
    let own = json!({ "read": { &id: "allow" } }).to_string();
    let wishes = [
        json!({}),
        json!({ "cache-control": "public, max-age=600" }),
        json!({ "cache-control": "Public,max-age=600" }),
        json!({ "cache-control": "max-age=600, PUBLIC" }),
        json!({ "cache-control": "s-maxage=600" }),
        json!({ "cache-control": "max-age=600, immutable, S-MaxAge = 600" }),
        json!({ "cache-control": "" }),
        json!({ "cdn-cache-control": "public, max-age=600" }),
        json!({ "surrogate-control": "max-age=600" }),
        json!({ "cloudflare-cdn-cache-control": "max-age=600" }),
        json!({ "expires": "Fri, 31 Dec 2100 23:59:59 GMT" }),
    ];
    let image = png(4, 4, [1, 2, 3]);
    for wish in &wishes {
        let wish = wish.to_string();
        let headers = [("baqend-custom-headers", wish.as_str()), ("content-type", "image/png")];
        let rules = [headers[0], headers[1], ("baqend-acl", own.as_str())];
        admin
            .request("PUT", "/file/users/app-3f9a2b1c4d5e6f70.png", &headers, &image)
            .expect(200);
        admin.request("PUT", "/file/open/x.png", &rules, &image).expect(200);
        for path in ["/file/users/app-3f9a2b1c4d5e6f70.png", "/file/open/x.png"] {
            for (query, headers) in [
                ("", &[][..]),
                ("", &[("range", "bytes=0-1")]),
                ("", &[("if-none-match", "*")]),
                ("?bqoptimize=1;variant=thumb", &[]),
                ("?bqoptimize=1;variant=thumb", &[("if-none-match", "*")]),
            ] {
                for client in [&ann, &admin] {
                    for method in ["GET", "HEAD"] {
                        let answer = client.request(method, &format!("{path}{query}"), headers, b"");
                        assert!(answer.status < 400, "{path} {}", answer.status);
                        let said = for_caches(&answer);
                        let [("cache-control", said)] = said[..] else {
                            panic!("{wish} {path}: {said:?}")
                        };
                        let said = said.to_ascii_lowercase();
                        let directives: Vec<&str> = said.split(',').map(str::trim).collect();
                        assert!(directives.contains(&"private"), "{wish} {path}: {said}");
                        assert!(
                            !said.contains("public") && !said.contains("s-maxage"),
                            "{wish} {path}: {said}"
                        );
                    }
                }
            }
        }
    }
    // For everybody the app's own word counts.
    let wish = [(
        "baqend-custom-headers",
        r#"{"cache-control":"public, max-age=600","cdn-cache-control":"max-age=60"}"#,
    )];
    admin.request("PUT", "/file/open/y", &wish, b"1").expect(200);
    let answer = server.client().get("/file/open/y").expect(200);
    let mut said = for_caches(&answer);
    said.sort_unstable();
    assert_eq!(
        said,
        [
            ("cache-control", "public, max-age=600"),
            ("cdn-cache-control", "max-age=60")
        ]
    );
    // Without one, they are kept account of.
    admin.upload("/open/z", "text/plain", b"1").expect(200);
    let answer = server.client().get("/file/open/z");
    let [("cache-control", said)] = for_caches(&answer)[..] else {
        panic!("one header says it")
    };
    assert!(
        said.starts_with("public, max-age=") && said.ends_with(", s-maxage=1"),
        "{said}"
    );
    // Errors are kept by nobody for long, and not as somebody's.
    for path in ["/file/users/x", "/file/open/x.png", "/file/open/none"] {
        let answer = server.client().get(path);
        let said = for_caches(&answer);
        assert!(
            answer.status >= 400 && !format!("{said:?}").contains("public"),
            "{path}: {said:?}"
        );
    }
    no_panics(&server);
}

#[test]
fn s29_a_file_of_a_bucket_is_no_service_worker() {
    let server = server().baqend().start();
    let admin = root(&server);
    admin
        .put("/file/open", &json!({ "load": { "*": "allow" } }))
        .expect(204);
    admin
        .upload("/open/sw.js", "text/javascript", b"onfetch = () => {}")
        .expect(200);
    let as_worker = [("service-worker", "script")];
    let stranger = server.client();
    stranger.request("GET", "/file/open/sw.js", &[], b"").expect(200);
    stranger.request("GET", "/file/open/sw.js", &as_worker, b"").expect(466);
}
