//! The shortest way through everything.

use fb_testkit::root;
use serde_json::json;

use crate::server;

#[test]
fn an_object_is_stored_found_changed_and_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let builder = server().baqend().data_dir(dir.path());
    let mut first = builder.start();
    let admin = root(&first);
    admin
        .post(
            "/schema/Todo",
            &json!({ "fields": { "name": { "type": "/db/String" } } }),
        )
        .expect(200);
    let created = admin
        .post("/db/Todo", &json!({ "id": "/db/Todo/a%2Fb", "name": "milk" }))
        .expect(201);
    assert_eq!(created.header("etag"), Some("\"1\""));
    assert_eq!(first.client().query("Todo", &json!({ "name": "milk" })).len(), 1);
    assert!(first.stop().success());

    let second = builder.start();
    let loaded = second.client().get("/db/Todo/a%2Fb").expect(200);
    assert_eq!(loaded.body, created.body);
}

#[test]
fn the_setup_link_makes_one_administrator() {
    let server = server().start();
    let token = server.setup_token();
    let claim = |token: &str| {
        let body = json!({ "token": token, "username": "ann", "password": "correct horse" }).to_string();
        fb_testkit::Client::new(server.address(), "").request("POST", "/setup", &[], body.as_bytes())
    };
    claim("0123").expect_error(460, "BadCredentials");
    claim(&token).expect(200);
    claim(&token).expect_error(460, "BadCredentials");
    let ann = server.client().login("ann", "correct horse");
    ann.post("/schema/Todo", &json!({ "fields": {} })).expect(200);
}
