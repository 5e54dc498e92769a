//! What modules may say in their answers.

use serde_json::json;

use super::{put, text, user};
use crate::open;

#[test]
fn status_headers_and_body_are_the_modules() {
    let (_server, admin, anybody) = open();
    put(
        &admin,
        "page/module",
        "exports.get = (db, req, res) => res.status(203).set('X-Own', 'yes').set('Content-Type', 'text/html').append('link', 'a').append('link', 'b').send('<h1>hi</h1>')",
    );
    let answer = anybody.get("/code/page").expect(203);
    assert_eq!(answer.header("x-own"), Some("yes"));
    assert!(answer.header("content-type").unwrap().starts_with("text/html"));
    assert_eq!(answer.headers.iter().filter(|(name, _)| name == "link").count(), 2);
    assert_eq!(
        (text(&answer).as_str(), answer.header("content-length")),
        ("<h1>hi</h1>", Some("11"))
    );
    for (code, status, location) in [
        ("res.redirect('/elsewhere?a=ä')", 302, Some("/elsewhere?a=%C3%A4")),
        (
            "res.redirect(301, 'https://example.com/')",
            301,
            Some("https://example.com/"),
        ),
        ("res.sendStatus(404)", 404, None),
        ("res.status(418).json({ a: 1 })", 418, None),
        ("res.status(503).send('down')", 503, None),
        ("res.status(204).send('dropped')", 204, None),
        ("res.status(304).end()", 304, None),
        ("res.end()", 200, None),
        ("setTimeout(() => res.send('later'), 2)", 200, None),
    ] {
        put(
            &admin,
            "page/module",
            &format!("exports.get = (db, req, res) => {{ {code} }}"),
        );
        let answer = anybody.get("/code/page").expect(status);
        assert_eq!(answer.header("location"), location, "{code}");
    }
}

#[test]
fn statuses_that_are_none_are_the_codes_mistake() {
    let (_server, admin, anybody) = open();
    for status in [
        "100", "101", "103", "199", "600", "999", "0", "-1", "99", "1000", "200.5", "'200x'", "NaN", "null", "{}",
    ] {
        for code in [
            format!("res.status({status}).send('x')"),
            format!("res.writeHead({status}); res.end('x')"),
            format!("res.statusCode = {status}; res.end()"),
        ] {
            put(
                &admin,
                "page/module",
                &format!("exports.get = (db, req, res) => {{ {code} }}"),
            );
            anybody.get("/code/page").expect_error(500, "CodeFailed");
        }
    }
}

#[test]
fn nothing_that_code_says_breaks_out_of_a_header() {
    let (_server, admin, anybody) = open();
    for code in [
        "res.set('x-own', 'a\\r\\nset-cookie: evil=1').send('x')",
        "res.set('x-own\\r\\nset-cookie', 'evil=1').send('x')",
        "res.set('x own', 'evil').send('x')",
        "res.setHeader('x-own', 'a\\u0000b'); res.send('x')",
        "res.set('x-own', 'a\\nb').send('x')",
        "res.redirect('/a\\r\\nset-cookie: evil=1')",
        "res.type('text/html\\r\\nset-cookie: evil=1').send('x')",
        "res.writeHead(200, { 'x-own': 'a\\r\\nset-cookie: evil=1' }); res.end('x')",
        "res.set('set-cookie\\r\\n', 'evil=1').send('x')",
        "res.cookie('a', 'b\\r\\nevil=1', { path: '/\\r\\nset-cookie: evil=1' }).send('x')",
    ] {
        put(
            &admin,
            "page/module",
            &format!("exports.get = (db, req, res) => {{ {code} }}"),
        );
        let answer = anybody.get("/code/page");
        let cookies: Vec<&str> = answer
            .headers
            .iter()
            .filter(|(n, _)| n == "set-cookie")
            .map(|(_, v)| v.as_str())
            .collect();
        assert!(
            !cookies.iter().any(|cookie| cookie.starts_with("evil")),
            "{code}: {cookies:?}"
        );
        assert!(
            answer
                .headers
                .iter()
                .all(|(name, value)| !name.contains(' ') && !value.contains('\0')),
            "{code}"
        );
    }
}

#[test]
fn headers_that_are_the_servers_stay_the_servers() {
    let (_server, admin, anybody) = open();
    let forbidden = [
        "connection",
        "content-length",
        "date",
        "keep-alive",
        "proxy-authenticate",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "baqend-authorization-token",
        "baqend-mfa-auth-token",
        "strict-transport-security",
        "x-content-type-options",
    ];
    put(
        &admin,
        "page/module",
        &format!(
            "exports.get = exports.post = (db, req, res) => {{ for (const name of {}) try {{ res.set(name, '3 evil'); res.set(name.toUpperCase(), '3 evil'); }} catch {{}} res.send('a longer text'); }}",
            json!(forbidden)
        ),
    );
    let (ann, _) = user(&admin, &anybody, "ann");
    for answer in [
        anybody.get("/code/page"),
        ann.get("/code/page"),
        ann.post("/code/page", &json!({})),
    ] {
        let answer = answer.expect(200);
        assert_eq!(text(&answer), "a longer text");
        for (name, value) in &answer.headers {
            assert!(!value.contains("evil"), "{name}: {value}");
        }
    }
    // Two answers on one connection: nothing of the first leaks into the second.
    put(
        &admin,
        "page/module",
        "exports.get = (db, req, res) => { res.status(204).set('content-length', '50'); res.end('HTTP/1.1 200 OK\\r\\n\\r\\nsmuggled'); }",
    );
    let mut connection = fb_testkit::Connection::open(_server.address()).unwrap();
    for _ in 0..3 {
        let head = anybody.head("GET", "/code/page", &[], 0);
        assert!(connection.send(head.as_bytes()));
        let answer = connection.receive().unwrap();
        assert_eq!((answer.status, answer.body.len()), (204, 0));
    }
}

#[test]
fn s39_answers_are_cached_only_where_code_says_so() {
    let (_server, admin, anybody) = open();
    let (ann, _) = user(&admin, &anybody, "ann");
    put(&admin, "page/module", "exports.get = (db, req, res) => res.send('x')");
    for client in [&anybody, &ann] {
        assert_eq!(
            client.get("/code/page").expect(200).header("cache-control"),
            Some("private, no-store")
        );
    }
    put(
        &admin,
        "page/module",
        "exports.get = (db, req, res) => res.set('Cache-Control', 'public, max-age=60').set('Surrogate-Control', 'max-age=90').send('x')",
    );
    let answer = anybody.get("/code/page").expect(200);
    assert_eq!(answer.header("cache-control"), Some("public, max-age=60"));
    assert_eq!(answer.header("surrogate-control"), Some("max-age=90"));
    assert_eq!(
        answer
            .headers
            .iter()
            .filter(|(name, _)| name == "cache-control")
            .count(),
        1
    );
    put(&admin, "page/module", "exports.get = () => { throw new Abort('x') }");
    assert_ne!(
        anybody.get("/code/page").header("cache-control"),
        Some("public, max-age=60")
    );
}

#[test]
fn a_handler_that_sends_nothing_or_twice_is_answered_once() {
    let (_server, admin, anybody) = open();
    for code in ["", "return 5", "return Promise.resolve()"] {
        put(
            &admin,
            "page/module",
            &format!("exports.get = (db, req, res) => {{ {code} }}"),
        );
        let answer = anybody.get("/code/page");
        answer.expect_error(500, "CodeFailed");
    }
    put(
        &admin,
        "page/module",
        "exports.get = (db, req, res) => { res.send('first'); try { res.send('second'); } catch {} throw new Error('late'); }",
    );
    let answer = anybody.get("/code/page");
    assert!(answer.status == 500 || text(&answer) == "first", "{}", text(&answer));
}

#[test]
fn pages_of_apps_that_share_a_name_are_in_origins_of_their_own() {
    let (server, admin, anybody) = open();
    put(
        &admin,
        "page/module",
        "exports.get = (db, req, res) => res.set('Content-Security-Policy', \"script-src 'self'\").type('html').send('<script>1</script>')",
    );
    let answer = server.app("main").get("/code/page").expect(200);
    let policies: Vec<&str> = answer
        .headers
        .iter()
        .filter(|(n, _)| n == "content-security-policy")
        .map(|(_, v)| v.as_str())
        .collect();
    assert!(
        policies
            .iter()
            .any(|policy| policy.starts_with("sandbox") && !policy.contains("allow-same-origin")),
        "{policies:?}"
    );
    assert_eq!(policies.len(), 2);
    assert_eq!(
        anybody.get("/code/page").expect(200).header("content-security-policy"),
        Some("script-src 'self'")
    );
}

#[test]
fn s45_answers_act_on_no_origin_that_other_apps_share() {
    let (server, admin, anybody) = open();
    let cookies = [
        "a=b",
        "freshbase-oauth=00000000000000000000000000000000; Path=/v1/db/User",
        "__Host-freshbase-oauth=00000000000000000000000000000000; Path=/; Secure",
        "=freshbase-oauth=00000000000000000000000000000000",
        "device-main=00000000000000000000000000000000; Path=/",
    ];
    // One of the answer alone, and those that change what browsers do with the whole origin.
    let own = [
        ("content-disposition", "attachment"),
        ("location", "/elsewhere"),
        ("x-frame-options", "DENY"),
        ("x-own", "yes"),
    ];
    let powerful = [
        ("clear-site-data", "\"*\""),
        ("nel", "{}"),
        ("report-to", "{}"),
        ("reporting-endpoints", "all=\"https://evil.example/\""),
        ("alt-svc", "h2=\"evil.example:443\""),
        ("service-worker-allowed", "/"),
        ("accept-ch", "Sec-CH-UA-Model"),
        ("origin-agent-cluster", "?1"),
        ("refresh", "0; url=https://evil.example/"),
        ("www-authenticate", "Basic"),
    ];
    let all: Vec<_> = own.iter().chain(&powerful).collect();
    put(
        &admin,
        "page/module",
        &format!(
            "exports.get = exports.post = (db, req, res) => {{ for (const [name, value] of {}) res.set(name, value); \
             for (const value of {}) res.append('Set-Cookie', value); res.send('x'); }}",
            json!(all),
            json!(cookies)
        ),
    );
    let by_path = server.app("main");
    for answer in [by_path.get("/code/page"), by_path.post("/code/page", &json!({}))] {
        let answer = answer.expect(200);
        for (name, value) in own {
            assert_eq!(answer.header(name), Some(value), "{name}");
        }
        for (name, _) in powerful {
            assert_eq!(answer.header(name), None, "{name}");
        }
        assert_eq!(answer.header("set-cookie"), None);
    }
    // On a host of its own all of this is between the app and its users, but for cookies that the server believes.
    let answer = anybody.get("/code/page").expect(200);
    for (name, value) in own.iter().chain(&powerful) {
        assert_eq!(answer.header(name), Some(*value), "{name}");
    }
    let set: Vec<&str> = answer
        .headers
        .iter()
        .filter(|(name, _)| name == "set-cookie")
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(set, ["a=b"]);
}
