//! Requests in and out as code sees them: `req` and `res`, Express, `http`, `fetch`, images.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use fb_functions::{Host, HostError, HttpRequest, HttpResponse, LogLine, Operation, Outcome};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use crate::kit::{app, module, request};

/// An outside world: `/redirect` leads to `/end`, `/fail` cannot be reached, everything else says what it was asked.
#[derive(Default)]
struct World(Mutex<Vec<HttpRequest>>);

impl Host for World {
    fn operate(&self, operation: Operation) -> BoxFuture<'static, Result<HttpResponse, HostError>> {
        let is_image = matches!(operation, Operation::Image(_));
        let (Operation::Api(request) | Operation::Fetch(request) | Operation::Image(request)) = operation;
        self.0.lock().unwrap().push(request.clone());
        Box::pin(async move {
            let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
            if request.url.ends_with("/fail") {
                return Err(HostError("no such host".to_owned()));
            }
            if request.url.ends_with("/redirect") {
                headers.push(("location".to_owned(), "/end".to_owned()));
            }
            let status = match () {
                () if request.url.ends_with("/redirect") => 302,
                () if is_image && request.url.contains("quality=101") => 400,
                () => 200,
            };
            let body = json!({"method": request.method, "url": request.url, "headers": request.headers,
                              "body": String::from_utf8_lossy(&request.body)});
            Ok(HttpResponse {
                status,
                headers,
                body: Bytes::from(body.to_string()),
            })
        })
    }

    fn log(&self, _line: LogLine) {}

    fn schema(&self) -> (u64, Arc<str>) {
        (1, Arc::from("[]"))
    }
}

/// Sends a request to a module `m` with this source.
async fn send(source: &str, method: &str, query: &str, headers: &[(&str, &str)], body: &str) -> Outcome {
    let app = module(source);
    app.pool
        .call(
            &app.code,
            request(method, query, headers, body),
            Arc::new(World::default()),
        )
        .await
        .unwrap()
}

async fn answer(source: &str) -> (u64, Vec<(String, String)>, String) {
    let outcome = send(
        source,
        "GET",
        "a=1&b=x&b=y",
        &[("host", "app.example"), ("accept", "text/html")],
        "",
    )
    .await;
    let head: Value = serde_json::from_str(&outcome.json).unwrap();
    let headers = head["headers"].as_array().unwrap().iter().map(|pair| {
        (
            pair[0].as_str().unwrap().to_owned(),
            pair[1].as_str().unwrap().to_owned(),
        )
    });
    (
        head["status"].as_u64().unwrap(),
        headers.collect(),
        String::from_utf8(outcome.body.to_vec()).unwrap(),
    )
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}

/// What a `call` in an async function body gives, as JSON.
async fn value(body: &str) -> Value {
    let outcome = send(&format!("exports.call = async () => {{ {body} }};"), "GET", "", &[], "").await;
    serde_json::from_slice(&outcome.body).unwrap()
}

#[tokio::test]
async fn send_chooses_the_type_as_express_does() {
    for (body, expected) in [
        ("'text'", "text/html; charset=utf-8"),
        ("{a: 1}", "application/json; charset=utf-8"),
        ("[1]", "application/json; charset=utf-8"),
        ("Buffer.from('x')", "application/octet-stream"),
        ("null", ""),
    ] {
        let (status, headers, _) = answer(&format!("exports.get = (db, req, res) => {{ res.send({body}); }};")).await;
        assert_eq!(
            (status, header(&headers, "content-type").unwrap_or("")),
            (200, expected),
            "{body}"
        );
    }
    let (_, headers, body) = answer("exports.get = (db, req, res) => res.type('txt').send('ü');").await;
    assert_eq!(header(&headers, "content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!((header(&headers, "content-length"), body.as_str()), (Some("2"), "ü"));
}

#[tokio::test]
async fn status_redirect_cookie_and_headers_are_those_of_express() {
    let (status, headers, body) = answer(
        "exports.get = (db, req, res) => res.status(201).set('X-A', 5).append('X-A', 'b').vary('Accept').json({n: 1});",
    )
    .await;
    assert_eq!((status, body.as_str()), (201, r#"{"n":1}"#));
    let all: Vec<_> = headers
        .iter()
        .filter(|(name, _)| name == "x-a")
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(all, ["5", "b"]);
    let (status, headers, body) = answer("exports.get = (db, req, res) => res.redirect('/x y?<');").await;
    assert_eq!((status, header(&headers, "location")), (302, Some("/x%20y?%3C")));
    assert_eq!(body, "<p>Found. Redirecting to /x%20y?%3C</p>");
    let (status, _, body) = answer("exports.get = (db, req, res) => res.sendStatus(404);").await;
    assert_eq!((status, body.as_str()), (404, "Not Found"));
    let (_, headers, _) = answer("exports.get = (db, req, res) => res.cookie('c', 'a b', {maxAge: 1000, httpOnly: true, sameSite: 'lax', path: '/p'}).end();").await;
    let cookie = header(&headers, "set-cookie").unwrap();
    assert!(
        cookie.starts_with("c=a%20b; Max-Age=1; Path=/p; Expires=") && cookie.ends_with("; HttpOnly; SameSite=Lax"),
        "{cookie}"
    );
    let (_, headers, _) = answer("exports.get = (db, req, res) => res.attachment('ä b.pdf').end();").await;
    assert_eq!(
        header(&headers, "content-disposition"),
        Some("attachment; filename=\"? b.pdf\"; filename*=UTF-8''%C3%A4%20b.pdf")
    );
    assert_eq!(header(&headers, "content-type"), Some("application/pdf"));
}

#[tokio::test]
async fn sending_twice_and_line_breaks_in_headers_are_refused() {
    let source = "exports.get = (db, req, res) => {
        const codes = [];
        const attempt = (f) => { try { f(); } catch (error) { codes.push(error.code); } };
        attempt(() => res.set('X', 'a\\r\\nSet-Cookie: b'));
        attempt(() => res.setHeader('a b', 'x'));
        attempt(() => res.location('/a\\r\\nX: y') && codes.push(res.get('Location')));
        res.write('1');
        attempt(() => res.set('X', 'late'));
        attempt(() => res.send('again'));
        res.end(JSON.stringify(codes));
    };";
    let (_, headers, body) = answer(source).await;
    assert_eq!(
        body,
        r#"1["ERR_INVALID_CHAR","ERR_INVALID_HTTP_TOKEN","/a%0D%0AX:%20y","ERR_HTTP_HEADERS_SENT","ERR_HTTP_HEADERS_SENT"]"#
    );
    assert_eq!(header(&headers, "x"), None);
}

#[tokio::test]
async fn requests_are_read_as_their_type_says() {
    let source = "exports.post = async (db, req, res) => {
        const seen = { body: req.body, query: req.query, type: req.get('Content-Type'), is: req.is('json'), ip: req.ip, cookies: req.cookies, host: req.hostname };
        if (req.body === undefined) { seen.read = []; for await (const chunk of req) seen.read.push(Buffer.isBuffer(chunk), chunk.toString()); }
        res.json(seen);
    };";
    let run = async |kind: &str, body: &str| -> Value {
        let headers = [
            ("content-type", kind),
            ("content-length", "1"),
            ("cookie", "s=a%20b; t=1"),
            ("host", "h.example:80"),
        ];
        let outcome = send(source, "POST", "q=1&q=2&__proto__=x", &headers, body).await;
        serde_json::from_slice(&outcome.body).unwrap()
    };
    let seen = run("application/vnd.x+json; charset=utf-8", r#"{"a": [1]}"#).await;
    assert_eq!(
        (&seen["body"], &seen["query"]["q"]),
        (&json!({"a": [1]}), &json!(["1", "2"]))
    );
    assert_eq!(
        (&seen["cookies"], &seen["ip"]),
        (&json!({"s": "a b", "t": "1"}), &json!("192.0.2.1"))
    );
    assert_eq!(run("text/plain", "täxt").await["body"], json!("täxt"));
    assert_eq!(
        run("application/x-www-form-urlencoded", "a=1&b=x+y&a=2").await["body"],
        json!({"a": ["1", "2"], "b": "x y"})
    );
    assert_eq!(
        run("application/octet-stream", "raw").await["read"],
        json!([true, "raw"])
    );
}

#[tokio::test]
async fn express_routes_parameters_middleware_and_errors() {
    let source = "const express = require('express');
        const app = express();
        const router = express.Router({ mergeParams: true });
        app.use((req, res, next) => { req.log = ['first']; next(); });
        app.use('/skip', (req, res, next) => next(Object.assign(new Error('no'), { status: 403 })));
        app.param('id', (req, res, next, id) => { req.log.push(`param ${id}`); next(); });
        app.get('/users/:id', (req, res, next) => req.params.id === '0' ? next('route') : next(), (req, res) => res.json([req.params, req.log, req.path, req.baseUrl]));
        app.get('/users/:id', (req, res) => res.send('zero'));
        router.get('/', (req, res) => res.json([req.params, req.baseUrl, req.url]));
        router.all('/any/*', (req, res) => res.json(req.params));
        router.get('/throws', async () => { throw Object.assign(new Error('x'), { status: 418 }); });
        app.use('/r/:key', router);
        app.get(/^\\/re(\\d+)$/, (req, res) => res.json(req.params));
        app.get('/opt/:x?', (req, res) => res.json(req.params));
        app.use('/handled', () => { throw new Error('mine'); });
        app.use((error, req, res, next) => error.message === 'mine' ? res.status(500).send('handled ' + error.message) : next(error));
        exports.call = undefined;
        exports.get = async (db, req, res) => { Object.assign(req, { url: req.query.u, originalUrl: req.query.u, path: req.query.u }); app(req, res); };";
    for (url, status, body) in [
        ("/users/7", 200, r#"[{"id":"7"},["first","param 7"],"/users/7",""]"#),
        ("/users/0", 200, "zero"),
        (
            "/USERS/a%2520b/",
            200,
            r#"[{"id":"a b"},["first","param a b"],"/USERS/a%20b/",""]"#,
        ),
        ("/r/k", 200, r#"[{"key":"k"},"/r/k","/"]"#),
        ("/r/k/any/x/y", 200, r#"{"0":"x/y","key":"k"}"#),
        ("/re42", 200, r#"{"0":"42"}"#),
        ("/opt", 200, "{}"),
        ("/opt/v", 200, r#"{"x":"v"}"#),
        ("/handled", 500, "handled mine"),
    ] {
        let outcome = send(source, "GET", &format!("u={url}"), &[], "").await;
        let head: Value = serde_json::from_str(&outcome.json).unwrap();
        let actual: Value =
            serde_json::from_slice(&outcome.body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&outcome.body)));
        let expected: Value = serde_json::from_str(body).unwrap_or_else(|_| json!(body));
        assert_eq!((head["status"].as_u64(), actual), (Some(status), expected), "{url}");
    }
    for (url, status, part) in [
        ("/none<", 404, "Cannot GET /none&#60;"),
        ("/skip", 403, "Forbidden"),
        ("/r/k/throws", 418, "I'm a Teapot"),
    ] {
        let outcome = send(source, "GET", &format!("u={url}"), &[], "").await;
        let head: Value = serde_json::from_str(&outcome.json).unwrap();
        let text = String::from_utf8(outcome.body.to_vec()).unwrap();
        assert!(head["status"] == status && text.contains(part), "{url}: {head} {text}");
    }
}

#[tokio::test]
async fn http_requests_are_streams_over_the_hosts_fetch() {
    let seen = value(
        "const http = require('https');
         return await new Promise((resolve, reject) => {
           const req = http.request({ host: 'a.example', path: '/p?q', method: 'POST', headers: { 'X-A': ['1', '2'] }, auth: 'u:p' }, (res) => {
             let text = ''; res.setEncoding('utf8'); res.on('data', (c) => (text += c)); res.on('end', () => resolve([res.statusCode, res.statusMessage, JSON.parse(text)]));
           });
           req.on('error', reject); req.write('bo'); req.end('dy');
         });",
    )
    .await;
    assert_eq!(seen[0], 200);
    assert_eq!(
        (&seen[2]["url"], &seen[2]["body"], &seen[2]["method"]),
        (&json!("https://a.example/p?q"), &json!("body"), &json!("POST"))
    );
    assert_eq!(
        seen[2]["headers"],
        json!([["x-a", "1"], ["x-a", "2"], ["authorization", "Basic dTpw"]])
    );
    let failed = value("return await new Promise((resolve) => require('http').get('http://a.example/fail').on('error', (e) => resolve([e.code, e.message])));").await;
    assert_eq!(failed, json!(["ECONNREFUSED", "no such host"]));
    let server = value("try { require('http').createServer(); } catch (e) { return [e.code]; }").await;
    assert_eq!(server, json!(["ERR_FEATURE_UNAVAILABLE_ON_PLATFORM"]));
}

#[tokio::test]
async fn fetch_follows_redirects_and_knows_bodies() {
    let seen = value(
        "const r = await fetch('https://a.example/redirect', { method: 'POST', body: new URLSearchParams({ a: 'b c' }), headers: { Authorization: 'x' } });
         const copy = r.clone();
         const body = await r.json();
         return [r.status, r.ok, r.redirected, r.url, r.bodyUsed, body.method, body.body, (await copy.text()).length > 10, r.headers.get('Content-Type')];",
    )
    .await;
    assert_eq!(
        seen,
        json!([
            200,
            true,
            true,
            "https://a.example/end",
            true,
            "GET",
            "",
            true,
            "application/json"
        ])
    );
    let form = value(
        "const f = new FormData(); f.append('a', '1'); f.append('f', new File(['x'], 'n.txt', { type: 'text/plain' }));
         const sent = await (await require('node-fetch').default('https://a.example/', { method: 'POST', body: f })).json();
         const back = await new Response(sent.body, { headers: sent.headers }).formData();
         return [back.get('a'), back.get('f').name, await back.get('f').text()];",
    )
    .await;
    assert_eq!(form, json!(["1", "n.txt", "x"]));
    let errors = value(
        "const name = (p) => p.then(() => 'fine', (e) => [e.name, e.cause?.message]);
         const c = new AbortController(); const pending = name(fetch('https://a.example/', { signal: c.signal })); c.abort();
         return [await name(fetch('https://a.example/fail')), await pending, await name(fetch('ftp://x')), await name(fetch('https://a.example/redirect', { redirect: 'error' }))];",
    )
    .await;
    assert_eq!(
        errors,
        json!([
            ["TypeError", "no such host"],
            ["AbortError", null],
            ["TypeError", "unknown scheme"],
            ["TypeError", "unexpected redirect"]
        ])
    );
    let streamed = value(
        "const all = []; for await (const c of (await fetch('https://a.example/')).body) all.push(c.constructor.name);
         const reader = new Response('ab').body.getReader(); const first = await reader.read();
         return [all, new TextDecoder().decode(first.value), (await reader.read()).done];",
    )
    .await;
    assert_eq!(streamed, json!([["Uint8Array"], "ab", true]));
}

#[tokio::test]
async fn images_are_rendered_by_the_host() {
    let seen = value(
        "const image = require('image');
         const out = await image.render(Buffer.from('pixels'), { crop: '1:1', width: 200, height: 0.5, fit: 'crop', focus: [0, 0.25], format: 'webp', quality: 80 });
         const problem = async (o) => { try { await image.render(Buffer.from('x'), o); } catch (e) { return e.code ?? e.status; } };
         return [JSON.parse(out), await problem({ colour: 1 }), await problem({ quality: 101 }), await problem({ width: {} })];",
    )
    .await;
    assert_eq!(
        seen[0]["url"],
        "crop=1:1&width=200&height=0.5&fit=crop&focus=0.0,0.25&format=webp&quality=80"
    );
    assert_eq!(
        (&seen[0]["body"], &seen[1], &seen[2], &seen[3]),
        (
            &json!("pixels"),
            &json!("ERR_INVALID_ARG_VALUE"),
            &json!(400),
            &json!("ERR_INVALID_ARG_TYPE")
        )
    );
}

#[tokio::test]
async fn natives_refuse_what_is_too_much_and_never_panic() {
    let seen = value(
        "const crypto = require('crypto'), zlib = require('zlib');
         const code = (f) => { try { f(); return 'fine'; } catch (e) { return e.code; } };
         return [
           code(() => crypto.pbkdf2Sync('p', 's', 2e6, 65, 'sha256')), code(() => crypto.pbkdf2Sync('p', 's', 1, 5000, 'sha256')),
           code(() => crypto.scryptSync('p', 's', 10, { N: 3 })), code(() => crypto.scryptSync('p', 's', 10, { N: 2 ** 20 })),
           code(() => crypto.scryptSync('p', 's', 10, { N: 1024, r: 1, p: 1e9 })), code(() => crypto.randomBytes(2 ** 30)),
           code(() => zlib.gunzipSync(zlib.gzipSync(Buffer.alloc(16 << 20)), { maxOutputLength: 1000 })),
           code(() => crypto.sign('sha256', 'x', 'no key')), code(() => crypto.verify('sha256', 'x', Buffer.from([0x30, 0x82, 0xff, 0xff]), 'y')),
           code(() => Buffer.from('a').toString.call(Object.defineProperty(Buffer.from('a'), 'length', { value: 'x' }))),
         ];",
    )
    .await;
    assert_eq!(
        seen,
        json!([
            "ERR_OUT_OF_RANGE",
            "ERR_OUT_OF_RANGE",
            "ERR_CRYPTO_INVALID_SCRYPT_PARAMS",
            "ERR_CRYPTO_INVALID_SCRYPT_PARAMS",
            "ERR_CRYPTO_INVALID_SCRYPT_PARAMS",
            "ERR_OUT_OF_RANGE",
            "ERR_BUFFER_TOO_LARGE",
            "ERR_OSSL_UNSUPPORTED",
            "ERR_OSSL_UNSUPPORTED",
            seen[9].clone()
        ])
    );
}

#[tokio::test]
async fn internal_builtins_and_absent_modules_are_not_found() {
    let app = app(&[(
        "m",
        "exports.call = () => ['fs', 'net', 'errors', 'freshbase:http', 'child_process', 'stream-core', 'vm'].map((n) => { try { require(n); return n; } catch (e) { return e.code; } });",
    )]);
    let outcome = app.run(request("GET", "", &[], "")).await.unwrap();
    let seen: Vec<String> = serde_json::from_slice(&outcome.body).unwrap();
    assert!(seen.iter().all(|code| code == "MODULE_NOT_FOUND"), "{seen:?}");
}
