//! Servers that are not what they should be.

use serde_json::{Value, json};

use crate::Machine;
use crate::between::{Between, Does};

fn hostile(path: &'static str, body: Value) -> (Machine, Between) {
    let between = Between::new(None, move |asked| match asked.path.as_str() {
        "/db/User/me" => Does::Answers(200, "application/json", r#"{"username":"ann"}"#.into()),
        "/config" => Does::Answers(200, "application/json", r#"{"profile":"secure"}"#.into()),
        asked if asked == path => Does::Answers(200, "application/json", body.to_string()),
        _ => Does::Answers(404, "application/json", "{}".into()),
    });
    let mut machine = Machine::stranger(&between.url);
    machine.token = Some("00".into());
    (machine, between)
}

fn everything_below(dir: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            if entry.path().is_dir() {
                everything_below(&entry.path())
            } else {
                1
            }
        })
        .sum()
}

#[test]
fn s31_a_server_cannot_write_outside_of_the_folder() {
    for id in [
        "/code/../../x/module",
        "/code/..%2fx/module",
        "/code//etc/x/module",
        "/code/a/../x",
        "/code/.bashrc/module",
        "/code/nul/module",
        "/code/a\\b/module",
        "/code/a\u{0}b/module",
        "/code/x/nonsense",
        "/code/\u{1b}[2J/module",
        "",
        "/code/",
    ] {
        let (machine, _between) = hostile("/code-content", json!([{ "id": id, "code": "hostile" }]));
        let before = everything_below(machine.dir.path());
        let error = machine.run(&["code", "pull", "--force"]).failed(1);
        assert!(!error.contains('\u{1b}'), "{error}");
        assert_eq!(everything_below(machine.dir.path()), before, "{id}");
    }
    for class in [
        "/db/../../x",
        "/db/a/b",
        "/db/..",
        "/db/.hidden",
        "/etc/passwd",
        "/db/a\\b",
        "/db/\u{1b}x",
        "/db/NUL",
        "",
    ] {
        let (machine, _between) = hostile("/schema", json!([{ "class": class, "fields": {} }]));
        let before = everything_below(machine.dir.path());
        let error = machine.run(&["schema", "pull"]).failed(1);
        assert!(!error.contains('\u{1b}'), "{error}");
        assert_eq!(everything_below(machine.dir.path()), before, "{class}");
    }
}

#[test]
fn s57_a_server_that_opens_more_than_it_was_asked_to_is_noticed() {
    let classes: Vec<Value> = fb_types_predefined();
    let before = json!(classes).to_string();
    let mut opened = classes.clone();
    opened.push(json!({ "class": "/db/Todo", "superClass": "/db/Object", "acl": {}, "fields": {} }));
    let opened = json!(opened).to_string();
    let between = Between::new(None, move |asked| match (asked.method.as_str(), asked.path.as_str()) {
        (_, "/db/User/me") => Does::Answers(200, "application/json", r#"{"username":"ann"}"#.into()),
        (_, "/config") => Does::Answers(200, "application/json", r#"{"profile":"secure"}"#.into()),
        ("POST", "/schema") => Does::Answers(200, "application/json", opened.clone()),
        ("GET", "/schema") => Does::Answers(200, "application/json", before.clone()),
        _ => Does::Answers(404, "application/json", "{}".into()),
    });
    let mut machine = Machine::stranger(&between.url);
    machine.token = Some("00".into());
    machine.write("schema/Todo.json", r#"{ "fields": {} }"#);
    let error = machine.run(&["schema", "apply"]).failed(4);
    assert!(
        error.contains("more of it public") && error.contains("Todo: everybody"),
        "{error}"
    );
}

/// The classes of a new app.
fn fb_types_predefined() -> Vec<Value> {
    let server = crate::server();
    server
        .client()
        .get("/schema")
        .expect(200)
        .json()
        .as_array()
        .unwrap()
        .clone()
}
