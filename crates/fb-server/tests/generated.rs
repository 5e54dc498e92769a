//! Committed pages that are made from tables in the code are fresh. `REGENERATE_DOCS=1 cargo test -p fb-server` writes
//! them again.

use std::fmt::Write;

fn check(path: &str, expected: &str) {
    let path = format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"));
    #[expect(clippy::disallowed_methods, reason = "a switch for whoever regenerates the pages")]
    if std::env::var("REGENERATE_DOCS").is_ok() {
        std::fs::write(&path, expected).expect("the page can be written");
    }
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        page == expected,
        "{path} is stale: run REGENERATE_DOCS=1 cargo test -p fb-server and look at the difference"
    );
}

#[test]
fn the_openapi_document_is_fresh() {
    let document = fb_server::openapi_document(&fb_server::route_table());
    let mut text = serde_json::to_string_pretty(&document).unwrap();
    text.push('\n');
    check("docs/openapi.json", &text);
}

#[test]
fn the_error_page_is_fresh() {
    let mut text = String::from(
        "# Errors\n\nGenerated from the table in `crates/fb-server/src/codes.rs`.\n\nEvery error has a JSON body:\n\n```json\n\
         {\"className\": \"ObjectNotFound\", \"message\": \"There is no object /db/Todo/1.\", \"reason\": \"Object Not Found\", \
         \"requestId\": \"5f1c0a9e-2a\", \"stackTrace\": []}\n```\n\n\
         `className` is stable and for programs, `message` is for people. Server errors (5xx) say no more than their request id; \
         the log has the rest. Nothing was changed when an error is answered.\n\n| status | className | meaning |\n| --- | --- | --- |\n",
    );
    for code in fb_server::CODES {
        let _ = writeln!(text, "| {} | `{}` | {} |", code.status, code.name, code.meaning);
    }
    check("docs/errors.md", &text);
}

#[test]
fn names_of_routes_and_codes_are_unique() {
    let mut names: Vec<&str> = fb_server::route_table().iter().map(|route| route.name).collect();
    names.extend(fb_server::CODES.iter().map(|code| code.name));
    let n_names = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), n_names);
}
