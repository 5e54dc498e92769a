//! The page that clients in browsers have in a frame: what comes with it. What it does with messages is shown in
//! a browser, by `packages/browser`.

use fb_testkit::{Client, Response, root};
use serde_json::json;

use crate::kit::set_config;
use crate::server;

const AS_PAGE: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");

fn page_of(client: &Client) -> (Response, String) {
    let answer = client.request("GET", "/connect", &[AS_PAGE], b"").expect(200);
    let html = String::from_utf8(answer.body.clone()).unwrap();
    (answer, html)
}

/// What follows `before` in the page, up to the next quote.
fn attribute<'h>(html: &'h str, before: &str) -> &'h str {
    let start = html.find(before).unwrap_or_else(|| panic!("no {before} in {html}")) + before.len();
    html[start..].split('"').next().unwrap()
}

#[test]
fn s36_the_connect_page_runs_its_own_script_only_and_may_be_in_any_frame() {
    let server = server().secure().start();
    let (answer, html) = page_of(&server.client());
    let policy = answer.header("content-security-policy").unwrap();
    for needed in [
        "default-src 'none'",
        "script-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
    ] {
        assert!(policy.contains(needed), "{policy}");
    }
    assert!(
        !policy.contains("unsafe") && !policy.contains("frame-ancestors"),
        "{policy}"
    );
    assert_eq!(answer.header("x-frame-options"), None);
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    // One element with data, one script from a file.
    assert_eq!(html.matches("<script").count(), 2);
    assert!(!html.contains("data-token"), "{html}");
}

#[test]
fn s39_a_connect_page_with_a_token_is_kept_by_nobody() {
    let server = server().secure().start();
    let admin = root(&server);
    let form = format!("BAT={}", admin.token().unwrap());
    let headers = [AS_PAGE, ("content-type", "application/x-www-form-urlencoded")];
    let answer = server
        .client()
        .request("POST", "/connect", &headers, form.as_bytes())
        .expect(200);
    assert_eq!(answer.header("cache-control"), Some("private, no-store"));
    let html = String::from_utf8(answer.body.clone()).unwrap();
    assert!(!attribute(&html, "data-token=\"").is_empty());
    // A cookie alone makes nobody's page somebody's.
    let (_, html) = page_of(&server.client());
    assert!(!html.contains("data-token"), "{html}");
}

#[test]
fn the_script_of_the_connect_page_is_kept_under_the_name_of_its_version_and_no_other() {
    let server = server().secure().start();
    let (_, html) = page_of(&server.client());
    let script = attribute(&html, "src=\"").to_owned();
    let answer = server.client().get(&format!("/{script}")).expect(200);
    assert_eq!(
        answer.header("cache-control"),
        Some("public, max-age=31536000, immutable")
    );
    for other in ["/connect.js", "/connect.js?v=", "/connect.js?v=0123456789abcdef"] {
        let answer = server.client().get(other).expect(200);
        assert_eq!(answer.header("cache-control"), Some("no-cache"), "{other}");
    }
}

#[test]
fn s22_the_connect_page_names_the_origins_that_logins_are_for() {
    let server = server().secure().start();
    let admin = root(&server);
    let named = || {
        let (_, html) = page_of(&server.client());
        attribute(&html, "data-login-origins=\"").to_owned()
    };
    assert_eq!(named(), "");
    let origins = ["https://shop.example", "http://localhost:3000"];
    set_config(&admin, &json!({ "oauth": { "authorizedDomains": origins } }));
    assert_eq!(named(), origins.join(" "));
}
