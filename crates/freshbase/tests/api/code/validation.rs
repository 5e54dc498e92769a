//! Validation code: checked before writes, and published with the class.

use serde_json::{Value, json};

use super::{put, try_put};
use crate::{class, open};

const CHECKS: &str = "name.isLength('too short', { min: 2 });\nage.is('too young', (v) => v >= 18);";

#[test]
fn what_is_not_valid_is_not_stored_and_says_why() {
    let (_server, admin, anybody) = open();
    class(&admin, "Person", &[("name", "String"), ("age", "Integer")]);
    put(&admin, "Person/validate", CHECKS);
    let bad = json!({ "id": "/db/Person/a", "name": "x", "age": 3 });
    let answer = anybody.post("/db/Person", &bad);
    let message = answer.expect_error(475, "ScriptAborted");
    assert!(message.contains("Object is not valid"), "{message}");
    let data = answer.json()["data"].clone();
    assert_eq!(data["name"], json!({ "isValid": false, "errors": ["too short"] }));
    assert_eq!(data["age"], json!({ "isValid": false, "errors": ["too young"] }));
    assert_eq!(data["id"]["isValid"], true);
    anybody.get("/db/Person/a").expect(404);
    anybody.put("/db/Person/a", &bad).expect_error(475, "ScriptAborted");
    let good = json!({ "id": "/db/Person/a", "name": "xy", "age": 18 });
    anybody.post("/db/Person", &good).expect(201);
    anybody.put("/db/Person/a", &bad).expect_error(475, "ScriptAborted");
    // Partial updates are checked as the object would be.
    for update in [json!({ "$inc": { "age": -1 } }), json!({ "$set": { "name": "" } })] {
        anybody.post("/db/Person/a", &update).expect_error(475, "ScriptAborted");
    }
    anybody
        .post("/db/Person/a", &json!({ "$inc": { "age": 1 } }))
        .expect(200);
    let stored = anybody.get("/db/Person/a").expect(200).json();
    assert_eq!((&stored["age"], &stored["version"]), (&json!(19), &json!(2)));
}

#[test]
fn validation_code_is_published_with_its_class_and_ignored_when_it_comes_back() {
    let (_server, admin, anybody) = open();
    class(&admin, "Person", &[("name", "String"), ("age", "Integer")]);
    class(&admin, "Other", &[("name", "String")]);
    let of_class = |schema: &Value, name: &str| {
        let class = schema.as_array().unwrap().iter().find(|class| class["class"] == name);
        class.unwrap().get("validationCode").cloned()
    };
    let everywhere = |expected: Option<&str>| {
        let expected = expected.map(|text| json!(text));
        let one = anybody.get("/schema/Person").expect(200).json();
        assert_eq!(one.get("validationCode").cloned(), expected);
        let connect = anybody.get("/connect").expect(200).json();
        for schema in [anybody.get("/schema").expect(200).json(), connect["schema"].clone()] {
            assert_eq!(of_class(&schema, "/db/Person"), expected);
            assert_eq!(of_class(&schema, "/db/Other"), None);
        }
    };
    everywhere(None);
    put(&admin, "Person/validate", CHECKS);
    everywhere(Some(CHECKS));
    // Clients send classes back as they got them; the code is written elsewhere.
    let mut class = admin.get("/schema/Person").expect(200).json();
    class["validationCode"] = json!("age.is('never', () => false)");
    class["fields"]["more"] = json!({ "name": "more", "type": "/db/String", "order": 2 });
    for answer in [
        admin.post("/schema/Person", &class),
        admin.put("/schema/Person", &class),
    ] {
        assert_eq!(answer.expect(200).json()["validationCode"], CHECKS);
    }
    let schema = admin.get("/schema").expect(200).json();
    for answer in [admin.post("/schema", &schema), admin.put("/schema", &schema)] {
        assert_eq!(of_class(&answer.expect(200).json(), "/db/Person"), Some(json!(CHECKS)));
    }
    everywhere(Some(CHECKS));
    anybody
        .post("/db/Person", &json!({ "name": "xy", "age": 18 }))
        .expect(201);
    admin.delete("/code/Person/validate").expect(204);
    everywhere(None);
    anybody.post("/db/Person", &json!({ "name": "" })).expect(201);
}

#[test]
fn s36_validation_code_cannot_end_the_script_of_the_connect_page() {
    let (_server, admin, anybody) = open();
    class(&admin, "Person", &[("name", "String")]);
    put(&admin, "Person/validate", "// </script><script>alert(1)</script><!--");
    let page = anybody
        .request("GET", "/connect", &[("accept", "text/html")], b"")
        .expect(200);
    let html = super::text(&page);
    assert!(html.contains("alert(1)") && !html.contains("<script>alert"), "{html}");
    assert_eq!(html.matches("</script>").count(), 2);
}

#[test]
fn validation_code_has_the_language_and_nothing_else() {
    let (_server, admin, anybody) = open();
    class(&admin, "Person", &[("name", "String")]);
    for code in [
        "setTimeout(() => {}, 1);",
        "require('http');",
        "fetch('http://example.com');",
        "db.Person.load('1');",
        "process.exit(1);",
        "module.exports = 1;",
        "throw new Error('x');",
        "name.is('x', () => { throw new Error('in a check'); });",
        "this is no code",
    ] {
        put(&admin, "Person/validate", code);
        anybody
            .post("/db/Person", &json!({ "name": "x" }))
            .expect_error(500, "CodeFailed");
    }
    // Nothing stays from one object to the next.
    put(
        &admin,
        "Person/validate",
        "globalThis.seen = (globalThis.seen ?? 0) + 1; name.is('seen', () => globalThis.seen === 1);",
    );
    let statuses: Vec<u16> = (0..4)
        .map(|_| anybody.post("/db/Person", &json!({ "name": "x" })).status)
        .collect();
    assert!(statuses.iter().all(|status| *status == statuses[0]), "{statuses:?}");
    assert_eq!(try_put(&anybody, "Person/validate", "").status, 466);
}
