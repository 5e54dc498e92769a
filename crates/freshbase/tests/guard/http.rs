//! What is around the API: CORS, health, the connect page, host names, the operator's API, and the walls between apps.

use std::collections::BTreeSet;

use fb_testkit::{Client, encode, raw_request, root};
use serde_json::{Value, json};

use crate::{PROFILES, Profile, class, no_panics, operator, second_app, server};

const ORIGIN: &str = "https://shop.example.org";

/// Method, path, headers, body, status.
type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a [u8], u16);

#[test]
fn pages_of_other_origins_can_read_every_answer() {
    let server = server().baqend().start();
    let admin = root(&server);
    class(&admin, "Doc", &json!({ "n": { "type": "/db/Integer" } }), &Value::Null);
    admin.post("/db/Doc", &json!({ "id": "/db/Doc/1", "n": 1 })).expect(201);
    let wanted = [("if-none-match", "\"1\"")];
    let cases: [Case<'_>; 12] = [
        ("GET", "/", &[], b"", 200),
        ("GET", "/connect", &[], b"", 200),
        ("GET", "/db/Doc/1", &[], b"", 200),
        ("GET", "/db/Doc/1", &wanted, b"", 304),
        ("HEAD", "/db/Doc/1", &[], b"", 200),
        ("GET", "/db/Doc/2", &[], b"", 404),
        ("GET", "/db/Nothing/2", &[], b"", 461),
        ("POST", "/db/Doc", &[], b"{", 400),
        ("GET", "/nothing", &[], b"", 404),
        ("PATCH", "/db/Doc/1", &[], b"", 405),
        ("GET", "/config", &[], b"", 466),
        ("GET", "/config", &[("authorization", "BAT 0")], b"", 460),
    ];
    for base in ["/v1", "/apps/main/v1", "/apps/nosuch/v1"] {
        let client = Client::new(server.address(), base);
        for (method, path, headers, body, status) in cases {
            let headers = [headers, &[("origin", ORIGIN)]].concat();
            let answer = client.request(method, path, &headers, body);
            let status = if base.contains("nosuch") { 404 } else { status };
            assert_eq!(answer.status, status, "{method} {base}{path}");
            assert_eq!(
                answer.header("access-control-allow-origin"),
                Some(ORIGIN),
                "{method} {path}"
            );
            assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
            assert!(answer.header("vary").unwrap().to_ascii_lowercase().contains("origin"));
            let exposed = answer
                .header("access-control-expose-headers")
                .unwrap()
                .to_ascii_lowercase();
            let exposed: BTreeSet<&str> = exposed.split(',').map(str::trim).collect();
            for name in [
                "baqend-authorization-token",
                "content-type",
                "baqend-size",
                "baqend-acl",
                "etag",
                "last-modified",
                "baqend-created-at",
                "baqend-custom-headers",
                "baqend-mfa-auth-token",
            ] {
                assert!(exposed.contains(name), "{name} in {exposed:?}");
            }
            let plain = client.request(method, path, &headers[..headers.len() - 1], body);
            assert_eq!(plain.header("access-control-allow-origin"), None);
        }
        for path in ["/", "/connect", "/db/Doc/1", "/nothing", "/db/User/login"] {
            let headers = [
                ("origin", ORIGIN),
                ("access-control-request-method", "PUT"),
                ("access-control-request-headers", "x-own, authorization"),
            ];
            let answer = client.request("OPTIONS", path, &headers, b"");
            assert!(matches!(answer.status, 200 | 204), "{path}: {}", answer.status);
            assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
            let methods = answer.header("access-control-allow-methods").unwrap();
            assert!(
                ["GET", "HEAD", "POST", "PUT", "DELETE"]
                    .iter()
                    .all(|m| methods.contains(m)),
                "{methods}"
            );
            let allowed = answer.header("access-control-allow-headers").unwrap();
            for name in [
                "authorization",
                "content-type",
                "if-match",
                "if-none-match",
                "baqend-acl",
                "x-own",
            ] {
                assert!(allowed.contains(name), "{name} in {allowed}");
            }
            let age: u32 = answer.header("access-control-max-age").unwrap().parse().unwrap();
            assert!(age >= 600, "{age}");
        }
    }
    // The operator's API is no business of pages.
    let operators = Client::new(server.address(), "/admin/v1");
    for method in ["GET", "OPTIONS"] {
        let answer = operators.request(method, "/apps", &[("origin", ORIGIN)], b"");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{method}");
        assert!(answer.status >= 400, "{method}");
    }
    no_panics(&server);
}

#[test]
fn health_metrics_and_the_list_of_endpoints_are_there() {
    let server = server().secure().start();
    let node = Client::new(server.address(), "");
    assert_eq!(node.get("/healthz").expect(200).json()["status"], "ok");
    assert_eq!(node.get("/readyz").expect(200).json()["status"], "ready");
    for path in [
        "/nothing",
        "/v2",
        "/v1x",
        "/apps/",
        "/apps/main",
        "/apps/main/v2/db",
        "/healthz/x",
        "//v1",
    ] {
        node.get(path).expect_error(404, "EndpointNotFound");
    }
    let client = server.client();
    let spec = client.get("/spec").expect(200).json();
    let names = client.get("/").expect(200).json();
    let mut operations = 0;
    for route in fb_server::route_table() {
        let method = route.method.as_str().to_ascii_lowercase();
        // That a parameter takes the rest of the path has no spelling there.
        let path = route.path.replace("{*", "{");
        let documented = &spec["paths"][&path][&method];
        assert!(documented.is_object(), "{method} {path} is not in /spec");
        assert!(names.as_array().unwrap().contains(&json!(path)), "{path}");
        operations += 1;
    }
    let listed: usize = spec["paths"]
        .as_object()
        .unwrap()
        .values()
        .map(|path| {
            let methods = ["get", "put", "post", "delete", "patch", "head", "options"];
            methods.iter().filter(|method| path.get(method).is_some()).count()
        })
        .sum();
    assert_eq!(listed, operations, "the document lists what is there and no more");
    client.get("/db/User/1").expect(466);
    let page = String::from_utf8(node.get("/metrics").expect(200).body).unwrap();
    for name in [
        "freshbase_panics_total 0",
        "freshbase_apps 1",
        "get_object",
        "app=\"main\"",
    ] {
        assert!(page.contains(name), "{name} in {page}");
    }
    assert!(!page.contains(server.data_dir().to_str().unwrap()));
    no_panics(&server);
}

#[test]
fn the_connect_page_cannot_be_broken_out_of() {
    for profile in PROFILES {
        let server = profile.start();
        let admin = root(&server);
        let evil = "</script><script>alert(1)</script><!-- ]]> \u{2028}";
        let body = json!({
            "metadata": { "note": evil, evil: "x" },
            "fields": { "n": { "type": "/db/Integer", "metadata": { "note": evil } } },
        });
        admin.post("/schema/Doc", &body).expect(200);
        admin
            .post(
                "/db/User/register",
                &json!({ "user": { "username": evil.replace('\u{2028}', "") }, "password": "a secret" }),
            )
            .expect(200);
        let stranger = server.client();
        let hostile = stranger.login(&evil.replace('\u{2028}', ""), "a secret");
        for client in [&server.client(), &admin, &hostile] {
            let answer = client
                .request("GET", "/connect", &[("accept", "text/html,*/*;q=0.8")], b"")
                .expect(200);
            assert!(answer.header("content-type").unwrap().starts_with("text/html"));
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            let policy = answer.header("content-security-policy").unwrap();
            assert!(
                policy.contains("default-src 'none'") && !policy.contains("unsafe"),
                "{policy}"
            );
            let page = String::from_utf8(answer.body).unwrap();
            assert_eq!(page.matches("<script").count(), 2, "{page}");
            assert_eq!(page.matches("</script").count(), 2, "{page}");
            assert!(!page.contains("alert(1)<") && !page.contains("<!--"), "{page}");
            let (_, json) = page.split_once("<script id=\"/connect\"").unwrap();
            let (_, json) = json.split_once('>').unwrap();
            let (json, _) = json.split_once("</script>").unwrap();
            let told: Value = serde_json::from_str(json).expect("the page holds the JSON of /connect");
            let classes = told["schema"].as_array().unwrap();
            let doc = classes.iter().find(|class| class["class"] == "/db/Doc").unwrap();
            assert_eq!(doc["metadata"]["note"], evil);
            if client.token().is_none() {
                assert!(!page.contains("data-token"), "{page}");
            }
        }
    }
}

#[test]
fn errors_do_not_become_pages() {
    let server = server().baqend().start();
    let stranger = server.client();
    let evil = "%3Cscript%3Ealert(1)%3C/script%3E";
    for path in [
        format!("/{evil}"),
        format!("/db/{evil}/1"),
        format!("/schema/{evil}"),
        format!("/db/User/{evil}"),
    ] {
        let answer = stranger.request("GET", &path, &[("accept", "text/html")], b"");
        assert!((400..500).contains(&answer.status), "{path}");
        assert!(
            answer.header("content-type").unwrap().starts_with("application/json"),
            "{path}"
        );
    }
}

#[test]
fn apps_are_found_by_host_name_and_by_path() {
    let server = server().secure().start();
    let shop = second_app(&server, "shop", Profile::Secure);
    class(&shop, "Item", &json!({}), &Value::Null);
    let default = server.client();
    let status = |host: &str, path: &str| {
        let answer = default.request("GET", path, &[("host", host)], b"");
        let body = answer.json();
        match answer.status {
            200 => body["app"].as_str().unwrap().to_owned(),
            status => format!("{status} {}", body["className"].as_str().unwrap()),
        }
    };
    for (host, app) in [
        ("shop.localhost", "shop"),
        ("SHOP.LocalHost:1234", "shop"),
        ("localhost", "main"),
        ("main.localhost", "main"),
        ("127.0.0.1", "main"),
        ("[::1]:80", "main"),
        ("example.org", "main"),
        ("nosuch.localhost", "404 AppNotFound"),
        ("..localhost", "404 AppNotFound"),
        ("%2e%2e.localhost", "404 AppNotFound"),
    ] {
        assert_eq!(status(host, "/status"), app, "{host}");
    }
    assert_eq!(server.app("shop").get("/status").expect(200).json()["app"], "shop");
    // The path decides before the host does.
    let by_path = server
        .app("main")
        .request("GET", "/status", &[("host", "shop.localhost")], b"");
    assert_eq!(by_path.expect(200).json()["app"], "main");
    for name in [
        "nosuch",
        "Shop",
        "..",
        ".",
        "%73hop",
        "shop%2F..",
        "shop%00",
        "-",
        &"a".repeat(500),
    ] {
        let answer = server.app(name).get("/status");
        answer.expect_error(404, "AppNotFound");
    }
    server.app("").get("/status").expect_error(404, "AppNotFound");
    // Without any host HTTP/1.1 is not HTTP/1.1, but HTTP/1.0 is.
    let answer = raw_request(server.address(), b"GET /v1/status HTTP/1.0\r\n\r\n");
    assert!(String::from_utf8_lossy(&answer).contains("\"main\""));
    no_panics(&server);
}

#[test]
fn the_operators_api_takes_operators_only() {
    for profile in PROFILES {
        let server = profile.start();
        let api = Client::new(server.address(), "/admin/v1");
        let bearer = operator(&server);
        let token = bearer.strip_prefix("Bearer ").unwrap();
        let call = |authorization: Option<&str>, method: &str, path: &str, body: &Value| {
            let headers: Vec<(&str, &str)> = authorization.map(|a| ("authorization", a)).into_iter().collect();
            let body = if body.is_null() {
                String::new()
            } else {
                body.to_string()
            };
            api.request(method, path, &headers, body.as_bytes())
        };
        let app_token = root(&server).token().unwrap().to_owned();
        let mut flipped = token.to_owned();
        let last = if flipped.pop() == Some('0') { '1' } else { '0' };
        flipped.push(last);
        let wrong = [
            String::new(),
            "Bearer".into(),
            "Bearer ".into(),
            "Bearer null".into(),
            token.to_owned(),
            format!("BAT {token}"),
            format!("Basic {token}"),
            format!("Bearer {app_token}"),
            format!("BAT {app_token}"),
            format!("Bearer {flipped}"),
            format!("Bearer {}", &token[1..]),
            format!("Bearer {}", "f".repeat(10_000)),
        ];
        let create = json!({ "name": "forged" });
        for header in wrong.iter().map(|header| Some(header.as_str())).chain([None]) {
            call(header, "GET", "/apps", &Value::Null).expect_error(401, "Unauthorized");
            call(header, "POST", "/apps", &create).expect_error(401, "Unauthorized");
            call(header, "DELETE", "/apps/main", &Value::Null).expect_error(401, "Unauthorized");
        }
        call(None, "GET", &format!("/apps?BAT={token}"), &Value::Null).expect_error(401, "Unauthorized");
        for (username, password) in [
            ("root", "wrong"),
            ("nobody", "root"),
            ("", ""),
            ("root", ""),
            ("ROOT", "root"),
        ] {
            let body = json!({ "username": username, "password": password });
            call(None, "POST", "/login", &body).expect_error(401, "Unauthorized");
        }
        for body in [
            json!(null),
            json!([]),
            json!({}),
            json!({ "username": "root" }),
            json!({ "username": {}, "password": "root" }),
            json!({ "username": "root", "password": { "$ne": 1 } }),
        ] {
            let answer = api.request("POST", "/login", &[], body.to_string().as_bytes());
            assert_eq!(answer.status, 400, "{body}");
        }
        // An operator is nobody inside of an app.
        server
            .client()
            .with_token(token)
            .get("/config")
            .expect_error(460, "BadCredentials");
        let headers = [("authorization", bearer.as_str())];
        server
            .client()
            .request("GET", "/config", &headers, b"")
            .expect_error(460, "BadCredentials");
        let names = |answer: Value| -> Vec<String> {
            answer
                .as_array()
                .unwrap()
                .iter()
                .map(|app| app["name"].as_str().unwrap().to_owned())
                .collect()
        };
        let list = || names(call(Some(&bearer), "GET", "/apps", &Value::Null).expect(200).json());
        assert_eq!(list(), ["main"]);
        call(Some(&bearer), "POST", "/apps", &json!({ "name": "shop" })).expect(201);
        assert_eq!(list(), ["main", "shop"]);
        for name in ["", "..", "../x", "a/b", "A", "x".repeat(41).as_str(), "a\u{0}"] {
            call(Some(&bearer), "POST", "/apps", &json!({ "name": name })).expect_error(400, "BadRequest");
        }
        for path in ["/apps/..", "/apps/%2e%2e", "/apps/A", "/apps/a%2fb"] {
            call(Some(&bearer), "DELETE", path, &Value::Null).expect_error(400, "BadRequest");
        }
        for (method, path, status) in [
            ("PUT", "/apps", 405),
            ("GET", "/apps/shop", 405),
            ("GET", "/login", 405),
            ("GET", "/nothing", 404),
            ("GET", "", 404),
        ] {
            assert_eq!(
                call(Some(&bearer), method, path, &Value::Null).status,
                status,
                "{method} {path}"
            );
        }
        call(Some(&bearer), "DELETE", "/apps/shop", &Value::Null).expect(204);
        assert_eq!(list(), ["main"]);
        no_panics(&server);
    }
}

/// S45: data, ids and tokens of one app mean nothing in another.
#[test]
fn one_app_is_invisible_in_another_over_all_routes() {
    for profile in PROFILES {
        let server = profile.start();
        let own = root(&server);
        let other = second_app(&server, "other", profile);
        // Both have the same class and users of the same ids; only one has the secret.
        let fields = json!({ "s": { "type": "/db/String" } });
        let open: Value = ["load", "query", "insert", "update", "delete"]
            .iter()
            .map(|p| ((*p).to_owned(), json!({ "*": "allow" })))
            .collect::<serde_json::Map<_, _>>()
            .into();
        class(&other, "Doc", &fields, &open);
        class(&other, "OnlySecret", &fields, &open);
        other
            .post("/db/Doc", &json!({ "id": "/db/Doc/tell-tale", "s": "tell-tale" }))
            .expect(201);
        other
            .post(
                "/db/User/register",
                &json!({ "user": { "username": "tell-tale" }, "password": "tell-tale heart" }),
            )
            .expect(200);
        class(&own, "Doc", &fields, &open);
        let before = other.get("/db/Doc").expect(200).body;
        let foreign = server.client().with_token(other.token().unwrap());
        for client in [&own, &server.client(), &foreign] {
            for route in fb_server::route_table() {
                let path = route.path.replace("{bucket}", "Doc").replace("{oid}", "tell-tale");
                for path in [
                    path.clone(),
                    format!("{path}?q={}&start=0&count=500", encode("{}")),
                    path.replace("/Doc", "/OnlySecret"),
                ] {
                    // Changes are tried below; here everything is asked.
                    let bodies: &[&[u8]] = if route.method == "GET" { &[b""] } else { &[b"{}"] };
                    if route.method == "DELETE"
                        || matches!(
                            route.name,
                            "replace_all_schemas"
                                | "update_schema"
                                | "replace_schema"
                                | "create_object"
                                | "replace_object"
                                | "import_bucket"
                        )
                    {
                        continue;
                    }
                    for body in bodies {
                        let answer = client.request(route.method.as_str(), &path, &[], body);
                        let text = String::from_utf8_lossy(&answer.body).into_owned();
                        let echo = path.contains("OnlySecret") || (answer.status >= 400 && path.contains("tell-tale"));
                        assert!(echo || !text.contains("tell-tale"), "{path}: {text}");
                        assert!(
                            path.contains("OnlySecret") || !text.contains("OnlySecret"),
                            "{path}: {text}"
                        );
                        assert!(answer.status < 500, "{path}: {text}");
                    }
                }
            }
        }
        own.get("/db/Doc/tell-tale").expect_error(404, "ObjectNotFound");
        own.get("/schema/OnlySecret").expect_error(461, "BucketNotFound");
        let login = json!({ "username": "tell-tale", "password": "tell-tale" });
        server
            .client()
            .post("/db/User/login", &login)
            .expect_error(460, "BadCredentials");
        // The same id here is another object.
        own.post("/db/Doc", &json!({ "id": "/db/Doc/tell-tale", "s": "mine" }))
            .expect(201);
        own.delete("/db/Doc").expect(200);
        assert_eq!(other.get("/db/Doc").expect(200).body, before);
        // A token of one app is refused in the other, by path and by host.
        let token = own.token().unwrap();
        server
            .app("other")
            .with_token(token)
            .get("/config")
            .expect_error(460, "BadCredentials");
        let by_host = server
            .client()
            .with_token(token)
            .request("GET", "/config", &[("host", "other.localhost")], b"");
        by_host.expect_error(460, "BadCredentials");
        let by_host = server.client().with_token(other.token().unwrap()).request(
            "GET",
            "/config",
            &[("host", "other.localhost")],
            b"",
        );
        by_host.expect(200);
        // Paths do not lead from one to the other.
        for path in [
            "/../../apps/other/v1/db/Doc/tell-tale",
            "/db/..%2F..%2Fother/1",
            "/db/Doc/..%2F..%2Fother",
            "/%2e%2e/apps/other/v1/db/Doc/tell-tale",
        ] {
            let answer = own.get(path);
            assert!(
                (400..500).contains(&answer.status) && !String::from_utf8_lossy(&answer.body).contains("\"s\""),
                "{path}"
            );
        }
        no_panics(&server);
    }
}

/// What is no HTTP is answered, and what was asked before it as well.
#[test]
fn broken_and_half_requests_do_not_swallow_answers() {
    let server = server().secure().start();
    for broken in [
        "GET /v1/\u{7f} HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /v1/a b HTTP/1.1\r\nhost: x\r\n\r\n",
        "POST /v1/db/Doc HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n{}",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "\u{16}\u{3}\u{1}",
    ] {
        let answer = raw_request(server.address(), broken.as_bytes());
        let text = String::from_utf8_lossy(&answer);
        assert!(text.starts_with("HTTP/1.1 400"), "{broken:?}: {text:?}");
        let two = format!("GET /v1/version HTTP/1.1\r\nhost: x\r\n\r\n{broken}");
        let text = String::from_utf8_lossy(&raw_request(server.address(), two.as_bytes())).into_owned();
        assert!(
            text.starts_with("HTTP/1.1 200") && text.contains("HTTP/1.1 400"),
            "{broken:?}: {text:?}"
        );
    }
    // The first answer comes before the second request is complete.
    let mut connection = fb_testkit::Connection::open(server.address()).unwrap();
    connection.send(b"GET /v1/version HTTP/1.1\r\nhost: x\r\n\r\nGET /v1/sta");
    connection.receive().expect("the first answer").expect(200);
    connection.send(b"tus HTTP/1.1\r\nhost: x\r\n\r\n");
    let second = connection.receive().expect("the second answer").expect(200);
    assert_eq!(second.json()["app"], "main");
    no_panics(&server);
}

/// What went wrong is told in the terms of the API, never in those of what is behind it.
#[test]
fn s48_errors_tell_nothing_of_what_is_behind_the_api() {
    for profile in PROFILES {
        let server = profile.start();
        let admin = root(&server);
        let fields = json!({ "n": { "type": "/db/Integer" }, "s": { "type": "/db/String" } });
        class(&admin, "Doc", &fields, &json!({}));
        let unique = json!({ "unique": true, "keys": [{ "n": "asc" }] });
        admin.post("/index/Doc", &unique).expect(202);
        admin.put("/db/Doc/a", &json!({ "n": 1 })).expect(200);
        let dir = server.data_dir().to_string_lossy().into_owned();
        let filter = |q: &str| format!("/db/Doc/query?q={}", encode(q));
        let answers = [
            admin.put("/db/Doc/b", &json!({ "n": 1 })),
            admin.put("/db/Doc/b", &json!({ "n": "x" })),
            admin.request("PUT", "/db/Doc/a", &[("if-match", "\"7\"")], b"{}"),
            admin.request("POST", "/db/Doc", &[], b"{\"n\":"),
            admin.request("POST", "/db/Doc", &[], &[0xff, 0xfe]),
            admin.get(&filter("{\"n\":{\"$where\":\"1\"}}")),
            admin.get(&filter("{\"s\":{\"$regex\":\"(\"}}")),
            admin.get(&filter("{\"n' OR 1=1 --\":1}")),
            admin.get("/db/Doc'/query"),
            admin.get("/db/%00/1"),
            admin.get("/db/Doc/none"),
            admin.post("/index/Doc", &json!({ "keys": [{ "n": "text" }] })),
            admin.post(
                "/schema",
                &json!([{ "class": "/db/X", "fields": { "a": { "type": "/db/None" } } }]),
            ),
            admin.put("/config", &json!({ "sessionSeconds": "x" })),
            admin.post("/db/User/login", &json!({ "username": "a' --", "password": "b" })),
            admin.post(
                "/db/User/password",
                &json!({ "token": "32.00", "newPassword": "a new secret" }),
            ),
            admin.post("/db/User/mfa/token", &json!({ "authToken": "00", "code": "1" })),
            server.client().with_token("00").get("/db/Doc/a"),
        ];
        for answer in answers {
            let text = String::from_utf8_lossy(&answer.body).to_lowercase();
            assert!((400..500).contains(&answer.status), "{} {text}", answer.status);
            let inner = [
                "sqlite",
                "select ",
                "insert into",
                "constraint",
                "panick",
                ".rs",
                "backtrace",
                "serde",
                "rusqlite",
                "argon",
            ];
            for word in inner.into_iter().chain([dir.as_str()]) {
                assert!(!text.contains(word), "{word} in {text}");
            }
            assert_eq!(answer.json()["stackTrace"], json!([]), "{text}");
        }
    }
}
